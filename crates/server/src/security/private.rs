//! Files and folders that only their owner may use.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
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
    // Another process may be writing the same file, and one that was killed may have left its part.
    let part = path.with_extension(format!("{:016x}.part", RandomState::new().build_hasher().finish()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&part)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_several_write_at_once_is_that_of_one_of_them() {
        let folder = std::env::temp_dir().join(format!("gatehouse-private-{}", std::process::id()));
        private_folder(&folder).unwrap();
        let path = folder.join("file");
        let texts = [[b'a'; 4096], [b'b'; 4096], [b'c'; 4096], [b'd'; 4096]];
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| (0..25).for_each(|_| write_private(&path, text).unwrap()));
            }
        });
        let written = fs::read(&path).unwrap();
        assert!(texts.iter().any(|text| text[..] == written[..]));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a part was left");
        fs::remove_dir_all(&folder).unwrap();
    }
}
