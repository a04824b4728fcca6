//! Users as files: a line of JSON for each, or a table. What is written here can be read here again.

mod line;
mod read;
mod reject;
pub mod table;
mod write;

pub use line::FIELDS;
pub use read::{Line, Lines, ReadError};
pub use reject::RejectFile;
pub use write::UserFile;

/// A form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON for every user.
    Ndjson,
    /// A table with a head (RFC 4180).
    Csv,
}

/// The column that says why a line was rejected. It is passed over where such a file is read again.
const REJECTED: &str = "rejected";
