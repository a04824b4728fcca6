//! Tests of the whole server, called as its clients call it. Every test that stores anything runs on SQLite and on
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

mod api_auth;
mod faults;
mod refresh_race;
mod refresh_reuse;
mod revocation;
mod revocation_race;
mod rights;
mod strangers;
mod throttle;
