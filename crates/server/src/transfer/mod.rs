//! Users as files: a line of JSON for each, or a table. What is written here can be read here again.

mod cell;
mod columns;
mod encoding;
mod feed;
mod line;
mod read;
mod reject;
pub mod table;
mod write;

pub use columns::Names;
pub use feed::Feed;
pub use gatehouse_domain::import::Format;
pub use line::FIELDS;
pub use read::{Line, Lines, ReadError, Reading};
pub use reject::RejectFile;
pub use write::UserFile;

/// The column that says why a line was rejected. It is passed over where such a file is read again.
const REJECTED: &str = "rejected";
