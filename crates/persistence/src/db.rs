//! Connections and transactions.

mod connection;
pub(crate) mod mac;
mod observer;
mod pool;
mod tx;

use std::{future::Future, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use gatehouse_domain::{id::SessionId, secret::Secret, time::Timestamp};
use migration::Migrator;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqlxPostgresConnector, SqlxSqliteConnector,
    Statement, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sqlx::{postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    sqlite,
};

pub(crate) use connection::Connection;
pub(crate) use mac::Authentication;
pub use mac::Mac;
pub(crate) use observer::Observer;
pub(crate) use pool::{Lease, Pool, Server};
pub use tx::WriteTx;
pub(crate) use tx::{Exec, Transaction};

/// Which database.
#[derive(Debug, Clone)]
pub enum Target {
    /// A SQLite file, made when missing.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, which may hold a password.
    Postgres(Secret<String>),
}

/// How to connect.
#[derive(Clone)]
pub struct Options {
    /// Which database.
    pub target: Target,
    /// Connections that read; PostgreSQL writes over them, too.
    pub connections: u32,
    /// Told after every commit what it invalidates, so that caches of this process follow at once.
    pub on_change: Arc<dyn Fn(Change) + Send + Sync>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a commit changed, as far as caches of the standing of sessions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One session.
    Session(SessionId),
    /// Possibly every session: a user, a role, a tenant, a partner, a key, or many sessions at once.
    Everything,
}

/// What is known of a request besides its actor; lands in the audit trail.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The instant at which everything in the request happens.
    pub now: Timestamp,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The User-Agent header.
    pub user_agent: Option<Arc<str>>,
    /// The request id.
    pub request_id: Option<Arc<str>>,
    /// What must hold of the thing that is changed; otherwise nothing is.
    pub condition: Option<Condition>,
}

/// Something that must hold of the id and the version of what is changed.
#[derive(Clone)]
pub struct Condition(Arc<dyn Fn(Uuid, i64) -> bool + Send + Sync>);

impl Condition {
    /// The condition that a test succeeds.
    #[must_use]
    pub fn new(holds: impl Fn(Uuid, i64) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    pub(crate) fn holds(&self, id: Uuid, version: i64) -> bool {
        (self.0)(id, version)
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condition")
    }
}

impl Ctx {
    /// The context of something that no request asked for.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now, ip: None, user_agent: None, request_id: None, condition: None }
    }
}

/// The state of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Migrations that ran, oldest first.
    pub applied: Vec<String>,
    /// Migrations that are still to run.
    pub pending: Vec<String>,
}

/// A database.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    target: Target,
    pool: Pool,
    writer: Writer,
    observer: Observer,
    authentication: Authentication,
    on_change: Arc<dyn Fn(Change) + Send + Sync>,
}

enum Writer {
    Sqlite(sqlite::Writer),
    /// A connection of the pool.
    Postgres,
}

/// How often a PostgreSQL transaction that lost to another is tried again.
const ATTEMPTS: usize = 4;

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_sqlite() { "Db(SQLite)" } else { "Db(PostgreSQL)" })
    }
}

impl Db {
    /// Opens a database; does not migrate it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached, [`Error::File`] when the file cannot be made.
    pub async fn connect(options: Options) -> Result<Self> {
        let Options { target, connections, on_change } = options;
        let observer = Observer::default();
        let authentication = Authentication::default();
        let (pool, writer) = match &target {
            Target::Sqlite(path) => {
                let (pool, writer) = sqlite::open(path, connections, &observer, &authentication, &on_change).await?;
                (pool, Writer::Sqlite(writer))
            }
            Target::Postgres(url) => {
                let server = Server::Postgres(Box::new(pool::postgres(url, true)?));
                (Pool::open(server, connections, observer.clone()).await?, Writer::Postgres)
            }
        };
        Ok(Self(Arc::new(Inner { target, pool, writer, observer, authentication, on_change })))
    }

    /// Gives the audit trail its key; nothing can be written before.
    pub fn authenticate_with(&self, mac: Mac) {
        self.0.authentication.set(mac);
    }

    pub(crate) fn mac(&self) -> Result<&Mac> {
        self.0.authentication.mac()
    }

    /// Whether this is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self.0.writer, Writer::Sqlite(_))
    }

    /// How many statements have run, transaction control not counted, and how long they took together.
    #[must_use]
    pub fn statements(&self) -> (u64, Duration) {
        self.0.observer.counted()
    }

    /// Runs the work and returns the texts of the statements it ran, values filled in. For tests of query plans.
    pub async fn overhear<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        self.0.observer.overhear(work).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<()> {
        let pinged = self.0.pool.take().await?.ping().await;
        pinged.map_err(|error| Error::Unavailable(Some(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))))
    }

    /// What has been migrated.
    ///
    /// # Errors
    /// As any statement.
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
        if self.is_sqlite() {
            Migrator::up(&own, None).await?;
        } else {
            // A transaction-scoped lock on a connection beside: released even if this process dies.
            let lock = own.begin().await?;
            lock.execute_unprepared("SELECT pg_advisory_xact_lock(7305424)").await?;
            Migrator::up(&own, None).await?;
            lock.commit().await?;
        }
        own.close().await?;
        self.migration_status().await
    }

    /// Runs a transaction. The work may run more than once: it must have no effect but on the transaction.
    ///
    /// On SQLite concurrent transactions share a commit (see the module `sqlite`). Either way an answer comes only
    /// after the commit is durable.
    ///
    /// # Errors
    /// What the work returns, or why the transaction could not be committed.
    pub async fn write<T, E, F>(&self, ctx: Ctx, work: F) -> Result<T, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write_in_company(ctx, false, work).await
    }

    /// The same; if others like it are known to come within milliseconds, it waits for them on SQLite, so that they share
    /// a commit.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_in_company<T, E, F>(&self, ctx: Ctx, others_come: bool, work: F) -> Result<T, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let work = async move |tx: &WriteTx<'_>| {
            let result = work(tx).await?;
            tx.met_condition()?;
            Ok(result)
        };
        match &self.0.writer {
            Writer::Sqlite(writer) => writer.write(ctx, others_come, work).await,
            Writer::Postgres => {
                for _ in 1..ATTEMPTS {
                    match self.attempt(&ctx, &work).await? {
                        Attempt::Done(result) => return result,
                        Attempt::Lost => {}
                    }
                }
                match self.attempt(&ctx, &work).await? {
                    Attempt::Done(result) => result,
                    Attempt::Lost => Err(Error::Unavailable(None).into()),
                }
            }
        }
    }

    async fn attempt<T, E, F>(&self, ctx: &Ctx, work: &F) -> Result<Attempt<T, E>, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        let connection = self.0.pool.take().await.map_err(Error::from)?;
        let transaction = Transaction::begin(connection).await.map_err(|(_, error)| Error::from(error))?;
        let tx = WriteTx::new(&transaction, ctx, &self.0.authentication);
        let result = work(&tx).await;
        let (changes, lost) = tx.into_outcome();
        if result.is_err() || lost {
            // A failed rollback means a lost connection, which rolls back by itself.
            drop(transaction.rollback().await);
            return Ok(if lost { Attempt::Lost } else { Attempt::Done(result) });
        }
        match transaction.commit().await.1.map_err(Error::from) {
            Ok(()) => {
                changes.into_iter().for_each(|change| (self.0.on_change)(change));
                Ok(Attempt::Done(result))
            }
            Err(Error::Retry(_)) => Ok(Attempt::Lost),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        match self.0.target {
            Target::Sqlite(_) => DbBackend::Sqlite,
            Target::Postgres(_) => DbBackend::Postgres,
        }
    }

    pub(crate) fn reader(&self) -> Exec<'_> {
        Exec::Pool(&self.0.pool, self.backend())
    }

    /// Waits for what is being written and closes the connections.
    pub async fn close(&self) {
        if let Writer::Sqlite(writer) = &self.0.writer {
            writer.close().await;
        }
        self.0.pool.close().await;
    }
}

enum Attempt<T, E> {
    Done(Result<T, E>),
    Lost,
}

/// Connections for migrations, however long they take: for the work, and on PostgreSQL for a lock.
async fn migrating(target: &Target) -> Result<DatabaseConnection> {
    let unavailable = |e: sqlx::Error| Error::Unavailable(Some(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(e)))));
    Ok(match target {
        Target::Sqlite(path) => {
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(sqlite::options(path)).await;
            SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.map_err(unavailable)?)
        }
        Target::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(2).connect_with(pool::postgres(url, false)?).await;
            SqlxPostgresConnector::from_sqlx_postgres_pool(pool.map_err(unavailable)?)
        }
    })
}

#[cfg(all(test, feature = "testing"))]
mod tests;
