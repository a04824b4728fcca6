//! Roles: the built-in ones, and those that tenants make for themselves.

use gatehouse_domain::{
    authz::{Denied, Grant, Permission, PermissionSet, ReadRoles, WriteRoles},
    id::{RoleId, TenantId},
    page::{Direction, Key, KeyValue, Page, PageRequest},
    role::{Anchor, BuiltinRole, Role},
    text::Name,
    time::Timestamp,
};
use gatehouse_persistence::WriteTx;

use crate::app::{
    App, Error, Result, authority::assignments::may_give_until, directory::tenants::unknown, request::client::Origin,
};

pub use gatehouse_persistence::RoleFilter;

/// A role of either kind.
#[derive(Debug, Clone)]
pub enum AnyRole {
    /// One that exists everywhere.
    Builtin(BuiltinRole),
    /// One of a tenant.
    Custom(Role),
}

impl App {
    /// The built-in roles of these names, or all. They head the first page of a list that is not about one tenant.
    fn builtin_roles(filter: &RoleFilter) -> Vec<BuiltinRole> {
        if !filter.tenants.is_empty() || !filter.partners.is_empty() {
            return Vec::new();
        }
        let named = |role: &BuiltinRole| {
            filter.names.is_empty() || filter.names.iter().any(|name| name.eq_ignore_ascii_case(role.name()))
        };
        BuiltinRole::ALL.into_iter().filter(named).collect()
    }

    /// Lists roles within the grant: tenants' own, newest first, and after them the built-in ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list_roles(
        &self,
        grant: &Grant<ReadRoles>,
        filter: &RoleFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<AnyRole>> {
        let builtin = Self::builtin_roles(filter);
        let custom = self.db.scope(grant).roles(filter, direction, page).await?;
        let (stored, per_page) = (custom.total, page.per_page.get());
        let before = (page.number().get() - 1) * per_page;
        let mut list = custom.map(AnyRole::Custom);
        list.total += builtin.len() as u64;
        if list.next.is_none() {
            let skipped = before.saturating_sub(stored);
            let free = per_page - list.items.len() as u64;
            let shown = builtin.into_iter().skip(usize_of(skipped)).take(usize_of(free));
            if before < list.total {
                list.items.extend(shown.map(AnyRole::Builtin));
            }
            // The built-in ones have no place among the stored; behind the last of these, the number of the page leads on.
            if before + (list.items.len() as u64) < list.total {
                let end = match direction {
                    Direction::Ascending => i64::MAX,
                    Direction::Descending => i64::MIN,
                };
                list.next = Some(Key { value: KeyValue::At(Timestamp::from_micros(end)), id: uuid::Uuid::nil() });
            }
        }
        Ok(list)
    }

    /// One role.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn role(&self, grant: &Grant<ReadRoles>, id: RoleId) -> Result<AnyRole> {
        if let Some(role) = BuiltinRole::by_id(id) {
            return Ok(AnyRole::Builtin(role));
        }
        self.db.scope(grant).role(id).await?.map(AnyRole::Custom).ok_or(Error::NotFound)
    }

    /// Makes a role for a tenant. Nobody makes one that allows more than they may themselves.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such tenant, [`Error::Denied`], [`Error::Conflict`].
    pub async fn create_role(
        &self,
        grant: &Grant<WriteRoles>,
        tenant: TenantId,
        name: Name,
        permissions: PermissionSet,
        origin: &Origin,
    ) -> Result<Role> {
        let id = self.env.id(RoleId::from_parts);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let tenant = scope.tenant(tenant).await?.ok_or_else(|| unknown("tenant_id"))?.reference();
            not_a_builtin(&name)?;
            holds(&grant, tenant, &permissions)?;
            Ok(scope.insert(Role::create(id, tenant, name.clone(), permissions.clone(), &grant.by(), tx.now())).await?)
        };
        self.idempotency().write(origin, work).await
    }

    /// Changes a role of a tenant; whoever holds it is affected at once. What is added must be the caller's for ever.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`], [`Error::Stale`].
    pub async fn update_role(
        &self,
        grant: &Grant<WriteRoles>,
        id: RoleId,
        name: Option<Name>,
        permissions: Option<PermissionSet>,
        origin: &Origin,
    ) -> Result<Role> {
        if BuiltinRole::by_id(id).is_some() {
            return Err(Error::Conflict("The built-in roles cannot be changed.".into()));
        }
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let role = scope.role(id).await?.ok_or(Error::NotFound)?;
            let tenant = gatehouse_domain::authz::TenantRef { id: role.tenant_id, partner_id: role.partner_id };
            if let Some(name) = &name {
                not_a_builtin(name)?;
            }
            if let Some(permissions) = &permissions {
                holds(&grant, tenant, permissions)?;
                // Whoever holds the role holds it on: what is added is given for ever.
                if !role.permissions.covers_all(permissions) {
                    may_give_until(&grant, &scope, Anchor::Tenant(tenant.id), permissions, None).await?;
                }
            }
            Ok(scope.update(role.update(name.clone(), permissions.clone(), &grant.by(), tx.now())).await?)
        };
        self.db.write(origin.ctx.clone(), work).await
    }
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn not_a_builtin(name: &Name) -> Result<()> {
    if BuiltinRole::ALL.iter().any(|role| role.name().eq_ignore_ascii_case(name.as_str())) {
        return Err(Error::Conflict("The name belongs to a built-in role.".into()));
    }
    Ok(())
}

/// Nobody gives away what they do not hold.
pub(crate) fn holds<P: Permission>(
    grant: &Grant<P>,
    tenant: gatehouse_domain::authz::TenantRef,
    permissions: &PermissionSet,
) -> Result<()> {
    let held =
        grant.actor().permissions_at(Anchor::Tenant(tenant.id), |id| (id == tenant.id).then_some(tenant.partner_id));
    if held.covers_all(permissions) { Ok(()) } else { Err(Error::Denied(Denied::Forbidden(P::NAME))) }
}
