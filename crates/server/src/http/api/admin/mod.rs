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

use crate::http::operation::Operations;

pub(super) fn mount(operations: &mut Operations) {
    sessions::mount(operations);
    partners::mount(operations);
    tenants::mount(operations);
    // Fixed segments before the placeholder.
    transfers::mount(operations);
    users::mount(operations);
    roles::mount(operations);
    permissions::mount(operations);
    assignments::mount(operations);
    audit::mount(operations);
    settings::mount(operations);
    scope::mount(operations);
}
