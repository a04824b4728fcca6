//! Users are read out, to be taken to another system or kept.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, Grant, ReadUsers, SystemReason, TenantRef, authorize},
    time::Timestamp,
    user::Portable,
};
use gatehouse_persistence::{BATCH, Ctx, WriteTx};

use crate::app::{App, Error, Result};

/// The instant that an export is of, and how far it has come.
#[derive(Debug)]
pub struct UserExport {
    grant: Grant<ReadUsers>,
    tenant: TenantRef,
    until: Timestamp,
    last: Option<Portable>,
    ended: bool,
}

impl App {
    /// Begins to read the users of a tenant out; the audit trail says so first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn begin_export(
        &self,
        tenant: TenantRef,
        with_password_hashes: bool,
        reason: SystemReason,
    ) -> Result<UserExport> {
        let grant: Grant<ReadUsers> = authorize(&Arc::new(Actor::System(reason)), &Area::Tenant(tenant))?;
        let (acting, now) = (grant.clone(), self.env.now());
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&acting);
            Ok::<_, Error>(scope.note_export(tenant, with_password_hashes, acting.by()).await?)
        };
        self.db.write(Ctx::at(now), work).await?;
        Ok(UserExport { grant, tenant, until: now, last: None, ended: false })
    }

    /// The next users; none at the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn next_users(&self, export: &mut UserExport) -> Result<Vec<Portable>> {
        if export.ended {
            return Ok(Vec::new());
        }
        let last = export.last.as_ref().map(|last| &last.user);
        let scope = self.db.scope(&export.grant);
        let users = scope.user_feed(export.tenant, last, export.until, BATCH as u64).await?;
        export.ended = users.len() < BATCH;
        export.last = users.last().cloned();
        Ok(users)
    }
}
