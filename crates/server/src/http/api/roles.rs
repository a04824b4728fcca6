//! Roles, of all tenants and of one.

use actix_web::web::Data;
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
        authority::roles::{AnyRole, RoleFilter},
        request::client::RequestMeta,
    },
    http::{
        conditional::Versioned,
        envelope::{ApiResponse, ApiResult, Created, PaginatedResponse, Removal},
        extract::{
            access::{Access, Anywhere, Directory, InTenant, PathId},
            page::{ByCreation, Listing, Narrow},
            valid::{RealOrDry, Valid},
        },
        idempotency::Idempotent,
        operation::{CONFLICT, Operations},
        request::ChangeRequest,
    },
    input::{Many, Opaque, Set, input},
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

input! {
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

input! {
    /// A role to be made for a tenant.
    pub struct RoleCreateRequest {
        /// The name, unique in the tenant.
        name: Name,
        /// The tenant.
        tenant_id: TenantId,
        /// What it allows; nothing that the caller may not.
        permissions: Many<PermissionPattern, 100>,
    }

    /// A role to be made in the tenant.
    pub struct TenantRoleCreateRequest {
        /// The name, unique in the tenant.
        name: Name,
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

impl Narrow<RoleFilter> for RoleQuery {
    fn narrow(&self) -> RoleFilter {
        RoleFilter { names: self.name.iter().map(|name| name.0.clone()).collect(), ..RoleFilter::default() }
    }
}

impl Narrow<RoleFilter> for (RolesOfQuery, RoleQuery) {
    fn narrow(&self) -> RoleFilter {
        let (RolesOfQuery { tenant_id, partner_id }, query) = self;
        RoleFilter { tenants: tenant_id.clone(), partners: partner_id.clone(), ..query.narrow() }
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

pub(super) fn mount(operations: &mut Operations) {
    operations.get("/admin/roles", "admin.roles.list", list::<Directory, (RolesOfQuery, RoleQuery)>).says(
        "List roles",
        "Roles of tenants, newest first, then the built-in ones, unless a tenant or partner is asked for.",
    );
    operations.post("/admin/roles", "admin.roles.create", create).says(
        "Make a role",
        "For one tenant; it can be given there only. Nobody makes a role that allows more than they may themselves.",
    );
    operations
        .get("/admin/roles/{role_id}", "admin.roles.get", get_one::<Directory>)
        .says("Get a role", "With what it allows.");
    operations
        .patch("/admin/roles/{role_id}", "admin.roles.update", update::<Directory>)
        .says("Change a role", "Whoever holds it is affected within a second.");
    operations.delete("/admin/roles/{role_id}", "admin.roles.delete", delete_one::<Directory>).says(
        "Delete a role",
        "Whoever holds it is affected within a second; its name is free. Nobody deletes a role that allows more than \
         they may. Deleting it again changes nothing, and neither does `dry_run=true`. The built-in ones stay: 409.",
    ).fails(&[CONFLICT]);
    operations
        .get("/tenants/{tenant_id}/roles", "tenants.roles.list", list::<InTenant, RoleQuery>)
        .says("List the roles of a tenant", "Its own, newest first, then the built-in ones.");
    operations
        .post("/tenants/{tenant_id}/roles", "tenants.roles.create", create_in_tenant)
        .says("Make a role in a tenant", "Nobody makes a role that allows more than they may themselves.");
    operations
        .get("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.get", get_one::<InTenant>)
        .says("Get a role of a tenant", "With what it allows; the built-in ones belong to every tenant.");
    operations
        .patch("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.update", update::<InTenant>)
        .says("Change a role of a tenant", "Whoever holds it is affected within a second.");
    operations.delete("/tenants/{tenant_id}/roles/{role_id}", "tenants.roles.delete", delete_one::<InTenant>).says(
        "Delete a role of a tenant",
        "Whoever holds it is affected within a second; its name is free. Nobody deletes a role that allows more than \
         they may. Deleting it again changes nothing, and neither does `dry_run=true`. The built-in ones stay: 409.",
    ).fails(&[CONFLICT]);
}

async fn list<L: Anywhere, Q: Narrow<RoleFilter> + 'static>(
    access: Access<ReadRoles, L>,
    listing: Listing<Q, ByCreation>,
    app: Data<App>,
) -> ApiResult<RolePage> {
    let page = app.roles().list(&access, &listing.filter.narrow(), listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, RoleResponse::from))
}

async fn create(
    access: Access<WriteRoles, Directory>,
    new: Valid<RoleCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<RoleResponse>>> {
    let RoleCreateRequest { name, tenant_id, permissions } = new.0;
    let permissions = PermissionSet::new(permissions.0);
    let create = async |meta: &RequestMeta| app.roles().create(&access, tenant_id, name, permissions, meta).await;
    call.idempotent(&app, create, |role| Created(AnyRole::Custom(role).into())).await
}

async fn create_in_tenant(
    access: Access<WriteRoles, InTenant>,
    tenant: PathId<TenantId>,
    new: Valid<TenantRoleCreateRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<Created<RoleResponse>>> {
    let TenantRoleCreateRequest { name, permissions } = new.0;
    let permissions = PermissionSet::new(permissions.0);
    let create = async |meta: &RequestMeta| app.roles().create(&access, tenant.0, name, permissions, meta).await;
    call.idempotent(&app, create, |role| Created(AnyRole::Custom(role).into())).await
}

async fn get_one<L: Anywhere>(
    access: Access<ReadRoles, L>,
    id: PathId<RoleId>,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    Ok(Versioned::one(app.roles().get(&access, id.0).await?, Into::into))
}

async fn update<L: Anywhere>(
    access: Access<WriteRoles, L>,
    id: PathId<RoleId>,
    patch: Valid<RolePatchRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Versioned<ApiResponse<RoleResponse>>> {
    let (name, permissions) = patch.0.parts();
    let role = app.roles().update(&access, id.0, name, permissions, &call.meta).await?;
    Ok(Versioned::one(AnyRole::Custom(role), Into::into))
}

async fn delete_one<L: Anywhere>(
    access: Access<DeleteRoles, L>,
    id: PathId<RoleId>,
    mode: RealOrDry,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Removal<RoleResponse>> {
    Ok(Removal::of(mode.0, app.roles().delete(&access, id.0, mode.0, &call.meta).await?))
}
