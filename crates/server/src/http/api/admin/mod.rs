//! Administration across tenants, for operators and for administrators of partners.

pub mod assignments;
pub mod partners;
pub mod permissions;
pub mod roles;
pub mod sessions;
pub mod tenants;
pub mod users;

use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn mount(config: &mut ServiceConfig<'_>) {
    sessions::mount(config);
    partners::mount(config);
    tenants::mount(config);
    users::mount(config);
    roles::mount(config);
    permissions::mount(config);
    assignments::mount(config);
}
