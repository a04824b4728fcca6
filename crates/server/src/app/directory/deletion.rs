//! Deleting: what is deleted is suspended for ever, its name is free, and its id never comes back. Deleting again what
//! is deleted changes nothing and is no error.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, DeletePartners, DeleteTenants, DeleteUsers, Grant, SystemReason, TenantRef, authorize},
    id::{PartnerId, TenantId, UserId},
    partner::Partner,
    session::Effects,
    tenant::Tenant,
    user::UserDetail,
};
use gatehouse_persistence::{ChangeContext, WriteTx};

use crate::app::{
    Error, Result,
    authority::authority,
    directory::{Partners, Tenants, Users},
    effects::{Deleted, Mode, change, end},
    request::client::RequestMeta,
};

impl Users<'_> {
    /// Deletes a user and ends the user's sessions; with `erase`, what is personal about the user goes as well, now or
    /// when the user was deleted before. Nobody deletes somebody who may do more than they may.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] for the last administrator, [`Error::Stale`].
    pub async fn delete(
        &self,
        by: &Grant<DeleteUsers>,
        id: UserId,
        erase: bool,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<UserDetail>> {
        let grant = by.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let found = scope.user_detail_even_deleted(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let (mut view, sessions) = (found.view.clone(), found.sessions);
            let mut effects = Effects::default();
            if view.user.deleted_at.is_none() {
                let caller = authority(&grant, &scope, view.user.tenant(), &view.roles).await?;
                let (deleted, ends) = view.user.delete(&view.roles, &caller, tx.now())?;
                view.user = scope.update(deleted).await?;
                effects = end(tx, &scope, &ends, mode).await?;
                scope.delete_below_user(&view.user).await?;
            }
            let sessions = sessions.saturating_sub(effects.sessions);
            Ok((UserDetail { view, sessions, ..found }, effects))
        };
        let (view, effects) = change(self.db, meta.ctx.clone(), mode, work).await?;
        if erase && mode == Mode::Real {
            self.erase(by, view.view.user.tenant(), id, meta).await?;
        }
        Ok((view, effects))
    }

    /// The trail first, in transactions of its own, however much it is; then the account, with the event that says it
    /// is done. So where this was interrupted it does not look done, and whoever asks again finishes it.
    async fn erase(&self, by: &Grant<DeleteUsers>, tenant: TenantRef, id: UserId, meta: &RequestMeta) -> Result<()> {
        // What the request demanded of the user was met by then.
        let mut ctx = ChangeContext { condition: None, ..meta.ctx.clone() };
        if by.by().user_id() == Some(id) {
            // Whoever erases themselves leaves no trace of where from, not by the erasure either.
            (ctx.ip, ctx.user_agent) = (None, None);
        }
        // Whoever erases themselves is no caller any more: that it was allowed was seen when the account was deleted.
        let oneself = by.by().user_id() == Some(id);
        let gatehouse = || authorize(&Arc::new(Actor::System(SystemReason::Job)), &Area::Tenant(tenant));
        let grant = if oneself { gatehouse()? } else { by.clone() };
        let by = by.by();
        self.trail.redact_user(&grant, tenant, id, by, &ctx).await?;
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let user = scope.user_view_even_deleted(id, tx.now()).await?.ok_or(Error::NotFound)?.user;
            if !user.is_erased() {
                let erased = scope.update(user.erase(&by, tx.now())).await?;
                scope.erase_below_user(&erased).await?;
            }
            Ok::<_, Error>(())
        };
        self.db.write(ctx, work).await
    }
}

impl Tenants<'_> {
    /// Deletes a tenant with its users, roles and keys, and ends every session in it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when the platform would lose its last administrator, [`Error::Stale`].
    pub async fn delete(
        &self,
        grant: &Grant<DeleteTenants>,
        id: TenantId,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<Tenant>> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let tenant = scope.tenant_even_deleted(id).await?.ok_or(Error::NotFound)?;
            if tenant.deleted_at.is_some() {
                return Ok((tenant, Effects::default()));
            }
            let (deleted, ends) = tenant.delete(&grant.by(), tx.now());
            let tenant = scope.update(deleted).await?;
            let effects = end(tx, &scope, &ends, mode).await?;
            // As with sessions: what may be a million rows is not touched to be taken back.
            if mode == Mode::Real {
                scope.delete_below_tenant(&tenant).await?;
            }
            Ok((tenant, effects))
        };
        self.db.at_length(change(self.db, meta.ctx.clone(), mode, work)).await
    }
}

impl Partners<'_> {
    /// Deletes a partner with its tenants and everything in them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when the platform would lose its last administrator, [`Error::Stale`].
    pub async fn delete(
        &self,
        grant: &Grant<DeletePartners>,
        id: PartnerId,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Deleted<Partner>> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let partner = scope.partner_even_deleted(id).await?.ok_or(Error::NotFound)?;
            if partner.deleted_at.is_some() {
                return Ok((partner, Effects::default()));
            }
            let (deleted, ends) = partner.delete(&grant.by(), tx.now());
            let partner = scope.update(deleted).await?;
            let effects = end(tx, &scope, &ends, mode).await?;
            if mode == Mode::Real {
                scope.delete_below_partner(&partner).await?;
            }
            Ok((partner, effects))
        };
        self.db.at_length(change(self.db, meta.ctx.clone(), mode, work)).await
    }
}
