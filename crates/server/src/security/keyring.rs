//! The master key and what is derived from it.
//!
//! One 32-byte secret per installation lives outside the database. Every use has its own key, derived by HKDF
//! (RFC 5869), so that no two uses can be played against each other.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    constant_time, digest, hkdf, hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    id::{JobId, TenantId},
    job::JobKind,
    secret::{Secret, TokenHash},
};
use gatehouse_persistence::{Mac, ThrottleKey};

use crate::env::Env;

/// Length of a truncated authentication code: 128 bits.
pub const TAG_LEN: usize = 16;
const NONCE_LEN: usize = 12;

/// The secret that every other key derives from.
#[derive(Debug, Clone)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    /// Reads 32 bytes written as base64url or hexadecimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = if text.len() == 64 {
            (0..64).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect::<Option<Vec<_>>>()
        } else {
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=').replace('+', "-").replace('/', "_")).ok()
        };
        bytes?.try_into().ok().map(|key| Self(Secret::new(key)))
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

    /// A key of this value.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(Secret::new(key))
    }
}

/// Makes the file of a new key, unless another process makes it first.
fn create(path: &Path, env: &Env) -> io::Result<()> {
    let key: [u8; 32] = env.random();
    let spare = path.with_extension(format!("{:032x}", u128::from_be_bytes(env.random())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&spare)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(key))?;
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

/// The derived keys.
pub struct Keyring {
    seal: [u8; 32],
    job: [u8; 32],
    file: [u8; 32],
    challenge: [u8; 32],
    refresh: hmac::Key,
    cursor: hmac::Key,
    form: hmac::Key,
    entity_tag: hmac::Key,
    idempotency: hmac::Key,
    throttle: hmac::Key,
    device: hmac::Key,
    audit: hmac::Key,
    newest: hmac::Key,
    backup: hmac::Key,
    check: Vec<u8>,
    check_before: Vec<u8>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

/// Something sealed cannot be opened: it was tampered with, or sealed with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed data cannot be opened with this master key")]
pub struct Unopenable;

fn derive(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatehouse v1").extract(secret);
    // The only error is a length that the algorithm cannot give, and 32 bytes are one block.
    if prk.expand(&[purpose], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).is_err() {
        unreachable!("HKDF-SHA256 gives 32 bytes");
    }
    key
}

fn seal_with(key: &[u8; 32], purpose: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let Ok(nonce) = RandomizedNonceKey::new(&AES_256_GCM, key)
        .and_then(|key| key.seal_in_place_append_tag(Aad::from(purpose), &mut text))
    else {
        unreachable!("AES-256-GCM takes a 32-byte key and any short text");
    };
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut text);
    sealed
}

fn open_with(key: &[u8; 32], purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unopenable)?;
    let mut text = text.to_vec();
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Unopenable)?;
    let plain = key.open_in_place(nonce.into(), Aad::from(purpose), &mut text).map_err(|_| Unopenable)?;
    Ok(plain.to_vec())
}

fn place(import: JobId, number: u64, is_last: bool) -> Vec<u8> {
    [import.uuid().as_bytes().as_slice(), &number.to_be_bytes(), &[u8::from(is_last)]].concat()
}

/// What tells jobs apart. Mail is sealed as it was before there were other kinds.
fn job(kind: JobKind, id: JobId) -> Vec<u8> {
    let kind = if kind == JobKind::Mail { "" } else { kind.as_str() };
    [kind.as_bytes(), id.uuid().as_bytes()].concat()
}

impl Keyring {
    /// Derives all keys.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let master = master.0.expose();
        let mac = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &derive(master, purpose));
        Self {
            seal: derive(master, b"seal"),
            // The name of the first kind there was: what waited then must open.
            job: derive(master, b"mail"),
            file: derive(master, b"import file"),
            challenge: derive(master, b"sign-in challenge"),
            refresh: mac(b"refresh token"),
            cursor: mac(b"cursor"),
            form: mac(b"form"),
            entity_tag: mac(b"entity tag"),
            idempotency: mac(b"receipt"),
            throttle: mac(b"throttle"),
            device: mac(b"device token"),
            audit: mac(b"audit trail"),
            newest: mac(b"newest instant"),
            backup: mac(b"backup"),
            check: derive(master, b"check, audit trail signed from its beginning")[..TAG_LEN].to_vec(),
            check_before: derive(master, b"check")[..TAG_LEN].to_vec(),
        }
    }

    /// What the database remembers, to recognise the key it was made with.
    #[must_use]
    pub fn check(&self) -> &[u8] {
        &self.check
    }

    /// The same, as long as the root of its audit trail has not been signed: what releases remembered that did not sign it
    /// when they made it. Nobody finds it in a database that was made later, so nobody can ask for that again.
    #[must_use]
    pub fn check_before(&self) -> &[u8] {
        &self.check_before
    }

    /// Seals a private key (AES-256-GCM); `owner` becomes part of the seal.
    #[must_use]
    pub fn seal(&self, owner: &[u8], plain: &[u8]) -> Vec<u8> {
        seal_with(&self.seal, owner, plain)
    }

    /// Opens what [`Keyring::seal`] sealed for the same owner.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        open_with(&self.seal, owner, sealed)
    }

    /// Seals a piece of the file of an import. Its place and whether it is the last become part of the seal, so that no
    /// piece can be left out, moved, or taken from another file.
    #[must_use]
    pub fn seal_piece(&self, import: JobId, number: u64, is_last: bool, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.file, &place(import, number, is_last), plain)
    }

    /// Opens a piece of a file; says whether it is the last.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_piece(&self, import: JobId, number: u64, sealed: &[u8]) -> Result<(Vec<u8>, bool), Unopenable> {
        let open = |is_last| Ok((open_with(&self.file, &place(import, number, is_last), sealed)?, is_last));
        open(false).or_else(|_: Unopenable| open(true))
    }

    /// Seals what a job that waits is done with. Its id and kind become part of the seal, so that nothing sealed is taken
    /// for another job, or for a job of another kind.
    #[must_use]
    pub fn seal_job(&self, kind: JobKind, id: JobId, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.job, &job(kind, id), plain)
    }

    /// Opens what [`Keyring::seal_job`] sealed for the same job.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_job(&self, kind: JobKind, id: JobId, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        open_with(&self.job, &job(kind, id), sealed)
    }

    /// Seals what is known of a sign-in that goes on, for its tenant.
    #[must_use]
    pub fn seal_challenge(&self, tenant: TenantId, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.challenge, tenant.uuid().as_bytes(), plain)
    }

    /// Opens what [`Keyring::seal_challenge`] sealed for the same tenant.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_challenge(&self, tenant: TenantId, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        open_with(&self.challenge, tenant.uuid().as_bytes(), sealed)
    }

    /// The authentication code of a refresh token's body.
    #[must_use]
    pub fn refresh_tag(&self, body: &[u8]) -> [u8; TAG_LEN] {
        truncated(&self.refresh, body)
    }

    /// The authentication code of a form that a browser got.
    #[must_use]
    pub fn form_tag(&self, body: &[u8]) -> [u8; TAG_LEN] {
        truncated(&self.form, body)
    }

    /// The authentication code of a cursor's body.
    #[must_use]
    pub fn cursor_tag(&self, body: &[u8]) -> [u8; TAG_LEN] {
        truncated(&self.cursor, body)
    }

    /// The authentication code of an entity tag.
    #[must_use]
    pub fn entity_tag(&self, body: &[u8]) -> [u8; TAG_LEN] {
        truncated(&self.entity_tag, body)
    }

    /// The authentication code of an instant, in microseconds.
    #[must_use]
    pub fn instant_tag(&self, micros: i64) -> [u8; TAG_LEN] {
        truncated(&self.newest, &micros.to_be_bytes())
    }

    /// The authentication code of a backup, to be computed.
    #[must_use]
    pub fn backup_code(&self) -> hmac::Context {
        hmac::Context::with_key(&self.backup)
    }

    /// What authenticates the audit trail.
    #[must_use]
    pub fn audit_mac(&self) -> Mac {
        let key = self.audit.clone();
        Mac::new(move |message| whole(&key, message))
    }

    /// A digest of a request. Keyed, because its body may hold a password.
    #[must_use]
    pub fn idempotency(&self, request: &[u8]) -> [u8; 32] {
        whole(&self.idempotency, request)
    }

    /// The digest under which a device token is stored.
    #[must_use]
    pub fn device_hash(&self, token: &str) -> TokenHash {
        TokenHash::new(whole(&self.device, token.as_bytes()))
    }

    /// The name of a throttle counter. Keyed, because what it counts may be a mistyped password.
    #[must_use]
    pub fn throttle_key(&self, kind: &str, value: &[u8]) -> ThrottleKey {
        let mut mac = hmac::Context::with_key(&self.throttle);
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        let mut key = [0; 32];
        key.copy_from_slice(mac.sign().as_ref());
        ThrottleKey::Digest(key)
    }

    /// What stands for an address in the log.
    #[must_use]
    pub fn client_digest(&self, ip: std::net::IpAddr) -> [u8; 8] {
        let tag = hmac::sign(&self.throttle, format!("log\0{ip}").as_bytes());
        let mut digest = [0; 8];
        digest.copy_from_slice(&tag.as_ref()[..8]);
        digest
    }
}

fn whole(key: &hmac::Key, message: &[u8]) -> [u8; 32] {
    let mut code = [0; 32];
    code.copy_from_slice(hmac::sign(key, message).as_ref());
    code
}

fn truncated(key: &hmac::Key, body: &[u8]) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&hmac::sign(key, body).as_ref()[..TAG_LEN]);
    tag
}

/// Compares secrets without telling by its duration where they differ.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// The digest under which an opaque token is stored.
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    TokenHash::new(hash)
}

/// Seals an answer with a key that only the holder of `token` can derive.
#[must_use]
pub fn seal_for_holder(token: &str, plain: &[u8]) -> Vec<u8> {
    seal_with(&derive(token.as_bytes(), b"replay"), b"replay", plain)
}

/// Opens what [`seal_for_holder`] sealed for the same token.
///
/// # Errors
/// [`Unopenable`] for any other token.
pub fn open_for_holder(token: &str, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
    open_with(&derive(token.as_bytes(), b"replay"), b"replay", sealed)
}

#[cfg(test)]
mod tests;
