//! Reading a file line by line. It takes no more memory for a large file than for a small one, whatever is in it.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Cursor, Read},
    rc::Rc,
};

use aws_lc_rs::digest::{Context, SHA256};
use encoding_rs::Encoding;

use crate::{
    app::transfer::imports::{ImportLine, LineFault},
    input,
    transfer::{
        Format,
        cell::cell,
        columns::{self, Column, Names},
        encoding,
        line::{self, FIELDS},
        table::unguarded,
    },
};

/// The most bytes of a line that are looked at.
const LONGEST_LINE: u64 = 64 << 10;
/// The most bytes that one row of a table may take before something must be wrong with its quotes.
const LONGEST_ROW: u64 = 1 << 20;

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error("the file cannot be read")]
    File(#[from] io::Error),
    /// A table needs to say what its columns are.
    #[error("the table has columns that are not known: {unknown}; known are {known}", unknown = quoted(.0), known = FIELDS.join(", "))]
    Columns(Vec<String>),
    /// A table has a head.
    #[error("the file is empty: a table begins with a row of headings")]
    Empty,
    /// A row that does not end.
    #[error("a row beginning in line {0} does not end: is a quotation mark missing?")]
    Endless(u64),
}

/// How a file is read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its form.
    pub format: Format,
    /// What its columns and fields are called.
    pub names: Names,
    /// Its characters, where nothing in it says so.
    pub encoding: Option<&'static Encoding>,
    /// Whether a user whose hash cannot be checked comes without a password.
    pub without_password: bool,
}

impl From<Format> for Reading {
    fn from(format: Format) -> Self {
        Self { format, names: Names::default(), encoding: None, without_password: false }
    }
}

/// What has been read, and how much may still be until a row must end.
#[derive(Debug, Default)]
struct Meter {
    read: Cell<u64>,
    left: Cell<u64>,
}

struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.left.get() == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.meter.read.set(self.meter.read.get() + read as u64);
        self.meter.left.set(self.meter.left.get().saturating_sub(read as u64));
        Ok(read)
    }
}

type Input = Box<dyn Read>;

enum Source {
    Ndjson {
        input: BufReader<Input>,
        number: u64,
    },
    /// `behind`: by how many lines the reader counts too few. It ends a row before the second character of its end, and so
    /// notices a line only with the next row.
    Csv {
        rows: csv::Reader<Input>,
        head: csv::ByteRecord,
        columns: Vec<Column>,
        separator: u8,
        behind: u64,
    },
}

/// A line as it stands in the file.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    pub(super) raw: Raw,
}

#[derive(Debug, Clone)]
pub(super) enum Raw {
    Ndjson(Vec<u8>),
    Csv(csv::ByteRecord),
}

/// The lines of a file.
pub struct Lines {
    source: Source,
    meter: Rc<Meter>,
    digest: Context,
    reading: Reading,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines(…)")
    }
}

impl Lines {
    /// Begins to read.
    ///
    /// # Errors
    /// [`ReadError::Columns`] when the head of a table names something that is not known.
    pub fn open(input: Box<dyn Read>, reading: impl Into<Reading>) -> Result<Self, ReadError> {
        let (reading, meter) = (reading.into(), Rc::new(Meter::default()));
        let is_table = reading.format == Format::Csv;
        meter.left.set(if is_table { LONGEST_ROW } else { u64::MAX });
        let input = Box::new(Metered { inner: input, meter: Rc::clone(&meter) });
        let (input, _) = encoding::utf8(input, reading.encoding)?;
        let source = if is_table {
            table(input, &reading.names)?
        } else {
            Source::Ndjson { input: BufReader::new(input), number: 0 }
        };
        Ok(Self { source, meter, digest: Context::new(&SHA256), reading })
    }

    /// Whether it was said which characters the file has.
    pub(super) const fn has_encoding(&self) -> bool {
        self.reading.encoding.is_some()
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.meter.read.get()
    }

    /// A digest of all lines so far.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        self.digest.clone().finish().as_ref().to_vec()
    }

    /// The head of the table, if it is one.
    pub(super) const fn head(&self) -> Option<&csv::ByteRecord> {
        match &self.source {
            Source::Csv { head, .. } => Some(head),
            Source::Ndjson { .. } => None,
        }
    }

    /// What separates the cells of the table.
    pub(super) const fn separator(&self) -> u8 {
        match &self.source {
            Source::Csv { separator, .. } => *separator,
            Source::Ndjson { .. } => b',',
        }
    }

    /// The next line that is not empty; none at the end.
    ///
    /// # Errors
    /// [`ReadError`] when there is no going on.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        let line = match &mut self.source {
            Source::Ndjson { input, number } => next_text(input, number)?,
            Source::Csv { rows, behind, .. } => loop {
                self.meter.left.set(LONGEST_ROW);
                let mut record = csv::ByteRecord::new();
                let begins = rows.position().line() + *behind;
                let more = rows.read_byte_record(&mut record).map_err(|error| unreadable(error, begins))?;
                let number = record.position().map_or(begins, |position| position.line() + *behind);
                // Spreadsheets leave rows without any cell at the end.
                if !more || record.as_slice().iter().any(|byte| !byte.is_ascii_whitespace()) {
                    break more.then_some(Line { number, raw: Raw::Csv(record) });
                }
            },
        };
        match line.as_ref().map(|line| &line.raw) {
            Some(Raw::Ndjson(text)) => self.note(text),
            Some(Raw::Csv(record)) => record.iter().for_each(|cell| self.note(cell)),
            None => {}
        }
        Ok(line)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.digest.update(&(bytes.len() as u64).to_be_bytes());
        self.digest.update(bytes);
    }

    /// Whom a line describes, or why nobody.
    #[must_use]
    pub fn read(&self, line: &Line) -> ImportLine {
        let fields = match (&line.raw, &self.source) {
            (Raw::Csv(record), Source::Csv { columns, .. }) => row(columns, record),
            (Raw::Ndjson(text), _) => object(text).map(|fields| self.reading.names.rename(fields)),
            (Raw::Csv(_), Source::Ndjson { .. }) => Err(whole("column_count", "is a row of another table")),
        };
        let user = fields.and_then(|fields| line::read(fields, self.reading.without_password));
        ImportLine { number: line.number, user }
    }
}

/// The first names of many, as they stand there.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// A table whose head says what separates its cells.
fn table(input: Input, names: &Names) -> Result<Source, ReadError> {
    let (mut first, rest) = encoding::peek(input)?;
    let (separator, declared) = separator(&first);
    let lines_before = u64::from(declared > 0);
    let input: Input = Box::new(Cursor::new(first.split_off(declared)).chain(rest));
    let mut rows = csv::ReaderBuilder::new().flexible(true).delimiter(separator).from_reader(input);
    let head = rows.byte_headers().map_err(|error| unreadable(error, 1))?.clone();
    if head.is_empty() {
        return Err(ReadError::Empty);
    }
    let heading = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).into_owned();
        names.column(&name).ok_or(name)
    };
    let headings: Vec<_> = head.iter().map(heading).collect();
    let unknown: Vec<_> = headings.iter().filter_map(|heading| heading.as_ref().err().cloned()).collect();
    if !unknown.is_empty() {
        return Err(ReadError::Columns(unknown));
    }
    let breaks = head.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    let behind = u64::from(rows.position().line() == 1 + breaks) + lines_before;
    Ok(Source::Csv { rows, head, columns: headings.into_iter().flatten().collect(), separator, behind })
}

/// What separates cells, by the first line: what `sep=` says, which Excel writes, else what it has most of. Also how long
/// a line is that says so.
fn separator(text: &[u8]) -> (u8, usize) {
    let length = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    let line = text[..length].trim_ascii_end();
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator] = line {
        return (*separator, length);
    }
    if line.eq_ignore_ascii_case(b"sep=") {
        return (b'\t', length);
    }
    let unquoted = line.split(|byte| *byte == b'"').step_by(2);
    let count = |separator: &u8| unquoted.clone().flatten().filter(|byte| *byte == separator).count();
    (*b"|\t;,".iter().max_by_key(|separator| count(separator)).unwrap_or(&b','), 0)
}

fn unreadable(error: csv::Error, line: u64) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => ReadError::Endless(line),
        csv::ErrorKind::Io(error) => ReadError::File(error),
        other => ReadError::File(io::Error::other(format!("{other:?}"))),
    }
}

/// The next line of text that is not empty. Of one that is too long only the beginning is kept.
fn next_text(input: &mut BufReader<Input>, number: &mut u64) -> Result<Option<Line>, ReadError> {
    loop {
        let mut text = Vec::new();
        if input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        if text.len() as u64 > LONGEST_LINE && !text.ends_with(b"\n") {
            input.skip_until(b'\n')?;
        }
        *number += 1;
        if !text.trim_ascii().is_empty() {
            return Ok(Some(Line { number: *number, raw: Raw::Ndjson(text) }));
        }
    }
}

fn whole(code: &str, message: &str) -> Vec<LineFault> {
    vec![LineFault::new("", code, message)]
}

/// Characters that are not those of the file.
fn undecodable() -> Vec<LineFault> {
    whole("string_unicode", "must be text in UTF-8; a file of Excel may be in Windows-1252: --encoding windows-1252")
}

fn object(text: &[u8]) -> Result<Vec<(String, input::Raw)>, Vec<LineFault>> {
    if text.len() as u64 > LONGEST_LINE {
        return Err(whole("line_too_long", "must have at most 64 KiB"));
    }
    if std::str::from_utf8(text).is_err() {
        return Err(undecodable());
    }
    match serde_json::from_slice(text) {
        Ok(input::Raw::Object(fields)) => Ok(fields),
        Ok(_) => Err(whole("object_type", "must be a JSON object")),
        Err(_) => Err(whole("json_invalid", "must be JSON in UTF-8, one object in a line")),
    }
}

fn row(columns: &[Column], record: &csv::ByteRecord) -> Result<Vec<(String, input::Raw)>, Vec<LineFault>> {
    // A separator at the end of each line makes one more cell, with nothing in it.
    let mut beyond = record.iter().skip(columns.len());
    if record.len() < columns.len() || beyond.any(|cell| !cell.trim_ascii().is_empty()) {
        return Err(whole("column_count", "must have as many columns as the head"));
    }
    if record.as_slice().len() as u64 > LONGEST_LINE {
        return Err(whole("line_too_long", "must have at most 64 KiB"));
    }
    let mut line = columns::Line::default();
    for (column, text) in columns.iter().zip(record) {
        let text = std::str::from_utf8(text).map_err(|_| undecodable())?.trim();
        let name = match column {
            Column::Field(name) => name,
            Column::Unnamed if !text.is_empty() => {
                return Err(whole("column_unnamed", "has a cell in a column without a heading"));
            }
            _ => "display_name",
        };
        if let Some(json) = cell(name, unguarded(text)) {
            line.put(column, json);
        }
    }
    Ok(line.fields())
}
