//! Tests of the whole server, called as its clients call it. Every test that stores anything runs on SQLite and on
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

mod admin;
mod api_auth;
mod api_me;
mod api_sessions;
mod audit;
mod conventions;
mod lists;
mod policies;
mod setup;
mod tokens;
mod authz_matrix;
