//! Files and folders that only their owner may use.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

/// Writes a file that only its owner may read. It has its name once it is whole, in the place of whatever had that name:
/// nothing is written through a link, or into a file that others can read.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, |_| Ok(()))
}

/// The same with owner, group and mode of the file that it replaces: who reads that goes on reading.
///
/// # Errors
/// When there is none, when it is a link, whose file would stay as it is, or when the new one cannot have its owner.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::symlink_metadata(path)?;
    if !old.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a link: give the file that it leads to"));
    }
    write(path, bytes, |file| {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(old.permissions())
    })
}

fn write(path: &Path, bytes: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // Another process may be writing the same file, and one that was killed may have left its part.
    let part = path.with_extension(format!("{:016x}.part", RandomState::new().build_hasher().finish()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        prepare(&file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        // The name is lost with the power otherwise.
        path.parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn file_that_is_replaced_keeps_its_mode_and_a_link_is_not_replaced() {
        let folder = std::env::temp_dir().join(format!("gatehouse-replaced-{}", std::process::id()));
        private_folder(&folder).unwrap();
        let (path, link) = (folder.join("file"), folder.join("link"));
        assert!(replace_private(&path, b"new").is_err(), "there is nothing to replace");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace_private(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (b"new".to_vec(), 0o640));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(replace_private(&link, b"other").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::remove_dir_all(&folder).unwrap();
    }

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
