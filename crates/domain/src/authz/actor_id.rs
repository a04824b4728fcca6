//! Who acted, where that is remembered.

use std::fmt;

use uuid::Uuid;

use crate::{
    id::{ApplicationId, UserId},
    issue::{Fault, Parse},
};

/// A user or an application that acted, or asks for something that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorId {
    /// A user.
    User(UserId),
    /// An application in its own name.
    Application(ApplicationId),
}

impl ActorId {
    /// The word for an application in the audit trail.
    pub const APPLICATION: &'static str = "application";
    /// The word for a user.
    pub const USER: &'static str = "user";
    /// What the text form matches (ECMA-262).
    pub const PATTERN: &'static str = "^(usr|app)_[0-7][0-9a-hjkmnp-tv-z]{25}$";

    /// Takes a stored id back, with the word for what it is of.
    #[must_use]
    pub fn from_stored(word: &str, id: Uuid) -> Self {
        if word == Self::APPLICATION {
            return Self::Application(ApplicationId::from_uuid(id));
        }
        Self::User(UserId::from_uuid(id))
    }

    /// The form that is stored.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::User(id) => id.uuid(),
            Self::Application(id) => id.uuid(),
        }
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Application(id) => id.fmt(f),
        }
    }
}

impl Parse for ActorId {
    fn parse(text: &str) -> Result<Self, Fault> {
        let user = UserId::parse(text).map(Self::User);
        let application = || ApplicationId::parse(text).map(Self::Application);
        user.or_else(|_| application()).map_err(|_| Fault::new("id_parsing", "not the id of a user or an application"))
    }
}

impl serde::Serialize for ActorId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for ActorId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .max_length(Some(30))
            .pattern(Some(Self::PATTERN))
            .examples([serde_json::json!("usr_01h455vb4pex5vsknk084sn02q")])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ActorId {}
