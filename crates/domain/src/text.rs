//! Names, addresses and other short texts, valid by construction.

use std::borrow::Cow;

use email_address::{EmailAddress, Options};
use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};
use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;

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
    if text.chars().any(is_bidi_control) {
        return Err(Fault::new(
            "string_control_characters",
            "must not hold characters that change the direction of writing",
        ));
    }
    if text.chars().all(is_blank) {
        return Err(Fault::new("string_blank", "must have a character that can be seen"));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(Fault::new("string_surrounding_space", "must not begin or end with white space"));
    }
    Ok(())
}

/// Whether a character shows nothing: white space, what is ignored by default (Unicode, `Default_Ignorable_Code_Point`),
/// and the empty pattern of Braille.
const fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character changes the order in which what follows is shown (Unicode, property `Bidi_Control`): with it a name
/// can look like another text.
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { max: $max:literal, $(pattern: $pattern:literal,)? $(format: $format:literal,)? example: $example:literal, $(form: $form:expr,)? check: $check:expr })*) => {$(
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
                $(
                    let form: fn(&str) -> String = $form;
                    let text = &*form(text);
                )?
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

fn user_name(text: &str) -> String {
    if text.contains('@') { typed(text) } else { text.trim_matches(' ').to_owned() }
}

fn username(text: &str) -> Result<(), Fault> {
    if text.contains('@') {
        return email(text);
    }
    bounded(text, 50)?;
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

/// What is typed as an address, without white space around it and in the normal form of Unicode (NFC): keyboards differ. A
/// domain beyond ASCII is as name servers' users write it (UTS 46): without characters that nobody sees or can type.
fn typed(text: &str) -> String {
    let text: String = text.trim().nfc().collect();
    match text.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii()) {
        Some((local, domain)) => {
            let (shown, _) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
            format!("{local}@{shown}")
        }
        None => text,
    }
}

/// A domain as name servers know it, in A-labels (UTS 46, without transitional processing; RFC 5890, section 2.3.2.1).
fn ascii_domain(domain: &str) -> Option<String> {
    let uts46 = Uts46::new();
    let ascii = uts46.to_ascii(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Verify);
    ascii.ok().map(Cow::into_owned)
}

/// The form of an e-mail address in which it is compared: one for each mailbox, however it is typed.
fn mailbox_key(address: &str) -> String {
    let lower = |text: &str| text.nfc().collect::<String>().to_lowercase().nfc().collect::<String>();
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let domain = ascii_domain(domain).unwrap_or_else(|| lower(domain));
            format!("{}@{domain}", lower(local))
        }
        None => lower(address),
    }
}

fn email(text: &str) -> Result<(), Fault> {
    bounded(text, Email::MAX)?;
    // Quoted local parts, comments and address literals are legal in RFC 5322 and useless to a mailbox owner; they
    // exist in identity systems mainly as a way to smuggle a second address past a filter.
    let options = Options::default().without_display_text().without_domain_literal();
    let plain =
        !text.contains(['"', '(', ')', '<', '>', '\\']) && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let Some((local, Some(domain))) = text.rsplit_once('@').map(|(local, domain)| (local, ascii_domain(domain))) else {
        return Err(Fault::new("email_parsing", "not an e-mail address"));
    };
    if plain && EmailAddress::parse_with_options(&format!("{local}@{domain}"), options).is_ok() {
        return Ok(());
    }
    Err(Fault::new("email_parsing", "not an e-mail address"))
}

texts! {
    /// What a person signs in with besides the e-mail address, without the blanks around it: at most 50 characters of
    /// plain ASCII, because a name that looks like another person's is an attack; compared without case. A name with an
    /// `@` is the user's own address and no other: see [`Username::beside`].
    Username { max: 254, pattern: "^ *([A-Za-z0-9][A-Za-z0-9._+-]{0,49}|[^ @]+@[^ @]+) *$", example: "ada", form: user_name, check: username }

    /// An e-mail address (RFC 5321, unquoted; internationalised ones by RFC 6531). Two spellings of one mailbox are one
    /// address: case, the normal form of Unicode, and U-labels or A-labels of the domain make no difference. No pattern:
    /// the limits of its parts are in bytes.
    Email { max: 254, format: "email", example: "ada@example.com", form: typed, check: email }

    /// How a person is addressed.
    DisplayName { max: 100, pattern: "^[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]([^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069])?$", example: "Ada Lovelace", check: |text| line(text, 100) }

    /// What something is for, in a sentence or two.
    Description { max: 500, pattern: "^[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]([^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069])?$", example: "Where the team writes things down", check: |text| line(text, 500) }

    /// The name of a partner, tenant, role or application.
    Name { max: 100, pattern: "^[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]([^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*[^\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069])?$", example: "Example Ltd", check: |text| line(text, 100) }

    /// A telephone number as people write it.
    Phone { max: 32, pattern: "^(\\+[0-9][0-9 ().-]{1,30}|[0-9][0-9 ().-]{2,31})$", example: "+34 600 000 000", check: phone }

    /// The part of an address that names a partner or tenant.
    Slug { max: 63, pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", example: "default", check: slug }
}

impl Username {
    /// The form that is unique within a tenant.
    #[must_use]
    pub fn key(&self) -> String {
        mailbox_key(&self.0)
    }

    /// Whether a user with this address may have the name: it is no address, or this one.
    #[must_use]
    pub fn suits(&self, email: &Email) -> bool {
        !self.0.contains('@') || self.key() == email.key()
    }

    /// The name of a user who has this address from now on. One that is an address follows it, so that nobody is ever
    /// called by an address that is, or may become, another's.
    #[must_use]
    pub fn beside(self, email: &Email) -> Self {
        if self.0.contains('@') { email.into() } else { self }
    }
}

impl From<&Email> for Username {
    fn from(email: &Email) -> Self {
        Self(email.0.clone())
    }
}

impl Email {
    /// The form that is unique within a tenant, and that mail servers take: the domain is in A-labels.
    #[must_use]
    pub fn key(&self) -> String {
        mailbox_key(&self.0)
    }

    /// The form that mail is sent to: as it is typed, but for a domain that only some mail servers would read.
    #[must_use]
    pub fn deliverable(&self) -> String {
        match self.0.rsplit_once('@').map(|(local, domain)| (local, ascii_domain(domain))) {
            Some((local, Some(domain))) => format!("{local}@{domain}"),
            _ => self.0.clone(),
        }
    }
}

/// Taken back as it was stored, as by `from_stored`.
impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
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
        Ok(Self(mailbox_key(text.trim())))
    }
}

#[cfg(test)]
mod tests;
