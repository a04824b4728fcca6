//! Roles.

use actix_web::{delete, get, patch, post, web::Data};
use gatehouse_domain::{
    authz::{DeleteRoles, PermissionPattern, PermissionSet, ReadRoles, WriteRoles},
    id::{PartnerId, RoleId, TenantId},
    role::Role,
    text::Name,
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{
        App,
        client::Origin,
        roles::{AnyRole, RoleFilter},
    },
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, PaginatedResponse, Removal},
        extract::{
            access::{Access, Directory, PathId},
            page::{ByCreation, Listing, Paged},
            valid::{DryRunQuery, RealOrDry, Valid},
        },
        input::{Many, Opaque, Set, body, query},
        mount::Mount,
        once::Answered,
        request::Asked,
    },
};

/// A page of roles.
pub type RolePage = PaginatedResponse<RoleResponse>;
/// One role.
pub type OneRole = ApiResponse<RoleResponse>;

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleResponse {
    /// The id.
    #[schema(inline)]
    pub id: RoleId,
    /// The name.
    #[schema(max_length = 400, example = "tenant_admin")]
    pub name: String,
    /// The tenant it belongs to; null for the built-in roles.
    #[schema(required = true, inline)]
    pub tenant_id: Option<TenantId>,
    /// Whether it is one of `super_admin`, `partner_admin` and `tenant_admin`, which cannot be changed.
    pub built_in: bool,
    /// What it allows: `resource:action`, either part may be `*`.
    #[schema(max_items = 1000, example = json!(["sessions:read"]))]
    pub permissions: Vec<String>,
    /// When it was made; null for the built-in roles.
    #[schema(required = true, inline)]
    pub created_at: Option<Timestamp>,
    /// When it was last changed; null for the built-in roles.
    #[schema(required = true, inline)]
    pub updated_at: Option<Timestamp>,
}

query! {
    /// Whose roles.
    pub struct RolesOfQuery {
        /// Only roles of these tenants.
        tenant_id: Vec<TenantId>,
        /// Only roles of tenants of these partners.
        partner_id: Vec<PartnerId>,
    }

    /// Filters of roles.
    pub struct RoleQuery {
        /// Only roles of these names, without regard to case.
        name: Vec<Opaque<100>>,
    }
}

body! {
    /// A role to be made for a tenant.
    pub struct RoleCreateRequest {
        /// The name, unique in the tenant.
        name: Name,
        /// The tenant.
        tenant_id: TenantId,
        /// What it allows; nothing that the caller may not.
        permissions: Many<PermissionPattern, 100>,
    }

    /// What changes of a role; what is absent stays.
    pub struct RolePatchRequest {
        /// The name.
        name: Set<Name>,
        /// What it allows; replaces the list.
        permissions: Set<Many<PermissionPattern, 100>>,
    }
}

impl From<&RoleQuery> for RoleFilter {
    fn from(RoleQuery { name }: &RoleQuery) -> Self {
        Self { names: name.iter().map(|name| name.0.clone()).collect(), ..Self::default() }
    }
}

impl RolePatchRequest {
    /// The new name and the new list, where they change.
    pub(in crate::http::api) fn parts(self) -> (Option<Name>, Option<PermissionSet>) {
        let Self { name, permissions } = self;
        (name.0, permissions.0.map(|permissions| PermissionSet::new(permissions.0)))
    }
}

fn patterns(set: &PermissionSet) -> Vec<String> {
    set.iter().map(PermissionPattern::to_string).collect()
}

impl From<AnyRole> for RoleResponse {
    fn from(role: AnyRole) -> Self {
        match role {
            AnyRole::Builtin(role) => Self {
                id: role.id(),
                name: role.name().to_owned(),
                tenant_id: None,
                built_in: true,
                permissions: patterns(&role.permissions()),
                created_at: None,
                updated_at: None,
            },
            AnyRole::Custom(Role {
                id,
                tenant_id,
                partner_id: _,
                name,
                permissions,
                created_at,
                updated_at,
                deleted_at: _,
                version: _,
            }) => Self {
                id,
                name: name.to_string(),
                tenant_id: Some(tenant_id),
                built_in: false,
                permissions: patterns(&permissions),
                created_at: Some(created_at),
                updated_at: Some(updated_at),
            },
        }
    }
}

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list).mount(create).mount(get_one).mount(update).mount(delete_one);
}

/// List roles
///
/// Roles of tenants, newest first, then the built-in ones, unless a tenant or partner is asked for.
#[utoipa::path(tag = "admin-roles", operation_id = "admin.roles.list", params(RolesOfQuery, RoleQuery, Paged<ByCreation>), responses((status = 200, body = RolePage)))]
#[get("/admin/roles")]
async fn list(
    access: Access<ReadRoles, Directory>,
    listing: Listing<(RolesOfQuery, RoleQuery), ByCreation>,
    app: Data<App>,
) -> ApiResult<RolePage> {
    let (RolesOfQuery { tenant_id, partner_id }, query) = &listing.filter;
    let filter = RoleFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.into() };
    let page = app.list_roles(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleResponse::from))
}

/// Make a role
///
/// For one tenant; it can be given there only. Nobody makes a role that allows more than they may themselves.
#[utoipa::path(tag = "admin-roles", operation_id = "admin.roles.create", request_body = RoleCreateRequest, responses((status = 201, body = OneRole)))]
#[post("/admin/roles")]
async fn create(
    access: Access<WriteRoles, Directory>,
    new: Valid<RoleCreateRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<Created<RoleResponse>>> {
    let RoleCreateRequest { name, tenant_id, permissions } = new.0;
    let permissions = PermissionSet::new(permissions.0);
    let create = async |origin: &Origin| app.create_role(&access, tenant_id, name, permissions, origin).await;
    asked.once(&app, create, |role| Created(AnyRole::Custom(role).into())).await
}

/// Get a role
///
/// With what it allows.
#[utoipa::path(tag = "admin-roles", operation_id = "admin.roles.get", params(("role_id" = inline(RoleId), Path, description = "The role.")), responses((status = 200, body = OneRole)))]
#[get("/admin/roles/{role_id}")]
async fn get_one(
    access: Access<ReadRoles, Directory>,
    id: PathId<RoleId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    Ok(Versioned::one(app.role(&access, id.0).await?, Into::into))
}

/// Change a role
///
/// Whoever holds it is affected within a second.
#[utoipa::path(tag = "admin-roles", operation_id = "admin.roles.update", params(("role_id" = inline(RoleId), Path, description = "The role.")), request_body = RolePatchRequest, responses((status = 200, body = OneRole)))]
#[patch("/admin/roles/{role_id}")]
async fn update(
    access: Access<WriteRoles, Directory>,
    id: PathId<RoleId>,
    patch: Valid<RolePatchRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    let (name, permissions) = patch.0.parts();
    let role = app.update_role(&access, id.0, name, permissions, &asked.origin).await?;
    Ok(Versioned::one(AnyRole::Custom(role), Into::into))
}

/// Delete a role
///
/// Whoever holds it is affected within a second; its name is free. Nobody deletes a role that allows more than they may.
/// Deleting it again changes nothing, and neither does `dry_run=true`.
#[utoipa::path(tag = "admin-roles", operation_id = "admin.roles.delete", params(("role_id" = inline(RoleId), Path, description = "The role."), DryRunQuery), responses((status = 200, body = OneRole), (status = 204)))]
#[delete("/admin/roles/{role_id}")]
async fn delete_one(
    access: Access<DeleteRoles, Directory>,
    id: PathId<RoleId>,
    mode: RealOrDry,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Removal<RoleResponse>> {
    Ok(Removal::of(mode.0, app.delete_role(&access, id.0, mode.0, &asked.origin).await?))
}
