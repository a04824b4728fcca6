//! Counters of failed attempts.

use gatehouse_domain::{throttle::Counter, time::Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};

use crate::{
    error::{Error, Result},
    repo::sql::Sql,
    scope::system::{System, WriteSystem},
};

/// The digest that names a counter.
pub type ThrottleKey = [u8; 32];

fn counter(row: &QueryResult) -> Result<Counter> {
    let int = |name| row.try_get::<i64>("", name);
    Ok(Counter {
        failures: u32::try_from(int("failures")?).unwrap_or(u32::MAX),
        since: Timestamp::from_micros(int("since")?),
        blocked_until: Timestamp::from_micros(int("blocked_until")?),
    })
}

fn select(keys: &[ThrottleKey]) -> Sql {
    let mut sql = Sql::new("SELECT key, failures, since, blocked_until FROM throttles WHERE key");
    sql.one_of(keys.iter().map(|key| key.to_vec()));
    sql
}

fn in_order<const N: usize>(keys: [ThrottleKey; N], rows: &[QueryResult]) -> Result<[Counter; N]> {
    let mut counters = [Counter::default(); N];
    for row in rows {
        let key: Vec<u8> = row.try_get("", "key")?;
        if let Some(at) = keys.iter().position(|wanted| wanted[..] == key) {
            counters[at] = counter(row)?;
        }
    }
    Ok(counters)
}

impl System<'_> {
    /// These counters, in one statement.
    ///
    /// # Errors
    /// As any statement.
    pub async fn throttles<const N: usize>(&self, keys: [ThrottleKey; N]) -> Result<[Counter; N]> {
        let db = self.exec.db();
        in_order(keys, &db.query_all_raw(select(&keys).statement(db.get_database_backend())).await?)
    }
}

impl WriteSystem<'_> {
    /// These counters, held against change until the transaction ends, in one statement. They are locked in the order
    /// given: whoever changes several locks them in the same order, or two transactions could wait for each other.
    ///
    /// # Errors
    /// As any statement.
    pub async fn hold_throttles<const N: usize>(&self, keys: [ThrottleKey; N]) -> Result<[Counter; N]> {
        let db = self.exec.db();
        let backend = db.get_database_backend();
        let mut sql = select(&keys);
        if backend == DbBackend::Postgres {
            sql.push(" ORDER BY CASE");
            for (at, key) in keys.iter().enumerate() {
                sql.push(" WHEN key = ").bind(key.to_vec()).push(&format!(" THEN {at}"));
            }
            sql.push(" END FOR UPDATE");
        }
        in_order(keys, &self.tx.check(db.query_all_raw(sql.statement(backend)).await)?)
    }

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
        sql.bind(key.to_vec())
            .push(", 0, 0, 0, ")
            .bind(now)
            .push(") ON CONFLICT (key) DO UPDATE SET updated_at = ")
            .bind(now);
        sql.push(" RETURNING failures, since, blocked_until");
        let row = self.tx.check(db.query_one_raw(sql.statement(backend)).await)?.ok_or(Error::Corrupt("throttle"))?;
        let before = counter(&row)?;
        let (after, result) = change(&before);
        let mut sql = Sql::new("UPDATE throttles SET failures = ");
        sql.bind(i64::from(after.failures)).push(", since = ").bind(after.since.micros());
        sql.push(", blocked_until = ").bind(after.blocked_until.micros()).push(" WHERE key = ").bind(key.to_vec());
        self.tx.check(db.execute_raw(sql.statement(backend)).await)?;
        Ok(result)
    }

    /// Forgets a counter.
    ///
    /// # Errors
    /// As any statement.
    pub async fn clear_throttle(&self, key: ThrottleKey) -> Result<()> {
        let mut sql = Sql::new("DELETE FROM throttles WHERE key = ");
        sql.bind(key.to_vec());
        let db = self.tx.writing();
        self.tx.check(db.execute_raw(sql.statement(db.get_database_backend())).await)?;
        Ok(())
    }
}
