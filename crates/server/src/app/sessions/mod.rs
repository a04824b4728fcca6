//! Sessions after their sign-in: who presents a token, how a session goes on, and how it ends.

pub mod access_token;
pub mod authentication;
pub mod cache;
pub mod list;
pub mod refresh;
pub mod revocation;
pub mod tokens;

use gatehouse_domain::settings::Defaults;
use gatehouse_persistence::Db;

use crate::{
    app::{
        App,
        attempts::Attempts,
        request::{Idempotency, buckets::Admission},
    },
    config::Limits,
    env::Env,
    security::{keyring::Keyring, token::Tokens},
};

use cache::SessionCache;
use tokens::AccessTokens;

/// Seeing and ending sessions: as oneself, as administrator of a tenant, as operator. One implementation; the grant says
/// how far it reaches.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    db: &'a Db,
    env: &'a Env,
    idempotency: Idempotency<'a>,
}

/// What is done with refresh tokens.
#[derive(Debug, Clone, Copy)]
pub struct RefreshTokens<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    defaults: &'a Defaults,
    limits: &'a Limits,
    attempts: Attempts<'a>,
    access_tokens: AccessTokens<'a>,
}

/// Sessions and tenants as they are now, at most a second ago.
#[derive(Debug, Clone, Copy)]
pub struct SessionStates<'a> {
    db: &'a Db,
    env: &'a Env,
    cache: &'a SessionCache,
    tokens: &'a Tokens,
    admission: &'a Admission,
}

impl App {
    /// Sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions { db: &self.db, env: &self.env, idempotency: self.idempotency() }
    }

    /// Refresh tokens.
    pub fn refresh_tokens(&self) -> RefreshTokens<'_> {
        RefreshTokens {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            defaults: &self.defaults,
            limits: &self.limits,
            attempts: self.attempts(),
            access_tokens: self.access_tokens(),
        }
    }

    /// Sessions and tenants as they are now.
    pub fn session_states(&self) -> SessionStates<'_> {
        SessionStates {
            db: &self.db,
            env: &self.env,
            cache: &self.session_cache,
            tokens: &self.tokens,
            admission: &self.admission,
        }
    }

    pub(crate) const fn access_tokens(&self) -> AccessTokens<'_> {
        AccessTokens { env: &self.env, tokens: &self.tokens }
    }
}
