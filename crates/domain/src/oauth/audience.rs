//! Whom access tokens are for (RFC 9068, section 3; RFC 8707).

use std::fmt;

use crate::{
    application::{Application, ResourceUri},
    id::ApplicationId,
    issue::Parse,
    oauth::{ErrorCode, Params, RequestFault, Scopes},
};

/// What an audience that is our own API is stored as. The issuer that stands for it in tokens has the tenant's slug in it,
/// which may change.
const OUR_API: &str = "issuer";

/// Whom access tokens are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The application that gets them: they open `userinfo`.
    Application(ApplicationId),
    /// Our own API. The issuer stands for it.
    OurApi,
    /// An API of others, by the URI that it is registered with.
    Resource(String),
}

impl Audience {
    /// Whom the tokens are for that a request of an application gets.
    #[must_use]
    pub fn of(application: &Application, resource: Option<&str>, scopes: &Scopes) -> Self {
        match resource {
            Some(uri) => Self::Resource(uri.to_owned()),
            None if scopes.open_our_api() => Self::OurApi,
            None => Self::Application(application.id),
        }
    }

    /// Takes what was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        match ApplicationId::parse(&text) {
            Ok(id) => Self::Application(id),
            Err(_) if text == OUR_API => Self::OurApi,
            Err(_) => Self::Resource(text),
        }
    }

    /// The claim `aud` of tokens of an issuer.
    #[must_use]
    pub fn claim(&self, issuer: &str) -> String {
        match self {
            Self::OurApi => issuer.to_owned(),
            other => other.to_string(),
        }
    }

    /// The URI of an API of others.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        match self {
            Self::Resource(uri) => Some(uri),
            Self::Application(_) | Self::OurApi => None,
        }
    }

    /// Makes sure that a request names no other resource than this one.
    ///
    /// # Errors
    /// `invalid_target`.
    pub fn agrees(&self, params: &Params) -> Result<(), RequestFault> {
        let Some(asked) = params.get("resource") else { return Ok(()) };
        let key = |text: &str| ResourceUri::parse(text).map(|uri| uri.key()).ok();
        let asked = key(asked);
        if asked.is_some() && asked == self.resource().and_then(key) {
            return Ok(());
        }
        Err(RequestFault::new(ErrorCode::InvalidTarget, "the tokens are for another resource"))
    }
}

/// As it is stored.
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(id) => id.fmt(f),
            Self::OurApi => f.write_str(OUR_API),
            Self::Resource(uri) => f.write_str(uri),
        }
    }
}
