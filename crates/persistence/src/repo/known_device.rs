//! Devices that users signed in from before, by the digests of their tokens.

use gatehouse_domain::{
    change::Changed,
    throttle::{KNOWN_DEVICES, KnownDevice},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    entity::known_device::{self, Column},
    error::Result,
    repo::{removed, sweep::BATCH},
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Knows one more device of a user; beyond [`KNOWN_DEVICES`] the oldest are not known any more. The user has to be
    /// locked, as [`WriteSystem::admit`] does, so that devices of one user are counted one after the other.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn know_device(&self, added: Changed<KnownDevice>) -> Result<()> {
        let (device, event) = added.into_parts();
        let db = self.tx.writing();
        let (tenant, user) = (device.tenant_id.uuid(), device.user_id.uuid());
        let row = known_device::Model {
            id: device.id.uuid(),
            tenant_id: tenant,
            user_id: user,
            token_hash: device.hash.as_bytes().to_vec(),
            created_at: device.created_at.micros(),
            expires_at: device.expires_at.micros(),
        };
        self.table::<known_device::Entity>().insert(row).exec_without_returning(&db).await?;
        let surplus = self.table::<known_device::Entity>().delete_some(|devices| {
            let devices = devices.filter(Column::TenantId.eq(tenant)).filter(Column::UserId.eq(user));
            let devices = devices.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
            devices.limit(BATCH as u64).offset(u64::from(KNOWN_DEVICES))
        });
        surplus.exec(&db).await?;
        self.tx.record(event).await
    }

    /// Removes devices that are not known any more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_devices(&self) -> Result<usize> {
        let expired = Column::ExpiresAt.lte(self.tx.now().micros());
        let devices = self.table::<known_device::Entity>().delete_some(|rows| rows.filter(expired).limit(BATCH as u64));
        Ok(removed(devices.exec(&self.tx.writing()).await?))
    }
}
