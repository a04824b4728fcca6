//! What the platform, partners and tenants decide, for operators and for administrators of partners.

use actix_web::{get, patch, web::Data};
use gatehouse_domain::{
    authz::{ReadSettings, WriteSettings},
    id::{PartnerId, TenantId},
};

use crate::{
    app::{App, settings::Place},
    http::{
        api::settings::{OneEffectiveSettings, OneSettings, SettingsPatch, SettingsResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, WithChanges},
        extract::{
            access::{Access, AtPartner, AtPlatform, Directory, PathId},
            valid::{DryRunQuery, ValidOrDry},
        },
        mount::Mount,
        request::Asked,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    routes
        .mount(get_platform)
        .mount(get_platform_effective)
        .mount(update_platform)
        .mount(get_partner)
        .mount(get_partner_effective)
        .mount(update_partner)
        .mount(get_tenant)
        .mount(get_tenant_effective)
        .mount(update_tenant);
}

/// Get the settings of the platform
///
/// What the platform decides itself; null is inherited.
#[utoipa::path(tag = "admin-settings", operation_id = "admin.settings.get", responses((status = 200, body = OneSettings)))]
#[get("/admin/settings")]
async fn get_platform(access: Access<ReadSettings, AtPlatform>, app: Data<App>) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Platform).await?.into())
}

/// Get what holds at the platform
///
/// Every setting with its value, who decided it, and what the platform may decide.
#[utoipa::path(tag = "admin-settings-effective", operation_id = "admin.settings.effective.get", responses((status = 200, body = OneEffectiveSettings)))]
#[get("/admin/settings/effective")]
async fn get_platform_effective(
    access: Access<ReadSettings, AtPlatform>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Platform).await?.into()))
}

/// Change the settings of the platform
///
/// What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there have no more
/// than what is allowed then, and end if they have had it; nothing makes them longer. `meta.changes` says what holds now
/// at this level and did not before, `meta.effects` what ended. With `dry_run=true` nothing changes, and the answer says
/// what would.
#[utoipa::path(tag = "admin-settings", operation_id = "admin.settings.update", params(DryRunQuery), request_body = SettingsPatch, responses((status = 200, body = OneSettings)))]
#[patch("/admin/settings")]
async fn update_platform(
    access: Access<WriteSettings, AtPlatform>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, Place::Platform, merge, mode, &asked.origin).await?.into())
}

/// Get the settings of a partner
///
/// What the partner decides itself; null is inherited.
#[utoipa::path(tag = "admin-partners-settings", operation_id = "admin.partners.settings.get", params(("partner_id" = inline(PartnerId), Path, description = "The partner.")), responses((status = 200, body = OneSettings)))]
#[get("/admin/partners/{partner_id}/settings")]
async fn get_partner(
    access: Access<ReadSettings, AtPartner>,
    id: PathId<PartnerId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Partner(id.0)).await?.into())
}

/// Get what holds at a partner
///
/// Every setting with its value, who decided it, and what the partner may decide.
#[utoipa::path(tag = "admin-partners-settings-effective", operation_id = "admin.partners.settings.effective.get", params(("partner_id" = inline(PartnerId), Path, description = "The partner.")), responses((status = 200, body = OneEffectiveSettings)))]
#[get("/admin/partners/{partner_id}/settings/effective")]
async fn get_partner_effective(
    access: Access<ReadSettings, AtPartner>,
    id: PathId<PartnerId>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Partner(id.0)).await?.into()))
}

/// Change the settings of a partner
///
/// What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there have no more
/// than what is allowed then, and end if they have had it; nothing makes them longer. `meta.changes` says what holds now
/// at this level and did not before, `meta.effects` what ended. With `dry_run=true` nothing changes, and the answer says
/// what would.
#[utoipa::path(tag = "admin-partners-settings", operation_id = "admin.partners.settings.update", params(("partner_id" = inline(PartnerId), Path, description = "The partner."), DryRunQuery), request_body = SettingsPatch, responses((status = 200, body = OneSettings)))]
#[patch("/admin/partners/{partner_id}/settings")]
async fn update_partner(
    access: Access<WriteSettings, AtPartner>,
    id: PathId<PartnerId>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, Place::Partner(id.0), merge, mode, &asked.origin).await?.into())
}

/// Get the settings of any tenant
///
/// What the tenant decides itself; null is inherited.
#[utoipa::path(tag = "admin-tenants-settings", operation_id = "admin.tenants.settings.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), responses((status = 200, body = OneSettings)))]
#[get("/admin/tenants/{tenant_id}/settings")]
async fn get_tenant(
    access: Access<ReadSettings, Directory>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Tenant(id.0)).await?.into())
}

/// Get what holds at any tenant
///
/// Every setting with its value, who decided it, and what the tenant may decide.
#[utoipa::path(tag = "admin-tenants-settings-effective", operation_id = "admin.tenants.settings.effective.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), responses((status = 200, body = OneEffectiveSettings)))]
#[get("/admin/tenants/{tenant_id}/settings/effective")]
async fn get_tenant_effective(
    access: Access<ReadSettings, Directory>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Tenant(id.0)).await?.into()))
}

/// Change the settings of any tenant
///
/// What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there have no more
/// than what is allowed then, and end if they have had it; nothing makes them longer. `meta.changes` says what holds now
/// at this level and did not before, `meta.effects` what ended. With `dry_run=true` nothing changes, and the answer says
/// what would.
#[utoipa::path(tag = "admin-tenants-settings", operation_id = "admin.tenants.settings.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), DryRunQuery), request_body = SettingsPatch, responses((status = 200, body = OneSettings)))]
#[patch("/admin/tenants/{tenant_id}/settings")]
async fn update_tenant(
    access: Access<WriteSettings, Directory>,
    id: PathId<TenantId>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, Place::Tenant(id.0), merge, mode, &asked.origin).await?.into())
}
