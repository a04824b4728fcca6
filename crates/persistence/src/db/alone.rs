//! Work that takes as long as it takes, on a connection of its own: nobody waits for it at the other end of one, and
//! nobody else is at the database.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, RuntimeErr, Statement};
use sqlx::{ConnectOptions, Executor as _};

use super::{ChangeContext, Connection, Db, Exec, Lease, Target, Transaction, WriteTx, deadline, pool};
use crate::{
    error::{Error, Result},
    sqlite,
};

/// As long as it takes.
const LONG: Duration = Duration::from_secs(24 * 3_600);
/// No limits of the server but for locks: who has one is not waited for long.
const UNLIMITED: &str =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 10000";
/// Whoever replaces what is in a database has this lock until that is over. It is one of a transaction: a pooler keeps it,
/// and it ends with the process, however that ends.
const KEEP_AWAY: &str = "SELECT pg_try_advisory_xact_lock(7305425)";
/// Whether nobody has it.
const IS_FREE: &str = "SELECT pg_try_advisory_xact_lock_shared(7305425)";
/// Connections of other processes of this program; the one that has the lock is this process's.
const BESIDE: &str = "SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database() \
     AND a.application_name = 'gatehouse' AND a.pid <> pg_backend_pid() AND NOT EXISTS (SELECT 1 FROM pg_locks l \
     WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.objid = 7305425 AND l.mode = 'ExclusiveLock' AND l.granted)";

/// Keeps servers of PostgreSQL from starting, until it is dropped.
pub struct ReplaceLock(#[expect(dead_code, reason = "the open transaction is the lock")] Connection);

impl fmt::Debug for ReplaceLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaceLock(…)")
    }
}

impl Db {
    /// How many connections other processes of this program have to the server. Only this process's own connection may be
    /// open: ask before anything else is done.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn connections_beside(&self) -> Result<u64> {
        if self.is_sqlite() {
            return Ok(0);
        }
        let row = self.reader().query_one_raw(Statement::from_string(self.backend(), BESIDE)).await?;
        let count = row.and_then(|row| row.try_get_by_index::<i64>(0).ok());
        count.and_then(|count| u64::try_from(count).ok()).ok_or(Error::Corrupt("count"))
    }

    /// Keeps servers from starting, on PostgreSQL; none where another process does so already. SQLite has
    /// [`crate::ServeLock`].
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn keep_servers_away(&self) -> Result<Option<ReplaceLock>> {
        let mut connection = self.own_connection().await?;
        connection.execute_unprepared("BEGIN").await?;
        let row = connection.query_one(Statement::from_string(self.backend(), KEEP_AWAY)).await?;
        Ok(is_true(row)?.then_some(ReplaceLock(connection)))
    }

    /// Whether a server may start: nobody replaces what is in the database. Who asks has a connection already, so that
    /// whoever begins to replace it from then on sees that.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn may_be_served(&self) -> Result<bool> {
        if self.is_sqlite() {
            return Ok(true);
        }
        is_true(self.reader().query_one_raw(Statement::from_string(self.backend(), IS_FREE)).await?)
    }

    /// Runs one transaction, once.
    ///
    /// # Errors
    /// What the work returns, or why the transaction could not be committed.
    pub async fn write_alone<T, E: From<Error>>(
        &self,
        ctx: ChangeContext,
        work: impl AsyncFnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let all = async {
            let connection = self.own_connection().await?;
            let begun = Transaction::begin(Lease::own(connection)).await;
            let transaction = begun.map_err(|(_, error)| Error::from(error))?;
            let tx = WriteTx::new(&transaction, &ctx, &self.0.authentication);
            let result = match work(&tx).await {
                Ok(value) => refers_to_nothing_missing(tx.exec()).await.map(|()| value).map_err(E::from),
                result => result,
            };
            let (changes, _) = tx.into_outcome();
            if result.is_err() {
                transaction.rollback().await.0.close().await;
                return result;
            }
            let (connection, committed) = transaction.commit().await;
            connection.close().await;
            changes.into_iter().for_each(|change| (self.0.on_change)(change));
            committed.map_err(Error::from)?;
            result
        };
        long(Box::pin(all)).await
    }

    /// A connection without limits. On SQLite it leaves references alone, which are checked at the end, and memory too.
    pub(super) async fn own_connection(&self) -> Result<Connection> {
        match &self.0.target {
            Target::Sqlite(path) => {
                let options = sqlite::options(path).foreign_keys(false).pragma("temp_store", "FILE");
                super::sqlite(&options, &self.0.observer).await.map_err(unavailable)
            }
            Target::Postgres(url) => {
                let mut raw = pool::postgres(url)?.connect().await.map_err(unavailable)?;
                raw.execute(UNLIMITED).await.map_err(unavailable)?;
                Ok(Connection::postgres(raw, self.0.observer.clone()))
            }
        }
    }
}

fn is_true(row: Option<QueryResult>) -> Result<bool> {
    row.and_then(|row| row.try_get_by_index(0).ok()).ok_or(Error::Corrupt("lock"))
}

/// Work that takes as long as it takes.
pub(super) fn long<F: Future>(work: F) -> impl Future<Output = F::Output> {
    deadline::until(Instant::now() + LONG, work)
}

/// Fails where a row of SQLite refers to one that is not there.
async fn refers_to_nothing_missing(db: Exec<'_>) -> Result<()> {
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA foreign_key_check");
    if db.get_database_backend() == DbBackend::Sqlite && db.query_one_raw(check).await?.is_some() {
        return Err(Error::Corrupt("reference"));
    }
    Ok(())
}

/// Why there is no connection.
pub(crate) fn unavailable(error: sqlx::Error) -> Error {
    Error::Unavailable(Some(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))))
}
