//! That applications are used: in their own name, and in sessions.

use gatehouse_domain::{
    application::Application,
    authz::TenantRef,
    change::Changed,
    id::{ApplicationId, SessionId},
    secret::TokenHash,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QueryTrait, Set, sea_query::OnConflict};

use crate::{
    entity::{
        application::{ActiveModel, Column, Entity},
        session_application,
    },
    error::Result,
    repo::application::{owner_id, read_secrets, stored_secrets},
    scope::system::WriteSystem,
};

/// That an application was used.
#[derive(Debug, Clone, Copy)]
pub struct ApplicationUse {
    /// The application.
    pub application: ApplicationId,
    /// The secret that it showed, if it did.
    pub secret: Option<TokenHash>,
    /// When.
    pub at: Timestamp,
}

impl WriteSystem<'_> {
    /// Stores that an application was used. Of those who do so at the same time one does.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn use_application(&self, before: Option<Timestamp>, used: Changed<Application>) -> Result<()> {
        let (application, event) = used.into_parts();
        let was = match before {
            Some(at) => Column::NotedAt.eq(at.micros()),
            None => Column::NotedAt.is_null(),
        };
        let at = ActiveModel { noted_at: Set(application.noted_at.map(Timestamp::micros)), ..Default::default() };
        let update = self.update_where::<Entity>().set(at).filter(Column::Id.eq(application.id.uuid())).filter(was);
        self.tx.update(update.build(self.exec.get_database_backend()), Some(event)).await?;
        self.tx.changed(crate::Change::Application(application.id));
        Ok(())
    }

    /// Stores when applications were last used, and by which of their secrets: no change of them, so it has no event.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_uses(&self, uses: &[ApplicationUse]) -> Result<()> {
        let ids = uses.iter().map(|used| used.application.uuid());
        // In one order everywhere: two replicas may write down the same ones.
        let rows =
            self.select::<Entity>().filter(Column::Id.is_in(ids)).order_by_asc(Column::Id).all(&self.exec).await?;
        for row in rows {
            let of = || uses.iter().filter(|used| used.application.uuid() == row.id);
            let last = of().map(|used| used.at.micros()).chain(row.last_used_at).max();
            let mut secrets = read_secrets(&row.secrets)?;
            for used in of() {
                secrets.note_use(used.secret, used.at);
            }
            let used =
                ActiveModel { last_used_at: Set(last), secrets: Set(stored_secrets(&secrets)?), ..Default::default() };
            // Where its secrets are changed meanwhile, it is its next use that is written down.
            let update = self.update_where::<Entity>().set(used).filter(Column::Id.eq(row.id));
            update.filter(Column::Secrets.eq(row.secrets)).exec(&self.tx.writing()).await?;
        }
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
