//! Contract tests of storage: every body runs on SQLite and on PostgreSQL.

mod fixture;

mod counts;
mod isolation;
mod lists;
mod login;
mod migrations;
mod plans;
mod sessions;
mod transactions;
