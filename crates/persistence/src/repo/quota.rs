//! How much of a partner's limits is used, under the lock of the row that counts it.

use gatehouse_domain::{
    authz::TenantRef,
    id::PartnerId,
    partner::{Limit, Quota},
};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    error::{Error, Result},
    repo::{list::unsigned, partner::limit, sql::Sql},
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// The users of a tenant and the most that its partner allows. Held until the transaction ends: what is added
    /// meanwhile waits.
    ///
    /// # Errors
    /// [`Error::Stale`] when the tenant is gone or moved.
    pub async fn user_quota(&self, tenant: TenantRef) -> Result<Quota> {
        let mut sql = Sql::new(
            "SELECT t.users AS used, p.max_users_per_tenant AS most FROM tenants t JOIN partners p ON p.id = t.partner_id WHERE t.id = ",
        );
        sql.bind(tenant.id.uuid()).push(" AND t.deleted_at IS NULL AND t.partner_id = ").bind(tenant.partner_id.uuid());
        self.quota(sql, " FOR NO KEY UPDATE OF t").await
    }

    /// The tenants of a partner and the most that it may have. Held until the transaction ends.
    ///
    /// # Errors
    /// [`Error::Stale`] when the partner is gone.
    pub async fn tenant_quota(&self, partner: PartnerId) -> Result<Quota> {
        let mut sql =
            Sql::new("SELECT tenants AS used, max_tenants AS most FROM partners WHERE deleted_at IS NULL AND id = ");
        sql.bind(partner.uuid());
        self.quota(sql, " FOR NO KEY UPDATE").await
    }

    /// On SQLite there is one writer, and that is this transaction.
    async fn quota(&self, mut sql: Sql, lock: &str) -> Result<Quota> {
        let db = self.exec;
        let backend = db.get_database_backend();
        if backend == DbBackend::Postgres {
            sql.push(lock);
        }
        let row = sql.one(db).await?.ok_or(Error::Stale)?;
        let most: Option<Limit> = limit(row.try_get("", "most")?)?;
        Ok(Quota { used: unsigned(row.try_get("", "used")?), most })
    }
}
