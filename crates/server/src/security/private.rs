//! Files and folders that only their owner may use.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Writes a file that only its owner may read. It has its name once it is whole, in the place of whatever had that name:
/// nothing is written through a link, or into a file that others can read.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let spare = path.with_extension("part");
    match fs::remove_file(&spare) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spare)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(spare, path)
}

/// Makes a folder that only its owner may enter.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    Ok(())
}
