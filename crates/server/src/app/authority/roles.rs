//! Roles: the built-in ones, and those that tenants make for themselves.

use gatehouse_domain::{
    authz::{DeleteRoles, Grant, PermissionSet, ReadRoles, WriteRoles},
    id::{RoleId, TenantId},
    page::{Direction, Key, KeyValue, Page, PageNumber, PageRequest, PerPage, Start},
    role::{BuiltinRole, Role},
    session::Effects,
    text::Name,
};
use gatehouse_persistence::{Db, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        effects::{Deleted, Mode, change},
        request::{Idempotency, client::RequestMeta},
    },
    env::Env,
};

pub use gatehouse_domain::role::AnyRole;
pub use gatehouse_persistence::RoleFilter;

/// Roles.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    db: &'a Db,
    env: &'a Env,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Roles.
    pub const fn roles(&self) -> Roles<'_> {
        Roles { db: &self.db, env: &self.env, idempotency: self.idempotency() }
    }
}

impl Roles<'_> {
    /// Lists roles within the grant: tenants' own, newest first, and after them the built-in ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadRoles>,
        filter: &RoleFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<AnyRole>> {
        let builtin = builtin_roles(filter);
        let behind = page.after().and_then(|key| builtin.iter().position(|role| role.id().uuid() == key.id));
        let scope = self.db.scope(grant);
        let (custom, skipped) = match behind {
            // The page begins among the built-in ones: of the others it has no more than their number.
            Some(at) => {
                let first = PageRequest { start: Start::Page(PageNumber::FIRST), per_page: PerPage::LEAST };
                let total = scope.roles(filter, direction, &first).await?.total;
                (Page { total, ..Page::empty() }, at + 1)
            }
            None => {
                let custom = scope.roles(filter, direction, page).await?;
                let skipped = page.offset().saturating_sub(custom.total);
                (custom, usize::try_from(skipped).unwrap_or(usize::MAX))
            }
        };
        Ok(followed_by(custom, &builtin, skipped, page.per_page))
    }

    /// One role.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadRoles>, id: RoleId) -> Result<AnyRole> {
        if let Some(role) = BuiltinRole::by_id(id) {
            return Ok(AnyRole::Builtin(role));
        }
        self.db.scope(grant).role(id).await?.map(AnyRole::Custom).ok_or(Error::NotFound)
    }

    /// Makes a role for a tenant. Nobody makes one that allows more than they may themselves.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such tenant, [`Error::Denied`], [`Error::Conflict`].
    pub async fn create(
        &self,
        grant: &Grant<WriteRoles>,
        tenant: TenantId,
        name: Name,
        permissions: PermissionSet,
        meta: &RequestMeta,
    ) -> Result<Role> {
        let id = self.env.id(RoleId::from_parts);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let tenant = scope.tenant_locked(tenant).await?.ok_or_else(|| Error::unknown("tenant_id"))?.reference();
            not_a_builtin(&name)?;
            let caller = grant.authority([tenant]);
            Ok(scope.insert(Role::create(id, tenant, name.clone(), permissions.clone(), &caller, tx.now())?).await?)
        };
        self.idempotency.write(meta, work).await
    }

    /// Changes a role of a tenant; whoever holds it is affected at once. Nobody changes one that allows, or will allow,
    /// what they do not hold; what is added must be theirs for ever.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`], [`Error::Stale`].
    pub async fn update(
        &self,
        grant: &Grant<WriteRoles>,
        id: RoleId,
        name: Option<Name>,
        permissions: Option<PermissionSet>,
        meta: &RequestMeta,
    ) -> Result<Role> {
        if BuiltinRole::by_id(id).is_some() {
            return Err(Error::Conflict("The built-in roles cannot be changed.".into()));
        }
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let role = scope.role(id).await?.ok_or(Error::NotFound)?;
            if let Some(name) = &name {
                not_a_builtin(name)?;
            }
            let caller = grant.authority([role.tenant()]);
            Ok(scope.update(role.update(name.clone(), permissions.clone(), &caller, tx.now())?).await?)
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Deletes a role of a tenant; whoever holds it is affected at once. Nobody takes away what they do not hold.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] for a built-in role, [`Error::Stale`].
    pub async fn delete(
        &self,
        grant: &Grant<DeleteRoles>,
        id: RoleId,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<AnyRole>> {
        if BuiltinRole::by_id(id).is_some() {
            return Err(Error::Conflict("The built-in roles cannot be deleted.".into()));
        }
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let mut role = scope.role_even_deleted(id).await?.ok_or(Error::NotFound)?;
            if role.deleted_at.is_none() {
                let caller = grant.authority([role.tenant()]);
                role = scope.update(role.delete(&caller, tx.now())?).await?;
                scope.delete_below_role(&role).await?;
            }
            Ok((AnyRole::Custom(role), Effects::default()))
        };
        change(self.db, meta.ctx.clone(), mode, work).await
    }
}

/// The built-in roles of these names, or all; none in a list that is about one tenant or partner.
fn builtin_roles(filter: &RoleFilter) -> Vec<BuiltinRole> {
    if !filter.tenants.is_empty() || !filter.partners.is_empty() {
        return Vec::new();
    }
    let named = |role: &BuiltinRole| {
        filter.names.is_empty() || filter.names.iter().any(|name| name.eq_ignore_ascii_case(role.name()))
    };
    BuiltinRole::ALL.into_iter().filter(named).collect()
}

/// A page of tenants' roles, filled up with the built-in ones where these come to an end.
fn followed_by(custom: Page<Role>, builtin: &[BuiltinRole], skipped: usize, per_page: PerPage) -> Page<AnyRole> {
    let key = |role: &AnyRole| match role {
        AnyRole::Custom(role) => Key { value: KeyValue::At(role.created_at), id: role.id.uuid() },
        AnyRole::Builtin(role) => Key { value: KeyValue::Text(role.name().to_owned()), id: role.id().uuid() },
    };
    let mut list = custom.map(AnyRole::Custom);
    list.total += builtin.len() as u64;
    if list.next.is_none() {
        let free = per_page.get().saturating_sub(list.items.len() as u64);
        let left = builtin.iter().skip(skipped);
        let more = left.len() as u64 > free;
        let shown = left.take(usize::try_from(free).unwrap_or(usize::MAX));
        list.items.extend(shown.copied().map(AnyRole::Builtin));
        list.next = list.items.last().filter(|_| more).map(key);
    }
    list
}

fn not_a_builtin(name: &Name) -> Result<()> {
    if BuiltinRole::ALL.iter().any(|role| role.name().eq_ignore_ascii_case(name.as_str())) {
        return Err(Error::Conflict("The name belongs to a built-in role.".into()));
    }
    Ok(())
}
