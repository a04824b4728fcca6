//! Proof Key for Code Exchange (RFC 7636): the code goes to who asked for it. Only the method `S256` is taken.

/// The digest of a verifier, in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

/// What an application shows with a code: 43 to 128 unreserved characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(String);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl Challenge {
    /// How many characters the digest has.
    const LENGTH: usize = 43;

    /// Takes the challenge of a request (RFC 7636, section 4.2).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (text.len() == Self::LENGTH && text.bytes().all(is_base64url)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Verifier {
    /// Takes the verifier of a request (RFC 7636, section 4.1).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        ((43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)).then(|| Self(text.to_owned()))
    }

    /// The text, which is what is digested.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
