//! Passwords, before they are hashed.

use unicode_normalization::UnicodeNormalization;

use crate::{
    issue::{Fault, Parse},
    secret::Secret,
};

/// A password as it is hashed: in Unicode normalisation form KC, so that every keyboard spells it the same
/// (NIST SP 800-63B-4, 3.1.1.2), and otherwise untouched: nothing trimmed, nothing cut.
#[derive(Debug, Clone)]
pub struct Password {
    normal: Secret<String>,
    /// As it came, where that is something else.
    typed: Option<Secret<String>>,
}

impl Password {
    /// The greatest length in bytes of UTF-8; longer input is refused before any work.
    pub const MAX_BYTES: usize = 1_024;

    /// The normalised text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.normal.expose()
    }

    /// The text as it was typed, which is what other systems hash.
    #[must_use]
    pub fn typed(&self) -> &str {
        self.typed.as_ref().unwrap_or(&self.normal).expose()
    }

    /// Whether a new password is long enough, in characters.
    ///
    /// # Errors
    /// `password_too_short` names the least length.
    pub fn check_length(&self, min: usize) -> Result<(), Fault> {
        if self.expose().chars().count() < min {
            return Err(Fault::new("password_too_short", format!("must have at least {min} characters")));
        }
        Ok(())
    }
}

impl Parse for Password {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("string_too_short", "must not be empty"));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(Fault::new("string_too_long", "must have at most 1024 bytes"));
        }
        let normal: String = text.nfkc().collect();
        let typed = (normal != text).then(|| Secret::new(text.to_owned()));
        Ok(Self { normal: Secret::new(normal), typed })
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Password {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Password)))
            .min_length(Some(1))
            .max_length(Some(Self::MAX_BYTES))
            .examples([serde_json::json!("correct horse battery staple")])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Password {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_and_decomposed_input_is_the_same_password() {
        let (nfc, nfd) = ("contrase\u{f1}a larga y buena", "contrasen\u{303}a larga y buena");
        assert_eq!(Password::parse(nfc).unwrap().expose(), Password::parse(nfd).unwrap().expose());
    }

    #[test]
    fn nothing_is_trimmed_or_cut_below_the_cap() {
        let long = format!(" {} ", "ä".repeat(511));
        assert_eq!(Password::parse(&long).unwrap().expose(), long);
        assert!(Password::parse(&"a".repeat(1_025)).is_err());
        assert!(Password::parse("").is_err());
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert!(Password::parse(&"🦀".repeat(15)).unwrap().check_length(15).is_ok());
        assert!(Password::parse(&"🦀".repeat(14)).unwrap().check_length(15).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", Password::parse("hunter2hunter2").unwrap()).contains("hunter2"));
    }
}
