//! Public keys of applications (RFC 7517). Members that are needed are texts; others are left out.

use gatehouse_domain::{application::Jwks, issue::Fault};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use super::{At, Field, Raw};

impl Field for Jwks {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let Raw::Object(members) = raw else { return at.fault(Fault::new("object_type", "must be an object")) };
        let keys = members.into_iter().find_map(|(name, value)| match value {
            Raw::Array(keys) if name == "keys" => Some(keys),
            _ => None,
        });
        let key = |raw: Raw| match raw {
            Raw::Object(members) => Some(members.into_iter().filter_map(text).collect()),
            _ => None,
        };
        let keys: Option<Vec<_>> = keys.and_then(|keys| keys.into_iter().map(key).collect());
        let Some(keys) = keys else { return at.fault(Fault::new("jwks", "must have keys: a list of objects")) };
        Self::new(keys).map_or_else(|fault| at.fault(fault), Some)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .max_properties(Some(Self::MAX))
            .examples([serde_json::json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})])
            .into()
    }
}

fn text((name, value): (String, Raw)) -> Option<(String, String)> {
    match value {
        Raw::String(text) => Some((name, text)),
        _ if Jwks::is_private(&name) => Some((name, String::new())),
        _ => None,
    }
}
