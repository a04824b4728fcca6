//! Administration across tenants, for operators and for administrators of partners.

pub mod assignments;
pub mod audit;
pub mod partners;
pub mod permissions;
pub mod roles;
pub mod scope;
pub mod sessions;
pub mod settings;
pub mod tenants;
pub mod transfers;
pub mod users;

use crate::http::mount::Mount;

pub(super) fn mount(routes: &mut impl Mount) {
    sessions::mount(routes);
    partners::mount(routes);
    tenants::mount(routes);
    // Fixed segments before the placeholder.
    transfers::mount(routes);
    users::mount(routes);
    roles::mount(routes);
    permissions::mount(routes);
    assignments::mount(routes);
    audit::mount(routes);
    settings::mount(routes);
    scope::mount(routes);
}
