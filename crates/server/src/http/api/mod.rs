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

use crate::http::mount::Mount;

/// Where the API lives.
pub const BASE: &str = "/api/v1";

/// Mounts every operation below [`BASE`]. The order matters where a fixed segment and a placeholder could both match;
/// otherwise what is asked most comes first, because the router tries one pattern after the other.
pub fn mount(routes: &mut impl Mount) {
    me::mount(routes);
    auth::mount(routes);
    recovery::mount(routes);
    tenants::mount(routes);
    admin::mount(routes);
    setup::mount(routes);
}
