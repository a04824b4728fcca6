//! Rows as SeaORM sees them, one entity for each table. Nothing here leaves the crate.

pub(crate) mod application;
pub(crate) mod application_origin;
pub(crate) mod application_resource;
pub(crate) mod assertion_id;
pub(crate) mod assignment;
pub(crate) mod audit_acceptance;
pub(crate) mod audit_chain;
pub(crate) mod audit_event;
pub(crate) mod audit_past_root;
pub(crate) mod audit_root;
pub(crate) mod audit_seal;
pub(crate) mod audit_unsealed;
pub(crate) mod authorization_code;
pub(crate) mod consent;
pub(crate) mod device_request;
pub(crate) mod idempotency_key;
pub(crate) mod installation;
pub(crate) mod job;
pub(crate) mod known_device;
pub(crate) mod logout_delivery;
pub(crate) mod partner;
pub(crate) mod pushed_request;
pub(crate) mod retention_promise;
pub(crate) mod revoked_token;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod session_application;
pub(crate) mod session_count;
pub(crate) mod session_end;
pub(crate) mod session_hour;
pub(crate) mod setup_token;
pub(crate) mod signing_key;
pub(crate) mod tenant;
pub(crate) mod throttle;
pub(crate) mod token_family;
pub(crate) mod user;
pub(crate) mod user_import;
pub(crate) mod user_import_piece;
pub(crate) mod user_import_reject;
pub(crate) mod user_token;

// Named by text alone so far.
#[cfg(all(test, feature = "testing"))]
pub(crate) mod application_term;
#[cfg(all(test, feature = "testing"))]
pub(crate) mod partner_term;
#[cfg(all(test, feature = "testing"))]
pub(crate) mod tenant_term;
#[cfg(all(test, feature = "testing"))]
pub(crate) mod user_term;

#[cfg(all(test, feature = "testing"))]
mod tests;
