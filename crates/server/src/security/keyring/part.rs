//! What derives from a part of the master key, and how it seals.

use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    hkdf, hmac,
};

use super::{TAG_LEN, Unopenable};
use crate::security::master_key::MasterKey;

const NONCE_LEN: usize = 12;

/// What derives from one part of the master key: whatever protects something by itself.
pub(super) struct Part {
    pub seal: [u8; 32],
    pub job: [u8; 32],
    pub file: [u8; 32],
    pub challenge: [u8; 32],
    pub request: [u8; 32],
    pub root: hmac::Key,
    pub backup: hmac::Key,
    pub check: Vec<u8>,
    pub check_before: Vec<u8>,
}

/// The parts of the master key, the newest first.
pub(super) struct Parts {
    pub all: Vec<Arc<Part>>,
    /// How many of them open something.
    pub usable: usize,
    /// The one that seals.
    pub current: usize,
}

pub(super) fn derive(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatehouse v1").extract(secret);
    // The only error is a length that the algorithm cannot give, and 32 bytes are one block.
    if prk.expand(&[purpose], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).is_err() {
        unreachable!("HKDF-SHA256 gives 32 bytes");
    }
    key
}

pub(super) fn seal_with(key: &[u8; 32], purpose: &[u8], plain: &[u8]) -> Vec<u8> {
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

pub(super) fn open_with(key: &[u8; 32], purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unopenable)?;
    let mut text = text.to_vec();
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Unopenable)?;
    let plain = key.open_in_place(nonce.into(), Aad::from(purpose), &mut text).map_err(|_| Unopenable)?;
    Ok(plain.to_vec())
}

pub(super) fn mac(secret: &[u8], purpose: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &derive(secret, purpose))
}

impl Part {
    /// What derives from a part that has these before it.
    pub fn new(secret: &[u8; 32], older: &[u8]) -> Self {
        // Who has the newest part and not those before it has not got this key.
        let check = [secret.as_slice(), older].concat();
        Self {
            seal: derive(secret, b"seal"),
            // The name of the first kind there was: what waited then must open.
            job: derive(secret, b"mail"),
            file: derive(secret, b"import file"),
            challenge: derive(secret, b"sign-in challenge"),
            request: derive(secret, b"authorization request"),
            root: mac(secret, b"audit trail"),
            backup: mac(secret, b"backup"),
            check: derive(&check, b"check, audit trail signed from its beginning")[..TAG_LEN].to_vec(),
            check_before: derive(&check, b"check")[..TAG_LEN].to_vec(),
        }
    }
}

impl Parts {
    pub fn new(master: &MasterKey) -> Self {
        let secrets: Vec<[u8; 32]> = master.parts().copied().collect();
        let part = |n: usize| Arc::new(Part::new(&secrets[n], secrets[n + 1..].as_flattened()));
        let all = (0..secrets.len()).map(part).collect();
        Self { all, usable: 1 + usize::from(master.is_rotating()), current: 0 }
    }

    /// The part that an installation knows by this.
    pub fn known_by(&self, check: &[u8]) -> Option<usize> {
        self.all.iter().take(self.usable).position(|part| part.check == check)
    }

    /// With which replacement of the key a part came. Unlike its place, that stays when the key is replaced again.
    pub fn nth(&self, place: usize) -> usize {
        self.all.len() - 1 - place
    }

    /// The place of the part that came with a replacement.
    pub fn place(&self, nth: usize) -> Option<usize> {
        (self.all.len() - 1).checked_sub(nth)
    }
}
