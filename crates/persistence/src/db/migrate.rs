//! Bringing the schema up to date.

use std::time::{Duration, Instant};

use migration::Migrator;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, SqlxPostgresConnector, SqlxSqliteConnector, Statement,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sqlx::{Executor as _, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use super::{Db, Target, archive::migrations_until, deadline, pool, unavailable};
use crate::{
    error::{Error, Result},
    sqlite,
};

/// How long a process waits for another that migrates.
const MIGRATED_BY_ANOTHER: Duration = Duration::from_secs(10 * 60);
/// And how often it asks whether that is over.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The state of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Migrations that ran, oldest first.
    pub applied: Vec<String>,
    /// Migrations that are still to run.
    pub pending: Vec<String>,
}

impl Db {
    /// What has been migrated.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn migration_status(&self) -> Result<MigrationStatus> {
        let mut status = MigrationStatus { applied: Vec::new(), pending: Vec::new() };
        let known: Vec<_> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
        let exists = match self.backend() {
            DbBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
            _ => {
                "SELECT 1 FROM information_schema.tables WHERE table_name = 'seaql_migrations' AND table_schema = current_schema()"
            }
        };
        let db = self.reader();
        if db.query_one_raw(Statement::from_string(self.backend(), exists)).await?.is_some() {
            let all = "SELECT version FROM seaql_migrations ORDER BY version";
            for row in db.query_all_raw(Statement::from_string(self.backend(), all)).await? {
                status.applied.push(row.try_get_by_index(0).map_err(|_| Error::Corrupt("migration"))?);
            }
        }
        if let Some(unknown) = status.applied.iter().find(|name| !known.contains(name)) {
            return Err(Error::TooNew(unknown.clone()));
        }
        status.pending = known.into_iter().filter(|name| !status.applied.contains(name)).collect();
        Ok(status)
    }

    /// Brings the schema up to date. Several processes may do so at once: one migrates, the others wait.
    ///
    /// # Errors
    /// [`Error::TooNew`] when a newer release migrated before; otherwise as any statement.
    pub async fn migrate(&self) -> Result<MigrationStatus> {
        let status = self.migration_status().await?;
        if status.pending.is_empty() {
            return Ok(status);
        }
        let own = Box::pin(migrating(&self.0.target)).await?;
        if let Target::Sqlite(path) = &self.0.target {
            let lock = alone(async || sqlite::migrating(path)).await?;
            Migrator::up(&own, None).await?;
            drop(lock);
        } else {
            // A transaction-scoped lock on a connection beside: released even if this process dies.
            let lock = own.begin().await?;
            alone(async || is_locked(&lock).await).await?;
            self.while_it_answers(async { Migrator::up(&own, None).await.map_err(Error::from) }).await?;
            lock.commit().await?;
        }
        own.close().await?;
        self.migration_status().await
    }

    /// Makes the schema of an earlier release, in a database that is empty and nobody else's.
    ///
    /// # Errors
    /// [`Error::TooNew`] when there is no such migration.
    pub async fn migrate_until(&self, schema: &str) -> Result<()> {
        make_schema(&self.0.target, Some(migrations_until(schema)?)).await
    }
}

/// Runs the migrations, or so many of them, in a database that is empty and nobody else's.
pub(crate) async fn make_schema(target: &Target, steps: Option<u32>) -> Result<()> {
    let own = Box::pin(migrating(target)).await?;
    Migrator::up(&own, steps).await?;
    Ok(own.close().await?)
}

/// Takes the lock of PostgreSQL, if no other process has it.
async fn is_locked(lock: &impl ConnectionTrait) -> Result<Option<()>> {
    let ask = Statement::from_string(DbBackend::Postgres, "SELECT pg_try_advisory_xact_lock(7305424)");
    let silent = |_| Error::Unavailable(None);
    let row = deadline::wait(lock.query_one_raw(ask)).await.map_err(silent)??.ok_or(Error::Corrupt("lock"))?;
    Ok(row.try_get_by_index::<bool>(0).map_err(|_| Error::Corrupt("lock"))?.then_some(()))
}

/// Waits until no other process migrates; returns what keeps others from it.
async fn alone<T>(take: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(lock) = take().await? {
            return Ok(lock);
        }
        match began.elapsed() {
            waited if waited > MIGRATED_BY_ANOTHER => return Err(Error::Unavailable(None)),
            waited if waited < ASK_EVERY => tracing::warn!("another process migrates the database; waiting for it"),
            _ => {}
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Connections for migrations, however long their statements take: for the work, and on PostgreSQL for a lock. What they
/// need of a table is waited for with a limit, as requests queue up behind.
async fn migrating(target: &Target) -> Result<DatabaseConnection> {
    Ok(match target {
        Target::Sqlite(path) => {
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(sqlite::options(path)).await;
            SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.map_err(unavailable)?)
        }
        Target::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(2).after_connect(|connection, _| {
                Box::pin(async { connection.execute("SET lock_timeout = 60000").await.map(drop) })
            });
            let pool = pool.connect_with(pool::postgres(url)?).await;
            SqlxPostgresConnector::from_sqlx_postgres_pool(pool.map_err(unavailable)?)
        }
    })
}
