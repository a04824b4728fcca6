//! Connections and transactions.

mod tx;

use std::{
    future::Future,
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use gatehouse_domain::{id::SessionId, secret::Secret, time::Timestamp};
use migration::Migrator;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, SqlxPostgresConnector, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    error::{Error, Result},
    sqlite,
};

pub(crate) use tx::Exec;
pub use tx::WriteTx;

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
}

impl Ctx {
    /// The context of something that no request asked for.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now, ip: None, user_agent: None, request_id: None }
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
    reader: DatabaseConnection,
    writer: Writer,
    observer: Observer,
    on_change: Arc<dyn Fn(Change) + Send + Sync>,
}

enum Writer {
    Sqlite(sqlite::Writer),
    /// Where it is, for connections with limits of their own.
    Postgres(Secret<String>),
}

/// Counts statements, and keeps their texts while somebody listens.
#[derive(Clone, Default)]
pub(crate) struct Observer {
    count: Arc<AtomicU64>,
    micros: Arc<AtomicU64>,
    listening: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Observer {
    pub(crate) fn watch(&self, connection: &mut DatabaseConnection) {
        let this = self.clone();
        connection.set_metric_callback(move |info| {
            this.count.fetch_add(1, Ordering::Relaxed);
            this.micros.fetch_add(u64::try_from(info.elapsed.as_micros()).unwrap_or(0), Ordering::Relaxed);
            if this.listening.load(Ordering::Relaxed) {
                this.heard.lock().unwrap_or_else(PoisonError::into_inner).push(with_values(info.statement));
            }
        });
    }
}

/// The text of a statement as a console would take it.
fn with_values(statement: &sea_orm::Statement) -> String {
    let (DbBackend::Sqlite, Some(values)) = (statement.db_backend, &statement.values) else {
        return statement.to_string();
    };
    // The builder knows `?` on SQLite, ours are numbered; and it does not know that we keep UUIDs as bytes there.
    use sea_orm::sea_query::QueryBuilder;
    let literal = |value: &sea_orm::Value| match value {
        sea_orm::Value::Uuid(Some(id)) => format!("x'{}'", id.simple()),
        value => sea_orm::sea_query::SqliteQueryBuilder.value_to_string(value),
    };
    if statement.sql.contains("$1") {
        let numbered = values.0.iter().enumerate().rev();
        return numbered.fold(statement.sql.clone(), |sql, (i, v)| sql.replace(&format!("${}", i + 1), &literal(v)));
    }
    let mut literals = values.0.iter().map(literal);
    let mut parts = statement.sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sql, part| sql + &literals.next().unwrap_or_default() + part)
}

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
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
        let observer = Observer::default();
        let (mut reader, writer) = match &options.target {
            Target::Sqlite(path) => {
                let (reader, writer) = sqlite::open(path, options.connections, &observer, &options.on_change).await?;
                (reader, Writer::Sqlite(writer))
            }
            Target::Postgres(url) => (postgres(url, options.connections, LIMITS).await?, Writer::Postgres(url.clone())),
        };
        observer.watch(&mut reader);
        Ok(Self(Arc::new(Inner { reader, writer, observer, on_change: options.on_change })))
    }

    /// Whether this is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self.0.writer, Writer::Sqlite(_))
    }

    /// How many statements have run, transaction control not counted, and how long they took together.
    #[must_use]
    pub fn statements(&self) -> (u64, Duration) {
        let observer = &self.0.observer;
        (observer.count.load(Ordering::Relaxed), Duration::from_micros(observer.micros.load(Ordering::Relaxed)))
    }

    /// Runs the work and returns the texts of the statements it ran, values filled in. For tests of query plans.
    pub async fn overhear<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let observer = &self.0.observer;
        observer.listening.store(true, Ordering::Relaxed);
        let result = work.await;
        observer.listening.store(false, Ordering::Relaxed);
        let heard = std::mem::take(&mut *observer.heard.lock().unwrap_or_else(PoisonError::into_inner));
        (result, heard)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.0.reader.ping().await?)
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
        if self.0.reader.query_one_raw(sea_orm::Statement::from_string(self.backend(), exists)).await?.is_some() {
            let all = "SELECT version FROM seaql_migrations ORDER BY version";
            for row in self.0.reader.query_all_raw(sea_orm::Statement::from_string(self.backend(), all)).await? {
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
        match &self.0.writer {
            Writer::Sqlite(writer) => writer.migrate().await?,
            Writer::Postgres(url) => {
                // However long another process migrates, and however long this one does: on connections of their
                // own, one for the lock and one for the work.
                let patient = postgres(url, 2, &[]).await?;
                // A transaction-scoped lock on its own connection: released even if this process dies.
                let lock = patient.begin().await?;
                lock.execute_unprepared("SELECT pg_advisory_xact_lock(7305424)").await?;
                Migrator::up(&patient, None).await?;
                lock.commit().await?;
                patient.close().await?;
            }
        }
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
        match &self.0.writer {
            Writer::Sqlite(writer) => writer.write(ctx, work).await,
            Writer::Postgres(_) => {
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
        let transaction = self.0.reader.begin().await.map_err(Error::from)?;
        let tx = WriteTx::new(&transaction, ctx);
        let result = work(&tx).await;
        let (changes, lost) = tx.into_outcome();
        if result.is_err() || lost {
            // A failed rollback means a lost connection, which rolls back by itself.
            drop(transaction.rollback().await);
            return Ok(if lost { Attempt::Lost } else { Attempt::Done(result) });
        }
        match transaction.commit().await.map_err(Error::from) {
            Ok(()) => {
                changes.into_iter().for_each(|change| (self.0.on_change)(change));
                Ok(Attempt::Done(result))
            }
            Err(Error::Retry(_)) => Ok(Attempt::Lost),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.0.reader.get_database_backend()
    }

    pub(crate) fn reader(&self) -> Exec<'_> {
        Exec::Pool(&self.0.reader)
    }

    /// Waits for what is being written and closes the connections.
    pub async fn close(&self) {
        if let Writer::Sqlite(writer) = &self.0.writer {
            writer.close().await;
        }
        drop(self.0.reader.clone().close().await);
    }
}

enum Attempt<T, E> {
    Done(Result<T, E>),
    Lost,
}

/// What no statement of a request may exceed.
const LIMITS: &[(&str, &str)] =
    &[("statement_timeout", "30000"), ("idle_in_transaction_session_timeout", "10000"), ("lock_timeout", "5000")];

async fn postgres(url: &Secret<String>, connections: u32, limits: &[(&str, &str)]) -> Result<DatabaseConnection> {
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|e| Error::Other(sea_orm::DbErr::Custom(format!("DATABASE_URL: {e}"))))?
        .application_name("gatehouse")
        .options(limits.iter().copied())
        .statement_cache_capacity(512)
        .disable_statement_logging();
    let unavailable =
        |e: sqlx::Error| Error::Unavailable(Some(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::SqlxError(Arc::new(e)))));
    // A pool tries again until it has no time left, and then says only that; one connection says why.
    let first = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await;
    first.map_err(|_| Error::Unavailable(None))?.map_err(unavailable)?.close().await.map_err(unavailable)?;
    let pool = PgPoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(unavailable)?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}
