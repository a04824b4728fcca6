//! The applications that sessions were used with.

use gatehouse_domain::{
    authz::TenantRef,
    id::{ApplicationId, SessionId, TenantId},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict};

use crate::{
    entity::{application, session_application},
    error::Result,
    scope::system::{System, WriteSystem},
};

impl System<'_> {
    /// The applications of a tenant, at most 200.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn applications(&self, tenant: TenantId) -> Result<Vec<ApplicationId>> {
        let applications = self.table::<application::Entity>().select().select_only().column(application::Column::Id);
        let applications = applications.filter(application::Column::TenantId.eq(tenant.uuid()));
        let ids = applications.order_by_asc(application::Column::Id).limit(200).into_tuple().all(&self.exec).await?;
        Ok(ids.into_iter().map(ApplicationId::from_uuid).collect())
    }
}

impl WriteSystem<'_> {
    /// Makes an application.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn add_application(&self, tenant: TenantRef, id: ApplicationId, name: &str) -> Result<()> {
        let row = application::Model {
            id: id.uuid(),
            tenant_id: tenant.id.uuid(),
            partner_id: tenant.partner_id.uuid(),
            name: name.to_owned(),
            created_at: self.tx.now().micros(),
        };
        self.table::<application::Entity>().insert(row).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
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
        use session_application::Column;
        let row = session_application::Model {
            tenant_id: tenant.id.uuid(),
            session_id: session.uuid(),
            application_id: application.uuid(),
            accessed_at: self.tx.now().micros(),
        };
        let mut again = OnConflict::columns([Column::SessionId, Column::ApplicationId]);
        let row = self.table::<session_application::Entity>().insert(row);
        let row = row.on_conflict(again.update_column(Column::AccessedAt).to_owned());
        row.exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }
}
