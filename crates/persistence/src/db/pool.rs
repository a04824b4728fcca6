//! Connections to take and give back.

use std::{
    ops::{Deref, DerefMut},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts},
};
use gatehouse_domain::secret::Secret;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use sqlx::{ConnectOptions, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use super::{
    Observer,
    connection::{Connection, State},
};
use crate::error::{Error, Result};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection that was left in the middle of a statement may take to come to rest.
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection to a server is replaced after that, so that replicas follow where its name leads.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);
/// And after that much idleness, before something on the way drops it silently.
const LONGEST_REST: Duration = Duration::from_secs(10 * 60);

/// Whom to connect to.
pub(crate) enum Server {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// Makes connections.
pub(crate) struct Connector {
    server: Server,
    observer: Observer,
}

impl Connector {
    async fn connect(&self) -> Result<Connection, sqlx::Error> {
        Ok(match &self.server {
            Server::Sqlite(options) => Connection::sqlite(options.connect().await?, self.observer.clone()),
            Server::Postgres(options) => Connection::postgres(options.connect().await?, self.observer.clone()),
        })
    }
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        // Rare, and too large to be carried along by whatever needs a connection.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let is_remote = matches!(self.server, Server::Postgres(_));
        if is_remote && (metrics.age() > LONGEST_LIFE || metrics.last_used() > LONGEST_REST) {
            return Err(RecycleError::message("old"));
        }
        match connection.state() {
            State::Idle => Ok(()),
            State::Interrupted => Ok(connection.ping().await?),
            State::InTransaction | State::Broken => Err(RecycleError::message("left in the middle of something")),
        }
    }
}

/// Connections to take and give back.
#[derive(Clone)]
pub(crate) struct Pool(managed::Pool<Connector>);

/// A connection that goes back where it came from, unless it was left in the middle of something.
pub(crate) struct Lease(Option<Held>);

enum Held {
    Pooled(Object<Connector>),
    Own(Box<Connection>),
}

impl Lease {
    /// A connection that belongs to no pool.
    pub(crate) fn own(connection: Connection) -> Self {
        Self(Some(Held::Own(Box::new(connection))))
    }

    /// Closes the connection.
    pub(crate) async fn close(mut self) {
        match self.0.take() {
            Some(Held::Pooled(object)) => Object::take(object).close().await,
            Some(Held::Own(connection)) => connection.close().await,
            None => {}
        }
    }
}

impl Pool {
    /// Connects once, so that a failure shows, and why.
    pub(crate) async fn open(server: Server, connections: u32, observer: Observer) -> Result<Self> {
        let pool = managed::Pool::builder(Connector { server, observer })
            .max_size(connections as usize)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(ACQUIRE_TIMEOUT),
                create: Some(ACQUIRE_TIMEOUT),
                recycle: Some(RECYCLE_TIMEOUT),
            })
            .build()
            .map_err(|error| Error::Other(DbErr::Custom(error.to_string())))?;
        let pool = Self(pool);
        drop(pool.take().await?);
        Ok(pool)
    }

    pub(crate) async fn take(&self) -> Result<Lease, DbErr> {
        match self.0.get().await {
            Ok(object) => Ok(Lease(Some(Held::Pooled(object)))),
            Err(PoolError::Backend(error)) => Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))),
            Err(PoolError::Closed) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Closes what is idle at once and the rest when it comes back.
    pub(crate) async fn close(&self) {
        let idle = self.0.retain(|_, _| false).removed;
        self.0.close();
        for connection in idle {
            connection.close().await;
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.0 {
            Some(Held::Pooled(object)) => object,
            Some(Held::Own(connection)) => connection,
            None => unreachable!("only drop takes it"),
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.0 {
            Some(Held::Pooled(object)) => object,
            Some(Held::Own(connection)) => connection,
            None => unreachable!("only drop takes it"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(Held::Pooled(object)) = self.0.take() else { return };
        match object.state() {
            State::Idle | State::Interrupted => {}
            // Nothing waits for the locks of a transaction that nobody goes on with: the end of its connection ends it.
            State::InTransaction => drop(Object::take(object)),
            // What befell this connection has most likely befallen those that rest.
            State::Broken => {
                let pool = Object::pool(&object);
                drop(Object::take(object));
                if let Some(pool) = pool {
                    pool.retain(|_, _| false);
                }
            }
        }
    }
}

/// What no statement of a request may exceed.
const LIMITS: &[(&str, &str)] =
    &[("statement_timeout", "30000"), ("idle_in_transaction_session_timeout", "10000"), ("lock_timeout", "5000")];

/// How to connect to PostgreSQL, for requests or, without limits, for work that takes as long as it takes.
pub(crate) fn postgres(url: &Secret<String>, limited: bool) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|e| Error::Other(DbErr::Custom(format!("DATABASE_URL: {e}"))))?
        .application_name("gatehouse")
        .statement_cache_capacity(512)
        .disable_statement_logging();
    Ok(if limited { options.options(LIMITS.iter().copied()) } else { options })
}
