//! How each type is read from a text or from JSON.

use gatehouse_domain::{
    application::{self, DocumentUrl, LogoutUri, Origin, RedirectUri, ResourceUri, ScopeName},
    audit,
    authz::{ActorId, PermissionPattern},
    id::{ApplicationId, AssignmentId, PartnerId, RoleId, SessionId, TenantId, UserId},
    issue::{Fault, Parse},
    page::{PageNumber, PerPage},
    partner,
    password::Password,
    search::Search,
    settings::{self, Bounded},
    tenant::{Colour, HttpsUrl},
    text::{Description, DisplayName, Email, Name, Phone, Slug, Username},
    time::Timestamp,
    user,
    word::Word,
};
use utoipa::{
    PartialSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::{At, Field, Raw};

/// The text that a value is.
pub fn text(raw: Raw, at: &mut At<'_>) -> Option<String> {
    match raw {
        Raw::String(text) => Some(text),
        Raw::Texts(texts) => match <[String; 1]>::try_from(texts) {
            Ok([text]) => Some(text),
            Err(_) => at.fault(Fault::new("duplicate_key", "must not be repeated")),
        },
        _ => at.fault(Fault::new("string_type", "must be a string")),
    }
}

/// Reads a text by the rules of its type.
pub fn parse<T: Parse>(raw: Raw, at: &mut At<'_>) -> Option<T> {
    T::parse(&text(raw, at)?).map_or_else(|fault| at.fault(fault), Some)
}

/// Reads one of the words of a type.
pub fn word<T: Word>(raw: Raw, at: &mut At<'_>) -> Option<T> {
    T::from_word(&text(raw, at)?).map_or_else(|fault| at.fault(fault), Some)
}

/// A type whose values are texts; how they are read and described follows from the type's own rules.
trait Text: Sized {
    /// Which rules those are.
    type By: Rules<Self>;
}

/// Rules for texts that are a `T`.
trait Rules<T> {
    /// Reads one.
    fn read(raw: Raw, at: &mut At<'_>) -> Option<T>;
    /// How the document describes it.
    fn schema() -> RefOr<Schema>;
}

impl<T: Text> Field for T {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        T::By::read(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        T::By::schema()
    }
}

/// The type parses texts, and describes itself.
struct Parsed;

impl<T: Parse + PartialSchema> Rules<T> for Parsed {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<T> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

/// The type is a closed set of words.
struct OneOf;

impl<T: Word> Rules<T> for OneOf {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<T> {
        word(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        word_schema::<T>()
    }
}

/// Says by which rules types are read.
macro_rules! texts {
    ($($rules:ident: $($type:path)*;)*) => {
        $($(impl Text for $type {
            type By = $rules;
        })*)*
    };
}

texts! {
    Parsed:
    ActorId Username Email DisplayName Name Phone Slug Password Timestamp PartnerId TenantId UserId RoleId
    AssignmentId SessionId ApplicationId HttpsUrl Colour Description RedirectUri DocumentUrl LogoutUri Origin ResourceUri
    ScopeName;
    OneOf:
    partner::Status user::UserStatus settings::Registration settings::SessionLimitAction
    settings::RefreshReuse settings::MetadataDocuments audit::Action audit::AuditResult audit::ResourceKind application::ScopeLevel
    application::ApplicationType application::GrantType application::ClientAuthMethod
    application::SigningAlgorithm application::Profile;
}

fn word_schema<T: Word>() -> RefOr<Schema> {
    let words: Vec<_> = T::ALL.iter().map(|(_, word)| *word).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

impl Field for bool {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        match raw {
            Raw::Bool(value) => Some(value),
            Raw::Texts(_) => match text(raw, at)?.as_str() {
                // The numbers are what clients generated for PHP send.
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => at.fault(Fault::new("bool_parsing", "must be true or false")),
            },
            _ => at.fault(Fault::new("bool_type", "must be true or false")),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

/// How a whole number from 1 is described that is given as a text.
fn whole(max: u32, default: Option<u32>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(1))
        .maximum(Some(max))
        .default(default.map(Into::into))
        .into()
}

/// No default: generated clients send defaults along, and a page beside a cursor is a fault.
impl Field for PageNumber {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        whole(Self::MAX, None)
    }
}

impl Field for PerPage {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        whole(Self::MAX.into(), Some(50))
    }
}

impl<const MIN: u32, const MAX: u32> Field for Bounded<MIN, MAX> {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let Raw::Number(number) = raw else { return at.fault(Fault::new("int_type", "must be a whole number")) };
        // 5.0 is the whole number 5 (RFC 8259 section 6 does not tell them apart).
        let whole = number
            .as_u64()
            .or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n)).map(|n| n as u64));
        match whole {
            Some(n) => Bounded::new(n).map_or_else(|fault| at.fault(fault), Some),
            None => at.fault(Fault::new("out_of_range", format!("must be a whole number from {MIN} to {MAX}"))),
        }
    }

    fn schema() -> RefOr<Schema> {
        <Self as PartialSchema>::schema()
    }
}

impl Field for PermissionPattern {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(permission_words())).into()
    }
}

/// Every permission, and every pattern of them.
pub fn permission_words() -> Vec<String> {
    let mut words: Vec<_> = gatehouse_domain::authz::CATALOGUE.iter().map(|known| known.name.to_owned()).collect();
    let parts = |i: usize| {
        let mut parts: Vec<_> = words.iter().filter_map(|name| name.split(':').nth(i)).map(str::to_owned).collect();
        parts.sort();
        parts.dedup();
        parts
    };
    let (resources, actions) = (parts(0), parts(1));
    let mut patterns: Vec<_> = resources.iter().map(|resource| format!("{resource}:*")).collect();
    patterns.extend(actions.iter().map(|action| format!("*:{action}")));
    patterns.push("*:*".to_owned());
    words.extend(patterns.into_iter().filter(|pattern| PermissionPattern::parse(pattern).is_ok()));
    words
}

/// A text that is passed on as it is, up to a length: opaque tokens, cursors, open sets of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque<const MAX: usize>(pub String);

impl<const MAX: usize> Parse for Opaque<MAX> {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("string_too_short", "must not be empty"));
        }
        if text.chars().count() > MAX {
            return Err(Fault::new("string_too_long", format!("must have at most {MAX} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new("string_control_characters", "must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Field for Opaque<MAX> {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]+$"))
            .into()
    }
}

/// The common spellings of IP addresses (RFC 4291 section 2.2).
fn ip_pattern() -> String {
    let byte = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
    let (group, v4) = ("[0-9a-fA-F]{1,4}", format!("{byte}([.]{byte}){{3}}"));
    // The groups before `::`, and how many may follow it.
    let short = (1..=6).map(|n| format!("({group}:){{{n}}}(:{group}){{1,{}}}", 7 - n));
    let mut forms =
        vec![v4, format!("({group}:){{7}}{group}"), format!("({group}:){{1,7}}:"), format!(":((:{group}){{1,7}}|:)")];
    forms.extend(short);
    format!("^({})$", forms.join("|"))
}

/// What is searched for.
impl Field for Search {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(Self::MAX))
            .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]+$"))
            .examples([serde_json::json!("ada example.com")])
            .into()
    }
}

/// The id of anything that events are about.
impl Field for audit::ResourceId {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(30))
            .pattern(Some(Self::pattern()))
            .examples([serde_json::json!("usr_01h455vb4pex5vsknk084sn02q")])
            .into()
    }
}

/// An IP address in any of its spellings.
impl Field for std::net::IpAddr {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        match text(raw, at)?.parse::<Self>() {
            // As addresses are stored: an IPv4 address written as IPv6 is the IPv4 address.
            Ok(ip) => Some(ip.to_canonical()),
            Err(_) => at.fault(Fault::new("ip_parsing", "must be an IPv4 or IPv6 address")),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(45))
            .pattern(Some(ip_pattern()))
            .examples([serde_json::json!("203.0.113.10")])
            .into()
    }
}
