//! OAuth 2.1 and OpenID Connect: applications ask for codes, exchange them for tokens, and ask about users.

pub mod authorization;
pub mod browser;
mod client_credentials;
pub mod clients;
pub mod device;
pub mod documents;
pub(crate) mod exchange;
pub mod issue;
pub mod key_proof;
mod own_session;
pub mod published_keys;
mod pushed;
mod refresh;
pub mod sign_out;
mod token_states;
pub mod tokens;
pub mod user_info;

use gatehouse_domain::{
    oauth::{ErrorCode, RequestFault},
    settings::Defaults,
};
use gatehouse_persistence::Db;

use crate::{
    app::{
        App, Error,
        audit::Refusals,
        oauth::{documents::Documents, published_keys::PublishedKeys},
        platform::Keys,
        request::{self, buckets::Admission},
        sessions::{SessionStates, cache::SessionCache},
    },
    config::Limits,
    env::Env,
    outbound::Outbound,
    security::{keyring::Keyring, token::Tokens},
};

/// The applications that can be used at an issuer.
#[derive(Debug, Clone, Copy)]
pub struct Clients<'a> {
    db: &'a Db,
    env: &'a Env,
    defaults: &'a Defaults,
    admission: &'a Admission,
    outbound: &'a Outbound,
    documents: &'a Documents,
    published: &'a PublishedKeys,
    cache: &'a SessionCache,
    states: SessionStates<'a>,
    refusals: Refusals<'a>,
}

/// Authorization requests, and the sessions that browsers have.
#[derive(Debug, Clone, Copy)]
pub struct Authorization<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    cache: &'a SessionCache,
    admission: &'a Admission,
    defaults: &'a Defaults,
    tokens: &'a Tokens,
    states: SessionStates<'a>,
    clients: Clients<'a>,
    refusals: Refusals<'a>,
}

/// What codes and refresh tokens of applications are exchanged for.
#[derive(Debug, Clone, Copy)]
pub struct TokenEndpoint<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    defaults: &'a Defaults,
    limits: &'a Limits,
    admission: &'a Admission,
    devices: &'a request::client::Clients,
    cache: &'a SessionCache,
    keys: Keys<'a>,
    states: SessionStates<'a>,
    clients: Clients<'a>,
    refusals: Refusals<'a>,
}

/// What applications may know of users.
#[derive(Debug, Clone, Copy)]
pub struct UserInfo<'a> {
    env: &'a Env,
    admission: &'a Admission,
    states: SessionStates<'a>,
}

impl App {
    /// The applications that can be used at an issuer.
    pub fn clients(&self) -> Clients<'_> {
        Clients {
            db: &self.db,
            env: &self.env,
            defaults: &self.defaults,
            admission: &self.admission,
            outbound: &self.outbound,
            documents: &self.documents,
            published: &self.published_keys,
            cache: &self.session_cache,
            states: self.session_states(),
            refusals: self.refusals(),
        }
    }

    /// Authorization requests.
    pub fn authorization(&self) -> Authorization<'_> {
        Authorization {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            cache: &self.session_cache,
            admission: &self.admission,
            defaults: &self.defaults,
            tokens: &self.tokens,
            states: self.session_states(),
            clients: self.clients(),
            refusals: self.refusals(),
        }
    }

    /// What codes and refresh tokens of applications are exchanged for.
    pub fn token_endpoint(&self) -> TokenEndpoint<'_> {
        TokenEndpoint {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            defaults: &self.defaults,
            limits: &self.limits,
            admission: &self.admission,
            devices: &self.clients,
            cache: &self.session_cache,
            keys: self.keys(),
            states: self.session_states(),
            clients: self.clients(),
            refusals: self.refusals(),
        }
    }

    /// What applications may know of users.
    pub fn user_info(&self) -> UserInfo<'_> {
        UserInfo { env: &self.env, admission: &self.admission, states: self.session_states() }
    }
}

/// Why an application does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    /// It is told so in the words of OAuth.
    #[error("{}: {}", .0.error, .0.description)]
    Fault(RequestFault),
    /// Anything else.
    #[error(transparent)]
    App(#[from] Error),
}

impl From<gatehouse_persistence::Error> for NotGiven {
    fn from(error: gatehouse_persistence::Error) -> Self {
        Self::App(error.into())
    }
}

impl NotGiven {
    pub(crate) const fn fault(error: ErrorCode, description: &'static str) -> Self {
        Self::Fault(RequestFault::new(error, description))
    }

    const fn invalid_grant(description: &'static str) -> Self {
        Self::fault(ErrorCode::InvalidGrant, description)
    }
}
