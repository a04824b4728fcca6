//! What every request has: a client, an idempotency key, a share of what is allowed.

pub mod buckets;
pub mod client;
pub mod cursors;
pub mod device;
pub mod entity_tags;
pub mod form_tokens;
pub mod idempotency;
mod proofs;
pub(crate) mod waiting;
mod windows;

use std::{net::IpAddr, sync::Arc};

use gatehouse_persistence::Db;

use crate::{app::App, env::Env, security::keyring::Keyring};

/// Requests that happen once however often they are sent.
#[derive(Debug, Clone, Copy)]
pub struct Idempotency<'a> {
    db: &'a Db,
    env: &'a Env,
    keyring: &'a Arc<Keyring>,
    in_flight: &'a idempotency::InFlightKeys,
}

impl App {
    /// Requests that happen once however often they are sent.
    pub const fn idempotency(&self) -> Idempotency<'_> {
        Idempotency { db: &self.db, env: &self.env, keyring: &self.keyring, in_flight: &self.in_flight_keys }
    }

    /// Places in lists, as clients keep them.
    pub fn cursors(&self) -> cursors::Cursors<'_> {
        cursors::Cursors::new(&self.keyring)
    }

    /// What binds forms to browsers.
    pub fn form_tokens(&self) -> form_tokens::FormTokens<'_> {
        form_tokens::FormTokens::new(&self.keyring)
    }

    /// Entity tags, as clients keep them.
    pub fn entity_tags(&self) -> entity_tags::EntityTags<'_> {
        entity_tags::EntityTags::new(&self.keyring)
    }

    /// What stands for the address of a client where the address itself is not to be known.
    pub fn client_digest(&self, ip: IpAddr) -> [u8; 8] {
        self.keyring.client_digest(ip)
    }

    /// How many requests somebody may send.
    pub const fn admission(&self) -> &buckets::Admission {
        &self.admission
    }
}
