//! Entity tags, which clients keep and send back: only those that were given out mean anything.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::security::keyring::{Keyring, equal};

/// The length of half a tag: 16 bytes in base64url.
const HALF: usize = 22;

/// A digest of an answer, or an authentication code: the second half of a tag has both.
type Quarter = [u8; 8];

fn quarter(bytes: &[u8]) -> Quarter {
    let mut quarter = Quarter::default();
    quarter.copy_from_slice(&bytes[..8]);
    quarter
}

/// Writes and recognises entity tags.
#[derive(Debug, Clone, Copy)]
pub struct EntityTags<'a>(&'a Keyring);

impl<'a> EntityTags<'a> {
    pub(super) const fn new(keyring: &'a Keyring) -> Self {
        Self(keyring)
    }

    /// The tag of an answer about a version of something.
    #[must_use]
    pub fn write(self, version: [u8; 16], answer: &[u8]) -> String {
        self.whole(&version_half(version), quarter(digest(&SHA256, answer).as_ref()))
    }

    /// Whether a tag was given out for some version.
    #[must_use]
    pub fn is_ours(self, tag: &str) -> bool {
        let Some((version, rest)) = tag.split_at_checked(HALF) else { return false };
        let rest = URL_SAFE_NO_PAD.decode(rest).ok().filter(|rest| rest.len() == 16);
        rest.is_some_and(|rest| equal(tag.as_bytes(), self.whole(version, quarter(&rest)).as_bytes()))
    }

    fn whole(self, version: &str, answer: Quarter) -> String {
        let code = quarter(&self.0.entity_tag(&[version.as_bytes(), &answer].concat()));
        version.to_owned() + &URL_SAFE_NO_PAD.encode([answer, code].as_flattened())
    }
}

/// Whether a tag is one of a version.
#[must_use]
pub fn names(tag: &str, version: [u8; 16]) -> bool {
    tag.starts_with(&version_half(version))
}

fn version_half(version: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(version)
}
