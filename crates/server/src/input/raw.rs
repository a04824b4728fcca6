//! Values as they were sent.

use std::{collections::HashSet, fmt};

use gatehouse_domain::issue::Fault;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use utoipa::{
    PartialSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType},
};

use super::{At, Step};

/// How deep a JSON body may nest.
const MAX_DEPTH: usize = 64;

/// A value as it was sent: JSON, in which order and repetitions of keys are kept, or texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Raw>),
    /// An object.
    Object(Vec<(String, Raw)>),
    /// The texts under a key of a form or a query. Which values they stand for is for whoever reads them to say.
    Texts(Vec<String>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Raw::Null, Raw::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::String(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Raw, E> {
                Ok(Raw::String(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::Array(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Object(entries))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Raw {
    /// Finds repeated keys and too much depth.
    pub(super) fn audit(&self, depth: usize, at: &mut At<'_>) {
        if at.issues.is_full() {
            return;
        }
        if depth > MAX_DEPTH {
            return at.fail(Fault::new("json_depth", "must not nest deeper than 64"));
        }
        match self {
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.inside(Step::Index(index), |at| item.audit(depth + 1, at));
                }
            }
            Self::Object(entries) => {
                let mut keys = HashSet::with_capacity(entries.len());
                for (key, value) in entries {
                    at.inside(Step::Key(key), |at| {
                        if !keys.insert(key) {
                            at.fail(Fault::new("duplicate_key", "must not be repeated"));
                        }
                        value.audit(depth + 1, at);
                    });
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Texts(_) => {}
        }
    }
}

impl PartialSchema for Raw {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
    }
}
