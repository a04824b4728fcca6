//! Places in lists, as clients keep them between two pages.

use crate::security::{
    cursor::{self, Cursor},
    keyring::Keyring,
};

/// Reads and writes cursors.
#[derive(Debug, Clone, Copy)]
pub struct Cursors<'a>(&'a Keyring);

impl<'a> Cursors<'a> {
    pub(super) const fn new(keyring: &'a Keyring) -> Self {
        Self(keyring)
    }

    /// A cursor for a list.
    #[must_use]
    pub fn write(&self, list: &str, cursor: &Cursor) -> String {
        cursor::write(self.0, list, cursor)
    }

    /// The cursor of a text; `None` if it is none of ours for that list.
    #[must_use]
    pub fn read(&self, list: &str, text: &str) -> Option<Cursor> {
        cursor::read(self.0, list, text)
    }
}
