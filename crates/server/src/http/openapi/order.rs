//! The fields of an object in the order that they are declared in. Generated clients make positional arguments of them, so a
//! field that is put between two others, in whatever alphabet, would change what a call means.

use std::collections::HashMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// The order of the fields of each schema.
pub(super) type Orders = HashMap<String, Vec<String>>;

/// The orders of a document as it comes from the types.
pub(super) fn of(document: &OpenApi) -> Orders {
    let schemas = document.components.iter().flat_map(|components| &components.schemas);
    schemas.map(|(name, schema)| (name.clone(), fields(schema))).collect()
}

fn fields(schema: &RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        RefOr::T(Schema::AllOf(all)) => all.items.iter().flat_map(fields).collect(),
        _ => Vec::new(),
    }
}

/// A part of a document, which is written with fields in order and all else by the alphabet.
pub(super) struct Ordered<'v> {
    pub(super) value: &'v Value,
    pub(super) orders: &'v Orders,
    /// Where it is.
    pub(super) at: At<'v>,
}

/// Where a part of a document is.
#[derive(Clone, Copy)]
pub(super) enum At<'v> {
    /// Outside the schemas.
    Outside,
    /// The map of all schemas.
    Schemas,
    /// In the schema of that name.
    Schema(&'v str),
    /// The fields of the schema of that name.
    Fields(&'v str),
}

impl<'v> Ordered<'v> {
    fn part(&self, key: &'v str, value: &'v Value) -> Self {
        let at = match self.at {
            At::Outside if key == "schemas" => At::Schemas,
            At::Outside => At::Outside,
            At::Schemas => At::Schema(key),
            At::Schema(name) if key == "properties" => At::Fields(name),
            At::Schema(name) | At::Fields(name) => At::Schema(name),
        };
        Self { value, at, ..*self }
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if let At::Fields(name) = self.at
                    && let Some(order) = self.orders.get(name)
                {
                    entries.sort_by_key(|(key, _)| order.iter().position(|known| known == *key).unwrap_or(order.len()));
                }
                let mut written = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    written.serialize_entry(key, &self.part(key, value))?;
                }
                written.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(|item| Self { value: item, ..*self })),
            other => other.serialize(serializer),
        }
    }
}
