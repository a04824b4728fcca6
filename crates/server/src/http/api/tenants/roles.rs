//! The roles of a tenant.

use actix_web::{delete, get, patch, post, web::Data};
use gatehouse_domain::{
    authz::{DeleteRoles, PermissionPattern, PermissionSet, ReadRoles, WriteRoles},
    id::{RoleId, TenantId},
    text::Name,
};

use crate::{
    app::{App, client::Origin, roles::AnyRole},
    http::{
        api::admin::roles::{OneRole, RolePage, RolePatchRequest, RoleQuery, RoleResponse},
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, Removal},
        extract::{
            access::{Access, InTenant, PathId},
            page::{ByCreation, Listing, Paged},
            valid::{DryRunQuery, RealOrDry, Valid},
        },
        input::{Many, body},
        mount::Mount,
        once::Answered,
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

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list).mount(create).mount(get_one).mount(update).mount(delete_one);
}

/// List the roles of a tenant
///
/// Its own, newest first, then the built-in ones.
#[utoipa::path(tag = "tenants-roles", operation_id = "tenants.roles.list", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), RoleQuery, Paged<ByCreation>), responses((status = 200, body = RolePage)))]
#[get("/tenants/{tenant_id}/roles")]
async fn list(
    access: Access<ReadRoles, InTenant>,
    listing: Listing<RoleQuery, ByCreation>,
    app: Data<App>,
) -> ApiResult<RolePage> {
    let page = app.list_roles(&access, &(&listing.filter).into(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleResponse::from))
}

/// Make a role in a tenant
///
/// Nobody makes a role that allows more than they may themselves.
#[utoipa::path(tag = "tenants-roles", operation_id = "tenants.roles.create", params(("tenant_id" = inline(TenantId), Path, description = "The tenant.")), request_body = TenantRoleCreateRequest, responses((status = 201, body = OneRole)))]
#[post("/tenants/{tenant_id}/roles")]
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

/// Get a role of a tenant
///
/// With what it allows; the built-in ones belong to every tenant.
#[utoipa::path(tag = "tenants-roles", operation_id = "tenants.roles.get", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("role_id" = inline(RoleId), Path, description = "The role.")), responses((status = 200, body = OneRole)))]
#[get("/tenants/{tenant_id}/roles/{role_id}")]
async fn get_one(
    access: Access<ReadRoles, InTenant>,
    id: PathId<RoleId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    Ok(Versioned::one(app.role(&access, id.0).await?, Into::into))
}

/// Change a role of a tenant
///
/// Whoever holds it is affected within a second.
#[utoipa::path(tag = "tenants-roles", operation_id = "tenants.roles.update", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("role_id" = inline(RoleId), Path, description = "The role.")), request_body = RolePatchRequest, responses((status = 200, body = OneRole)))]
#[patch("/tenants/{tenant_id}/roles/{role_id}")]
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

/// Delete a role of a tenant
///
/// Whoever holds it is affected within a second; its name is free. Nobody deletes a role that allows more than they may.
/// Deleting it again changes nothing, and neither does `dry_run=true`.
#[utoipa::path(tag = "tenants-roles", operation_id = "tenants.roles.delete", params(("tenant_id" = inline(TenantId), Path, description = "The tenant."), ("role_id" = inline(RoleId), Path, description = "The role."), DryRunQuery), responses((status = 200, body = OneRole), (status = 204)))]
#[delete("/tenants/{tenant_id}/roles/{role_id}")]
async fn delete_one(
    access: Access<DeleteRoles, InTenant>,
    id: PathId<RoleId>,
    mode: RealOrDry,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<RoleResponse>> {
    Ok(Removal::of(mode.0, app.delete_role(&access, id.0, mode.0, &asked.origin).await?))
}
