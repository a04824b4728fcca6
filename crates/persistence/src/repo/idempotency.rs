//! Answers kept for those who may not have got them, with the change that they answer.

use gatehouse_domain::{
    id::{TenantId, UserId},
    time::{DAY, Timestamp},
};

use crate::{
    db::WriteTx,
    error::{Error, Result},
    repo::{
        list::{signed, unsigned},
        sql::Sql,
        sweep::BATCH,
    },
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
    pub user: UserId,
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
    /// The most answers that are kept for one user.
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
        let mut sql = Sql::new(
            "SELECT k.fingerprint, k.answer, c.n FROM (SELECT COUNT(*) AS n FROM (SELECT 1 FROM idempotency_keys WHERE tenant_id = ",
        );
        sql.bind(key.tenant.uuid()).push(" AND user_id = ").bind(key.user.uuid());
        sql.push(" AND kept_at > ").bind(forgotten(now)).push(" LIMIT ").bind(signed(EarlierRequest::MOST));
        sql.push(") live) c LEFT JOIN idempotency_keys k ON k.key_hash = ").bind(key.key.to_vec());
        sql.push(" AND k.kept_at > ").bind(forgotten(now));
        let row = sql.one(self.exec).await?.ok_or(Error::Corrupt("count"))?;
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
        let mut sql = Sql::new(
            "INSERT INTO idempotency_keys (key_hash, tenant_id, user_id, fingerprint, answer, kept_at) VALUES (",
        );
        sql.bind(key.key.to_vec()).push(", ").bind(key.tenant.uuid()).push(", ").bind(key.user.uuid());
        sql.push(", ").bind(key.fingerprint.to_vec()).push(", ").bind(answer).push(", ").bind(self.now().micros());
        // One that is forgotten but not yet removed is in nobody's way.
        sql.push(
            ") ON CONFLICT (key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, \
             kept_at = excluded.kept_at WHERE idempotency_keys.kept_at <= ",
        );
        sql.bind(forgotten(self.now()));
        let rows = sql.exec(self.writing()).await?;
        if rows == 1 { Ok(()) } else { Err(Error::AlreadyAnswered) }
    }
}

impl WriteSystem<'_> {
    /// Removes answers that are forgotten, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_idempotency_keys(&self) -> Result<usize> {
        let mut sql = Sql::new(
            "DELETE FROM idempotency_keys WHERE key_hash IN (SELECT key_hash FROM idempotency_keys WHERE kept_at <= ",
        );
        sql.bind(forgotten(self.tx.now())).push(" LIMIT ").bind(signed(BATCH as u64)).push(")");
        Ok(usize::try_from(self.execute(sql).await?).unwrap_or(usize::MAX))
    }
}
