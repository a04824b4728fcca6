//! One tenant, for its administrators: the same use cases and bodies as under `/admin`, within what the path names.

pub mod assignments;
pub mod audit;
pub mod roles;
pub mod sessions;
pub mod settings;
pub mod transfers;
pub mod users;

use crate::http::mount::Mount;

pub(super) fn mount(routes: &mut impl Mount) {
    sessions::mount(routes);
    // Fixed segments before the placeholder.
    transfers::mount(routes);
    users::mount(routes);
    roles::mount(routes);
    assignments::mount(routes);
    settings::mount(routes);
    audit::mount(routes);
}
