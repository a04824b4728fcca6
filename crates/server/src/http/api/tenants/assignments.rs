//! Who holds which role in a tenant.

use actix_web::{delete, get, patch, post, web::Data};
use gatehouse_domain::{
    authz::{DeleteAssignments, ReadAssignments, WriteAssignments},
    id::{AssignmentId, TenantId},
};

use crate::{
    app::App,
    http::{
        api::admin::assignments::{
            AssignmentPage, AssignmentQuery, OneAssignment, RoleAssignmentCreateRequest, RoleAssignmentPatchRequest,
            RoleAssignmentResponse,
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, Removal},
        extract::{
            access::{Access, InTenant, PathId},
            page::{ByCreation, Listing, Paged},
            valid::{DryRunQuery, RealOrDry, Valid},
        },
        mount::Mount,
        once::Answered,
        request::Asked,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list).mount(create).mount(get_one).mount(update).mount(delete_one);
}

/// List the role assignments of a tenant's users
///
/// Newest first.
#[utoipa::path(tag = "tenants-role-assignments", operation_id = "tenants.role_assignments.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), AssignmentQuery, Paged<ByCreation>), responses((status = 200, body = AssignmentPage)))]
#[get("/tenants/{tenant_id}/role-assignments")]
async fn list(
    access: Access<ReadAssignments, InTenant>,
    listing: Listing<AssignmentQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<AssignmentPage> {
    let page = app.list_assignments(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleAssignmentResponse::from))
}

/// Give a role to a user of a tenant
///
/// In this tenant. Nobody gives what they do not hold there. It holds within a second.
#[utoipa::path(tag = "tenants-role-assignments", operation_id = "tenants.role_assignments.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), request_body = RoleAssignmentCreateRequest, responses((status = 201, body = OneAssignment)))]
#[post("/tenants/{tenant_id}/role-assignments")]
async fn create(
    access: Access<WriteAssignments, InTenant>,
    new: Valid<RoleAssignmentCreateRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<RoleAssignmentResponse>>> {
    let assign = new.0.parse()?;
    asked.once(&app, async |origin| app.assign(&access, assign, origin).await, |made| Created(made.into())).await
}

/// Get a role assignment of a tenant's user
///
/// Who holds which role where, and until when.
#[utoipa::path(tag = "tenants-role-assignments", operation_id = "tenants.role_assignments.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("assignment_id" = inline(AssignmentId), Path, description = "The assignment.")), responses((status = 200, body = OneAssignment)))]
#[get("/tenants/{tenant_id}/role-assignments/{assignment_id}")]
async fn get_one(
    access: Access<ReadAssignments, InTenant>,
    id: PathId<AssignmentId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleAssignmentResponse>>> {
    Ok(Versioned::one(app.assignment(&access, id.0).await?, Into::into))
}

/// Change when a role assignment of a tenant's user ends
///
/// An instant that has passed ends it at once.
#[utoipa::path(tag = "tenants-role-assignments", operation_id = "tenants.role_assignments.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("assignment_id" = inline(AssignmentId), Path, description = "The assignment.")), request_body = RoleAssignmentPatchRequest, responses((status = 200, body = OneAssignment)))]
#[patch("/tenants/{tenant_id}/role-assignments/{assignment_id}")]
async fn update(
    access: Access<WriteAssignments, InTenant>,
    id: PathId<AssignmentId>,
    patch: Valid<RoleAssignmentPatchRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleAssignmentResponse>>> {
    let assignment = app.update_assignment(&access, id.0, patch.0.expires_at.0, &asked.origin).await?;
    Ok(Versioned::one(assignment, Into::into))
}

/// Take a role from a user of a tenant
///
/// It holds no more within a second. Taking it again changes nothing, and neither does `dry_run=true`.
#[utoipa::path(tag = "tenants-role-assignments", operation_id = "tenants.role_assignments.delete", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("assignment_id" = inline(AssignmentId), Path, description = "The assignment."), DryRunQuery), responses((status = 200, body = OneAssignment), (status = 204)))]
#[delete("/tenants/{tenant_id}/role-assignments/{assignment_id}")]
async fn delete_one(
    access: Access<DeleteAssignments, InTenant>,
    id: PathId<AssignmentId>,
    mode: RealOrDry,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<RoleAssignmentResponse>> {
    Ok(Removal::of(mode.0, app.unassign(&access, id.0, mode.0, &asked.origin).await?))
}
