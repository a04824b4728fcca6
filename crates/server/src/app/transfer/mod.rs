//! Users as files: imports and exports.

pub mod exports;
pub mod import_jobs;
pub mod imports;
pub mod uploads;

use gatehouse_persistence::Db;

use crate::{
    app::{App, request::Idempotency, sessions::SessionStates},
    env::Env,
    security::keyring::Keyring,
};

/// Users on their way in.
#[derive(Debug, Clone, Copy)]
pub struct Imports<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    states: SessionStates<'a>,
    idempotency: Idempotency<'a>,
}

/// Files that imports are going to read.
#[derive(Debug, Clone, Copy)]
pub struct Uploads<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    states: SessionStates<'a>,
    idempotency: Idempotency<'a>,
}

/// Users on their way out.
#[derive(Debug, Clone, Copy)]
pub struct Exports<'a> {
    db: &'a Db,
    states: SessionStates<'a>,
}

impl App {
    /// Users on their way in.
    pub fn imports(&self) -> Imports<'_> {
        Imports {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            states: self.session_states(),
            idempotency: self.idempotency(),
        }
    }

    /// Files that imports are going to read.
    pub fn uploads(&self) -> Uploads<'_> {
        Uploads {
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
            states: self.session_states(),
            idempotency: self.idempotency(),
        }
    }

    /// Users on their way out.
    pub fn exports(&self) -> Exports<'_> {
        Exports { db: &self.db, states: self.session_states() }
    }
}
