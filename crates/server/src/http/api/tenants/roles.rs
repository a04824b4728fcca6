//! The roles of a tenant.

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{DeleteRoles, PermissionPattern, PermissionSet, ReadRoles, WriteRoles},
    id::{RoleId, TenantId},
    text::Name,
};

use crate::{
    app::{App, client::Origin, roles::AnyRole},
    http::{
        api::admin::roles::{RolePage, RolePatchRequest, RoleQuery, RoleResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, Removal},
        extract::{
            access::{Access, InTenant, PathId},
            page::{ByCreation, Listing},
            valid::{RealOrDry, Valid},
        },
        input::{Many, body},
        once::Answered,
        operation::Operations,
        request::Asked,
    },
};

body! {
    /// A role to be made in the tenant.
    pub struct TenantRoleCreateRequest {
        /// The name, unique in the tenant.
        name: Name,
        /// What it allows; nothing that the caller may not.
        permissions: Many<PermissionPattern, 100>,
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations
        .get("/tenants/{tenant_id}/roles", "tenants.roles.list", list)
        .says("List the roles of a tenant", "Its own, newest first, then the built-in ones.");
    operations
        .post("/tenants/{tenant_id}/roles", "tenants.roles.create", create)
        .says("Make a role in a tenant", "Nobody makes a role that allows more than they may themselves.");
    operations
        .get("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.get", get_one)
        .says("Get a role of a tenant", "With what it allows; the built-in ones belong to every tenant.");
    operations
        .patch("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.update", update)
        .says("Change a role of a tenant", "Whoever holds it is affected within a second.");
    operations.delete("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.delete", delete_one).says(
        "Delete a role of a tenant",
        "Whoever holds it is affected within a second; its name is free. Nobody deletes a role that allows more than \
         they may. Deleting it again changes nothing, and neither does `dry_run=true`.",
    );
}

async fn list(
    access: Access<ReadRoles, InTenant>,
    listing: Listing<RoleQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<RolePage> {
    let page = app.list_roles(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleResponse::from))
}

async fn create(
    access: Access<WriteRoles, InTenant>,
    tenant: PathId<TenantId>,
    new: Valid<TenantRoleCreateRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<RoleResponse>>> {
    let TenantRoleCreateRequest { name, permissions } = new.0;
    let permissions = PermissionSet::new(permissions.0);
    let create = async |origin: &Origin| app.create_role(&access, tenant.0, name, permissions, origin).await;
    asked.once(&app, create, |role| Created(AnyRole::Custom(role).into())).await
}

async fn get_one(
    access: Access<ReadRoles, InTenant>,
    id: PathId<RoleId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    Ok(Versioned::one(app.role(&access, id.0).await?, Into::into))
}

async fn update(
    access: Access<WriteRoles, InTenant>,
    id: PathId<RoleId>,
    patch: Valid<RolePatchRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    let (name, permissions) = patch.0.parts();
    let role = app.update_role(&access, id.0, name, permissions, &asked.origin).await?;
    Ok(Versioned::one(AnyRole::Custom(role), Into::into))
}

async fn delete_one(
    access: Access<DeleteRoles, InTenant>,
    id: PathId<RoleId>,
    mode: RealOrDry,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<RoleResponse>> {
    Ok(Removal::of(mode.0, app.delete_role(&access, id.0, mode.0, &asked.origin).await?))
}
