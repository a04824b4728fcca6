//! What the caller administers.

use std::collections::BTreeMap;

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{Administer, PermissionSet, Reach, SeeOneself},
    id::{PartnerId, TenantId},
    page::Page,
    partner::Partner,
    role::HeldRole,
    tenant::Tenant,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, authority::scope::AdminScope},
    http::{
        api::user::{AnchorResponse, HeldRoleResponse},
        envelope::{ApiResponse, ApiResult},
        extract::access::{Access, Anywhere, Directory, InTenant, Me, Opens},
        operation::Operations,
    },
};

/// What the caller administers.
pub type OneAdminScope = ApiResponse<AdminScopeResponse>;

/// What an administrator sees and may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminScopeResponse {
    /// `platform`, `partner` for those of partners, `tenant` for what is of one tenant.
    #[schema(max_length = 32, example = "partner")]
    pub level: &'static str,
    /// The partners.
    pub partners: ScopePartnersResponse,
    /// The tenants.
    pub tenants: ScopeTenantsResponse,
    /// The roles held.
    #[schema(max_items = 1000)]
    pub roles: Vec<HeldRoleResponse>,
    /// What the roles allow together, anchor by anchor.
    #[schema(max_items = 1000)]
    pub permissions: Vec<AnchoredPermissionsResponse>,
    /// What is open under `/admin`, or under the tenant.
    #[schema(max_items = 100)]
    pub collections: Vec<CollectionResponse>,
}

/// Partners.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopePartnersResponse {
    /// How many.
    #[schema(minimum = 0, example = 1)]
    pub total: u64,
    /// The first 200 by name.
    #[schema(max_items = 200)]
    pub items: Vec<ScopePartnerResponse>,
}

/// A partner by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopePartnerResponse {
    /// The id.
    #[schema(inline)]
    pub id: PartnerId,
    /// The name.
    #[schema(max_length = 400, example = "Example Ltd")]
    pub name: String,
    /// The slug.
    #[schema(max_length = 63, example = "example")]
    pub slug: String,
}

/// Tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeTenantsResponse {
    /// How many.
    #[schema(minimum = 0, example = 3)]
    pub total: u64,
    /// The first 200 by name.
    #[schema(max_items = 200)]
    pub items: Vec<ScopeTenantResponse>,
}

/// A tenant by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeTenantResponse {
    /// The id.
    #[schema(inline)]
    pub id: TenantId,
    /// The partner it belongs to.
    #[schema(inline)]
    pub partner_id: PartnerId,
    /// The name.
    #[schema(max_length = 400, example = "Example Ltd")]
    pub name: String,
    /// The slug.
    #[schema(max_length = 63, example = "default")]
    pub slug: String,
}

/// What is allowed at an anchor.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnchoredPermissionsResponse {
    /// Where.
    pub anchor: AnchorResponse,
    /// What.
    #[schema(max_items = 1000, example = json!(["sessions:read"]))]
    pub permissions: Vec<String>,
}

/// What may be done to one kind of thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct CollectionResponse {
    /// The kind.
    #[schema(max_length = 64, example = "sessions")]
    pub name: &'static str,
    /// Of `read`, `write` and `delete`, what may be done to some of them at least.
    #[schema(max_items = 3, example = json!(["delete", "read"]))]
    pub actions: Vec<&'static str>,
}

impl From<Page<Partner>> for ScopePartnersResponse {
    fn from(page: Page<Partner>) -> Self {
        let item =
            |it: Partner| ScopePartnerResponse { id: it.id, name: it.name.to_string(), slug: it.slug.to_string() };
        Self { total: page.total, items: page.items.into_iter().map(item).collect() }
    }
}

impl From<Page<Tenant>> for ScopeTenantsResponse {
    fn from(page: Page<Tenant>) -> Self {
        let item = |it: Tenant| ScopeTenantResponse {
            id: it.id,
            partner_id: it.partner_id,
            name: it.name.to_string(),
            slug: it.slug.to_string(),
        };
        Self { total: page.total, items: page.items.into_iter().map(item).collect() }
    }
}

/// The permissions of roles, anchor by anchor in the order in which these come first.
fn anchored(roles: &[HeldRole]) -> Vec<AnchoredPermissionsResponse> {
    let mut anchors = Vec::new();
    for role in roles {
        if !anchors.contains(&role.anchor) {
            anchors.push(role.anchor);
        }
    }
    let at = |anchor| {
        let set = PermissionSet::union(roles.iter().filter(|role| role.anchor == anchor).map(|role| &role.permissions));
        AnchoredPermissionsResponse {
            anchor: anchor.into(),
            permissions: set.iter().map(ToString::to_string).collect(),
        }
    };
    anchors.into_iter().map(at).collect()
}

fn collections(permissions: &[&'static str]) -> Vec<CollectionResponse> {
    let mut open = BTreeMap::<_, Vec<_>>::new();
    for (name, action) in permissions.iter().filter_map(|permission| permission.split_once(':')) {
        open.entry(name).or_default().push(action);
    }
    open.into_iter().map(|(name, actions)| CollectionResponse { name, actions }).collect()
}

pub(super) fn mount(operations: &mut Operations) {
    operations.get("/admin/me/scope", "admin.me.scope.get", get_one::<Directory>).says(
        "Get what one administers",
        "Level, partners and tenants, roles with where and until when they hold, and what is open under `/admin`: \
         what a console has to know of whom it serves. For whoever holds a role at the platform or at a partner.",
    );
    operations.get("/tenants/{tenant_id}/me/scope", "tenants.me.scope.get", get_one::<InTenant>).says(
        "Get what one administers in a tenant",
        "Level, the roles that hold in the tenant, wherever they are given, and what is open to them there. For \
         whoever holds a role in the tenant, or above it.",
    );
}

async fn get_one<T: Anywhere + Opens<Administer>>(
    access: Access<Administer, T>,
    me: Me,
    app: Data<App>,
) -> ApiResult<OneAdminScope> {
    // The roles are of the account.
    access.also::<SeeOneself>(&())?;
    let AdminScope { reach, partners, tenants, permissions } = app.admin_scopes().of(&access).await?;
    let (level, within) = match reach {
        Reach::Platform => ("platform", None),
        Reach::Tenant(tenant) => ("tenant", Some(tenant)),
        Reach::Partners(_) | Reach::Own(..) => ("partner", None),
    };
    let holds = |role: &&HeldRole| within.is_none_or(|tenant| role.anchor.includes(tenant));
    let roles: Vec<_> = me.0.view.roles.iter().filter(holds).cloned().collect();
    Ok(ApiResponse(AdminScopeResponse {
        level,
        partners: partners.into(),
        tenants: tenants.into(),
        roles: roles.iter().map(HeldRoleResponse::from).collect(),
        permissions: anchored(&roles),
        collections: collections(&permissions),
    }))
}
