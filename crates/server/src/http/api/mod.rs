//! The API: one file per resource, its DTOs and handlers together. What is found both under `/admin` and under
//! `/tenants/{tenant_id}` is one resource, whose handlers are mounted twice.

pub mod application;
pub mod applications;
pub mod assignments;
pub mod audit;
pub mod auth;
pub mod authorized_apps;
pub mod login_form;
pub mod me;
pub mod partners;
pub mod permissions;
pub mod recovery;
pub mod roles;
pub mod scope;
pub mod session;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod tenants;
pub mod transfers;
pub mod user;
pub mod user_import;
pub mod users;

use crate::http::operation::Operations;

/// Where the API lives.
pub const BASE: &str = "/api/v1";

/// Mounts every operation below [`BASE`]. The order matters where a fixed segment and a placeholder could both match;
/// otherwise what is asked most comes first, because the router tries one pattern after the other.
pub fn mount(operations: &mut Operations) {
    me::mount(operations);
    authorized_apps::mount(operations);
    auth::mount(operations);
    recovery::mount(operations);
    sessions::mount(operations);
    // Fixed segments before the placeholder.
    transfers::mount(operations);
    users::mount(operations);
    roles::mount(operations);
    assignments::mount(operations);
    applications::mount(operations);
    settings::mount(operations);
    audit::mount(operations);
    partners::mount(operations);
    tenants::mount(operations);
    permissions::mount(operations);
    scope::mount(operations);
    setup::mount(operations);
}
