//! The lines that were rejected, each with why: mended, the file can be imported as it is.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

use crate::{
    app::transfer::imports::LineFault,
    transfer::{Line, Lines, REJECTED, read::Raw, table::json_line},
};

/// A file of rejected lines, in the form of the file they come from.
#[derive(Debug)]
pub struct RejectFile {
    out: BufWriter<File>,
    /// What separates the cells of a table: that of the file they come from.
    separator: u8,
    /// How many columns a table has.
    columns: usize,
    /// Of a table, where the reasons of an earlier time stand.
    earlier: Option<usize>,
}

fn table(separator: u8, cells: impl IntoIterator<Item: AsRef<[u8]>>) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new();
    let mut writer = writer.delimiter(separator).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

impl RejectFile {
    /// Makes the file anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, lines: &Lines) -> io::Result<Self> {
        let out = BufWriter::new(File::create(path)?);
        let mut file = Self { out, separator: lines.separator(), columns: 0, earlier: None };
        if lines.has_encoding() {
            // What is written is UTF-8, whatever is said of the file when it is read again.
            file.out.write_all(b"\xef\xbb\xbf")?;
        }
        if let Some(head) = lines.head() {
            file.columns = head.len();
            file.earlier = head.iter().position(|name| name == REJECTED.as_bytes());
            let row = table(file.separator, file.kept(head).chain([REJECTED.as_bytes()]))?;
            file.out.write_all(&row)?;
        }
        Ok(file)
    }

    /// The cells of a row in the columns of the table, of which a row may have too few.
    fn kept<'a>(&self, record: &'a csv::ByteRecord) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let earlier = self.earlier;
        let cells = (0..self.columns).filter(move |column| Some(*column) != earlier);
        cells.map(|column| record.get(column).unwrap_or_default())
    }

    /// Why a row is rejected. What stands behind its last column is told there, as no column has it.
    fn reason(&self, line: u64, record: &csv::ByteRecord, faults: &[LineFault]) -> String {
        let mut text = sentence(line, faults);
        let beyond: Vec<_> = record.iter().skip(self.columns).map(String::from_utf8_lossy).collect();
        if beyond.iter().any(|cell| !cell.trim().is_empty()) {
            text.push_str("; behind the last column: ");
            text.push_str(&beyond.join(", "));
        }
        text
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, line: &Line, faults: &[LineFault]) -> io::Result<()> {
        let bytes = match &line.raw {
            Raw::Ndjson(text) => object(line.number, text, faults).into_bytes(),
            Raw::Csv(record) => {
                let why = self.reason(line.number, record, faults);
                table(self.separator, self.kept(record).chain([why.as_bytes()]))?
            }
        };
        self.out.write_all(&bytes)
    }

    /// Hands what has been added to the operating system.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn object(line: u64, text: &[u8], faults: &[LineFault]) -> String {
    let mut fields: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    let mut why = json!({ "line": line, "faults": faults });
    if fields.is_empty() {
        why["text"] = String::from_utf8_lossy(text).trim_end().into();
    }
    fields.insert(REJECTED.to_owned(), why);
    json_line(Value::Object(fields).to_string())
}

/// `line 7: email: email_parsing (not an e-mail address); …`
fn sentence(line: u64, faults: &[LineFault]) -> String {
    let mut text = format!("line {line}");
    for (i, LineFault { field, code, message }) in faults.iter().enumerate() {
        let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
        // Writing to a text cannot fail.
        let _ = write!(text, "{}{at}{code} ({message})", if i == 0 { ": " } else { "; " });
    }
    text
}
