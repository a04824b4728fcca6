//! The audit trail: read, sealed, verified.

pub mod read;
pub mod repeats;
pub mod seal;
