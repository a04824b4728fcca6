//! What a restore ends: whatever somebody could still use that began before.

use gatehouse_domain::{
    application::SigningAlgorithm,
    import::ImportState,
    key::{Issuer, KeyState},
    platform::Restored,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, IntoSimpleExpr, QueryFilter, QuerySelect, UpdateMany, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    db::Change,
    entity::{job, known_device, session, setup_token, signing_key, user_import, user_import_piece, user_token},
    error::Result,
    repo::key,
    scope::system::{System, WriteSystem},
};

impl System<'_> {
    /// The instant of the newest root of the audit trail: no earlier state of this database has a later one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn newest_instant(&self) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.root().await?.map_or(0, |root| root.made_at)))
    }
}

impl WriteSystem<'_> {
    /// Ends what began before: sessions come to their end now and are swept later, links, setup tokens, known devices and
    /// mails that wait are removed, imports are cancelled, signing keys withdrawn. Returns who needs new keys.
    ///
    /// # Errors
    /// The database refuses a statement.
    pub async fn end_all_before(&self, restored: &mut Restored) -> Result<Vec<Issuer>> {
        let (now, db) = (self.tx.now().micros(), self.tx.writing());
        let active = self.table::<session::Entity>().update();
        let active = active.filter(session::Column::EndedAt.is_null()).filter(session::Column::EndsAt.gt(now));
        let ended = [session::Column::ExpiresAt, session::Column::EndsAt].map(|column| (column, now));
        restored.sessions = set(active, ended).exec(&db).await?.rows_affected;

        restored.links = self.table::<user_token::Entity>().delete().exec(&db).await?.rows_affected;
        restored.links += self.table::<setup_token::Entity>().delete().exec(&db).await?.rows_affected;
        restored.devices = self.table::<known_device::Entity>().delete().exec(&db).await?.rows_affected;
        restored.imports = self.cancel_imports(now).await?;
        restored.mails = self.table::<job::Entity>().delete().exec(&db).await?.rows_affected;
        self.table::<user_import_piece::Entity>().delete().exec(&db).await?;
        self.tx.changed(Change::Everything);
        self.withdraw_keys(now, restored).await
    }

    async fn cancel_imports(&self, now: i64) -> Result<u64> {
        use user_import::Column;
        let active = [ImportState::Queued, ImportState::Running].map(ImportState::as_str);
        let active = self.table::<user_import::Entity>().update().filter(Column::State.is_in(active));
        let cancelled = active.col_expr(Column::State, Expr::value(ImportState::Cancelled.as_str()));
        let cancelled = set(cancelled, [(Column::UpdatedAt, now), (Column::ForgetAt, now)]);
        let cancelled = cancelled.col_expr(Column::Version, Column::Version.into_simple_expr().add(1));
        Ok(cancelled.exec(&self.tx.writing()).await?.rows_affected)
    }

    async fn withdraw_keys(&self, now: i64, restored: &mut Restored) -> Result<Vec<Issuer>> {
        use signing_key::Column;
        let current = self.table::<signing_key::Entity>().select().select_only();
        let current = current.columns([Column::TenantId, Column::PartnerId]);
        // Each has one for access tokens; for other algorithms keys are made when they are needed.
        let current = current.filter(Column::State.eq(KeyState::Current.as_str()));
        let current = current.filter(Column::Algorithm.eq(SigningAlgorithm::Es256.as_str()));
        let current = current.into_tuple::<(Option<Uuid>, Uuid)>();
        let issuers = current.all(&self.tx.exec()).await?;
        let keys = self.table::<signing_key::Entity>().update();
        let keys = keys.filter(Column::State.ne(KeyState::Withdrawn.as_str()));
        let withdrawn = keys.col_expr(Column::State, Expr::value(KeyState::Withdrawn.as_str()));
        let withdrawn = set(withdrawn, [(Column::WithdrawnAt, now)]);
        let withdrawn = withdrawn.col_expr(Column::Version, Column::Version.into_simple_expr().add(1));
        restored.keys = withdrawn.exec(&self.tx.writing()).await?.rows_affected;
        Ok(issuers.into_iter().map(|(tenant, partner)| key::issuer(tenant, partner)).collect())
    }

    /// Records that a database was restored.
    ///
    /// # Errors
    /// The database refuses the statement.
    pub async fn record_restored(&self, restored: &Restored) -> Result<()> {
        self.tx.record(restored.event(self.by())).await
    }
}

/// Sets columns to numbers.
fn set<E: EntityTrait>(update: UpdateMany<E>, columns: impl IntoIterator<Item = (E::Column, i64)>) -> UpdateMany<E> {
    columns.into_iter().fold(update, |update, (column, value)| update.col_expr(column, Expr::value(value)))
}
