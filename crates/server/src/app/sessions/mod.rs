//! Sessions: seen, refreshed, ended, and known without a query.

pub mod cache;
pub mod refresh;
pub mod revocation;
