//! Partners; for operators only.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeletePartners, ReadPartners, WritePartners},
    id::PartnerId,
    partner::{Limit, NewPartner, Partner, PartnerPatch, Status},
    search::Search,
    text::{Email, Name, Slug},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, directory::partners::PartnerFilter},
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, PaginatedResponse, Removal, WithEffects},
        extract::{
            access::{Access, Everything, PathId},
            page::{CreationOrName, Listing},
            valid::{RealOrDry, Valid, ValidOrDry},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{Patch, Set, input},
};

/// A page of partners.
pub type PartnerPage = PaginatedResponse<PartnerResponse>;
/// One partner.
pub type OnePartner = ApiResponse<PartnerResponse>;

/// A partner.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerResponse {
    /// The id.
    #[schema(inline)]
    pub id: PartnerId,
    /// The name.
    #[schema(max_length = 400, example = "Example Ltd")]
    pub name: String,
    /// The slug, unique in the installation.
    #[schema(max_length = 63, example = "example")]
    pub slug: String,
    /// `ACTIVE` or `SUSPENDED`.
    #[schema(max_length = 32, example = "ACTIVE")]
    pub status: &'static str,
    /// Whom to write to.
    #[schema(required = true, max_length = 254)]
    pub contact_email: Option<String>,
    /// Greatest number of tenants; null is unlimited.
    #[schema(required = true, minimum = 0)]
    pub max_tenants: Option<u32>,
    /// Greatest number of users in each tenant; null is unlimited.
    #[schema(required = true, minimum = 0)]
    pub max_users_per_tenant: Option<u32>,
    /// Greatest number of applications in each tenant; null is unlimited.
    #[schema(required = true, minimum = 0)]
    pub max_applications_per_tenant: Option<u32>,
    /// How much of its limits is used.
    pub usage: PartnerUsage,
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(inline)]
    pub updated_at: Timestamp,
}

/// How much of a partner's limits is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerUsage {
    /// How many tenants it has.
    #[schema(minimum = 0, example = 3)]
    pub tenants: u64,
}

input! {
    /// Filters of partners.
    pub struct PartnerQuery {
        /// Only partners with a name or slug in which words begin like each of these, without regard to case and accents.
        search: Option<Search>,
        /// Only partners with one of these statuses.
        status: Vec<Status>,
    }
}

input! {
    /// A partner to be made.
    pub struct PartnerCreateRequest {
        /// The name.
        name: Name,
        /// The slug, unique in the installation.
        slug: Slug,
        /// Whom to write to.
        contact_email: Option<Email>,
        /// Greatest number of tenants; null is unlimited.
        max_tenants: Option<Limit>,
        /// Greatest number of users in each tenant; null is unlimited.
        max_users_per_tenant: Option<Limit>,
        /// Greatest number of applications in each tenant; null is unlimited.
        max_applications_per_tenant: Option<Limit>,
    }

    /// What changes of a partner; what is absent stays.
    pub struct PartnerPatchRequest {
        /// The name.
        name: Set<Name>,
        /// The slug.
        slug: Set<Slug>,
        /// Whether it may be used; suspending it ends every session below it.
        status: Set<Status>,
        /// Whom to write to.
        contact_email: Patch<Email>,
        /// Greatest number of tenants; null is unlimited.
        max_tenants: Patch<Limit>,
        /// Greatest number of users in each tenant; null is unlimited.
        max_users_per_tenant: Patch<Limit>,
        /// Greatest number of applications in each tenant; null is unlimited.
        max_applications_per_tenant: Patch<Limit>,
    }
}

impl From<Partner> for PartnerResponse {
    fn from(partner: Partner) -> Self {
        let Partner {
            id,
            name,
            slug,
            status,
            contact_email,
            max_tenants,
            max_users_per_tenant,
            max_applications_per_tenant,
            settings: _,
            tenants,
            created_at,
            updated_at,
            deleted_at: _,
            version: _,
        } = partner;
        Self {
            id,
            name: name.to_string(),
            slug: slug.to_string(),
            status: status.as_str(),
            contact_email: contact_email.map(|email| email.to_string()),
            max_tenants: max_tenants.map(Limit::get),
            max_users_per_tenant: max_users_per_tenant.map(Limit::get),
            max_applications_per_tenant: max_applications_per_tenant.map(Limit::get),
            usage: PartnerUsage { tenants },
            created_at,
            updated_at,
        }
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/admin/partners", "admin.partners.list", list)
        .says("List partners", "Newest first, unless `sort` says otherwise.");
    operations
        .post("/admin/partners", "admin.partners.create", create)
        .says("Make a partner", "Its tenants are made at `/admin/tenants`.");
    operations
        .get("/admin/partners/{partner_id}", "admin.partners.get", get_one)
        .says("Get a partner", "With its limits.");
    operations.patch("/admin/partners/{partner_id}", "admin.partners.update", update).says(
        "Change a partner",
        "Suspending it ends every session in its tenants and lets nobody sign in there. With `dry_run=true` nothing \
         changes, and the answer says what would.",
    );
    operations.delete("/admin/partners/{partner_id}", "admin.partners.delete", delete_one).says(
        "Delete a partner",
        "With its tenants and everything in them; every session there ends, and the slugs are free. Deleting it again \
         changes nothing. With `dry_run=true` nothing changes, and the answer says what would end.",
    );
}

async fn list(
    access: Access<ReadPartners, Everything>,
    listing: Listing<PartnerQuery, CreationOrName>,
    app: Data<App>,
) -> ApiResult<PartnerPage> {
    let PartnerQuery { search, status } = &listing.filter;
    let filter = PartnerFilter { search: search.clone(), statuses: status.clone() };
    let page = app
        .partners()
        .list(&access, &filter, listing.sort == CreationOrName::Name, listing.direction, &listing.request)
        .await?;
    Ok(listing.respond(&app, page, PartnerResponse::from))
}

async fn create(
    access: Access<WritePartners, Everything>,
    new: Valid<PartnerCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<PartnerResponse>>> {
    let PartnerCreateRequest {
        name,
        slug,
        contact_email,
        max_tenants,
        max_users_per_tenant,
        max_applications_per_tenant,
    } = new.0;
    let new = NewPartner { name, slug, contact_email, max_tenants, max_users_per_tenant, max_applications_per_tenant };
    call.idempotent(&app, async |meta| app.partners().create(&access, new, meta).await, |made| Created(made.into()))
        .await
}

async fn get_one(
    access: Access<ReadPartners, Everything>,
    id: PathId<PartnerId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<PartnerResponse>>> {
    Ok(Versioned::one(app.partners().get(&access, id.0).await?, Into::into))
}

async fn update(
    access: Access<WritePartners, Everything>,
    id: PathId<PartnerId>,
    patch: ValidOrDry<PartnerPatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<PartnerResponse>>> {
    let mode = patch.1;
    let PartnerPatchRequest {
        name,
        slug,
        status,
        contact_email,
        max_tenants,
        max_users_per_tenant,
        max_applications_per_tenant,
    } = patch.0;
    let patch = PartnerPatch {
        name: name.0,
        slug: slug.0,
        status: status.0,
        contact_email: contact_email.0,
        max_tenants: max_tenants.0,
        max_users_per_tenant: max_users_per_tenant.0,
        max_applications_per_tenant: max_applications_per_tenant.0,
        settings: None,
    };
    let (partner, effects) = app.partners().update(&access, id.0, patch, mode, &call.meta).await?;
    Ok(Versioned::changed(partner, effects, Into::into))
}

async fn delete_one(
    access: Access<DeletePartners, Everything>,
    id: PathId<PartnerId>,
    mode: RealOrDry,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<PartnerResponse>> {
    Ok(Removal::of(mode.0, app.partners().delete(&access, id.0, mode.0, &call.meta).await?))
}
