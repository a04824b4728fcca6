//! Connections and transactions.

mod alone;
mod archive;
mod batch;
mod check;
mod connection;
pub mod deadline;
mod ids;
pub(crate) mod mac;
mod migrate;
mod observer;
mod pool;
mod ready;
pub(crate) mod trigger;
mod tx;

use std::{future::Future, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use gatehouse_domain::{
    id::{ApplicationId, FamilyId, SessionId},
    secret::Secret,
    time::Timestamp,
};
use sea_orm::{DbBackend, DbErr};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    sqlite,
};

pub use alone::ReplaceLock;
pub(crate) use alone::unavailable;
pub use archive::ReadOut;
pub(crate) use batch::Batch;
pub use check::Unfit;
use connection::{Connection, State};
pub use ids::EventIds;
pub(crate) use mac::Authentication;
pub use mac::{Mac, RootPart, TrailKey};
pub use migrate::MigrationStatus;
#[cfg(feature = "testing")]
pub(crate) use migrate::make_schema;
pub(crate) use observer::Observer;
pub(crate) use pool::{Lease, Pool, Server, sqlite};
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
    /// One family of tokens.
    Family(FamilyId),
    /// When one application was last used.
    Application(ApplicationId),
    /// One access token: it was taken back.
    Token(Uuid),
    /// Possibly every session: a user, a role, a tenant, a partner, a key, or many sessions at once.
    Everything,
}

/// What is known of a request besides its actor; lands in the audit trail.
#[derive(Debug, Clone)]
pub struct ChangeContext {
    /// The instant at which the request had come. What a transaction changes happens at the instant of the transaction:
    /// see [`WriteTx::now`].
    pub now: Timestamp,
    /// What tells that instant.
    pub clock: Option<Clock>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The User-Agent header.
    pub user_agent: Option<Arc<str>>,
    /// The request id.
    pub request_id: Option<Arc<str>>,
    /// What must hold of the thing that is changed; otherwise nothing is.
    pub condition: Option<Condition>,
}

/// What tells the instant.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that shows what `now` returns.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
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

impl ChangeContext {
    /// The context of something that no request asked for.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now, clock: None, ip: None, user_agent: None, request_id: None, condition: None }
    }
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
    probed: ready::Probed,
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
                let server = Server::Postgres(Box::new(pool::postgres(url)?));
                let pool = Pool::open(server, connections, observer.clone()).await?;
                if pool.shares_sessions().await? {
                    return Err(Error::TransactionPooler);
                }
                (pool, Writer::Postgres)
            }
        };
        Ok(Self(Arc::new(Inner {
            target,
            pool,
            writer,
            observer,
            authentication,
            on_change,
            probed: ready::Probed::default(),
        })))
    }

    /// Gives the audit trail its key and the ids of its events; nothing can be written before.
    pub fn authenticate_with(&self, mac: Mac, ids: EventIds) {
        self.0.authentication.set(mac, ids);
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

    /// Gives up connections that nobody uses: those that were opened on threads which have ended are of no more use.
    pub fn forget_idle(&self) {
        self.0.pool.forget_idle();
    }

    /// How many connections are in use, and how many there may be.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        self.0.pool.used()
    }

    /// Runs the work and returns the texts of the statements it ran, values filled in. For tests of query plans.
    pub async fn overhear<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        self.0.observer.overhear(work).await
    }

    /// Runs a transaction. The work may run more than once: it must have no effect but on the transaction.
    ///
    /// On SQLite concurrent transactions share a commit (see the module `sqlite`). Either way an answer comes only
    /// after the commit is durable.
    ///
    /// # Errors
    /// What the work returns, or why the transaction could not be committed.
    pub async fn write<T, E, F>(&self, ctx: ChangeContext, work: F) -> Result<T, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write_in_company(ctx, false, work).await
    }

    /// The same. With `others_come` the caller says that more transactions follow within milliseconds: the writer of SQLite
    /// then waits for them, so that all share one commit. On PostgreSQL it means nothing.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_in_company<T, E, F>(&self, ctx: ChangeContext, others_come: bool, work: F) -> Result<T, E>
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

    async fn attempt<T, E, F>(&self, ctx: &ChangeContext, work: &F) -> Result<Attempt<T, E>, E>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        let transaction = self.begin().await.map_err(Error::from)?;
        let tx = WriteTx::new(&transaction, ctx, &self.0.authentication);
        let result = work(&tx).await;
        let wrote = tx.wrote();
        let (changes, lost) = tx.into_outcome();
        if result.is_err() || lost {
            // A failed rollback means a lost connection, which rolls back by itself.
            drop(transaction.rollback().await);
            return Ok(if lost { Attempt::Lost } else { Attempt::Done(result) });
        }
        let committed = transaction.commit().await.1.map_err(Error::from);
        // Where the answer was lost, nobody knows whether it is so: then too it must be read anew.
        changes.into_iter().for_each(|change| (self.0.on_change)(change));
        match committed {
            Ok(()) => {
                if wrote {
                    self.0.observer.took_write();
                }
                Ok(Attempt::Done(result))
            }
            Err(Error::Retry(_)) => Ok(Attempt::Lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a transaction. A connection may have been lost while it rested; nothing of the transaction has been sent then,
    /// so it begins once more, on a connection that was asked or is new.
    async fn begin(&self) -> std::result::Result<Transaction, DbErr> {
        match Transaction::begin(self.0.pool.take().await?).await {
            Err((connection, _)) if connection.state() == State::Broken => {
                drop(connection);
                Transaction::begin(self.0.pool.take().await?).await
            }
            begun => begun,
        }
        .map_err(|(_, error)| error)
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

#[cfg(all(test, feature = "testing"))]
mod tests;
