//! Who holds which role where, in all tenants and in one.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeleteAssignments, ReadAssignments, WriteAssignments},
    id::{AssignmentId, PartnerId, RoleId, TenantId, UserId},
    issue::{Fault, Issues},
    role::{Anchor, Assignment},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    app::{
        App,
        authority::assignments::{Assign, AssignmentFilter},
    },
    http::{
        api::user::AnchorResponse,
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, PaginatedResponse, Removal},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId},
            page::{ByCreation, Listing, Narrow},
            valid::{RealOrDry, Valid},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{At, Field, Patch, Raw, input},
};

/// A page of assignments.
pub type AssignmentPage = PaginatedResponse<RoleAssignmentResponse>;
/// One assignment.
pub type OneAssignment = ApiResponse<RoleAssignmentResponse>;

/// A role given to a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAssignmentResponse {
    /// The id.
    #[schema(inline)]
    pub id: AssignmentId,
    /// Who holds the role.
    #[schema(inline)]
    pub user_id: UserId,
    /// The tenant of the user.
    #[schema(inline)]
    pub tenant_id: TenantId,
    /// The role.
    #[schema(inline)]
    pub role_id: RoleId,
    /// Where it holds.
    pub anchor: AnchorResponse,
    /// When it ends by itself.
    #[schema(required = true, inline)]
    pub expires_at: Option<Timestamp>,
    /// When it was given.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(inline)]
    pub updated_at: Timestamp,
}

input! {
    /// Whose assignments.
    pub struct AssignmentsOfQuery {
        /// Only assignments of users in these tenants.
        tenant_id: Vec<TenantId>,
        /// Only assignments of users in tenants of these partners.
        partner_id: Vec<PartnerId>,
    }

    /// Filters of assignments.
    pub struct AssignmentQuery {
        /// Only assignments of these users.
        user_id: Vec<UserId>,
        /// Only assignments of these roles.
        role_id: Vec<RoleId>,
    }
}

input! {
    /// Where a role holds: the platform, or exactly one partner or tenant.
    pub struct AnchorRequest {
        /// The level.
        level: Level,
        /// The partner, at that level.
        partner_id: Option<PartnerId>,
        /// The tenant, at that level.
        tenant_id: Option<TenantId>,
    }

    /// A role to be given to a user.
    pub struct RoleAssignmentCreateRequest {
        /// Who gets it.
        user_id: UserId,
        /// The role.
        role_id: RoleId,
        /// Where it holds.
        anchor: AnchorRequest,
        /// When it ends by itself.
        expires_at: Option<Timestamp>,
    }

    /// What changes of an assignment.
    pub struct RoleAssignmentPatchRequest {
        /// When it ends by itself; null is never.
        expires_at: Patch<Timestamp>,
    }
}

/// The level of an anchor.
#[derive(Debug, Clone, Copy)]
pub enum Level {
    /// The platform.
    Platform,
    /// A partner.
    Partner,
    /// A tenant.
    Tenant,
}

impl Field for Level {
    fn read(raw: Raw, at: &mut At<'_>) -> Option<Self> {
        match raw {
            Raw::String(word) if word == "platform" => Some(Self::Platform),
            Raw::String(word) if word == "partner" => Some(Self::Partner),
            Raw::String(word) if word == "tenant" => Some(Self::Tenant),
            _ => at.fault(Fault::new("enum", "must be one of platform, partner, tenant")),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["platform", "partner", "tenant"])).into()
    }
}

impl AnchorRequest {
    fn parse(&self) -> Result<Anchor, Issues> {
        match (self.level, self.partner_id, self.tenant_id) {
            (Level::Platform, None, None) => Ok(Anchor::Platform),
            (Level::Partner, Some(id), None) => Ok(Anchor::Partner(id)),
            (Level::Tenant, None, Some(id)) => Ok(Anchor::Tenant(id)),
            _ => {
                let fault = Fault::new(
                    "anchor",
                    "needs partner_id at level partner, tenant_id at level tenant, and nothing else",
                );
                Err(fault.at(vec!["body".into(), "anchor".into()]).into())
            }
        }
    }
}

impl RoleAssignmentCreateRequest {
    /// What is asked for, if the anchor makes sense.
    pub(in crate::http::api) fn parse(self) -> Result<Assign, Issues> {
        let Self { user_id, role_id, anchor, expires_at } = self;
        Ok(Assign { user_id, role_id, anchor: anchor.parse()?, expires_at })
    }
}

impl Narrow<AssignmentFilter> for AssignmentQuery {
    fn narrow(&self) -> AssignmentFilter {
        let AssignmentQuery { user_id, role_id } = self;
        AssignmentFilter { users: user_id.clone(), roles: role_id.clone(), ..AssignmentFilter::default() }
    }
}

impl Narrow<AssignmentFilter> for (AssignmentsOfQuery, AssignmentQuery) {
    fn narrow(&self) -> AssignmentFilter {
        let (AssignmentsOfQuery { tenant_id, partner_id }, query) = self;
        AssignmentFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.narrow() }
    }
}

impl From<Assignment> for RoleAssignmentResponse {
    fn from(assignment: Assignment) -> Self {
        let Assignment {
            id,
            tenant_id,
            partner_id: _,
            user_id,
            role_id,
            anchor,
            expires_at,
            created_at,
            updated_at,
            deleted_at: _,
            version: _,
        } = assignment;
        Self { id, user_id, tenant_id, role_id, anchor: anchor.into(), expires_at, created_at, updated_at }
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get(
            "/admin/role-assignments",
            "admin.role_assignments.list",
            list::<Directory, (AssignmentsOfQuery, AssignmentQuery)>,
        )
        .says("List role assignments", "Of users in all tenants, or in those of the caller's partners; newest first.");
    operations.post("/admin/role-assignments", "admin.role_assignments.create", create::<Directory>).says(
        "Give a role to a user",
        "Nobody gives what they do not hold, or where they do not hold it. It holds within a second.",
    );
    operations
        .get("/admin/role-assignments/{assignment_id}", "admin.role_assignments.get", get_one::<Directory>)
        .says("Get a role assignment", "Who holds which role where, and until when.");
    operations
        .patch("/admin/role-assignments/{assignment_id}", "admin.role_assignments.update", update::<Directory>)
        .says("Change when a role assignment ends", "An instant that has passed ends it at once.");
    operations
        .delete("/admin/role-assignments/{assignment_id}", "admin.role_assignments.delete", delete_one::<Directory>)
        .says(
            "Take a role from a user",
            "It holds no more within a second. Taking it again changes nothing, and neither does `dry_run=true`.",
        );
    operations
        .get(
            "/tenants/{tenant_id}/role-assignments",
            "tenants.role_assignments.list",
            list::<InTenant, AssignmentQuery>,
        )
        .says("List the role assignments of a tenant's users", "Newest first.");
    operations
        .post("/tenants/{tenant_id}/role-assignments", "tenants.role_assignments.create", create::<InTenant>)
        .says(
            "Give a role to a user of a tenant",
            "In this tenant. Nobody gives what they do not hold there. It holds within a second.",
        );
    operations
        .get(
            "/tenants/{tenant_id}/role-assignments/{assignment_id}",
            "tenants.role_assignments.get",
            get_one::<InTenant>,
        )
        .says("Get a role assignment of a tenant's user", "Who holds which role where, and until when.");
    operations
        .patch(
            "/tenants/{tenant_id}/role-assignments/{assignment_id}",
            "tenants.role_assignments.update",
            update::<InTenant>,
        )
        .says("Change when a role assignment of a tenant's user ends", "An instant that has passed ends it at once.");
    operations
        .delete(
            "/tenants/{tenant_id}/role-assignments/{assignment_id}",
            "tenants.role_assignments.delete",
            delete_one::<InTenant>,
        )
        .says(
            "Take a role from a user of a tenant",
            "It holds no more within a second. Taking it again changes nothing, and neither does `dry_run=true`.",
        );
}

async fn list<L: Anywhere, Q: Narrow<AssignmentFilter> + 'static>(
    access: Access<ReadAssignments, L>,
    listing: Listing<Q, ByCreation>,
    app: Data<App>,
) -> ApiResult<AssignmentPage> {
    let page = app.assignments().list(&access, &listing.filter.narrow(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleAssignmentResponse::from))
}

async fn create<L: Anywhere>(
    access: Access<WriteAssignments, L>,
    new: Valid<RoleAssignmentCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<RoleAssignmentResponse>>> {
    let assign = new.0.parse()?;
    call.idempotent(
        &app,
        async |meta| app.assignments().create(&access, assign, meta).await,
        |made| Created(made.into()),
    )
    .await
}

async fn get_one<L: Anywhere>(
    access: Access<ReadAssignments, L>,
    id: PathId<AssignmentId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleAssignmentResponse>>> {
    Ok(Versioned::one(app.assignments().get(&access, id.0).await?, Into::into))
}

async fn update<L: Anywhere>(
    access: Access<WriteAssignments, L>,
    id: PathId<AssignmentId>,
    patch: Valid<RoleAssignmentPatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleAssignmentResponse>>> {
    let assignment = app.assignments().update(&access, id.0, patch.0.expires_at.0, &call.meta).await?;
    Ok(Versioned::one(assignment, Into::into))
}

async fn delete_one<L: Anywhere>(
    access: Access<DeleteAssignments, L>,
    id: PathId<AssignmentId>,
    mode: RealOrDry,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<RoleAssignmentResponse>> {
    Ok(Removal::of(mode.0, app.assignments().delete(&access, id.0, mode.0, &call.meta).await?))
}
