//! Devices that users signed in from before, by the digests of their tokens.

use gatehouse_domain::{
    change::Changed,
    throttle::{KNOWN_DEVICES, KnownDevice},
};

use crate::{
    error::Result,
    repo::{sql::Sql, sweep::BATCH},
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
        let mut sql =
            Sql::new("INSERT INTO known_devices (id, tenant_id, user_id, token_hash, created_at, expires_at) VALUES (");
        sql.bind(device.id.uuid()).push(", ").bind(device.tenant_id.uuid()).push(", ").bind(device.user_id.uuid());
        sql.push(", ").bind(device.hash.as_bytes().to_vec()).push(", ").bind(device.created_at.micros());
        sql.push(", ").bind(device.expires_at.micros()).push(")");
        self.execute(sql).await?;
        let mut sql =
            Sql::new("DELETE FROM known_devices WHERE id IN (SELECT id FROM known_devices WHERE tenant_id = ");
        sql.bind(device.tenant_id.uuid()).push(" AND user_id = ").bind(device.user_id.uuid());
        sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").bind(BATCH as i64);
        sql.push(" OFFSET ").bind(i64::from(KNOWN_DEVICES)).push(")");
        self.execute(sql).await?;
        self.tx.record(event).await
    }

    /// Removes devices that are not known any more, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_devices(&self) -> Result<usize> {
        let mut sql =
            Sql::new("DELETE FROM known_devices WHERE id IN (SELECT id FROM known_devices WHERE expires_at <= ");
        sql.bind(self.tx.now().micros()).push(" LIMIT ").bind(BATCH as i64).push(")");
        Ok(usize::try_from(self.execute(sql).await?).unwrap_or(usize::MAX))
    }
}
