//! What a tenant decides for itself.

use actix_web::{get, patch, web::Data};
use gatehouse_domain::{
    authz::{ReadSettings, WriteSettings},
    id::TenantId,
};

use crate::{
    app::App,
    http::{
        api::admin::tenants::{TenantSettingsPatch, TenantSettingsResponse},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, InTenant, PathId},
            valid::Valid,
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
) -> ApiResult<OneSettings> {
    Ok(ApiResponse((&app.settings(&access, id.0).await?).into()))
}

/// Change the settings of a tenant
///
/// What is absent stays, null inherits.
#[utoipa::path(tag = "tenants-settings", operation_id = "tenants.settings.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), request_body = TenantSettingsPatch, responses((status = 200, body = OneSettings)))]
#[patch("/tenants/{tenant_id}/settings")]
async fn update(
    access: Access<WriteSettings, InTenant>,
    id: PathId<TenantId>,
    patch: Valid<TenantSettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<OneSettings> {
    let settings = app.update_settings(&access, id.0, patch.0.into_merge(), &asked.origin).await?;
    Ok(ApiResponse((&settings).into()))
}
