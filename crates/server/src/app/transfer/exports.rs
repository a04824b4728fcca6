//! Users are read out, to be taken to another system or kept.

use gatehouse_domain::{
    authz::{Area, Grant, ReadUsers},
    id::TenantId,
    time::Timestamp,
    user::UserCredentials,
};
use gatehouse_persistence::{BATCH, ChangeContext, WriteTx};

use crate::app::{Error, Result, transfer::Exports};

/// The instant that an export is of, and how far it has come.
#[derive(Debug)]
pub struct UserExport {
    grant: Grant<ReadUsers>,
    tenant: TenantId,
    until: Timestamp,
    last: Option<UserCredentials>,
    ended: bool,
}

impl Exports<'_> {
    /// Begins to read the users of a tenant out; the audit trail says so first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Unavailable`] when the database does not answer.
    pub async fn begin(
        &self,
        grant: &Grant<ReadUsers>,
        tenant: TenantId,
        with_password_hashes: bool,
        ctx: ChangeContext,
    ) -> Result<UserExport> {
        let (grant, place) = self.states.within(grant, tenant).await?;
        let (acting, until) = (grant.clone(), ctx.now);
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&acting).await?;
            Ok::<_, Error>(scope.note_export(place, with_password_hashes, acting.by()).await?)
        };
        self.db.write(ctx, work).await?;
        Ok(UserExport { grant, tenant, until, last: None, ended: false })
    }

    /// The next users; none at the end. Sending an export can take long, so each time its caller must still be allowed
    /// to see it.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] and [`Error::Denied`] when that is over, [`Error::Unavailable`] when the database does
    /// not answer.
    pub async fn next(&self, export: &mut UserExport) -> Result<Vec<UserCredentials>> {
        if export.ended {
            return Ok(Vec::new());
        }
        let tenant = self.states.tenant(export.tenant).await?.ok_or(Error::NotFound)?.reference();
        if export.last.is_some() {
            export.grant = self.states.renew(&export.grant, Area::Tenant(tenant)).await?;
        }
        let last = export.last.as_ref().map(|last| &last.user);
        let users = self.db.scope(&export.grant).user_feed(tenant, last, export.until, BATCH as u64).await?;
        export.ended = users.len() < BATCH;
        export.last = users.last().cloned();
        Ok(users)
    }
}
