//! The API: one file per resource, its DTOs and handlers together.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod me;
pub mod recovery;
pub mod session;
pub mod settings;
pub mod setup;
pub mod tenants;
pub mod user;
pub mod user_import;

use crate::http::operation::Operations;

/// Where the API lives.
pub const BASE: &str = "/api/v1";

/// Mounts every operation below [`BASE`]. The order matters where a fixed segment and a placeholder could both match;
/// otherwise what is asked most comes first, because the router tries one pattern after the other.
pub fn mount(operations: &mut Operations) {
    me::mount(operations);
    auth::mount(operations);
    recovery::mount(operations);
    tenants::mount(operations);
    admin::mount(operations);
    setup::mount(operations);
}
