//! The API: one file per resource, its DTOs and handlers together.

pub mod admin;
pub mod auth;
pub mod me;
pub mod session;
pub mod setup;
pub mod tenant_sessions;
pub mod user;

use utoipa_actix_web::{scope, service_config::ServiceConfig};

/// Mounts every operation. The order matters where a fixed segment and a placeholder could both match.
pub fn mount(config: &mut ServiceConfig<'_>) {
    let api = scope("/api/v1").configure(|config: &mut ServiceConfig<'_>| {
        me::mount(config);
        tenant_sessions::mount(config);
        admin::mount(config);
        auth::mount(config);
        setup::mount(config);
    });
    config.service(api);
}
