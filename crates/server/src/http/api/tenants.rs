//! Tenants and their settings.

use std::sync::Arc;

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeleteTenants, ReadTenants, WriteTenants},
    id::{PartnerId, TenantId},
    partner::Status,
    search::Search,
    settings::Settings,
    tenant::{Branding, Colour, HttpsUrl, NewTenant, Tenant, TenantPatch},
    text::{Email, Name, Slug},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, directory::tenants::TenantFilter},
    http::{
        api::settings::{SettingsPatch, SettingsResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, PaginatedResponse, Removal, WithEffects},
        extract::{
            access::{Access, Directory, PathId},
            page::{CreationOrName, Listing},
            valid::{RealOrDry, Valid, ValidOrDry},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{Patch, Set, input},
};

/// A page of tenants.
pub type TenantPage = PaginatedResponse<TenantResponse>;
/// One tenant.
pub type OneTenant = ApiResponse<TenantResponse>;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantResponse {
    /// The id.
    #[schema(inline)]
    pub id: TenantId,
    /// The partner it belongs to.
    #[schema(inline)]
    pub partner_id: PartnerId,
    /// The name.
    #[schema(max_length = 400, example = "Example Ltd")]
    pub name: String,
    /// The slug, unique in the installation; part of addresses.
    #[schema(max_length = 63, example = "default")]
    pub slug: String,
    /// `ACTIVE` or `SUSPENDED`.
    #[schema(max_length = 32, example = "ACTIVE")]
    pub status: &'static str,
    /// Whom to write to.
    #[schema(required = true, max_length = 254)]
    pub contact_email: Option<String>,
    /// What the tenant decides for itself.
    pub settings: SettingsResponse,
    /// How its pages look.
    pub branding: BrandingResponse,
    /// How much of its partner's limits is used.
    pub usage: TenantUsage,
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(inline)]
    pub updated_at: Timestamp,
}

/// How much of its partner's limits a tenant uses.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantUsage {
    /// How many users it has.
    #[schema(minimum = 0, example = 42)]
    pub users: u64,
}

/// How a tenant's pages look.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrandingResponse {
    /// A picture.
    #[schema(required = true, max_length = 2000)]
    pub logo_url: Option<String>,
    /// The main colour.
    #[schema(required = true, max_length = 7)]
    pub primary_color: Option<String>,
}

input! {
    /// Filters of tenants.
    pub struct TenantQuery {
        /// Only tenants with a name or slug in which words begin like each of these, without regard to case and accents.
        search: Option<Search>,
        /// Only tenants with one of these statuses.
        status: Vec<Status>,
        /// Only tenants of these partners.
        partner_id: Vec<PartnerId>,
    }
}

input! {
    /// What changes of the looks; what is absent stays, null removes.
    pub struct BrandingPatch {
        /// A picture.
        logo_url: Patch<HttpsUrl>,
        /// The main colour.
        primary_color: Patch<Colour>,
    }

    /// A tenant to be made.
    pub struct TenantCreateRequest {
        /// The name.
        name: Name,
        /// The slug, unique in the installation.
        slug: Slug,
        /// The partner it belongs to.
        partner_id: PartnerId,
        /// Whom to write to.
        contact_email: Option<Email>,
        /// What it decides for itself.
        settings: Option<SettingsPatch>,
        /// How its pages look.
        branding: Option<BrandingPatch>,
    }

    /// What changes of a tenant; what is absent stays.
    pub struct TenantPatchRequest {
        /// The name.
        name: Set<Name>,
        /// The slug.
        slug: Set<Slug>,
        /// Whether it may be used; suspending it ends every session in it.
        status: Set<Status>,
        /// Whom to write to.
        contact_email: Patch<Email>,
        /// The partner it belongs to; only operators move a tenant.
        partner_id: Set<PartnerId>,
        /// What it decides for itself.
        settings: Set<SettingsPatch>,
        /// How its pages look.
        branding: Set<BrandingPatch>,
    }
}

impl BrandingPatch {
    fn apply(&self, branding: &mut Branding) {
        let Self { logo_url, primary_color } = self;
        if let Some(value) = &logo_url.0 {
            branding.logo_url.clone_from(value);
        }
        if let Some(value) = &primary_color.0 {
            branding.primary_color.clone_from(value);
        }
    }
}

impl From<Tenant> for TenantResponse {
    fn from(tenant: Tenant) -> Self {
        let Tenant {
            id,
            partner_id,
            name,
            slug,
            status,
            contact_email,
            settings,
            branding,
            users,
            created_at,
            updated_at,
            deleted_at: _,
            version: _,
        } = tenant;
        let Branding { logo_url, primary_color } = branding;
        Self {
            id,
            partner_id,
            name: name.to_string(),
            slug: slug.to_string(),
            status: status.as_str(),
            contact_email: contact_email.map(|email| email.to_string()),
            settings: settings.into(),
            branding: BrandingResponse {
                logo_url: logo_url.map(|url| url.as_str().to_owned()),
                primary_color: primary_color.map(|colour| colour.as_str().to_owned()),
            },
            usage: TenantUsage { users },
            created_at,
            updated_at,
        }
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/tenants", "admin.tenants.list", list)
        .says("List tenants", "All, or those of the caller's partners; newest first, unless `sort` says otherwise.");
    operations
        .post("/admin/tenants", "admin.tenants.create", create)
        .says("Make a tenant", "With a signing key of its own.");
    operations
        .get("/admin/tenants/{tenant_id}", "admin.tenants.get", get_one)
        .says("Get a tenant", "With what it decides for itself.");
    operations.patch("/admin/tenants/{tenant_id}", "admin.tenants.update", update).says(
        "Change a tenant",
        "Suspending it ends every session in it and lets nobody sign in; stricter settings end those that have had \
         what they may have. With `dry_run=true` nothing changes, and the answer says what would.",
    );
    operations.delete("/admin/tenants/{tenant_id}", "admin.tenants.delete", delete_one).says(
        "Delete a tenant",
        "With its users, roles and keys; every session in it ends, and its slug is free. Deleting it again changes \
         nothing. With `dry_run=true` nothing changes, and the answer says what would end.",
    );
}

async fn list(
    access: Access<ReadTenants, Directory>,
    listing: Listing<TenantQuery, CreationOrName>,
    app: Data<App>,
) -> ApiResult<TenantPage> {
    let TenantQuery { search, status, partner_id } = &listing.filter;
    let filter = TenantFilter { search: search.clone(), statuses: status.clone(), partners: partner_id.clone() };
    let page = app
        .tenants()
        .list(&access, &filter, listing.sort == CreationOrName::Name, listing.direction, &listing.request)
        .await?;
    Ok(listing.respond(&app, page, TenantResponse::from))
}

async fn create(
    access: Access<WriteTenants, Directory>,
    new: Valid<TenantCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<TenantResponse>>> {
    let TenantCreateRequest { name, slug, partner_id, contact_email, settings, branding } = new.0;
    let mut new = NewTenant {
        partner_id,
        name,
        slug,
        contact_email,
        settings: Settings::default(),
        branding: Branding::default(),
    };
    settings.iter().for_each(|patch| patch.apply(&mut new.settings));
    branding.iter().for_each(|patch| patch.apply(&mut new.branding));
    call.idempotent(&app, async |meta| app.tenants().create(&access, new, meta).await, |made| Created(made.into()))
        .await
}

async fn get_one(
    access: Access<ReadTenants, Directory>,
    id: PathId<TenantId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<TenantResponse>>> {
    Ok(Versioned::one(app.tenants().get(&access, id.0).await?, Into::into))
}

async fn update(
    access: Access<WriteTenants, Directory>,
    id: PathId<TenantId>,
    patch: ValidOrDry<TenantPatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<TenantResponse>>> {
    let mode = patch.1;
    let TenantPatchRequest { name, slug, status, contact_email, partner_id, settings, branding } = patch.0;
    let patch = TenantPatch {
        name: name.0,
        slug: slug.0,
        status: status.0,
        contact_email: contact_email.0,
        partner_id: partner_id.0,
        settings: None,
        branding: None,
    };
    let (settings, branding) = (settings.0, branding.0);
    let merge_settings = Arc::new(move |stored: &mut Settings| settings.iter().for_each(|patch| patch.apply(stored)));
    let merge_branding = Arc::new(move |stored: &mut Branding| branding.iter().for_each(|patch| patch.apply(stored)));
    let (tenant, effects) =
        app.tenants().update(&access, id.0, patch, (merge_settings, merge_branding), mode, &call.meta).await?;
    Ok(Versioned::changed(tenant, effects, Into::into))
}

async fn delete_one(
    access: Access<DeleteTenants, Directory>,
    id: PathId<TenantId>,
    mode: RealOrDry,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<TenantResponse>> {
    Ok(Removal::of(mode.0, app.tenants().delete(&access, id.0, mode.0, &call.meta).await?))
}
