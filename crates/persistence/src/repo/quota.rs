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
        self.quota(self.tenant_row(tenant, partner::Column::MaxUsersPerTenant)).await
    }

    /// The same of applications.
    ///
    /// # Errors
    /// [`Error::Stale`] when the tenant is gone or moved.
    pub async fn application_quota(&self, tenant: TenantRef) -> Result<Usage> {
        let Usage { most, .. } = self.quota(self.tenant_row(tenant, partner::Column::MaxApplicationsPerTenant)).await?;
        Ok(Usage { used: self.count_applications(tenant.id).await?, most })
    }

    /// How many users a tenant has, and a limit of its partner, under the lock of the tenant.
    fn tenant_row(&self, tenant: TenantRef, limit: partner::Column) -> Select<tenant::Entity> {
        let row = self.select::<tenant::Entity>().select_only().column(tenant::Column::Users).column(limit);
        let mut row = row
            .join(JoinType::InnerJoin, tenant::Relation::Partner.def())
            .filter(tenant::Column::Id.eq(tenant.id.uuid()))
            .filter(tenant::Column::PartnerId.eq(tenant.partner_id.uuid()));
        QueryTrait::query(&mut row).lock_with_tables(LockType::NoKeyUpdate, [tenant::Entity]);
        row
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
