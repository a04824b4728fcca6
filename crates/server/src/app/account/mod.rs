//! One's own account: made, changed, found again.

pub mod authorized_apps;
pub mod mailbox;
pub mod password;
pub mod profile;
pub mod recovery;
pub mod registration;

use gatehouse_domain::settings::Defaults;
use gatehouse_persistence::Db;

use crate::{
    app::{App, attempts::Attempts, jobs::Outbox, request::Idempotency, sessions::SessionStates, sign_in::Passwords},
    env::Env,
    security::password::Hasher,
};

/// Accounts as their owners see them.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    db: &'a Db,
    env: &'a Env,
    defaults: &'a Defaults,
    outbox: &'a Outbox,
    attempts: Attempts<'a>,
    states: SessionStates<'a>,
    passwords: Passwords<'a>,
    new_passwords: NewPasswords<'a>,
    idempotency: Idempotency<'a>,
}

/// What mail does for people who cannot sign in.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    db: &'a Db,
    env: &'a Env,
    outbox: &'a Outbox,
    attempts: Attempts<'a>,
    states: SessionStates<'a>,
    new_passwords: NewPasswords<'a>,
    idempotency: Idempotency<'a>,
}

/// Passwords that are chosen.
#[derive(Debug, Clone, Copy)]
pub struct NewPasswords<'a> {
    db: &'a Db,
    hasher: &'a Hasher,
    defaults: &'a Defaults,
}

impl App {
    /// One's own account.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts {
            db: &self.db,
            env: &self.env,
            defaults: &self.defaults,
            outbox: &self.outbox,
            attempts: self.attempts(),
            states: self.session_states(),
            passwords: self.passwords(),
            new_passwords: self.new_passwords(),
            idempotency: self.idempotency(),
        }
    }

    /// What mail does for people who cannot sign in.
    pub fn recovery(&self) -> Recovery<'_> {
        Recovery {
            db: &self.db,
            env: &self.env,
            outbox: &self.outbox,
            attempts: self.attempts(),
            states: self.session_states(),
            new_passwords: self.new_passwords(),
            idempotency: self.idempotency(),
        }
    }

    /// Passwords that are chosen.
    pub const fn new_passwords(&self) -> NewPasswords<'_> {
        NewPasswords { db: &self.db, hasher: &self.hasher, defaults: &self.defaults }
    }
}
