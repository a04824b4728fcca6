//! The form with which somebody signs in.

use gatehouse_domain::{issue::Fault, password::Password, secret::Secret, text::LoginName};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::input::{At, Field, Fields, Object, Property, Raw, input, parse, text};

input! {
    /// The fields of the sign-in form.
    pub struct LoginRequest {
        /// User name or e-mail address.
        username: LoginName,
        /// The password.
        password: Password,
        /// What an earlier sign-in on this device answered; empty from a client that keeps it and has none yet. It
        /// makes this device wait for its own failures only, not for those of strangers, and never takes the place of
        /// the password. What is not known counts as none, and the answer has another.
        device_token: Option<DeviceToken>,
    }
}

impl Field for LoginName {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        parse(raw, at)
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .pattern(Some("^[^\\x00]+$"))
            .examples([serde_json::json!("ada")])
            .into()
    }
}

/// A device token as it came; empty from a client that keeps one and has none yet. Whether it is one shows in nothing but
/// what strangers' failures mean here.
#[derive(Debug)]
pub struct DeviceToken(pub Secret<String>);

impl DeviceToken {
    /// The longest that is read; ours are shorter.
    const MAX: usize = 256;
}

impl Field for DeviceToken {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let text = text(raw, at)?;
        if text.len() > Self::MAX {
            let msg = format!("must have at most {} characters", Self::MAX);
            return at.fault(Fault::new("string_too_long", msg));
        }
        Some(Self(Secret::new(text)))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(Self::MAX))
            .examples([serde_json::json!("ghd_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")])
            .into()
    }
}

/// The form, beside which clients of the OAuth 2.0 password grant send fields that mean nothing here.
#[derive(Debug)]
pub struct LoginForm(pub LoginRequest);

impl Object for LoginForm {
    const NAME: &'static str = LoginRequest::NAME;
    const DOC: &'static [&'static str] = LoginRequest::DOC;

    fn read_fields(fields: &mut Fields<'_, '_>) -> Option<Self> {
        for name in ["grant_type", "scope", "client_id", "client_secret"] {
            fields.ignore(name);
        }
        LoginRequest::read_fields(fields).map(Self)
    }

    fn properties() -> Vec<Property> {
        LoginRequest::properties()
    }
}
