//! One tenant, for its administrators: the same use cases and bodies as under `/admin`, within what the path names.

pub mod assignments;
pub mod audit;
pub mod roles;
pub mod sessions;
pub mod settings;
pub mod transfers;
pub mod users;

use crate::http::operation::Operations;

pub(super) fn mount(operations: &mut Operations) {
    sessions::mount(operations);
    // Fixed segments before the placeholder.
    transfers::mount(operations);
    users::mount(operations);
    roles::mount(operations);
    assignments::mount(operations);
    settings::mount(operations);
    audit::mount(operations);
}
