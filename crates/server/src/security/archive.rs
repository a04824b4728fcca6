//! The file of a backup: a line that says what it is, the rows of the database compressed, and an authentication code over
//! both with a key of the master key's. It never has the master key. A file that was damaged or changed is refused before
//! anything of it is used.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::hmac;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use gatehouse_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::security::keyring::{Keyring, equal};

/// The length of the code.
const CODE: u64 = 32;
/// How long the first line may be.
const HEAD: u64 = 4 * 1024;
/// How long any other line may be: the largest row is a piece of a file that is imported.
const LINE: u64 = 16 * 1024 * 1024;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is something else.
    #[error("{0} is no backup of Gatehouse, or of a newer release")]
    Foreign(PathBuf),
    /// It is for another master key.
    #[error("{0} was made with another master key: put that one in its place")]
    OtherKey(PathBuf),
    /// Somebody or something has changed it.
    #[error("{0} is damaged: it is not what was written")]
    Damaged(PathBuf),
    /// A file is in the way.
    #[error("{0} exists: a backup replaces nothing")]
    Exists(PathBuf),
    /// The file system refuses.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] io::Error),
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    gatehouse_backup: u32,
    /// The newest migration that had run.
    pub schema: String,
    /// When it was made, in microseconds since 1970.
    made_at: i64,
    /// What tells the master key.
    key: String,
}

impl Head {
    /// The instant that the rows are of.
    #[must_use]
    pub const fn made_at(&self) -> Timestamp {
        Timestamp::from_micros(self.made_at)
    }
}

fn key_id(keyring: &Keyring) -> String {
    keyring.check().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is written is authenticated.
struct Tagged {
    file: BufWriter<File>,
    code: hmac::Context,
}

impl Write for Tagged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.code.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file in the making, which has its name once it is whole, and is gone if it never is.
pub struct ArchiveWriter {
    path: PathBuf,
    part: PathBuf,
    lines: Option<GzEncoder<Tagged>>,
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        if self.lines.is_some() {
            drop(fs::remove_file(&self.part));
        }
    }
}

impl ArchiveWriter {
    /// Begins a file that only its owner may read.
    ///
    /// # Errors
    /// [`Unusable::Exists`], [`Unusable::File`].
    pub fn create(path: &Path, schema: String, made_at: Timestamp, keyring: &Keyring) -> Result<Self, Unusable> {
        if path.symlink_metadata().is_ok() {
            return Err(Unusable::Exists(path.to_owned()));
        }
        // Another process may be writing to the same name.
        let part = path.with_added_extension(format!("{:016x}.part", RandomState::new().build_hasher().finish()));
        let head = Head { gatehouse_backup: 1, schema, made_at: made_at.micros(), key: key_id(keyring) };
        let begin = || {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            let mut tagged = Tagged { file: BufWriter::new(file), code: keyring.backup_code() };
            serde_json::to_writer(&mut tagged, &head)?;
            tagged.write_all(b"\n")?;
            Ok(GzEncoder::new(tagged, Compression::fast()))
        };
        let lines = begin().map_err(|error| Unusable::File(part.clone(), error))?;
        Ok(Self { path: path.to_owned(), part, lines: Some(lines) })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        let lines = self.lines.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        lines.write_all(line.as_bytes())?;
        lines.write_all(b"\n")
    }

    /// Ends the file; returns how long it is.
    ///
    /// # Errors
    /// [`Unusable::File`].
    pub fn finish(mut self) -> Result<u64, Unusable> {
        let mut finish = || {
            let lines = self.lines.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            lines.try_finish()?;
            let Tagged { file, code } = lines.get_mut();
            file.write_all(code.clone().sign().as_ref())?;
            file.flush()?;
            file.get_ref().sync_all()?;
            let length = file.get_ref().metadata()?.len();
            // A name that somebody else has taken meanwhile stays theirs.
            fs::hard_link(&self.part, &self.path)?;
            fs::remove_file(&self.part)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(length)
        };
        let length = finish().map_err(|error| Unusable::File(self.path.clone(), error))?;
        self.lines = None;
        Ok(length)
    }
}

/// A file that is what was written.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    /// The file that was looked at: another may have its name by the time that it is read.
    file: File,
    /// What it says of itself.
    pub head: Head,
    /// Where the rows begin and end.
    rows: (u64, u64),
}

impl Archive {
    /// Looks at a file, all of it.
    ///
    /// # Errors
    /// [`Unusable`] says why it is of no use.
    pub fn open(path: &Path, keyring: &Keyring) -> Result<Self, Unusable> {
        let file = |error| Unusable::File(path.to_owned(), error);
        let read = File::open(path).map_err(file)?;
        let mut reader = BufReader::new(read.try_clone().map_err(file)?);
        let (mut line, length) = (Vec::new(), reader.get_ref().metadata().map_err(file)?.len());
        reader.by_ref().take(HEAD).read_until(b'\n', &mut line).map_err(file)?;
        let head = serde_json::from_slice(&line).ok().filter(|head: &Head| head.gatehouse_backup == 1);
        let head = head.ok_or_else(|| Unusable::Foreign(path.to_owned()))?;
        if head.key != key_id(keyring) {
            return Err(Unusable::OtherKey(path.to_owned()));
        }
        let begin = line.len() as u64;
        let end = length.checked_sub(CODE).filter(|end| *end >= begin);
        let end = end.ok_or_else(|| Unusable::Damaged(path.to_owned()))?;
        let mut code = keyring.backup_code();
        code.update(&line);
        let mut rows = reader.by_ref().take(end - begin);
        loop {
            let bytes = rows.fill_buf().map_err(file)?;
            if bytes.is_empty() {
                break;
            }
            code.update(bytes);
            let length = bytes.len();
            rows.consume(length);
        }
        let mut written = Vec::new();
        reader.take(CODE).read_to_end(&mut written).map_err(file)?;
        if !equal(code.sign().as_ref(), &written) {
            return Err(Unusable::Damaged(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), file: read, head, rows: (begin, end) })
    }

    /// The lines, from the first.
    ///
    /// # Errors
    /// [`Unusable::File`].
    pub fn lines(&self) -> Result<impl Iterator<Item = io::Result<String>> + use<>, Unusable> {
        let (begin, end) = self.rows;
        let open = || {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(begin))?;
            Ok(BufReader::new(GzDecoder::new(BufReader::new(file).take(end - begin))))
        };
        let mut reader = open().map_err(|error| Unusable::File(self.path.clone(), error))?;
        Ok(std::iter::from_fn(move || line(&mut reader).transpose()))
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.take(LINE).read_line(&mut line)?;
    match line.pop() {
        None => Ok(None),
        Some('\n') => Ok(Some(line)),
        Some(_) if read as u64 == LINE => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{env::Env, security::master_key::MasterKey};

    /// A folder that goes away with this value.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn folder() -> Folder {
        let name = u128::from_be_bytes(Env::system().random());
        let path = std::env::temp_dir().join(format!("gh-archive-{name:032x}"));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(&MasterKey::new([byte; 32]))
    }

    fn written(path: &Path) {
        let mut writer = ArchiveWriter::create(path, "m1".into(), Timestamp::from_micros(7), &keyring(1)).unwrap();
        for i in 0..1_000 {
            writer.line(&format!("[{i}]")).unwrap();
        }
        assert!(!path.exists(), "it has its name before it is whole");
        writer.finish().unwrap();
    }

    #[test]
    fn lines_come_back_in_their_order() {
        let folder = folder();
        let path = folder.0.join("a");
        written(&path);
        let archive = Archive::open(&path, &keyring(1)).unwrap();
        assert_eq!((archive.head.made_at().micros(), archive.head.schema.as_str()), (7, "m1"));
        let lines: Vec<_> = archive.lines().unwrap().map(Result::unwrap).collect();
        assert_eq!((lines.len(), lines[999].as_str()), (1_000, "[999]"));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "something is left beside it");
    }

    #[test]
    fn file_that_takes_the_name_of_the_one_that_was_looked_at_is_not_read() {
        let folder = folder();
        let path = folder.0.join("a");
        written(&path);
        let archive = Archive::open(&path, &keyring(1)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        assert_eq!(archive.lines().unwrap().map(Result::unwrap).count(), 1_000);
    }

    #[test]
    fn file_that_was_changed_anywhere_is_refused() {
        let folder = folder();
        let path = folder.0.join("a");
        written(&path);
        let whole = fs::read(&path).unwrap();
        let end = whole.len() - 1;
        for at in [20, whole.len() / 2, end] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(Archive::open(&path, &keyring(1)).is_err(), "{at}");
        }
        for length in [0, 3, whole.len() / 2, end] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Archive::open(&path, &keyring(1)).is_err(), "{length}");
        }
        fs::write(&path, [whole.as_slice(), b"\n"].concat()).unwrap();
        assert!(matches!(Archive::open(&path, &keyring(1)), Err(Unusable::Damaged(_))));
        fs::write(&path, &whole).unwrap();
        assert!(matches!(Archive::open(&path, &keyring(2)), Err(Unusable::OtherKey(_))));
        fs::write(&path, "SQLite format 3").unwrap();
        assert!(matches!(Archive::open(&path, &keyring(1)), Err(Unusable::Foreign(_))));
    }

    #[test]
    fn backup_replaces_no_file_and_leaves_none_behind_that_is_not_whole() {
        let folder = folder();
        let path = folder.0.join("a");
        written(&path);
        let again = ArchiveWriter::create(&path, "m1".into(), Timestamp::from_micros(7), &keyring(1));
        assert!(matches!(again, Err(Unusable::Exists(_))));
        drop(ArchiveWriter::create(&folder.0.join("b"), "m1".into(), Timestamp::from_micros(7), &keyring(1)).unwrap());
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }
}
