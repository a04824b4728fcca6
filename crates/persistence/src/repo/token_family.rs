//! Families of tokens. How one is read with its session is in `tuned/oauth.rs`.

use gatehouse_domain::{
    application::Application,
    authz::TenantRef,
    change::Changed,
    id::{ApplicationId, FamilyId, PartnerId, SessionId, TenantId},
    oauth::{Audience, ClaimsRequest, FAMILIES_MAX, FamilyEnd, Scopes, TokenFamily},
    refresh::{Chain, Presented},
    session::{Refreshes, Session},
    time::{DAY, Timestamp},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set, UpdateMany,
};

use crate::{
    entity::token_family::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home, Row,
        application::owner_id,
        authorization_code::{owner, thumbprint},
        list::Stored,
        removed,
        session::digest,
        sweep::BATCH,
        term::Terms,
        word,
    },
    scope::{insertion, system::WriteSystem},
};

impl Row for TokenFamily {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        self.tenant.into()
    }

    fn terms(&self) -> Option<Terms> {
        None
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant.id.uuid()),
            partner_id: Set(self.tenant.partner_id.uuid()),
            session_id: Set(self.session_id.uuid()),
            sid: Set(Some(self.sid.uuid()).filter(|_| self.sid != self.session_id)),
            application_id: Set(self.application_id.uuid()),
            owner_id: Set(owner_id(self.owner)),
            scope: Set(self.scopes.to_string()),
            claims: Set(self.claims.to_stored()),
            audience: Set(self.audience.to_string()),
            auth_time: Set(self.auth_time.micros()),
            created_at: Set(self.created_at.micros()),
            ended_at: Set(None),
            end_reason: Set(None),
            ..rotated(self)
        })
    }
}

/// The columns that a rotation changes.
fn rotated(family: &TokenFamily) -> ActiveModel {
    ActiveModel {
        generation: Set(i64::from(family.chain.generation)),
        refresh_digest: Set(family.chain.current.as_bytes().to_vec()),
        rotated_at: Set(family.chain.rotated_at.micros()),
        replay: Set(family.chain.replay.clone()),
        dpop_jkt: Set(family.dpop_jkt.clone().map(String::from)),
        refreshes_since: Set(family.refreshes.since.micros()),
        refreshes: Set(i64::from(family.refreshes.count)),
        expires_at: Set(family.expires_at.micros()),
        ..Default::default()
    }
}

impl Stored for TokenFamily {
    fn read(row: Model) -> Result<Self> {
        let tenant =
            TenantRef { id: TenantId::from_uuid(row.tenant_id), partner_id: PartnerId::from_uuid(row.partner_id) };
        let ended = match (row.ended_at, row.end_reason) {
            (Some(at), Some(how)) => Some((Timestamp::from_micros(at), word(&how, "end of a family")?)),
            _ => None,
        };
        Ok(Self {
            id: FamilyId::from_uuid(row.id),
            tenant,
            session_id: SessionId::from_uuid(row.session_id),
            sid: SessionId::from_uuid(row.sid.unwrap_or(row.session_id)),
            application_id: ApplicationId::from_uuid(row.application_id),
            owner: owner(tenant, row.owner_id),
            scopes: Scopes::read(&row.scope),
            claims: ClaimsRequest::from_stored(row.claims.as_deref()),
            audience: Audience::from_stored(row.audience),
            auth_time: Timestamp::from_micros(row.auth_time),
            dpop_jkt: thumbprint(row.dpop_jkt)?,
            chain: Chain {
                generation: u32::try_from(row.generation).map_err(|_| Error::Corrupt("generation"))?,
                current: digest(row.refresh_digest, "refresh token digest")?,
                rotated_at: Timestamp::from_micros(row.rotated_at),
                replay: row.replay,
            },
            refreshes: Refreshes {
                since: Timestamp::from_micros(row.refreshes_since),
                count: u32::try_from(row.refreshes).map_err(|_| Error::Corrupt("refreshes"))?,
            },
            expires_at: Timestamp::from_micros(row.expires_at),
            created_at: Timestamp::from_micros(row.created_at),
            ended,
        })
    }
}

impl crate::System<'_> {
    /// One family.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn token_family(&self, id: FamilyId) -> Result<Option<TokenFamily>> {
        self.one(id.uuid()).await
    }
}

impl WriteSystem<'_> {
    /// Stores the exchange of a refresh token, if `presented` is still the current one and the family has not ended.
    ///
    /// # Errors
    /// [`Error::Stale`] otherwise.
    pub async fn rotate_family(&self, presented: Presented, changed: Changed<TokenFamily>) -> Result<TokenFamily> {
        let (family, event) = changed.into_parts();
        let update = self.update_where::<Entity>().set(rotated(&family)).filter(Column::Id.eq(family.id.uuid()));
        let update = update.filter(Column::RefreshDigest.eq(presented.hash.as_bytes().to_vec()));
        let update = update.filter(Column::Generation.eq(i64::from(presented.generation)));
        let update = update.filter(Column::EndedAt.is_null()).build(self.exec.get_database_backend());
        let event = family.refreshes.is_recorded().then_some(event);
        if self.tx.update(update, event).await? { Ok(family) } else { Err(Error::Stale) }
    }

    /// Stores a session of an application's own with its family: a statement for each row, and one for their events.
    ///
    /// # Errors
    /// The database refuses a statement, or does not answer in time.
    pub async fn begin_own(
        &self,
        session: Changed<Session>,
        family: Changed<TokenFamily>,
        application: &Application,
    ) -> Result<()> {
        let (session, began) = session.into_parts();
        let (family, event) = family.into_parts();
        self.tx.writing().execute_raw(insertion(self.tx, &session)?).await?;
        self.tx.insert_many(insertion(self.tx, &family)?, [began, event]).await?;
        self.add_session_application(family.tenant, session.id, application).await
    }

    /// Stores that an access token of a family was exchanged, which changes nothing of it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_exchange(&self, exchanged: Changed<TokenFamily>) -> Result<()> {
        self.tx.record(exchanged.into_parts().1).await
    }

    /// Stores the end of a family.
    ///
    /// # Errors
    /// [`Error::Stale`] when it has ended meanwhile.
    pub async fn end_family(&self, changed: Changed<TokenFamily>) -> Result<TokenFamily> {
        let (family, event) = changed.into_parts();
        let ended = ActiveModel {
            ended_at: Set(family.ended.map(|(at, _)| at.micros())),
            end_reason: Set(family.ended.map(|(_, how)| how.to_string())),
            ..Default::default()
        };
        let update = self.update_where::<Entity>().set(ended).filter(Column::Id.eq(family.id.uuid()));
        let update = update.filter(Column::EndedAt.is_null()).build(self.exec.get_database_backend());
        if !self.tx.update(update, Some(event)).await? {
            return Err(Error::Stale);
        }
        self.tx.changed(crate::Change::Family(family.id));
        Ok(family)
    }

    /// Makes room for one more family of an application in a session: beyond [`FAMILIES_MAX`] the oldest end.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn make_room_for_family(&self, new: &TokenFamily) -> Result<()> {
        self.surplus_of_families(new).exec(&self.tx.writing()).await?;
        Ok(())
    }

    /// The end of the oldest families of an application in a session, if there are too many beside a new one.
    pub(crate) fn surplus_of_families(&self, new: &TokenFamily) -> UpdateMany<Entity> {
        let theirs = Condition::all()
            .add(Column::TenantId.eq(new.tenant.id.uuid()))
            .add(Column::SessionId.eq(new.session_id.uuid()))
            .add(Column::ApplicationId.eq(new.application_id.uuid()))
            .add(Column::Id.ne(new.id.uuid()))
            .add(Column::EndedAt.is_null());
        let surplus = self.select::<Entity>().filter(theirs).select_only().column(Column::Id);
        let surplus = surplus.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
        let surplus = surplus.limit(BATCH as u64).offset(FAMILIES_MAX - 1).into_query();
        let ended = ActiveModel {
            ended_at: Set(Some(self.tx.now().micros())),
            end_reason: Set(Some(FamilyEnd::Limit.to_string())),
            ..Default::default()
        };
        self.update_where::<Entity>().set(ended).filter(Column::Id.in_subquery(surplus))
    }

    /// Removes families whose tokens have not been good for a day, at most [`BATCH`] of each kind; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_families(&self) -> Result<usize> {
        let (before, db) = (self.tx.now().minus(DAY).micros(), self.tx.writing());
        let mut count = 0;
        for old in [Column::EndedAt.lt(before), Column::ExpiresAt.lt(before)] {
            let old = self.select_even_deleted::<Entity>().filter(old).select_only().column(Column::Id);
            let old = old.limit(BATCH as u64).into_query();
            let gone = self.table::<Entity>().delete().filter(Column::Id.in_subquery(old));
            count = std::cmp::max(count, removed(gone.exec(&db).await?));
        }
        Ok(count)
    }
}
