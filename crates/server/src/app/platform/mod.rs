//! The installation itself: its first start, its keys, its periodic tasks.

pub mod demo;
pub mod keys;
pub mod periodic;
pub mod setup;

use gatehouse_persistence::Db;

use crate::{app::App, env::Env, security::token::Tokens};

/// The signing keys of tenants.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    db: &'a Db,
    env: &'a Env,
    tokens: &'a Tokens,
}

impl App {
    /// The signing keys of tenants.
    pub const fn keys(&self) -> Keys<'_> {
        Keys { db: &self.db, env: &self.env, tokens: &self.tokens }
    }
}
