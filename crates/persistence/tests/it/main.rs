//! Contract tests of storage: every body runs on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

mod applications;
mod counts;
mod deletion;
mod documents;
mod isolation;
mod jobs;
mod lists;
mod login;
mod migrations;
mod plans;
mod scopes;
mod search;
mod session_ends;
mod sessions;
mod text;
mod trail;
mod trail_accept;
mod trail_edits;
mod trail_upgrade;
mod transactions;
