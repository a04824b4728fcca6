//! Access tokens that were taken back, by their ids until they expire.

use gatehouse_domain::{change::Changed, oauth::RevokedToken};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect, sea_query::OnConflict};
use uuid::Uuid;

use crate::{
    entity::revoked_token::{Column, Entity, Model},
    error::Result,
    repo::{exists, removed, sweep::BATCH},
    scope::system::{System, WriteSystem},
};

impl System<'_> {
    /// Whether an access token was taken back.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn is_revoked(&self, token: Uuid) -> Result<bool> {
        exists(self.table::<Entity>().select().filter(Column::Id.eq(token)), self.exec).await
    }
}

impl WriteSystem<'_> {
    /// Takes an access token back. Once more changes nothing.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn revoke_token(&self, revoked: Changed<RevokedToken>) -> Result<()> {
        let (token, event) = revoked.into_parts();
        let row = Model { id: token.id, expires_at: token.expires_at.micros() };
        let once = OnConflict::column(Column::Id).do_nothing().to_owned();
        let row = self.table::<Entity>().insert(row).on_conflict(once);
        if row.exec_without_returning(&self.tx.writing()).await? == 0 {
            return Ok(());
        }
        self.tx.changed(crate::Change::Token(token.id));
        self.tx.record(event).await
    }

    /// Forgets tokens that have expired, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_revoked_tokens(&self) -> Result<usize> {
        let expired = Column::ExpiresAt.lte(self.tx.now().micros());
        let tokens = self.table::<Entity>().delete_some(|rows| rows.filter(expired).limit(BATCH as u64));
        Ok(removed(tokens.exec(&self.tx.writing()).await?))
    }
}
