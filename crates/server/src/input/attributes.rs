//! Free data of users: texts under keys.

use gatehouse_domain::{
    issue::Fault,
    user::{ATTRIBUTES_BYTES, ATTRIBUTES_MAX, Attributes},
};
use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema,
    schema::{AdditionalProperties, Type},
};

use super::{At, Field, Raw};

/// Free data.
#[derive(Debug, Default)]
pub struct AttributesField(Attributes);

impl AttributesField {
    /// The data.
    pub fn into_inner(self) -> Attributes {
        self.0
    }

    /// Whether a text may be added.
    pub fn has_room(&self, key: &str, value: &str) -> bool {
        let mut more = self.0.clone();
        more.insert(key.to_owned(), value.to_owned());
        check(key, value).is_ok() && more.len() <= ATTRIBUTES_MAX && fits(&more)
    }
}

const KEY_MAX: usize = 64;
const VALUE_MAX: usize = 512;

fn check(key: &str, value: &str) -> Result<(), Fault> {
    let fits = |text: &str, max| text.chars().count() <= max && !text.chars().any(char::is_control);
    if !key.is_empty() && fits(key, KEY_MAX) && fits(value, VALUE_MAX) {
        return Ok(());
    }
    let msg = "must have keys of 1 to 64 and texts of up to 512 characters, without control characters";
    Err(Fault::new("attribute", msg))
}

fn fits(attributes: &Attributes) -> bool {
    serde_json::to_string(attributes).is_ok_and(|text| text.len() <= ATTRIBUTES_BYTES)
}

impl Field for AttributesField {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let Raw::Object(entries) = raw else {
            return at.fault(Fault::new("object_type", "must be an object of texts"));
        };
        if entries.len() > ATTRIBUTES_MAX {
            return at.fault(Fault::new("too_long", "must have at most 50 entries"));
        }
        let mut attributes = Attributes::new();
        for (key, value) in entries {
            let Raw::String(value) = value else {
                return at.fault(Fault::new("string_type", "must be an object of texts"));
            };
            if let Err(fault) = check(&key, &value) {
                return at.fault(fault);
            }
            attributes.insert(key, value);
        }
        if !fits(&attributes) {
            return at.fault(Fault::new("too_long", "must take at most 29200 bytes as JSON"));
        }
        Some(Self(attributes))
    }

    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(VALUE_MAX))
            .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]*$"));
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(KEY_MAX))
            .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]+$"));
        ObjectBuilder::new()
            .description(Some(format!("Free data for applications, at most {ATTRIBUTES_BYTES} bytes as JSON.")))
            .max_properties(Some(ATTRIBUTES_MAX))
            .property_names(Some(key))
            .additional_properties(Some(AdditionalProperties::RefOr(text.into())))
            .into()
    }
}
