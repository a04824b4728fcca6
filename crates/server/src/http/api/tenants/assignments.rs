//! Who holds which role in a tenant.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeleteAssignments, ReadAssignments, WriteAssignments},
    id::AssignmentId,
};

use crate::{
    app::App,
    http::{
        api::admin::assignments::{
            AssignmentPage, AssignmentQuery, RoleAssignmentCreateRequest, RoleAssignmentPatchRequest,
            RoleAssignmentResponse,
        },
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, Removal},
        extract::{
            access::{Access, InTenant, PathId},
            page::{ByCreation, Listing},
            valid::{RealOrDry, Valid},
        },
        once::Answered,
        operation::Operations,
        request::Asked,
    },
};

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/tenants/{tenant_id}/role-assignments", "tenants.role_assignments.list", list)
        .says("List the role assignments of a tenant's users", "Newest first.");
    operations.post("/tenants/{tenant_id}/role-assignments", "tenants.role_assignments.create", create).says(
        "Give a role to a user of a tenant",
        "In this tenant. Nobody gives what they do not hold there. It holds within a second.",
    );
    operations
        .get("/tenants/{tenant_id}/role-assignments/{assignment_id}", "tenants.role_assignments.get", get_one)
        .says("Get a role assignment of a tenant's user", "Who holds which role where, and until when.");
    operations
        .patch("/tenants/{tenant_id}/role-assignments/{assignment_id}", "tenants.role_assignments.update", update)
        .says("Change when a role assignment of a tenant's user ends", "An instant that has passed ends it at once.");
    operations
        .delete("/tenants/{tenant_id}/role-assignments/{assignment_id}", "tenants.role_assignments.delete", delete_one)
        .says(
            "Take a role from a user of a tenant",
            "It holds no more within a second. Taking it again changes nothing, and neither does `dry_run=true`.",
        );
}

async fn list(
    access: Access<ReadAssignments, InTenant>,
    listing: Listing<AssignmentQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<AssignmentPage> {
    let page = app.list_assignments(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleAssignmentResponse::from))
}

async fn create(
    access: Access<WriteAssignments, InTenant>,
    new: Valid<RoleAssignmentCreateRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<RoleAssignmentResponse>>> {
    let assign = new.0.parse()?;
    asked.once(&app, async |origin| app.assign(&access, assign, origin).await, |made| Created(made.into())).await
}

async fn get_one(
    access: Access<ReadAssignments, InTenant>,
    id: PathId<AssignmentId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleAssignmentResponse>>> {
    Ok(Versioned::one(app.assignment(&access, id.0).await?, Into::into))
}

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

async fn delete_one(
    access: Access<DeleteAssignments, InTenant>,
    id: PathId<AssignmentId>,
    mode: RealOrDry,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<RoleAssignmentResponse>> {
    Ok(Removal::of(mode.0, app.unassign(&access, id.0, mode.0, &asked.origin).await?))
}
