//! The master key: the secrets that every other key derives from. It is kept outside the database.
//!
//! Its text has one or more parts of 32 bytes, the newest first. `new,old` is a key that is being replaced: what is
//! sealed with either opens. `new.old` is one that was replaced: `old` opens nothing any more. Only the codes that do
//! not protect anything by themselves are still made with it: digests under which tokens and counters are found again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::secret::Secret;

use crate::{
    env::Env,
    security::{keyring::Keyring, private::replace_private},
};

/// How often a master key can be replaced.
const PARTS: usize = 16;

/// The secrets that every other key derives from, the newest first.
#[derive(Debug, Clone)]
pub struct MasterKey {
    secrets: Vec<Secret<[u8; 32]>>,
    is_rotating: bool,
}

/// A secret of 32 bytes, written as base64url or hexadecimal.
pub(super) fn secret_of(text: &str) -> Option<Secret<[u8; 32]>> {
    let bytes = if text.len() == 64 {
        (0..64).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect::<Option<Vec<_>>>()
    } else {
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=').replace('+', "-").replace('/', "_")).ok()
    };
    bytes?.try_into().ok().map(Secret::new)
}

impl MasterKey {
    /// Reads parts of 32 bytes, each written as base64url or hexadecimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (newest, older) = text.split_once(',').map_or((None, text), |(newest, older)| (Some(newest), older));
        let parts = newest.into_iter().chain(older.split('.'));
        let secrets: Vec<_> = parts.map(|text| secret_of(text.trim())).collect::<Option<_>>()?;
        (secrets.len() <= PARTS).then_some(Self { secrets, is_rotating: newest.is_some() })
    }

    /// Reads the key of a file, or makes the file if there is none. Of several processes that start at once one makes
    /// it and the others read it, and one that is killed meanwhile leaves the file whole or not there.
    ///
    /// # Errors
    /// When the file can be neither read nor made, or holds no key.
    pub fn load_or_create(path: &Path, env: &Env) -> io::Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, env)?;
                Self::load(path)
            }
            key => key,
        }
    }

    /// Reads the key of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no key.
    pub fn load(path: &Path) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path)?).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no master key", path.display()))
        })
    }

    /// Puts this key into a file, in the place of the one that it replaces.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        replace_private(path, self.line().expose().as_bytes())
    }

    /// A key of this value.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { secrets: vec![Secret::new(key)], is_rotating: false }
    }

    /// This key with a new part, while it is being replaced; none where that was done too often.
    #[must_use]
    pub fn rotated(&self, env: &Env) -> Option<Self> {
        let secrets = std::iter::once(Secret::new(env.random())).chain(self.secrets.iter().cloned()).collect();
        (self.secrets.len() < PARTS).then_some(Self { secrets, is_rotating: true })
    }

    /// This key once everything is sealed with its newest part.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self { secrets: self.secrets.clone(), is_rotating: false }
    }

    /// Whether what is sealed with the part before the newest opens.
    #[must_use]
    pub const fn is_rotating(&self) -> bool {
        self.is_rotating
    }

    /// What an installation knows its newest part by.
    #[must_use]
    pub fn newest_check(&self) -> Vec<u8> {
        Keyring::new(self).check()
    }

    /// Its parts, the newest first.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8; 32]> + ExactSizeIterator {
        self.secrets.iter().map(Secret::expose)
    }

    /// Its text, with the end of the line.
    #[must_use]
    pub fn line(&self) -> Secret<String> {
        let mut text = String::new();
        for (n, secret) in self.secrets.iter().enumerate() {
            let between = match n {
                0 => "",
                1 if self.is_rotating => ",",
                _ => ".",
            };
            text.push_str(between);
            URL_SAFE_NO_PAD.encode_string(secret.expose(), &mut text);
        }
        text.push('\n');
        Secret::new(text)
    }
}

/// Makes the file of a new key, unless another process makes it first.
fn create(path: &Path, env: &Env) -> io::Result<()> {
    let key = MasterKey::new(env.random());
    let spare = path.with_extension(format!("{:032x}", u128::from_be_bytes(env.random())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spare)?;
    file.write_all(key.line().expose().as_bytes())?;
    file.sync_all()?;
    // A name for the finished file, given to it only if nothing has that name: unlike renaming, linking never replaces.
    let linked = fs::hard_link(&spare, path);
    fs::remove_file(&spare)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        linked => linked?,
    }
    // The name is as precious as the key: what is sealed with it cannot be opened without.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests;
