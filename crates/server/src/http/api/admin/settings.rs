//! What the platform, partners and tenants decide, for operators and for administrators of partners.

use actix_web::web::Data;
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
            valid::ValidOrDry,
        },
        operation::Operations,
        request::Asked,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/settings", "admin.settings.get", get_platform)
        .says("Get the settings of the platform", "What the platform decides itself; null is inherited.");
    operations.get("/admin/settings/effective", "admin.settings.effective.get", get_platform_effective).says(
        "Get what holds at the platform",
        "Every setting with its value, who decided it, and what the platform may decide.",
    );
    operations.patch("/admin/settings", "admin.settings.update", update_platform).says(
        "Change the settings of the platform",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/admin/partners/{partner_id}/settings", "admin.partners.settings.get", get_partner)
        .says("Get the settings of a partner", "What the partner decides itself; null is inherited.");
    operations
        .get(
            "/admin/partners/{partner_id}/settings/effective",
            "admin.partners.settings.effective.get",
            get_partner_effective,
        )
        .says(
            "Get what holds at a partner",
            "Every setting with its value, who decided it, and what the partner may decide.",
        );
    operations.patch("/admin/partners/{partner_id}/settings", "admin.partners.settings.update", update_partner).says(
        "Change the settings of a partner",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are \
             there have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
             `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
             `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.get", get_tenant)
        .says("Get the settings of any tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get(
            "/admin/tenants/{tenant_id}/settings/effective",
            "admin.tenants.settings.effective.get",
            get_tenant_effective,
        )
        .says(
            "Get what holds at any tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.update", update_tenant).says(
        "Change the settings of any tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
}

async fn get_platform(access: Access<ReadSettings, AtPlatform>, app: Data<App>) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Platform).await?.into())
}

async fn get_platform_effective(
    access: Access<ReadSettings, AtPlatform>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Platform).await?.into()))
}

async fn update_platform(
    access: Access<WriteSettings, AtPlatform>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, Place::Platform, merge, mode, &asked.origin).await?.into())
}

async fn get_partner(
    access: Access<ReadSettings, AtPartner>,
    id: PathId<PartnerId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Partner(id.0)).await?.into())
}

async fn get_partner_effective(
    access: Access<ReadSettings, AtPartner>,
    id: PathId<PartnerId>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Partner(id.0)).await?.into()))
}

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

async fn get_tenant(
    access: Access<ReadSettings, Directory>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Tenant(id.0)).await?.into())
}

async fn get_tenant_effective(
    access: Access<ReadSettings, Directory>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Tenant(id.0)).await?.into()))
}

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
