//! What bodies about users hold besides plain texts.

use gatehouse_domain::{issue::Fault, user::UserStatus};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::{
    app::directory::{invitations::Delivery, users::UserSort},
    http::extract::page::Sort,
    input::{At, Field, Raw, text},
};

/// A state that an administrator can put a user in.
#[derive(Debug, Clone, Copy)]
pub struct SettableStatus(pub(super) UserStatus);

impl Field for SettableStatus {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        match UserStatus::read(raw, at)? {
            UserStatus::Invited => at.fault(Fault::new("enum", "must be one of ACTIVE, SUSPENDED")),
            status => Some(Self(status)),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["ACTIVE", "SUSPENDED"])).into()
    }
}

impl Sort for UserSort {
    const FIELDS: &'static [(&'static str, Self)] = &[
        ("created_at", Self::CreatedAt),
        ("username", Self::Username),
        ("email", Self::Email),
        ("last_login_at", Self::LastLoginAt),
    ];
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
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        let text = text(raw, at)?;
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
