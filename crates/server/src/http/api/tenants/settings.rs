//! What a tenant decides for itself.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{ReadSettings, WriteSettings},
    id::TenantId,
};

use crate::{
    app::{App, settings::Place},
    http::{
        api::settings::{OneEffectiveSettings, OneSettings, SettingsPatch, SettingsResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, WithChanges},
        extract::{
            access::{Access, InTenant, PathId},
            valid::ValidOrDry,
        },
        operation::Operations,
        request::Asked,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/tenants/{tenant_id}/settings", "tenants.settings.get", get_tenant)
        .says("Get the settings of a tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get("/tenants/{tenant_id}/settings/effective", "tenants.settings.effective.get", get_tenant_effective)
        .says(
            "Get what holds at a tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/tenants/{tenant_id}/settings", "tenants.settings.update", update_tenant).says(
        "Change the settings of a tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
}

async fn get_tenant(
    access: Access<ReadSettings, InTenant>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings(&access, Place::Tenant(id.0)).await?.into())
}

async fn get_tenant_effective(
    access: Access<ReadSettings, InTenant>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.effective_settings(&access, Place::Tenant(id.0)).await?.into()))
}

async fn update_tenant(
    access: Access<WriteSettings, InTenant>,
    id: PathId<TenantId>,
    patch: ValidOrDry<SettingsPatch>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.update_settings(&access, Place::Tenant(id.0), merge, mode, &asked.origin).await?.into())
}
