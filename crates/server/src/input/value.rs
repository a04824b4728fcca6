//! How each type is read from a text or from JSON.

use gatehouse_domain::{
    authz::PermissionPattern,
    id::{ApplicationId, AssignmentId, PartnerId, RoleId, SessionId, TenantId, UserId},
    issue::{Fault, Parse},
    password::Password,
    search::Search,
    settings::{Bounded, Word},
    text::{DisplayName, Email, Name, Phone, Slug, Username},
    time::Timestamp,
};
use utoipa::{
    PartialSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{At, Field, Item, Json};

fn string(json: Json, at: &mut At<'_>) -> Option<String> {
    match json {
        Json::String(text) => Some(text),
        _ => at.fault(Fault::new("string_type", "must be a string")),
    }
}

macro_rules! text_fields {
    ($($type:ty),* $(,)?) => {$(
        impl Field for $type {
            fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
                let text = string(json, at)?;
                <$type as Parse>::parse(&text).map_or_else(|fault| at.fault(fault), Some)
            }

            fn schema() -> RefOr<Schema> {
                <$type as PartialSchema>::schema()
            }
        }

        impl Item for $type {
            fn read_text(text: &str) -> Result<Self, Fault> {
                <$type as Parse>::parse(text)
            }

            fn schema() -> RefOr<Schema> {
                <$type as PartialSchema>::schema()
            }
        }
    )*};
}

text_fields!(
    Username,
    Email,
    DisplayName,
    Name,
    Phone,
    Slug,
    Password,
    Timestamp,
    PartnerId,
    TenantId,
    UserId,
    RoleId,
    AssignmentId,
    SessionId,
    ApplicationId,
    gatehouse_domain::tenant::HttpsUrl,
    gatehouse_domain::tenant::Colour,
);

/// A closed set of words as a field.
macro_rules! word_fields {
    ($($type:ty),* $(,)?) => {$(
        impl Field for $type {
            fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
                let text = string(json, at)?;
                <$type as Word>::from_word(&text).map_or_else(|fault| at.fault(fault), Some)
            }

            fn schema() -> RefOr<Schema> {
                word_schema::<$type>()
            }
        }

        impl Item for $type {
            fn read_text(text: &str) -> Result<Self, Fault> {
                <$type as Word>::from_word(text)
            }

            fn schema() -> RefOr<Schema> {
                word_schema::<$type>()
            }
        }
    )*};
}

word_fields!(
    gatehouse_domain::partner::Status,
    gatehouse_domain::user::UserStatus,
    gatehouse_domain::settings::Registration,
    gatehouse_domain::settings::SessionLimitAction,
    gatehouse_domain::settings::RefreshReuse,
    gatehouse_domain::audit::Action,
    gatehouse_domain::audit::AuditResult,
    gatehouse_domain::audit::ResourceKind,
);

fn word_schema<T: Word>() -> RefOr<Schema> {
    let words: Vec<_> = T::ALL.iter().map(|(_, word)| *word).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

impl Field for bool {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        match json {
            Json::Bool(value) => Some(value),
            _ => at.fault(Fault::new("bool_type", "must be true or false")),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

impl Item for bool {
    fn read_text(text: &str) -> Result<Self, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Fault::new("bool_parsing", "must be true or false")),
        }
    }

    fn schema() -> RefOr<Schema> {
        <bool as Field>::schema()
    }
}

impl<const MIN: u32, const MAX: u32> Field for Bounded<MIN, MAX> {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let Json::Number(number) = json else { return at.fault(Fault::new("int_type", "must be a whole number")) };
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
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let text = string(json, at)?;
        Self::parse(&text).map_or_else(|fault| at.fault(fault), Some)
    }

    fn schema() -> RefOr<Schema> {
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
        words.extend(patterns.into_iter().filter(|pattern| Self::parse(pattern).is_ok()));
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
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
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let text = string(json, at)?;
        Self::parse(&text).map_or_else(|fault| at.fault(fault), Some)
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

impl<const MAX: usize> Item for Opaque<MAX> {
    fn read_text(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
    }

    fn schema() -> RefOr<Schema> {
        <Self as Field>::schema()
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
impl Item for Search {
    fn read_text(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
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
impl Item for gatehouse_domain::audit::ResourceId {
    fn read_text(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
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
impl Item for std::net::IpAddr {
    fn read_text(text: &str) -> Result<Self, Fault> {
        // As addresses are stored: an IPv4 address written as IPv6 is the IPv4 address.
        let ip = text.parse::<Self>().map_err(|_| Fault::new("ip_parsing", "must be an IPv4 or IPv6 address"))?;
        Ok(ip.to_canonical())
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
