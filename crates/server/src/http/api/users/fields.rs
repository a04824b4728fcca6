//! What bodies about users hold besides plain texts.

use gatehouse_domain::{
    issue::Fault,
    user::{ATTRIBUTES_BYTES, ATTRIBUTES_MAX, Attributes, UserStatus},
};
use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema,
    schema::{AdditionalProperties, Type},
};

use crate::{
    app::directory::invitations::Delivery,
    input::{At, Field, Json},
};

/// A state that an administrator can put a user in.
#[derive(Debug, Clone, Copy)]
pub struct SettableStatus(pub(super) UserStatus);

impl Field for SettableStatus {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        match UserStatus::read(json, at)? {
            UserStatus::Invited => at.fault(Fault::new("enum", "must be one of ACTIVE, SUSPENDED")),
            status => Some(Self(status)),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["ACTIVE", "SUSPENDED"])).into()
    }
}

/// How the owner of an account gets the invitation: `email`, `link`, or, where there may be none, `none`.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryField<const OR_NONE: bool>(Option<Delivery>);

impl<const OR_NONE: bool> DeliveryField<OR_NONE> {
    const WORDS: &'static [(&'static str, Option<Delivery>)] =
        &[("email", Some(Delivery::Email)), ("link", Some(Delivery::Link)), ("none", None)];

    fn words() -> &'static [(&'static str, Option<Delivery>)] {
        if OR_NONE { Self::WORDS } else { &Self::WORDS[..2] }
    }

    /// The way. A field that is not there stands for mail.
    pub fn of(field: Option<Self>) -> Option<Delivery> {
        field.map_or(Some(Delivery::Email), |field| field.0)
    }
}

impl<const OR_NONE: bool> Field for DeliveryField<OR_NONE> {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let Json::String(text) = json else { return at.fault(Fault::new("string_type", "must be a string")) };
        match Self::words().iter().find(|(word, _)| *word == text) {
            Some((_, delivery)) => Some(Self(*delivery)),
            None => {
                let words: Vec<_> = Self::words().iter().map(|(word, _)| *word).collect();
                at.fault(Fault::new("enum", format!("must be one of {}", words.join(", "))))
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        let words: Vec<_> = Self::words().iter().map(|(word, _)| *word).collect();
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

/// Free data.
#[derive(Debug)]
pub struct AttributesField(pub(super) Attributes);

impl AttributesField {
    /// The data.
    pub fn into_inner(self) -> Attributes {
        self.0
    }
}

const KEY_MAX: usize = 64;
const VALUE_MAX: usize = 512;

impl Field for AttributesField {
    fn read(json: Json, at: &mut At<'_>) -> Option<Self> {
        let Json::Object(entries) = json else {
            return at.fault(Fault::new("object_type", "must be an object of texts"));
        };
        if entries.len() > ATTRIBUTES_MAX {
            return at.fault(Fault::new("too_long", "must have at most 50 entries"));
        }
        let mut attributes = Attributes::new();
        for (key, value) in entries {
            let Json::String(value) = value else {
                return at.fault(Fault::new("string_type", "must be an object of texts"));
            };
            let fits = |text: &str, max| text.chars().count() <= max && !text.chars().any(char::is_control);
            if key.is_empty() || !fits(&key, KEY_MAX) || !fits(&value, VALUE_MAX) {
                return at.fault(Fault::new(
                    "attribute",
                    "must have keys of 1 to 64 and texts of up to 512 characters, without control characters",
                ));
            }
            attributes.insert(key, value);
        }
        if serde_json::to_string(&attributes).is_ok_and(|text| text.len() > ATTRIBUTES_BYTES) {
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
