//! The audit trail: read, sealed, verified; and what is refused, for it.

pub mod read;
pub mod repeats;
pub mod seal;

use gatehouse_persistence::Db;

use crate::{
    app::{App, sessions::SessionStates},
    env::Env,
    security::keyring::Keyring,
};

/// The audit trail: read, sealed, verified, and rid of people.
#[derive(Debug, Clone, Copy)]
pub struct Trail<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Keyring,
    states: SessionStates<'a>,
}

/// What is refused and changes nothing: recorded once a minute.
#[derive(Debug, Clone, Copy)]
pub struct Refusals<'a> {
    db: &'a Db,
    repeats: &'a repeats::Repeats,
}

impl App {
    /// The audit trail.
    pub fn trail(&self) -> Trail<'_> {
        Trail { db: &self.db, env: &self.env, keyring: &self.keyring, states: self.session_states() }
    }

    /// Refusals, for the audit trail.
    pub const fn refusals(&self) -> Refusals<'_> {
        Refusals { db: &self.db, repeats: &self.repeats }
    }
}
