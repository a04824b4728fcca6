//! Assertions that were used, by digests of their ids, until they expire.

use gatehouse_domain::{secret::TokenHash, time::Timestamp};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, sea_query::OnConflict};

use crate::{
    entity::assertion_id::{Column, Entity, Model},
    error::Result,
    repo::{removed, sweep::BATCH},
    scope::system::WriteSystem,
};

impl WriteSystem<'_> {
    /// Uses an assertion up; whether nobody had.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn spend_assertion(&self, id: TokenHash, expires_at: Timestamp) -> Result<bool> {
        let row = Model { digest: id.as_bytes().to_vec(), expires_at: expires_at.micros() };
        let once = OnConflict::column(Column::Digest).do_nothing().to_owned();
        let row = self.table::<Entity>().insert(row).on_conflict(once);
        Ok(row.exec_without_returning(&self.tx.writing()).await? == 1)
    }

    /// Forgets assertions that have expired, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_assertions(&self) -> Result<usize> {
        let expired = Column::ExpiresAt.lte(self.tx.now().micros());
        let old = self.table::<Entity>().delete_some(|rows| rows.filter(expired).limit(BATCH as u64));
        Ok(removed(old.exec(&self.tx.writing()).await?))
    }
}
