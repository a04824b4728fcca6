//! Counters of failed attempts.

use gatehouse_domain::{id::UserId, throttle::Counter, time::Timestamp};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::{
    error::{Error, Result},
    repo::sql::Sql,
    scope::system::{System, WriteSystem},
};

/// Names a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKey {
    /// Of a user, by whatever name.
    User(UserId),
    /// Of anything else, by a digest.
    Digest([u8; 32]),
}

impl ThrottleKey {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::User(id) => id.uuid().as_bytes().to_vec(),
            Self::Digest(digest) => digest.to_vec(),
        }
    }
}

/// The counter in a row whose columns have this prefix; nothing counted yet where there is none.
pub(crate) fn counter(row: &QueryResult, prefix: &str) -> Result<Counter> {
    let int = |name| row.try_get::<Option<i64>>(prefix, name);
    let Some(failures) = int("failures")? else { return Ok(Counter::default()) };
    Ok(Counter {
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        since: Timestamp::from_micros(int("since")?.unwrap_or(0)),
        blocked_until: Timestamp::from_micros(int("blocked_until")?.unwrap_or(0)),
    })
}

impl Sql {
    /// Appends the columns of a counter, prefixed, where there is no room for a join.
    pub(crate) fn counter(&mut self, prefix: &str, key: ThrottleKey) -> &mut Self {
        for (at, column) in ["failures", "since", "blocked_until"].into_iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " });
            self.push(&format!("(SELECT {column} FROM throttles WHERE key = ")).bind(key.bytes());
            self.push(&format!(") AS {prefix}{column}"));
        }
        self
    }
}

impl System<'_> {
    /// A counter.
    ///
    /// # Errors
    /// As any statement.
    pub async fn throttle(&self, key: ThrottleKey) -> Result<Counter> {
        let mut sql = Sql::new("SELECT ");
        sql.counter("n_", key);
        let db = self.exec;
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?;
        counter(&row.ok_or(Error::Corrupt("throttle"))?, "n_")
    }
}

impl WriteSystem<'_> {
    /// Changes a counter. Concurrent changes of one counter happen one after the other. It is written even if it stays
    /// as it was: a failure must not cost less because the account is locked already.
    ///
    /// # Errors
    /// As any statement.
    pub async fn update_throttle<T>(
        &self,
        key: ThrottleKey,
        change: impl FnOnce(&Counter) -> (Counter, T) + Send,
    ) -> Result<T> {
        let now = self.tx.now().micros();
        let db = self.tx.writing();
        let backend = db.get_database_backend();
        // The upsert is what locks a counter that may not exist yet.
        let mut sql = Sql::new("INSERT INTO throttles (key, failures, since, blocked_until, updated_at) VALUES (");
        sql.bind(key.bytes())
            .push(", 0, 0, 0, ")
            .bind(now)
            .push(") ON CONFLICT (key) DO UPDATE SET updated_at = ")
            .bind(now);
        sql.push(" RETURNING failures, since, blocked_until");
        let row = self.tx.check(db.query_one_raw(sql.statement(backend)).await)?.ok_or(Error::Corrupt("throttle"))?;
        let before = counter(&row, "")?;
        let (after, result) = change(&before);
        let mut sql = Sql::new("UPDATE throttles SET failures = ");
        sql.bind(i64::from(after.failures)).push(", since = ").bind(after.since.micros());
        sql.push(", blocked_until = ").bind(after.blocked_until.micros()).push(" WHERE key = ").bind(key.bytes());
        self.tx.check(db.execute_raw(sql.statement(backend)).await)?;
        Ok(result)
    }

    /// Forgets a counter; false if nothing was counted.
    ///
    /// # Errors
    /// As any statement.
    pub async fn clear_throttle(&self, key: ThrottleKey) -> Result<bool> {
        let mut sql = Sql::new("DELETE FROM throttles WHERE key = ");
        sql.bind(key.bytes());
        let db = self.tx.writing();
        let result = self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?;
        Ok(result.rows_affected() > 0)
    }
}
