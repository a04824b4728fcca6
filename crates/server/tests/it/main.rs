//! Tests of the whole server, called as its clients call it. Every test that stores anything runs on SQLite and on
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

mod api_auth;
mod authz_matrix;
mod cost;
mod openapi;
