//! Rows as SeaORM sees them. Nothing here leaves the crate.

pub(crate) mod assignment;
pub(crate) mod audit_event;
pub(crate) mod partner;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod tenant;
pub(crate) mod user;
pub(crate) mod user_import;
