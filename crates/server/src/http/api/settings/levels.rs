//! The levels that decide settings: the platform, partners and tenants, the latter for their own administrators and for
//! those above.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use gatehouse_domain::authz::{ReadSettings, WriteSettings};

use super::{OneEffectiveSettings, OneSettings, SettingsPatch, SettingsResponse};
use crate::{
    app::{App, settings::SettingsOwner},
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, WithChanges},
        extract::{
            access::{Access, Anywhere, AtPartner, AtPlatform, Directory, InTenant, path},
            valid::ValidOrDry,
        },
        operation::{Describe, Operations},
        problem::Failure,
        request::ChangeRequest,
    },
};

/// Where settings are found, as a place that decides some.
pub trait Decides: Anywhere {
    /// Who decides.
    ///
    /// # Errors
    /// When the path names nobody.
    fn place(request: &HttpRequest) -> Result<SettingsOwner, Failure>;
}

impl Decides for AtPlatform {
    fn place(_: &HttpRequest) -> Result<SettingsOwner, Failure> {
        Ok(SettingsOwner::Platform)
    }
}

impl Decides for AtPartner {
    fn place(request: &HttpRequest) -> Result<SettingsOwner, Failure> {
        path(request).map(SettingsOwner::Partner)
    }
}

impl Decides for Directory {
    fn place(request: &HttpRequest) -> Result<SettingsOwner, Failure> {
        path(request).map(SettingsOwner::Tenant)
    }
}

impl Decides for InTenant {
    fn place(request: &HttpRequest) -> Result<SettingsOwner, Failure> {
        path(request).map(SettingsOwner::Tenant)
    }
}

/// Who decides the settings of a request.
#[derive(Debug)]
pub struct Decider<L> {
    place: SettingsOwner,
    of: PhantomData<L>,
}

impl<L: Decides> FromRequest for Decider<L> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(L::place(request).map(|place| Self { place, of: PhantomData }))
    }
}

impl<L> Describe for Decider<L> {}

pub(in crate::http::api) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/settings", "admin.settings.get", get_one::<AtPlatform>)
        .says("Get the settings of the platform", "What the platform decides itself; null is inherited.");
    operations.get("/admin/settings/effective", "admin.settings.effective.get", get_effective::<AtPlatform>).says(
        "Get what holds at the platform",
        "Every setting with its value, who decided it, and what the platform may decide.",
    );
    operations.patch("/admin/settings", "admin.settings.update", update::<AtPlatform>).says(
        "Change the settings of the platform",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/admin/partners/{partner_id}/settings", "admin.partners.settings.get", get_one::<AtPartner>)
        .says("Get the settings of a partner", "What the partner decides itself; null is inherited.");
    operations
        .get(
            "/admin/partners/{partner_id}/settings/effective",
            "admin.partners.settings.effective.get",
            get_effective::<AtPartner>,
        )
        .says(
            "Get what holds at a partner",
            "Every setting with its value, who decided it, and what the partner may decide.",
        );
    operations
        .patch("/admin/partners/{partner_id}/settings", "admin.partners.settings.update", update::<AtPartner>)
        .says(
            "Change the settings of a partner",
            "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are \
             there have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
             `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
             `dry_run=true` nothing changes, and the answer says what would.",
        );
    operations
        .get("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.get", get_one::<Directory>)
        .says("Get the settings of any tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get(
            "/admin/tenants/{tenant_id}/settings/effective",
            "admin.tenants.settings.effective.get",
            get_effective::<Directory>,
        )
        .says(
            "Get what holds at any tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/admin/tenants/{tenant_id}/settings", "admin.tenants.settings.update", update::<Directory>).says(
        "Change the settings of any tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations
        .get("/tenants/{tenant_id}/settings", "tenants.settings.get", get_one::<InTenant>)
        .says("Get the settings of a tenant", "What the tenant decides itself; null is inherited.");
    operations
        .get("/tenants/{tenant_id}/settings/effective", "tenants.settings.effective.get", get_effective::<InTenant>)
        .says(
            "Get what holds at a tenant",
            "Every setting with its value, who decided it, and what the tenant may decide.",
        );
    operations.patch("/tenants/{tenant_id}/settings", "tenants.settings.update", update::<InTenant>).says(
        "Change the settings of a tenant",
        "What is absent stays, null inherits. Looser than what is decided above is refused. Sessions that are there \
         have no more than what is allowed then, and end if they have had it; nothing makes them longer. \
         `meta.changes` says what holds now at this level and did not before, `meta.effects` what ended. With \
         `dry_run=true` nothing changes, and the answer says what would.",
    );
}

async fn get_one<L: Decides>(
    access: Access<ReadSettings, L>,
    decider: Decider<L>,
    app: Data<App>,
) -> ApiResult<Versioned<OneSettings>> {
    Ok(app.settings().decided(&access, decider.place).await?.into())
}

async fn get_effective<L: Decides>(
    access: Access<ReadSettings, L>,
    decider: Decider<L>,
    app: Data<App>,
) -> ApiResult<OneEffectiveSettings> {
    Ok(ApiResponse(app.settings().effective(&access, decider.place).await?.into()))
}

async fn update<L: Decides>(
    access: Access<WriteSettings, L>,
    decider: Decider<L>,
    patch: ValidOrDry<SettingsPatch>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<WithChanges<SettingsResponse>>> {
    let (merge, mode) = (patch.0.into_merge(), patch.1);
    Ok(app.settings().update(&access, decider.place, merge, mode, &call.meta).await?.into())
}
