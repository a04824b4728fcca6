//! What a tenant decides for itself.

use actix_web::{get, patch, web::Data};
use gatehouse_domain::{
    authz::{ReadSettings, WriteSettings},
    id::TenantId,
    session::Effects,
};

use crate::{
    app::App,
    http::{
        api::admin::tenants::{TenantSettingsPatch, TenantSettingsResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, WithEffects},
        extract::{
            access::{Access, InTenant, PathId},
            valid::{DryRunQuery, ValidOrDry},
        },
        mount::Mount,
        request::Asked,
    },
};

/// The settings of a tenant.
pub type OneSettings = ApiResponse<TenantSettingsResponse>;

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(get_all).mount(update);
}

/// Get the settings of a tenant
///
/// Null is inherited.
#[utoipa::path(tag = "tenants-settings", operation_id = "tenants.settings.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), responses((status = 200, body = OneSettings)))]
#[get("/tenants/{tenant_id}/settings")]
async fn get_all(
    access: Access<ReadSettings, InTenant>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(Versioned::one(app.settings(&access, id.0).await?, |tenant| (&tenant.settings).into()))
}

/// Change the settings of a tenant
///
/// What is absent stays, null inherits. Lifetimes of tokens hold from the next refresh on; sessions that are there keep
/// their idle timeout and longest life. With `dry_run=true` nothing changes, and the answer says what would.
#[utoipa::path(tag = "tenants-settings", operation_id = "tenants.settings.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), DryRunQuery), request_body = TenantSettingsPatch, responses((status = 200, body = OneSettings)))]
#[patch("/tenants/{tenant_id}/settings")]
async fn update(
    access: Access<WriteSettings, InTenant>,
    id: PathId<TenantId>,
    patch: ValidOrDry<TenantSettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<TenantSettingsResponse>>> {
    let tenant = app.update_settings(&access, id.0, patch.0.into_merge(), patch.1, &asked.origin).await?;
    Ok(Versioned::changed(tenant, Effects::default(), |tenant| (&tenant.settings).into()))
}
