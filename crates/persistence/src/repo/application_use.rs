//! That applications are used: in their own name, and in sessions.

use gatehouse_domain::{application::Application, authz::TenantRef, change::Changed, id::SessionId, time::Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryTrait, Set, sea_query::OnConflict};

use crate::{
    entity::{
        application::{ActiveModel, Column, Entity},
        session_application,
    },
    error::Result,
    repo::application::owner_id,
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Stores that an application was used. Of those who do so at the same time one does.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn use_application(&self, before: Option<Timestamp>, used: Changed<Application>) -> Result<()> {
        let (application, event) = used.into_parts();
        let was = match before {
            Some(at) => Column::LastUsedAt.eq(at.micros()),
            None => Column::LastUsedAt.is_null(),
        };
        let at =
            ActiveModel { last_used_at: Set(application.last_used_at.map(Timestamp::micros)), ..Default::default() };
        let update = self.update_where::<Entity>().set(at).filter(Column::Id.eq(application.id.uuid())).filter(was);
        self.tx.update(update.build(self.exec.get_database_backend()), Some(event)).await?;
        self.tx.changed(crate::Change::Application(application.id));
        Ok(())
    }

    /// Notes that a session was used with an application.
    ///
    /// # Errors
    /// [`Error::Stale`] and others when the application cannot be used in the tenant: the database refuses the row.
    pub async fn add_session_application(
        &self,
        tenant: TenantRef,
        session: SessionId,
        application: &Application,
    ) -> Result<()> {
        use session_application::Column as Used;
        let row = session_application::Model {
            tenant_id: tenant.id.uuid(),
            partner_id: tenant.partner_id.uuid(),
            session_id: session.uuid(),
            application_id: application.id.uuid(),
            owner_id: owner_id(application.owner),
            accessed_at: self.tx.now().micros(),
        };
        let mut again = OnConflict::columns([Used::SessionId, Used::ApplicationId]);
        let row = self.table::<session_application::Entity>().insert(row);
        let row = row.on_conflict(again.update_column(Used::AccessedAt).to_owned());
        row.exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }
}
