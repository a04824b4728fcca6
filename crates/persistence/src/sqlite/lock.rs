//! One process serves a file.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Holds the right to serve a SQLite file; given back when dropped, by a crash too.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "the open file is the lock")] std::fs::File);

impl ServeLock {
    /// Takes the right.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it.
    pub fn take(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::File(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(database.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => Err(Error::File(path, error)),
        }
    }
}
