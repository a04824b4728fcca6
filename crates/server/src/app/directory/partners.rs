//! Partners.

use gatehouse_domain::{
    authz::{Grant, ReadPartners, WritePartners},
    id::PartnerId,
    page::{Direction, Page, PageRequest},
    partner::{NewPartner, Partner, PartnerPatch},
    session::Effects,
};
use gatehouse_persistence::{Db, WriteTx};

pub use gatehouse_persistence::PartnerFilter;

use crate::{
    app::{
        App, Error, Result,
        effects::{Mode, change, end},
        request::{Idempotency, client::RequestMeta},
    },
    env::Env,
};

/// Partners.
#[derive(Debug, Clone, Copy)]
pub struct Partners<'a> {
    pub(super) db: &'a Db,
    env: &'a Env,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Partners.
    pub const fn partners(&self) -> Partners<'_> {
        Partners { db: &self.db, env: &self.env, idempotency: self.idempotency() }
    }
}

impl Partners<'_> {
    /// Lists partners.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadPartners>,
        filter: &PartnerFilter,
        by_name: bool,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Partner>> {
        Ok(self.db.scope(grant).partners(filter, by_name, direction, page).await?)
    }

    /// One partner.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadPartners>, id: PartnerId) -> Result<Partner> {
        self.db.scope(grant).partner(id).await?.ok_or(Error::NotFound)
    }

    /// Makes a partner.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the slug is taken.
    pub async fn create(&self, grant: &Grant<WritePartners>, new: NewPartner, meta: &RequestMeta) -> Result<Partner> {
        let id = self.env.id(PartnerId::from_parts);
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            Ok::<_, Error>(scope.insert(Partner::create(id, new.clone(), &grant.by(), tx.now())).await?)
        };
        self.idempotency.write(meta, work).await
    }

    /// Changes a partner. Suspending it ends every session below it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when the slug is taken, [`Error::Stale`].
    pub async fn update(
        &self,
        grant: &Grant<WritePartners>,
        id: PartnerId,
        patch: PartnerPatch,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<(Partner, Effects)> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let partner = scope.partner(id).await?.ok_or(Error::NotFound)?;
            let (changed, ends) = partner.update(patch.clone(), &grant.by(), tx.now());
            let partner = scope.update(changed).await?;
            let Some(ends) = ends else { return Ok((partner, Effects::default())) };
            Ok((partner, end(tx, &scope, &ends, mode).await?))
        };
        self.db.at_length(change(self.db, meta.ctx.clone(), mode, work)).await
    }
}
