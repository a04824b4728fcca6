//! Values that must not be printed, and the digests that stand for them at rest.

use std::fmt;

/// A value that neither `Debug` nor `Display` nor serde will show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of an opaque token: what the database holds instead of the token.
///
/// The token has 256 random bits, so a plain digest is enough (OWASP ASVS 5.0, 11.5.1); equality of digests reveals
/// nothing about the token, so ordinary comparison is safe.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes a digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The hash of a password, opaque to everything but the hasher: argon2id in PHC string format, or whatever another
/// system made before the user came here.
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    cost: Option<u32>,
}

impl PasswordHash {
    /// Takes the text of a hash.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self { text, cost: None }
    }

    /// With what a check costs, in thousandths of a check of ours; none if it is ours.
    #[must_use]
    pub fn brought_along(self, cost: Option<u32>) -> Self {
        Self { cost, ..self }
    }

    /// The text, which names its format.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a check costs, in thousandths of a check of ours; none if it is ours.
    #[must_use]
    pub const fn cost(&self) -> Option<u32> {
        self.cost
    }
}

/// It is the text that makes a hash: what a check costs is measured.
impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
