//! Signing in: what is proved, and what becomes of it.

pub mod complete;
pub mod factor;
pub mod password;

use gatehouse_domain::settings::Defaults;
use gatehouse_persistence::Db;

use crate::{
    app::{
        App,
        attempts::Attempts,
        audit::Refusals,
        request::{buckets::Admission, client::Clients},
        sessions::{SessionStates, tokens::AccessTokens},
    },
    env::Env,
    security::{keyring::Keyring, password::Hasher},
};

/// Signing in.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    defaults: &'a Defaults,
    clients: &'a Clients,
    admission: &'a Admission,
    attempts: Attempts<'a>,
    passwords: Passwords<'a>,
    refusals: Refusals<'a>,
    states: SessionStates<'a>,
    access_tokens: AccessTokens<'a>,
}

/// Has passwords proved.
#[derive(Debug, Clone, Copy)]
pub struct Passwords<'a> {
    hasher: &'a Hasher,
    attempts: Attempts<'a>,
}

impl App {
    /// Signing in.
    pub fn sign_in(&self) -> SignIn<'_> {
        SignIn {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            defaults: &self.defaults,
            clients: &self.clients,
            admission: &self.admission,
            attempts: self.attempts(),
            passwords: self.passwords(),
            refusals: self.refusals(),
            states: self.session_states(),
            access_tokens: self.access_tokens(),
        }
    }

    pub(crate) fn passwords(&self) -> Passwords<'_> {
        Passwords { hasher: &self.hasher, attempts: self.attempts() }
    }
}
