//! Signing keys, and the tenant as token checks see it.

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::TenantRef,
    id::{KeyId, PartnerId, TenantId},
    key::{Issuer, KeyState, OVERLAP, SigningKey},
    partner::Status,
    settings::Layers,
    tenant::Tenant,
    text::Slug,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::{Expr, Func},
};
use uuid::Uuid;

use crate::{
    db::Change,
    entity::signing_key::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{Home, Row, Versioned, term::Terms, word},
    scope::{PLATFORM, system::System},
};

/// What every request needs to know of a tenant.
#[derive(Debug, Clone)]
pub struct TenantFacts {
    /// The tenant.
    pub tenant: Tenant,
    /// Where its partner stands.
    pub partner_status: Status,
    /// What its partner and the platform decide.
    pub above: Layers,
    /// The keys that are published, those that sign first.
    pub keys: Vec<SigningKey>,
}

impl TenantFacts {
    /// What the policy must know.
    #[must_use]
    pub const fn reference(&self) -> TenantRef {
        self.tenant.reference()
    }

    /// What all levels decide.
    #[must_use]
    pub fn layers(&self) -> Layers {
        self.tenant.layers(&self.above)
    }

    /// Whether anybody may sign in: neither the tenant nor its partner is suspended.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.tenant.status == Status::Active && self.partner_status == Status::Active
    }
}

/// What every request needs to know of the platform.
#[derive(Debug, Clone)]
pub struct PlatformFacts {
    /// What it decides.
    pub layers: Layers,
    /// Its keys that are published, those that sign first.
    pub keys: Vec<SigningKey>,
}

/// The issuer of a row.
pub(super) fn issuer(tenant: Option<Uuid>, partner: Uuid) -> Issuer {
    tenant.map_or(Issuer::Platform, |tenant| {
        Issuer::Tenant(TenantRef { id: TenantId::from_uuid(tenant), partner_id: PartnerId::from_uuid(partner) })
    })
}

pub(super) fn domain(row: Model) -> Result<SigningKey> {
    Ok(SigningKey {
        id: KeyId::from_uuid(row.id),
        issuer: issuer(row.tenant_id, row.partner_id),
        algorithm: word(&row.algorithm, "key algorithm")?,
        public_jwk: row.public_jwk,
        private_sealed: row.private_sealed,
        state: word(&row.state, "key state")?,
        created_at: Timestamp::from_micros(row.created_at),
        activated_at: row.activated_at.map(Timestamp::from_micros),
        retired_at: row.retired_at.map(Timestamp::from_micros),
        withdrawn_at: row.withdrawn_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for SigningKey {
    type Entity = Entity;
    type Active = ActiveModel;

    const INSERT_CHANGES: Option<Change> = Some(Change::Everything);

    fn home(&self) -> Home {
        let tenant = self.issuer.tenant();
        let partner = tenant.map_or(PartnerId::from_uuid(PLATFORM), |tenant| tenant.partner_id);
        Home { partner, tenant: tenant.map(|tenant| tenant.id), user: None }
    }

    fn terms(&self) -> Option<Terms> {
        None
    }

    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            owner_id: Set(self.issuer.uuid()),
            tenant_id: Set(self.issuer.tenant().map(|tenant| tenant.id.uuid())),
            partner_id: Set(self.home().partner.uuid()),
            algorithm: Set(self.algorithm.to_string()),
            public_jwk: Set(self.public_jwk.clone()),
            private_sealed: Set(self.private_sealed.clone()),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for SigningKey {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            state: Set(self.state.to_string()),
            activated_at: Set(self.activated_at.map(Timestamp::micros)),
            retired_at: Set(self.retired_at.map(Timestamp::micros)),
            withdrawn_at: Set(self.withdrawn_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl System<'_> {
    /// What every request needs to know of a tenant, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_facts(&self, id: TenantId, now: Timestamp) -> Result<Option<TenantFacts>> {
        self.facts("t.id = ", id.uuid(), now).await
    }

    /// The same, by slug.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_facts_by_slug(&self, slug: &Slug, now: Timestamp) -> Result<Option<TenantFacts>> {
        self.facts("t.slug = ", slug.as_str(), now).await
    }

    /// A signing key, whose ever it is.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn key(&self, id: KeyId) -> Result<Option<SigningKey>> {
        self.select::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(domain).transpose()
    }

    /// The keys of an issuer, newest first, at most 100.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn keys(&self, issuer: Issuer) -> Result<Vec<SigningKey>> {
        let rows =
            self.select::<Entity>().filter(Column::OwnerId.eq(issuer.uuid())).order_by_desc(Column::Id).limit(100);
        rows.all(&self.exec).await?.into_iter().map(domain).collect()
    }

    /// What is to be known of the platform.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn platform_facts(&self, now: Timestamp) -> Result<PlatformFacts> {
        let lasts = Column::State.is_in([KeyState::Current, KeyState::Next].map(KeyState::as_str));
        let retired = Column::State.eq(KeyState::Retired.as_str());
        let retired = retired.and(Column::RetiredAt.gt(now.minus(OVERLAP).micros()));
        let rows = self.select::<Entity>().filter(Column::OwnerId.eq(PLATFORM)).filter(lasts.or(retired));
        let rows = rows.order_by_asc(Column::State).order_by_desc(Column::Id).limit(100);
        let keys = rows.all(&self.exec).await?.into_iter().map(domain).collect::<Result<_>>()?;
        Ok(PlatformFacts { layers: self.platform_layers().await?, keys })
    }

    /// The keys of an issuer that sign with an algorithm, now and next.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn signing_keys(&self, issuer: Issuer, algorithm: SigningAlgorithm) -> Result<Vec<SigningKey>> {
        let states = [KeyState::Current, KeyState::Next].map(|state| state.as_str());
        let rows = self.select::<Entity>().filter(Column::OwnerId.eq(issuer.uuid()));
        let rows = rows.filter(Column::State.is_in(states)).filter(Column::Algorithm.eq(algorithm.as_str()));
        rows.all(&self.exec).await?.into_iter().map(domain).collect()
    }

    /// Which issuers have a key that signs and none that signs next, with the algorithm; at most 100.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn without_next_key(&self) -> Result<Vec<(Issuer, SigningAlgorithm)>> {
        let columns = [Column::PartnerId, Column::TenantId, Column::Algorithm];
        let states = [KeyState::Current, KeyState::Next].map(|state| state.as_str());
        let rows = self.select::<Entity>().select_only().columns(columns).filter(Column::State.is_in(states));
        let rows = columns.into_iter().fold(rows, QuerySelect::group_by);
        // The last in the alphabet of the two.
        let rows = rows.having(Column::State.max().eq(KeyState::Current.as_str())).limit(100);
        let rows = rows.into_tuple::<(Uuid, Option<Uuid>, String)>().all(&self.exec).await?.into_iter();
        rows.map(|(partner, tenant, name)| Ok((issuer(tenant, partner), word(&name, "key algorithm")?))).collect()
    }

    /// Keys that have signed since before an instant, those longest first, at most 100.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn keys_older_than(&self, before: Timestamp) -> Result<Vec<SigningKey>> {
        // A release of before notes only when a key was made.
        let since = Func::coalesce([Column::ActivatedAt, Column::CreatedAt].map(|column| Expr::col((Entity, column))));
        let rows = self
            .select::<Entity>()
            .filter(Column::State.eq(KeyState::Current.as_str()))
            .filter(Expr::expr(since).lte(before.micros()))
            .order_by_asc(Column::CreatedAt)
            .limit(100);
        rows.all(&self.exec).await?.into_iter().map(domain).collect()
    }
}
