//! Reading a file line by line. It takes no more memory for a large file than for a small one, whatever is in it.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    app::transfer::imports::{ImportLine, LineFault},
    input,
    transfer::{
        Format,
        line::{self, FIELDS, PASSED_OVER},
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
    #[error("the table has a column that is not known: {0:?}; known are {known}", known = FIELDS.join(", "))]
    Column(String),
    /// A row that does not end.
    #[error("a row beginning in line {0} does not end: is a quotation mark missing?")]
    Endless(u64),
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

type Input = Metered<Box<dyn Read>>;

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
    /// [`ReadError::Column`] when the head of a table names something that is not known.
    pub fn open(input: Box<dyn Read>, format: Format) -> Result<Self, ReadError> {
        let meter = Rc::new(Meter::default());
        meter.left.set(LONGEST_ROW);
        let input = Metered { inner: input, meter: Rc::clone(&meter) };
        let source = match format {
            Format::Ndjson => {
                meter.left.set(u64::MAX);
                Source::Ndjson { input: BufReader::new(input), number: 0 }
            }
            Format::Csv => {
                let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
                let head = rows.byte_headers().map_err(|error| unreadable(error, 1))?.clone();
                let known = |name: &[u8]| FIELDS.iter().chain(&PASSED_OVER).any(|field| field.as_bytes() == name);
                if let Some(unknown) = head.iter().find(|name| !known(name)) {
                    return Err(ReadError::Column(String::from_utf8_lossy(unknown).into_owned()));
                }
                let breaks = head.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
                let behind = u64::from(rows.position().line() == 1 + breaks);
                Source::Csv { rows, head, behind }
            }
        };
        Ok(Self { source, meter, digest: Context::new(&SHA256) })
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

    /// The next line that is not empty; none at the end.
    ///
    /// # Errors
    /// [`ReadError`] when there is no going on.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        let line = match &mut self.source {
            Source::Ndjson { input, number } => next_text(input, number)?,
            Source::Csv { rows, behind, .. } => {
                self.meter.left.set(LONGEST_ROW);
                let mut record = csv::ByteRecord::new();
                let begins = rows.position().line() + *behind;
                let more = rows.read_byte_record(&mut record).map_err(|error| unreadable(error, begins))?;
                let number = record.position().map_or(begins, |position| position.line() + *behind);
                more.then_some(Line { number, raw: Raw::Csv(record) })
            }
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
        let user = match (&line.raw, &self.source) {
            (Raw::Csv(record), Source::Csv { head, .. }) => row(head, record).and_then(line::read),
            (Raw::Ndjson(text), _) => object(text).and_then(line::read),
            (Raw::Csv(_), Source::Ndjson { .. }) => Err(whole("column_count", "is a row of another table")),
        };
        ImportLine { number: line.number, user }
    }
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
        let text = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| *number == 1).unwrap_or(&text);
        if !text.trim_ascii().is_empty() {
            return Ok(Some(Line { number: *number, raw: Raw::Ndjson(text.to_vec()) }));
        }
    }
}

fn whole(code: &str, message: &str) -> Vec<LineFault> {
    vec![LineFault::new("", code, message)]
}

fn object(text: &[u8]) -> Result<Vec<(String, input::Raw)>, Vec<LineFault>> {
    if text.len() as u64 > LONGEST_LINE {
        return Err(whole("line_too_long", "must have at most 64 KiB"));
    }
    match serde_json::from_slice(text) {
        Ok(input::Raw::Object(fields)) => Ok(fields),
        Ok(_) => Err(whole("object_type", "must be a JSON object")),
        Err(_) => Err(whole("json_invalid", "must be JSON in UTF-8, one object in a line")),
    }
}

fn row(head: &csv::ByteRecord, record: &csv::ByteRecord) -> Result<Vec<(String, input::Raw)>, Vec<LineFault>> {
    if record.len() != head.len() {
        return Err(whole("column_count", "must have as many columns as the head"));
    }
    if record.as_slice().len() as u64 > LONGEST_LINE {
        return Err(whole("line_too_long", "must have at most 64 KiB"));
    }
    let mut fields = Vec::with_capacity(record.len());
    for (name, text) in head.iter().zip(record) {
        let (Ok(name), Ok(text)) = (std::str::from_utf8(name), std::str::from_utf8(text)) else {
            return Err(whole("string_unicode", "must be text in UTF-8"));
        };
        fields.extend(line::cell(name, unguarded(text)).map(|json| (name.to_owned(), json)));
    }
    Ok(fields)
}
