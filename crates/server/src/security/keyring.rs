//! The master key and what is derived from it.
//!
//! One 32-byte secret per installation lives outside the database. Every use has its own key, derived by HKDF
//! (RFC 5869), so that no two uses can be played against each other.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{constant_time, digest, hmac};
use gatehouse_domain::{
    id::{JobId, TenantId},
    job::JobKind,
    key::Issuer,
    secret::TokenHash,
};
use gatehouse_persistence::ThrottleKey;
use uuid::Uuid;

use crate::security::master_key::MasterKey;

mod part;
mod trail;

use part::{Part, Parts, derive, mac, open_with, seal_with};
pub use trail::trail_mac;

/// Length of a truncated authentication code: 128 bits.
pub const TAG_LEN: usize = 16;
/// What the tenant is sealed with that a browser last used.
const LAST_TENANT: &[u8] = b"last tenant";

/// The derived keys.
pub struct Keyring {
    parts: RwLock<Parts>,
    oldest: [u8; 32],
    refresh: hmac::Key,
    cursor: hmac::Key,
    form: hmac::Key,
    entity_tag: hmac::Key,
    idempotency: hmac::Key,
    throttle: hmac::Key,
    device: hmac::Key,
    audit: hmac::Key,
    newest: hmac::Key,
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

fn piece(part: &Part, import: JobId, number: u64, sealed: &[u8]) -> Result<(Vec<u8>, bool), Unopenable> {
    let open = |is_last| Ok((open_with(&part.file, &place(import, number, is_last), sealed)?, is_last));
    open(false).or_else(|_: Unopenable| open(true))
}

fn place(import: JobId, number: u64, is_last: bool) -> Vec<u8> {
    [import.uuid().as_bytes().as_slice(), &number.to_be_bytes(), &[u8::from(is_last)]].concat()
}

/// What tells jobs apart. Mail is sealed as it was before there were other kinds.
fn job(kind: JobKind, id: JobId) -> Vec<u8> {
    let kind = if kind == JobKind::Mail { "" } else { kind.as_str() };
    [kind.as_bytes(), id.uuid().as_bytes()].concat()
}

/// The oldest part of a master key: it stays, however often the key is replaced.
fn oldest(master: &MasterKey) -> [u8; 32] {
    master.parts().next_back().copied().unwrap_or_default()
}

impl Keyring {
    /// Derives all keys.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let oldest = oldest(master);
        let mac = |purpose: &[u8]| mac(&oldest, purpose);
        Self {
            parts: RwLock::new(Parts::new(master)),
            oldest,
            refresh: mac(b"refresh token"),
            cursor: mac(b"cursor"),
            form: mac(b"form"),
            entity_tag: mac(b"entity tag"),
            idempotency: mac(b"receipt"),
            throttle: mac(b"throttle"),
            device: mac(b"device token"),
            audit: mac(b"audit trail"),
            newest: mac(b"newest instant"),
        }
    }

    fn parts<T>(&self, look: impl FnOnce(&Parts) -> T) -> T {
        look(&self.parts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The part that seals.
    fn current(&self) -> Arc<Part> {
        self.parts(|parts| Arc::clone(&parts.all[parts.current]))
    }

    /// Opens with the part that seals, or with the one that it replaces, or that replaces it.
    fn opened<T>(&self, open: impl Fn(&Part) -> Result<T, Unopenable>) -> Result<T, Unopenable> {
        let current = self.current();
        let others = self.parts(|parts| parts.all[..parts.usable].to_vec());
        let others = others.iter().filter(|other| !Arc::ptr_eq(other, &current));
        std::iter::once(&current).chain(others).find_map(|part| open(part).ok()).ok_or(Unopenable)
    }

    /// What was sealed with another part than the one that seals now, sealed with that one; none if it is already.
    fn renewed<T>(
        &self,
        open: impl Fn(&Part) -> Result<T, Unopenable>,
        seal: impl Fn(&Part, &T) -> Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Unopenable> {
        let current = self.current();
        match open(&current) {
            Ok(_) => Ok(None),
            Err(_) => self.opened(open).map(|plain| Some(seal(&current, &plain))),
        }
    }

    /// Takes up a master key that is this one with another part, or with one part less that opens something. False, and
    /// nothing happens, where it is another key, or has not got the part that seals.
    pub fn adopt(&self, master: &MasterKey) -> bool {
        if !equal(&oldest(master), &self.oldest) {
            return false;
        }
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let check = parts.all[parts.current].check.clone();
        let mut new = Parts::new(master);
        let Some(current) = new.known_by(&check) else { return false };
        new.current = current;
        *parts = new;
        true
    }

    /// Seals with the part that the installation knows from now on. False, and nothing happens, where that is none of
    /// those that open something.
    pub fn turn_to(&self, check: &[u8]) -> bool {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = parts.known_by(check) else { return false };
        parts.current = current;
        true
    }

    /// What the database remembers, to recognise the key it was made with.
    #[must_use]
    pub fn check(&self) -> Vec<u8> {
        self.current().check.clone()
    }

    /// What the database remembers once the newest part seals.
    #[must_use]
    pub fn newest_check(&self) -> Vec<u8> {
        self.parts(|parts| parts.all[0].check.clone())
    }

    /// What the database remembers where a release made it that did not sign the root of the audit trail. It is replaced by
    /// [`Keyring::check`] once the root is signed. A database that was made later never has it, so nobody can have its root
    /// signed a second time.
    #[must_use]
    pub fn check_before(&self) -> Vec<u8> {
        self.current().check_before.clone()
    }

    /// Seals a private key (AES-256-GCM); `owner` becomes part of the seal.
    #[must_use]
    pub fn seal(&self, owner: &[u8], plain: &[u8]) -> Vec<u8> {
        seal_with(&self.current().seal, owner, plain)
    }

    /// Opens what [`Keyring::seal`] sealed for the same owner.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        self.opened(|part| open_with(&part.seal, owner, sealed))
    }

    /// Seals it anew if the master key has changed since; none if it has not.
    ///
    /// # Errors
    /// [`Unopenable`] as for [`Keyring::open`].
    pub fn renew(&self, owner: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unopenable> {
        self.renewed(|part| open_with(&part.seal, owner, sealed), |part, plain| seal_with(&part.seal, owner, plain))
    }

    /// Seals a piece of the file of an import. Its place and whether it is the last become part of the seal, so that no
    /// piece can be left out, moved, or taken from another file.
    #[must_use]
    pub fn seal_piece(&self, import: JobId, number: u64, is_last: bool, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.current().file, &place(import, number, is_last), plain)
    }

    /// Opens a piece of a file; says whether it is the last.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_piece(&self, import: JobId, number: u64, sealed: &[u8]) -> Result<(Vec<u8>, bool), Unopenable> {
        self.opened(|part| piece(part, import, number, sealed))
    }

    /// Seals a piece anew, as [`Keyring::renew`] does.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn renew_piece(&self, import: JobId, number: u64, sealed: &[u8]) -> Result<Option<Vec<u8>>, Unopenable> {
        self.renewed(
            |part| piece(part, import, number, sealed),
            |part, (plain, is_last)| seal_with(&part.file, &place(import, number, *is_last), plain),
        )
    }

    /// Seals what a job that waits is done with. Its id and kind become part of the seal, so that nothing sealed is taken
    /// for another job, or for a job of another kind.
    #[must_use]
    pub fn seal_job(&self, kind: JobKind, id: JobId, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.current().job, &job(kind, id), plain)
    }

    /// Opens what [`Keyring::seal_job`] sealed for the same job.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_job(&self, kind: JobKind, id: JobId, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        self.opened(|part| open_with(&part.job, &job(kind, id), sealed))
    }

    /// Seals it anew, as [`Keyring::renew`] does.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn renew_job(&self, kind: JobKind, id: JobId, sealed: &[u8]) -> Result<Option<Vec<u8>>, Unopenable> {
        let of = job(kind, id);
        self.renewed(|part| open_with(&part.job, &of, sealed), |part, plain| seal_with(&part.job, &of, plain))
    }

    /// Seals what is known of a sign-in that goes on, for its tenant.
    #[must_use]
    pub fn seal_challenge(&self, tenant: TenantId, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.current().challenge, tenant.uuid().as_bytes(), plain)
    }

    /// Opens what [`Keyring::seal_challenge`] sealed for the same tenant.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_challenge(&self, tenant: TenantId, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        self.opened(|part| open_with(&part.challenge, tenant.uuid().as_bytes(), sealed))
    }

    /// Seals an authorization request that waits for its user, for its issuer.
    #[must_use]
    pub fn seal_request(&self, issuer: Issuer, plain: &[u8]) -> Vec<u8> {
        seal_with(&self.current().request, issuer.uuid().as_bytes(), plain)
    }

    /// Opens what [`Keyring::seal_request`] sealed for the same issuer.
    ///
    /// # Errors
    /// [`Unopenable`] for anything else.
    pub fn open_request(&self, issuer: Issuer, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        self.opened(|part| open_with(&part.request, issuer.uuid().as_bytes(), sealed))
    }

    /// Seals which tenant a browser last used at the platform's issuer.
    #[must_use]
    pub fn seal_last_tenant(&self, tenant: TenantId) -> Vec<u8> {
        seal_with(&self.current().request, LAST_TENANT, tenant.uuid().as_bytes())
    }

    /// Opens what [`Keyring::seal_last_tenant`] sealed; none for anything else.
    #[must_use]
    pub fn open_last_tenant(&self, sealed: &[u8]) -> Option<TenantId> {
        let plain = self.opened(|part| open_with(&part.request, LAST_TENANT, sealed)).ok()?;
        Uuid::from_slice(&plain).ok().map(TenantId::from_uuid)
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
        hmac::Context::with_key(&self.current().backup)
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
