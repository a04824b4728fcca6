//! Names, addresses and other short texts, valid by construction.

use email_address::{EmailAddress, Options};
use serde::Serialize;

use crate::issue::{Fault, Parse};

fn bounded(text: &str, max: usize) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("string_too_short", "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(Fault::new("string_too_long", format!("must have at most {max} characters")));
    }
    Ok(())
}

/// One line of text: no control characters, no line or paragraph separators, no white space at either end.
fn line(text: &str, max: usize) -> Result<(), Fault> {
    bounded(text, max)?;
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Fault::new("string_control_characters", "must be one line without control characters"));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(Fault::new("string_surrounding_space", "must not begin or end with white space"));
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { max: $max:literal, $(pattern: $pattern:literal,)? $(format: $format:literal,)? example: $example:literal, check: $check:expr })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The greatest length in characters.
            pub const MAX: usize = $max;
            $(
                /// What the text matches (ECMA-262).
                pub const PATTERN: &'static str = $pattern;
            )?

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a stored text back without checking it again: the rules may have become stricter since.
            #[must_use]
            pub const fn from_stored(text: String) -> Self {
                Self(text)
            }
        }

        impl Parse for $name {
            fn parse(text: &str) -> Result<Self, Fault> {
                let check: fn(&str) -> Result<(), Fault> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let object = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
                $(let object = object.pattern(Some($pattern));)?
                $(let object = object.format(Some(utoipa::openapi::SchemaFormat::Custom($format.to_owned())));)?
                object
                    .min_length(Some(1))
                    .max_length(Some($max))
                    .examples([serde_json::json!($example)])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )*};
}

fn username(text: &str) -> Result<(), Fault> {
    bounded(text, Username::MAX)?;
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    if first && bytes.all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b)) {
        return Ok(());
    }
    Err(Fault::new(
        "username_characters",
        "may use letters a to z, digits and . _ + -, and begins with a letter or digit",
    ))
}

fn slug(text: &str) -> Result<(), Fault> {
    bounded(text, Slug::MAX)?;
    let inner = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if inner && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(());
    }
    Err(Fault::new("slug_characters", "may use lower-case letters a to z, digits and inner hyphens"))
}

fn phone(text: &str) -> Result<(), Fault> {
    bounded(text, Phone::MAX)?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    let shaped = digits.bytes().all(|b| b.is_ascii_digit() || b" ().-".contains(&b));
    if shaped && digits.starts_with(|c: char| c.is_ascii_digit()) && text.len() >= 3 {
        return Ok(());
    }
    Err(Fault::new("phone_characters", "must be a telephone number of at least 3 digits, such as +34 600 000 000"))
}

fn email(text: &str) -> Result<(), Fault> {
    bounded(text, Email::MAX)?;
    // Quoted local parts, comments and address literals are legal in RFC 5322 and useless to a mailbox owner; they
    // exist in identity systems mainly as a way to smuggle a second address past a filter.
    let options = Options::default().without_display_text().without_domain_literal();
    let plain =
        !text.contains(['"', '(', ')', '<', '>', '\\']) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if plain && EmailAddress::parse_with_options(text, options).is_ok() {
        return Ok(());
    }
    Err(Fault::new("email_parsing", "not an e-mail address"))
}

texts! {
    /// What a person signs in with besides the e-mail address. Plain ASCII, because a name that looks like another
    /// person's is an attack; compared without case. It cannot hold an `@`, so it never equals anyone's e-mail address.
    Username { max: 50, pattern: "^[A-Za-z0-9][A-Za-z0-9._+-]{0,49}$", example: "ada", check: username }

    /// An e-mail address (RFC 5321, unquoted), compared without case. No pattern: the limits of its parts are in bytes.
    Email { max: 254, format: "email", example: "ada@example.com", check: email }

    /// How a person is addressed.
    DisplayName { max: 100, pattern: "^[^\\s\\x00-\\x1f\\x7f-\\x9f]([^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", example: "Ada Lovelace", check: |text| line(text, 100) }

    /// The name of a partner, tenant or role.
    Name { max: 100, pattern: "^[^\\s\\x00-\\x1f\\x7f-\\x9f]([^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", example: "Example Ltd", check: |text| line(text, 100) }

    /// A telephone number as people write it.
    Phone { max: 32, pattern: "^(\\+[0-9][0-9 ().-]{1,30}|[0-9][0-9 ().-]{2,31})$", example: "+34 600 000 000", check: phone }

    /// The part of an address that names a partner or tenant.
    Slug { max: 63, pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", example: "default", check: slug }
}

impl Username {
    /// The form that is unique within a tenant.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl Email {
    /// The form that is unique within a tenant.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// What a person types into the first field of a sign-in form: a user name or an e-mail address, not yet known to
/// be either. Anything is accepted here, because the answer must be the same for every unknown name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginName(String);

impl LoginName {
    /// The greatest length in characters that is looked up.
    pub const MAX: usize = 254;

    /// Whether it can only be an e-mail address; without an `@` it can only be a user name.
    #[must_use]
    pub fn is_email(&self) -> bool {
        self.0.contains('@')
    }

    /// The form that user names and e-mail addresses are compared in.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl Parse for LoginName {
    fn parse(text: &str) -> Result<Self, Fault> {
        bounded(text, Self::MAX)?;
        if text.contains('\0') {
            return Err(Fault::new("string_control_characters", "must not contain a NUL character"));
        }
        Ok(Self(text.trim().to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn username_never_looks_like_an_email_and_never_spoofs() {
        for good in ["a", "ada", "Ada.L-1_x+y", &"a".repeat(50)] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a@b", "a b", ".a", "аda", "a\0", &"a".repeat(51)] {
            assert!(Username::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Username::parse("ADA").unwrap().key(), "ada");
    }

    #[test]
    fn email_is_one_plain_address() {
        for good in ["a@b.co", "a.b+c@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "ü@bücher.example"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c.de",
            "\"a b\"@c.de",
            "A <a@b.co>",
            "a@[127.0.0.1]",
            "a@b.co\r\nBcc: x@y.z",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn line_has_no_control_characters_and_no_surrounding_space() {
        for good in ["x", "Ada Lovelace", "<script>alert(1)</script>", "名前", "🦀"] {
            assert!(DisplayName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", " a", "a ", "a\nb", "a\0", "a\u{1b}[31m", "a\u{2028}b", "\u{85}"] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn slug_is_a_dns_label() {
        for good in ["a", "default", "a-1", &"a".repeat(63)] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn phone_is_a_number() {
        assert!(Phone::parse("+34 600 000 000").is_ok());
        for bad in ["", "+", "12", "call me", "()()()", "1".repeat(33).as_str()] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn login_name_is_compared_like_the_names_it_may_be() {
        assert_eq!(LoginName::parse(" ADA@Example.com ").unwrap().key(), "ada@example.com");
        assert!(LoginName::parse(&"a".repeat(255)).is_err());
    }
}
