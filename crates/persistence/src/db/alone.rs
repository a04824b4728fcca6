//! Work that takes as long as it takes, on a connection of its own: nobody waits for it at the other end of one, and
//! nobody else is at the database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement};
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
/// Connections of other processes of this program.
const BESIDE: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'gatehouse' AND pid <> pg_backend_pid()";

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
