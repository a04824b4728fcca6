//! The origins of the pages that applications may be called from (Fetch, section 3.2).

use gatehouse_domain::{
    application::{Application, Origin},
    key::Issuer,
    partner::Status,
};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, QueryTrait};

use crate::{
    entity::{
        application::{Column, Entity},
        application_origin as origin,
    },
    error::Result,
    repo::{Row, application::owner_id, exists},
    scope::{PLATFORM, WriteScope, system::System},
};

impl WriteScope<'_> {
    /// Makes the pages be found that an application may be called from.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the application lies outside the scope.
    pub async fn put_origins(&self, application: &Application) -> Result<()> {
        let (home, owner) = (application.home(), owner_id(application.owner));
        let former = self.table_of::<origin::Entity>(&home)?.delete();
        let former = former.filter(origin::Column::OwnerId.eq(owner));
        former.filter(origin::Column::ApplicationId.eq(application.id.uuid())).exec(&self.tx.writing()).await?;
        let origins = application.metadata.allowed_origins.iter().filter(|_| application.deleted_at.is_none());
        let row = |it: &Origin| origin::Model {
            owner_id: owner,
            origin: it.to_string(),
            application_id: application.id.uuid(),
        };
        let rows: Vec<_> = origins.map(row).collect();
        if !rows.is_empty() {
            let rows = self.table_of::<origin::Entity>(&home)?.insert_many(rows);
            rows.exec_without_returning(&self.tx.writing()).await?;
        }
        Ok(())
    }
}

impl System<'_> {
    /// Whether pages of an origin may call an issuer: an application that can be used there and is not suspended allows it.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn allows_origin(&self, issuer: Issuer, origin: &str) -> Result<bool> {
        use origin::Column as Of;
        let ids = self.table::<origin::Entity>().select().select_only().column(Of::ApplicationId);
        let owners = match issuer {
            Issuer::Platform => [PLATFORM, PLATFORM],
            Issuer::Tenant(tenant) => [tenant.id.uuid(), tenant.partner_id.uuid()],
        };
        let ids = ids.filter(Of::OwnerId.is_in(owners));
        let ids = ids.filter(Of::Origin.eq(origin)).into_query();
        let active = self.select::<Entity>().filter(Column::Status.eq(Status::Active.as_str()));
        exists(active.filter(Column::Id.in_subquery(ids)), self.exec).await
    }
}
