//! The applications that sessions were used with.

use gatehouse_domain::{
    authz::TenantRef,
    id::{ApplicationId, SessionId, TenantId},
};
use sea_orm::ConnectionTrait;

use crate::{
    error::{Error, Result},
    repo::sql::Sql,
    scope::system::{System, WriteSystem},
};

impl System<'_> {
    /// The applications of a tenant, at most 200.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn applications(&self, tenant: TenantId) -> Result<Vec<ApplicationId>> {
        let mut sql = Sql::new("SELECT id FROM applications WHERE tenant_id = ");
        sql.bind(tenant.uuid()).push(" ORDER BY id LIMIT 200");
        let db = self.exec;
        let rows = db.query_all_raw(sql.statement(db.get_database_backend())).await?;
        rows.iter()
            .map(|row| row.try_get_by_index(0).map(ApplicationId::from_uuid).map_err(|_| Error::Corrupt("application")))
            .collect()
    }
}

impl WriteSystem<'_> {
    /// Makes an application.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_application(&self, tenant: TenantRef, id: ApplicationId, name: &str) -> Result<()> {
        let mut sql = Sql::new("INSERT INTO applications (id, tenant_id, partner_id, name, created_at) VALUES (");
        sql.bind(id.uuid()).push(", ").bind(tenant.id.uuid()).push(", ").bind(tenant.partner_id.uuid());
        sql.push(", ").bind(name).push(", ").bind(self.tx.now().micros()).push(")");
        self.execute(sql).await.map(drop)
    }

    /// Notes that a session was used with an application.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_session_application(
        &self,
        tenant: TenantRef,
        session: SessionId,
        application: ApplicationId,
    ) -> Result<()> {
        let now = self.tx.now().micros();
        let mut sql =
            Sql::new("INSERT INTO session_applications (tenant_id, session_id, application_id, accessed_at) VALUES (");
        sql.bind(tenant.id.uuid())
            .push(", ")
            .bind(session.uuid())
            .push(", ")
            .bind(application.uuid())
            .push(", ")
            .bind(now);
        sql.push(") ON CONFLICT (session_id, application_id) DO UPDATE SET accessed_at = ").bind(now);
        self.execute(sql).await.map(drop)
    }
}
