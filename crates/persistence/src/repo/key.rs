//! Signing keys, and the tenant as token checks see it.

use gatehouse_domain::{
    authz::TenantRef,
    id::{KeyId, PartnerId, TenantId},
    key::{KeyState, SigningKey},
    partner::Status,
    settings::Layers,
    tenant::Tenant,
    text::Slug,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::{
    entity::signing_key::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{Home, Row, Versioned, term::Terms, word},
    scope::system::System,
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
    /// The keys that verify its tokens, the current one first.
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

pub(super) fn domain(row: Model) -> Result<SigningKey> {
    Ok(SigningKey {
        id: KeyId::from_uuid(row.id),
        tenant_id: TenantId::from_uuid(row.tenant_id),
        partner_id: PartnerId::from_uuid(row.partner_id),
        algorithm: row.algorithm,
        public_jwk: row.public_jwk,
        private_sealed: row.private_sealed,
        state: word(&row.state, "key state")?,
        created_at: Timestamp::from_micros(row.created_at),
        retired_at: row.retired_at.map(Timestamp::from_micros),
        withdrawn_at: row.withdrawn_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for SigningKey {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.tenant_id), user: None }
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
            tenant_id: Set(self.tenant_id.uuid()),
            partner_id: Set(self.partner_id.uuid()),
            algorithm: Set(self.algorithm.clone()),
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

    /// A signing key, whichever tenant it belongs to.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn key(&self, id: KeyId) -> Result<Option<SigningKey>> {
        self.select::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.exec).await?.map(domain).transpose()
    }

    /// The keys of a tenant, newest first; all of them or those in use.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn keys(&self, tenant: TenantId) -> Result<Vec<SigningKey>> {
        let rows =
            self.select::<Entity>().filter(Column::TenantId.eq(tenant.uuid())).order_by_desc(Column::Id).limit(100);
        rows.all(&self.exec).await?.into_iter().map(domain).collect()
    }

    /// Current keys made before an instant, oldest first, at most 100.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn keys_older_than(&self, before: Timestamp) -> Result<Vec<SigningKey>> {
        let rows = self
            .select::<Entity>()
            .filter(Column::State.eq(KeyState::Current.as_str()))
            .filter(Column::CreatedAt.lte(before.micros()))
            .order_by_asc(Column::CreatedAt)
            .limit(100);
        rows.all(&self.exec).await?.into_iter().map(domain).collect()
    }
}
