//! Applications that documents describe, by the addresses of these.

use gatehouse_domain::{
    application::{Application, DocumentUrl, KEPT_WITHOUT_USE, MOST_DESCRIBED, RegistrationKind},
    authz::TenantRef,
};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::LockType};

use crate::{
    entity::{
        application::{ActiveModel, Column, Entity},
        tenant,
    },
    error::{Error, Result},
    repo::list::{Stored, count},
    scope::system::{System, WriteSystem},
};

/// Applications that one batch forgets at most: each has its event.
const FORGOTTEN: usize = 50;

impl System<'_> {
    /// The application that a document describes in a tenant: one that an administrator added, of the tenant or of its
    /// partner, else the one that users let in.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn described_application(
        &self,
        tenant: TenantRef,
        document: &DocumentUrl,
    ) -> Result<Option<Application>> {
        let owners = [tenant.id.uuid(), tenant.partner_id.uuid()];
        let rows = self.select::<Entity>().filter(Column::OwnerId.is_in(owners));
        let rows = rows.filter(Column::DocumentUrl.eq(document.as_str())).filter(Column::DeletedAt.is_null());
        let rows = rows.all(&self.exec).await?.into_iter().map(Application::read).collect::<Result<Vec<_>>>()?;
        // Of two that were added that of the tenant.
        Ok(rows.into_iter().min_by_key(|it| (it.registration, it.owner.tenant().is_none())))
    }
}

impl WriteSystem<'_> {
    /// Whether a tenant has room for one more application that users let in. It stays so until the transaction ends.
    ///
    /// # Errors
    /// [`Error::Stale`] when the tenant is gone or moved.
    pub async fn has_room_for_described(&self, tenant: TenantRef) -> Result<bool> {
        let row = self.select::<tenant::Entity>().filter(tenant::Column::Id.eq(tenant.id.uuid()));
        let row = row.filter(tenant::Column::PartnerId.eq(tenant.partner_id.uuid())).lock(LockType::NoKeyUpdate);
        row.one(&self.exec).await?.ok_or(Error::Stale)?;
        let own = self.select::<Entity>().filter(Column::OwnerId.eq(tenant.id.uuid()));
        let own = own.filter(Column::DeletedAt.is_null());
        let own = own.filter(Column::Registration.eq(RegistrationKind::MetadataDocument.as_str()));
        Ok(count(self.exec, own).await? < MOST_DESCRIBED)
    }

    /// Notes that an application is used that a document describes.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_use_of_described(&self, application: &Application) -> Result<()> {
        let used = ActiveModel { noted_at: Set(Some(self.tx.now().micros())), ..Default::default() };
        let update = self.update_where::<Entity>().set(used).filter(Column::Id.eq(application.id.uuid()));
        update.exec(&self.tx.writing()).await?;
        self.tx.changed(crate::Change::Application(application.id));
        Ok(())
    }

    /// Forgets applications that users let in and that nobody has used for long, some at a time; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn forget_unused_applications(&self) -> Result<usize> {
        let (now, before) = (self.tx.now(), self.tx.now().minus(KEPT_WITHOUT_USE).micros());
        let unused = Condition::all()
            .add(Column::DocumentUrl.is_not_null())
            .add(Column::DeletedAt.is_null())
            .add(Column::NotedAt.lt(before))
            .add(Column::Registration.eq(RegistrationKind::MetadataDocument.as_str()));
        let rows = self.select::<Entity>().filter(unused).order_by_asc(Column::NotedAt).limit(FORGOTTEN as u64);
        let rows = rows.all(&self.exec).await?;
        let mut forgotten = 0;
        for row in rows {
            let gone = self.update(Application::read(row)?.forget(&self.by(), now)).await;
            match gone {
                Ok(application) => self.put_origins(&application).await?,
                // An administrator was faster.
                Err(Error::Stale) => continue,
                Err(error) => return Err(error),
            }
            forgotten += 1;
        }
        Ok(forgotten)
    }
}
