//! Answers kept for those who may not have got them, with the change that they answer.

use gatehouse_domain::{
    authz::ActorId,
    id::TenantId,
    time::{DAY, Timestamp},
};
use sea_orm::{
    ColumnTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};

use crate::{
    db::WriteTx,
    entity::idempotency_key::{self, Column},
    error::{Error, Result},
    repo::{list::unsigned, removed, sweep::BATCH},
    scope::system::{System, WriteSystem},
};

/// What a request is known by that may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// A digest of who asks where under which key.
    pub key: [u8; 32],
    /// A digest of what is asked.
    pub fingerprint: [u8; 32],
    /// The tenant of who asks.
    pub tenant: TenantId,
    /// Who asks.
    pub actor: ActorId,
}

/// What is known of a request that may have been sent before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRequest {
    /// A digest of what was asked, and the sealed answer.
    pub kept: Option<([u8; 32], Vec<u8>)>,
    /// How many answers are kept for whoever asks, counted as far as [`EarlierRequest::MOST`].
    pub count: u64,
}

impl EarlierRequest {
    /// The most answers that are kept for one user or application.
    pub const MOST: u64 = 10_000;
}

/// Answers of before then are forgotten.
fn forgotten(now: Timestamp) -> i64 {
    now.minus(DAY).micros()
}

impl System<'_> {
    /// What is known of a request that may have been sent before.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn earlier_request(&self, key: &IdempotencyKey, now: Timestamp) -> Result<EarlierRequest> {
        let row = self.earlier_request_row(key, forgotten(now)).await?;
        let kept = match (row.try_get::<Option<Vec<u8>>>("", "fingerprint")?, row.try_get("", "answer")?) {
            (Some(fingerprint), Some(answer)) => {
                Some((fingerprint.try_into().map_err(|_| Error::Corrupt("fingerprint"))?, answer))
            }
            _ => None,
        };
        Ok(EarlierRequest { kept, count: unsigned(row.try_get("", "n")?) })
    }
}

impl WriteTx<'_> {
    /// Keeps the answer to a request with the change that it answers.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`] when the same request has been answered meanwhile.
    pub async fn store_response(&self, key: &IdempotencyKey, answer: Vec<u8>) -> Result<()> {
        let row = idempotency_key::Model {
            key_hash: key.key.to_vec(),
            tenant_id: key.tenant.uuid(),
            user_id: matches!(key.actor, ActorId::User(_)).then(|| key.actor.uuid()),
            application_id: matches!(key.actor, ActorId::Application(_)).then(|| key.actor.uuid()),
            fingerprint: key.fingerprint.to_vec(),
            answer,
            kept_at: self.now().micros(),
        };
        // One that is forgotten but not yet removed is in nobody's way.
        let kept_at = Expr::col((idempotency_key::Entity, Column::KeptAt));
        let again = OnConflict::column(Column::KeyHash)
            .update_columns([Column::Fingerprint, Column::Answer, Column::KeptAt])
            .action_and_where(kept_at.lte(forgotten(self.now())))
            .to_owned();
        let row = self.table::<idempotency_key::Entity>().insert(row).on_conflict(again);
        let rows = row.exec_without_returning(&self.writing()).await?;
        if rows == 1 { Ok(()) } else { Err(Error::AlreadyAnswered) }
    }
}

impl WriteSystem<'_> {
    /// Removes answers that are forgotten, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_idempotency_keys(&self) -> Result<usize> {
        let forgotten = Column::KeptAt.lte(forgotten(self.tx.now()));
        let keys =
            self.table::<idempotency_key::Entity>().delete_some(|rows| rows.filter(forgotten).limit(BATCH as u64));
        Ok(removed(keys.exec(&self.tx.writing()).await?))
    }
}
