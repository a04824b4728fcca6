//! The installation itself: its first start, its keys, its periodic tasks.

pub mod backup;
pub mod demo;
pub mod keys;
mod maintenance;
pub mod master_key;
pub(crate) mod newest;
pub mod periodic;
pub mod restore;
pub mod setup;

use std::path::Path;

use gatehouse_domain::settings::Defaults;
use gatehouse_persistence::Db;

use crate::{
    app::{
        App,
        account::NewPasswords,
        attempts::Attempts,
        audit::Trail,
        request::client::Clients,
        sessions::{SessionStates, cache::SessionCache},
    },
    env::Env,
    security::{keyring::Keyring, password::Hasher, token::Tokens},
};

/// The signing keys of issuers.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    db: &'a Db,
    env: &'a Env,
    tokens: &'a Tokens,
    making: &'a tokio::sync::Mutex<()>,
}

/// The first start and the first administrator.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    keys: Keys<'a>,
    trail: Trail<'a>,
    attempts: Attempts<'a>,
    states: SessionStates<'a>,
    new_passwords: NewPasswords<'a>,
}

/// Something to look at.
#[derive(Debug, Clone, Copy)]
pub struct Demo<'a> {
    db: &'a Db,
    env: &'a Env,
    hasher: &'a Hasher,
    defaults: &'a Defaults,
    clients: &'a Clients,
    keys: Keys<'a>,
}

/// What has to be done from time to time: each a use case that can be called at any time, by any number of replicas at
/// once.
#[derive(Debug, Clone, Copy)]
pub struct Maintenance<'a> {
    db: &'a Db,
    env: &'a Env,
    defaults: &'a Defaults,
    sessions: &'a SessionCache,
    trail: Trail<'a>,
}

/// What holds after the database was put back to an earlier state, by a backup or by other means.
#[derive(Debug, Clone, Copy)]
pub struct Restores<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    newest: &'a newest::Newest,
    keys: Keys<'a>,
    trail: Trail<'a>,
    setup: Setup<'a>,
}

/// The master key while it is replaced.
#[derive(Debug, Clone, Copy)]
pub struct MasterKeys<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    /// The file that has it; none where a setting has it.
    file: Option<&'a Path>,
}

impl App {
    /// The signing keys of issuers.
    pub const fn keys(&self) -> Keys<'_> {
        Keys { db: &self.db, env: &self.env, tokens: &self.tokens, making: &self.key_making }
    }

    /// The first start and the first administrator.
    pub fn setup(&self) -> Setup<'_> {
        Setup {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            keys: self.keys(),
            trail: self.trail(),
            attempts: self.attempts(),
            states: self.session_states(),
            new_passwords: self.new_passwords(),
        }
    }

    /// The master key while it is replaced.
    pub fn master_keys(&self) -> MasterKeys<'_> {
        MasterKeys { db: &self.db, env: &self.env, keyring: &self.keyring, file: self.master_key_file.as_deref() }
    }

    /// What holds after the database was put back.
    pub fn restores(&self) -> Restores<'_> {
        Restores {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            newest: &self.newest,
            keys: self.keys(),
            trail: self.trail(),
            setup: self.setup(),
        }
    }

    /// Something to look at.
    pub const fn demo(&self) -> Demo<'_> {
        Demo {
            db: &self.db,
            env: &self.env,
            hasher: &self.hasher,
            defaults: &self.defaults,
            clients: &self.clients,
            keys: self.keys(),
        }
    }

    /// What has to be done from time to time.
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance {
            db: &self.db,
            env: &self.env,
            defaults: &self.defaults,
            sessions: &self.session_cache,
            trail: self.trail(),
        }
    }
}
