//! Applications: OAuth clients of the platform, of partners and of tenants. Those above are seen from below, and changed
//! where they belong.

mod fields;

use actix_web::web::Data;
use gatehouse_domain::{
    application::{ApplicationType, ScopeLevel},
    authz::{DeleteApplications, ReadApplications, WriteApplications},
    id::{ApplicationId, PartnerId, TenantId},
    partner::Status,
    search::Search,
};

use crate::{
    app::{
        App,
        applications::{ApplicationFilter, CreateApplication},
        request::client::RequestMeta,
    },
    http::{
        api::application::{
            ApplicationPage, ApplicationResponse, ApplicationSecretResponse, OneApplicationSecret, OneTokensRevoked,
            TokensRevokedResponse,
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, Removal, WithEffects},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId},
            page::{ByCreation, Listing, Narrow},
            valid::{NoBody, RealOrDry, Valid, ValidOrDry},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::input,
};

pub use fields::{
    ApplicationCreateRequest, ApplicationPatchRequest, ResourceScopeRequest, SecretRotateRequest,
    TenantApplicationCreateRequest,
};

input! {
    /// Whose applications.
    pub struct ApplicationsOfQuery {
        /// Only applications of these tenants.
        tenant_id: Vec<TenantId>,
        /// Only applications of these partners and of their tenants.
        partner_id: Vec<PartnerId>,
    }

    /// Filters of applications.
    pub struct ApplicationQuery {
        /// Only applications with a name in which words begin like each of these, without regard to case and accents.
        search: Option<Search>,
        /// Only applications with one of these statuses.
        status: Vec<Status>,
        /// Only applications of one of these types.
        application_type: Vec<ApplicationType>,
        /// Only applications of one of these levels.
        scope_level: Vec<ScopeLevel>,
    }
}

impl Narrow<ApplicationFilter> for ApplicationQuery {
    fn narrow(&self) -> ApplicationFilter {
        let Self { search, status, application_type, scope_level } = self;
        ApplicationFilter {
            search: search.clone(),
            statuses: status.clone(),
            types: application_type.clone(),
            levels: scope_level.clone(),
            ..ApplicationFilter::default()
        }
    }
}

impl Narrow<ApplicationFilter> for (ApplicationsOfQuery, ApplicationQuery) {
    fn narrow(&self) -> ApplicationFilter {
        let (ApplicationsOfQuery { tenant_id, partner_id }, query) = self;
        ApplicationFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.narrow() }
    }
}

const CREATES: &str = "A secret is shown once, as `client_secret`. The scopes of an application open no more than the \
                       caller may do.";
const UPDATES: &str = "An application of another level can be seen and not changed. While it is suspended nothing of it \
                       works. With `dry_run=true` nothing changes, and the answer says what would.";
const DELETES: &str = "Nothing of it works any more. Deleting it again changes nothing. With `dry_run=true` nothing \
                       changes, and the answer says what would end.";
const ROTATES: &str = "The new secret is shown once. The one before works for as long as is asked; any other stops \
                       working at once.";

const REVOKES: &str = "Every token that it got until now, of whatever users and in its own name, ends within a second. Users \
                       stay signed in here, so that it gets others without a page.";

pub(super) fn mount(operations: &mut Operations) {
    let all = list::<Directory, (ApplicationsOfQuery, ApplicationQuery)>;
    operations
        .get("/admin/applications", "admin.applications.list", all)
        .says("List applications", "Newest first: the platform's, and those of the partners and tenants administered.");
    operations.post("/admin/applications", "admin.applications.create", create).says("Make an application", CREATES);
    operations
        .get("/admin/applications/{application_id}", "admin.applications.get", get_one::<Directory>)
        .says("Get an application", "With what it is registered with.");
    operations
        .patch("/admin/applications/{application_id}", "admin.applications.update", update::<Directory>)
        .says("Change an application", UPDATES);
    operations
        .delete("/admin/applications/{application_id}", "admin.applications.delete", delete_one::<Directory>)
        .says("Delete an application", DELETES);
    operations
        .post(
            "/admin/applications/{application_id}/rotate-secret",
            "admin.applications.rotate_secret",
            rotate_secret::<Directory>,
        )
        .says("Give an application another secret", ROTATES);
    operations
        .post(
            "/admin/applications/{application_id}/revoke-tokens",
            "admin.applications.revoke_tokens",
            revoke_tokens::<Directory>,
        )
        .says("End the tokens of an application", REVOKES);
    operations
        .get("/tenants/{tenant_id}/applications", "tenants.applications.list", list::<InTenant, ApplicationQuery>)
        .says("List the applications of a tenant", "Newest first: its own, its partner's and the platform's.");
    operations
        .post("/tenants/{tenant_id}/applications", "tenants.applications.create", create_in_tenant)
        .says("Make an application in a tenant", CREATES);
    operations
        .get("/tenants/{tenant_id}/applications/{application_id}", "tenants.applications.get", get_one::<InTenant>)
        .says("Get an application of a tenant", "Its own, its partner's or the platform's.");
    operations
        .patch("/tenants/{tenant_id}/applications/{application_id}", "tenants.applications.update", update::<InTenant>)
        .says("Change an application of a tenant", UPDATES);
    operations
        .delete(
            "/tenants/{tenant_id}/applications/{application_id}",
            "tenants.applications.delete",
            delete_one::<InTenant>,
        )
        .says("Delete an application of a tenant", DELETES);
    operations
        .post(
            "/tenants/{tenant_id}/applications/{application_id}/rotate-secret",
            "tenants.applications.rotate_secret",
            rotate_secret::<InTenant>,
        )
        .says("Give a tenant's application another secret", ROTATES);
    operations
        .post(
            "/tenants/{tenant_id}/applications/{application_id}/revoke-tokens",
            "tenants.applications.revoke_tokens",
            revoke_tokens::<InTenant>,
        )
        .says("End the tokens of a tenant's application", REVOKES);
}

async fn list<L: Anywhere, Q: Narrow<ApplicationFilter> + 'static>(
    access: Access<ReadApplications, L>,
    listing: Listing<Q, ByCreation>,
    app: Data<App>,
) -> ApiResult<ApplicationPage> {
    let filter = listing.filter.narrow();
    let page = app.applications().list(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, ApplicationResponse::from))
}

async fn create(
    access: Access<WriteApplications, Directory>,
    new: Valid<ApplicationCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<ApplicationSecretResponse>>> {
    let new = new.0.wanted()?;
    Box::pin(make(&access, new, call, &app)).await
}

async fn create_in_tenant(
    access: Access<WriteApplications, InTenant>,
    tenant: PathId<TenantId>,
    new: Valid<TenantApplicationCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<ApplicationSecretResponse>>> {
    Box::pin(make(&access, new.0.wanted(tenant.0), call, &app)).await
}

async fn make<L: Anywhere>(
    access: &Access<WriteApplications, L>,
    new: CreateApplication,
    call: ChangeRequest,
    app: &App,
) -> ApiResult<Idempotent<Created<ApplicationSecretResponse>>> {
    let create = async |meta: &RequestMeta| app.applications().create(access, new, meta).await;
    Box::pin(call.idempotent(app, create, |made| Created(made.into()))).await
}

async fn get_one<L: Anywhere>(
    access: Access<ReadApplications, L>,
    id: PathId<ApplicationId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<ApplicationResponse>>> {
    Ok(Versioned::one(app.applications().get(&access, id.0).await?, Into::into))
}

async fn update<L: Anywhere>(
    access: Access<WriteApplications, L>,
    id: PathId<ApplicationId>,
    patch: ValidOrDry<ApplicationPatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<WithEffects<ApplicationResponse>>> {
    let ValidOrDry(patch, mode) = patch;
    let change = patch.change_of();
    let (application, effects) = app.applications().update(&access, id.0, change, mode, &call.meta).await?;
    Ok(Versioned::changed(application, effects, Into::into))
}

async fn rotate_secret<L: Anywhere>(
    access: Access<WriteApplications, L>,
    id: PathId<ApplicationId>,
    how: Valid<SecretRotateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<OneApplicationSecret>> {
    let previous = how.0.expire_previous_in.0;
    let rotate = async |meta: &RequestMeta| app.applications().rotate_secret(&access, id.0, previous, meta).await;
    call.idempotent(&app, rotate, |rotated| ApiResponse(rotated.into())).await
}

async fn revoke_tokens<L: Anywhere>(
    access: Access<WriteApplications, L>,
    id: PathId<ApplicationId>,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<OneTokensRevoked>> {
    let revoke = async |meta: &RequestMeta| app.applications().revoke_tokens(&access, id.0, meta).await;
    let show = |(families, issued_before)| ApiResponse(TokensRevokedResponse { families, issued_before });
    call.idempotent(&app, revoke, show).await
}

async fn delete_one<L: Anywhere>(
    access: Access<DeleteApplications, L>,
    id: PathId<ApplicationId>,
    mode: RealOrDry,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<ApplicationResponse>> {
    Ok(Removal::of(mode.0, app.applications().delete(&access, id.0, mode.0, &call.meta).await?))
}
