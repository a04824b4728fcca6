//! How much of a partner's limits is used, under the lock of the row that counts it.

use gatehouse_domain::{authz::TenantRef, id::PartnerId, partner::Usage};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, QueryTrait, RelationTrait, Select,
    sea_query::LockType,
};

use crate::{
    entity::{partner, tenant},
    error::{Error, Result},
    repo::{list::unsigned, partner::limit},
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// The users of a tenant and the most that its partner allows. Held until the transaction ends: what is added
    /// meanwhile waits.
    ///
    /// # Errors
    /// [`Error::Stale`] when the tenant is gone or moved.
    pub async fn user_quota(&self, tenant: TenantRef) -> Result<Usage> {
        let users = self.select::<tenant::Entity>().select_only().column(tenant::Column::Users);
        let users = users.column(partner::Column::MaxUsersPerTenant);
        let mut users = users
            .join(JoinType::InnerJoin, tenant::Relation::Partner.def())
            .filter(tenant::Column::Id.eq(tenant.id.uuid()))
            .filter(tenant::Column::PartnerId.eq(tenant.partner_id.uuid()));
        QueryTrait::query(&mut users).lock_with_tables(LockType::NoKeyUpdate, [tenant::Entity]);
        self.quota(users).await
    }

    /// The tenants of a partner and the most that it may have. Held until the transaction ends.
    ///
    /// # Errors
    /// [`Error::Stale`] when the partner is gone.
    pub async fn tenant_quota(&self, partner: PartnerId) -> Result<Usage> {
        let tenants = self.select::<partner::Entity>().select_only();
        let tenants = tenants.columns([partner::Column::Tenants, partner::Column::MaxTenants]);
        self.quota(tenants.filter(partner::Column::Id.eq(partner.uuid())).lock(LockType::NoKeyUpdate)).await
    }

    /// What is used and the most that may be.
    async fn quota<E: EntityTrait>(&self, row: Select<E>) -> Result<Usage> {
        let (used, most) = row.into_tuple::<(i64, Option<i64>)>().one(&self.exec).await?.ok_or(Error::Stale)?;
        Ok(Usage { used: unsigned(used), most: limit(most)? })
    }
}
