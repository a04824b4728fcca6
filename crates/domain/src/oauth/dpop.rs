//! Tokens that count only with a proof that their sender holds a key (Demonstrating Proof of Possession, RFC 9449).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// The thumbprint of a public key (RFC 7638): 32 bytes of SHA-256, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(String);

/// A text is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 43 characters of base64url")]
pub struct NoThumbprint;

impl Thumbprint {
    /// The thumbprint that has this digest.
    #[must_use]
    pub fn of_digest(digest: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = NoThumbprint;

    fn try_from(text: String) -> Result<Self, NoThumbprint> {
        match URL_SAFE_NO_PAD.decode(&text) {
            Ok(digest) if digest.len() == 32 => Ok(Self(text)),
            _ => Err(NoThumbprint),
        }
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.0
    }
}

/// The claim `cnf` of a token that is bound to a key (RFC 9449, section 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The key.
    pub jkt: Thumbprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_is_what_32_bytes_are_in_base64url() {
        let text = Thumbprint::of_digest([0xfb; 32]).as_str().to_owned();
        assert_eq!(Thumbprint::try_from(text.clone()).unwrap().as_str(), text);
        for bad in [String::new(), text[1..].to_owned(), format!("{text}="), text.replace('-', "+"), "*".repeat(43)] {
            assert_eq!(Thumbprint::try_from(bad.clone()), Err(NoThumbprint), "{bad}");
        }
    }
}
