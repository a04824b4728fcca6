//! Tests of the whole server, called as its clients call it. Every test that stores anything runs on SQLite and on
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

mod admin;
mod admin_scope;
mod answers;
mod api_auth;
mod api_me;
mod api_sessions;
mod audit;
mod audit_export;
mod audit_list;
mod audit_seals;
mod authz_matrix;
mod conditional;
mod connections;
mod conventions;
mod cost;
mod deletion;
mod dry_runs;
mod faults;
mod foreign_hashes;
mod frozen;
mod idempotency;
mod inheritance;
mod invitations;
mod lists;
mod mail;
mod mailbox;
mod manual;
mod openapi;
mod outside;
mod places;
mod policies;
mod quotas;
mod recovery;
mod refresh_race;
mod refresh_reuse;
mod revocation;
mod revocation_race;
mod rights;
mod search;
mod setup;
mod slow_bodies;
mod stats;
mod strangers;
mod tenant_view;
mod throttle;
mod tokens;
mod transfer_lines;
mod transfers;
mod user_exports;
mod user_import_limits;
mod user_imports;
