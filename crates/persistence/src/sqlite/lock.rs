//! One process serves a file, and one migrates it.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Holds the right to serve a SQLite file; given back when dropped, by a crash too.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl ServeLock {
    /// Takes the right.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it.
    pub fn take(database: &Path) -> Result<Self> {
        lock(database, ".lock")?.map(Self).ok_or_else(|| Error::InUse(database.to_owned()))
    }
}

/// The right to migrate a SQLite file, given back likewise; none while another process has it.
pub(crate) fn migrating(database: &Path) -> Result<Option<File>> {
    lock(database, ".migrating")
}

/// The lock of a file beside a database; none while another process has it.
fn lock(database: &Path, extension: &str) -> Result<Option<File>> {
    let mut path = database.as_os_str().to_owned();
    path.push(extension);
    let path = PathBuf::from(path);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Error::File(path.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::File(path, error)),
    }
}
