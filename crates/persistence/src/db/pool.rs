//! Connections to take and give back.

use std::{
    ops::{Deref, DerefMut},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gatehouse_domain::secret::Secret;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use sqlx::{
    ConnectOptions, Executor as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Observer,
    connection::{Connection, State},
    deadline,
};
use crate::error::{Error, Result};

/// How long anybody waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection that is asked whether it lives may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long connections may take to be closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection to a server is asked whether it lives before it is used again after that much rest. The operating system
/// does not do it for us: the SQL library gives no access to the socket, so there is no keep-alive on our side.
const TRUSTED_AT_REST: Duration = Duration::from_secs(1);
/// And after that much rest it is replaced.
const LONGEST_REST: Duration = Duration::from_secs(10 * 60);
/// And at that age, so that replicas follow where the server's name leads.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);
/// After the server refused a connection, one more is tried at most that often.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Whom to connect to.
pub(crate) enum Server {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Server {
    async fn connect(&self, observer: &Observer) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(options) => sqlite(options, observer).await?,
            Self::Postgres(options) => Connection::postgres(limited(options).await?, observer.clone()),
        })
    }
}

/// A connection to SQLite.
pub(crate) async fn sqlite(options: &SqliteConnectOptions, observer: &Observer) -> Result<Connection, sqlx::Error> {
    let raw: SqliteConnection = options.connect().await?;
    Connection::sqlite(raw, observer.clone()).await
}

/// Connections to take and give back.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    server: Server,
    observer: Observer,
    most: usize,
    /// One for each connection that there may be and nobody has.
    places: Semaphore,
    rest: Mutex<Rest>,
}

/// What nobody has.
struct Rest {
    /// Connections; what was given back last is taken first.
    idle: Vec<Connection>,
    /// How many places are of no use, because the server refused a connection.
    refused: usize,
    refused_at: Instant,
    /// When a connection was lost last: what has not been heard since may be lost, too.
    lost_at: Instant,
}

/// A place in the pool, given back when dropped.
struct Permit {
    pool: Arc<Inner>,
    is_kept: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_kept {
            self.pool.places.add_permits(1);
        }
    }
}

impl Permit {
    /// Gives a place up that the server refuses a connection for, where there is another connection to wait for.
    fn give_up(mut self) -> bool {
        let pool = Arc::clone(&self.pool);
        let mut rest = pool.rest();
        let taken = pool.most.saturating_sub(rest.refused + pool.places.available_permits());
        // This place is one of those taken.
        let is_alone = taken + rest.idle.len() < 2;
        if !is_alone {
            self.is_kept = false;
            rest.refused += 1;
            rest.refused_at = Instant::now();
        }
        !is_alone
    }
}

/// A connection that goes back where it came from, unless it was left in the middle of something.
pub(crate) struct Lease {
    connection: Option<Connection>,
    place: Option<Permit>,
}

impl Lease {
    /// A connection that belongs to no pool.
    pub(crate) const fn own(connection: Connection) -> Self {
        Self { connection: Some(connection), place: None }
    }

    /// Closes the connection.
    pub(crate) async fn close(mut self) {
        let is_usable = !matches!(self.state(), State::Silent | State::Broken);
        if let Some(connection) = self.connection.take()
            && is_usable
        {
            // What does not close in time is closed by being dropped.
            drop(timeout(CLOSE_TIMEOUT, connection.close()).await);
        }
    }
}

impl Inner {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What befell a connection has most likely befallen those that rest.
    fn lose_idle(&self) {
        let mut rest = self.rest();
        rest.lost_at = Instant::now();
        let idle = std::mem::take(&mut rest.idle);
        drop(rest);
        drop(idle);
    }

    fn last_idle(&self) -> Option<Connection> {
        self.rest().idle.pop()
    }

    /// Makes a place good again that the server refused a connection for a while ago.
    fn try_refused(&self) {
        let mut rest = self.rest();
        if rest.refused > 0 && rest.refused_at.elapsed() > REFUSED_FOR {
            rest.refused -= 1;
            rest.refused_at = Instant::now();
            self.places.add_permits(1);
        }
    }

    async fn place(self: &Arc<Self>) -> Result<Permit, DbErr> {
        self.try_refused();
        let closed = |_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);
        self.places.acquire().await.map_err(closed)?.forget();
        Ok(Permit { pool: Arc::clone(self), is_kept: true })
    }

    async fn take(self: Arc<Self>) -> Result<Lease, DbErr> {
        loop {
            let place = self.place().await?;
            while let Some(mut connection) = self.last_idle() {
                if self.is_sound(&mut connection).await {
                    return Ok(Lease { connection: Some(connection), place: Some(place) });
                }
            }
            // Rare, and too large to be carried along by whatever needs a connection.
            match Box::pin(self.server.connect(&self.observer)).await {
                Ok(connection) => return Ok(Lease { connection: Some(connection), place: Some(place) }),
                Err(error) if is_refusal(&error) && place.give_up() => {}
                Err(error) => {
                    self.observer.lost(&error);
                    return Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))));
                }
            }
        }
    }

    /// Whether a connection that rested can be used; asks it where that is not known.
    async fn is_sound(&self, connection: &mut Connection) -> bool {
        let (is_remote, heard) = (matches!(self.server, Server::Postgres(_)), connection.heard());
        if is_remote && (connection.born().elapsed() > LONGEST_LIFE || heard.elapsed() > LONGEST_REST) {
            return false;
        }
        let is_trusted = !is_remote || (heard.elapsed() < TRUSTED_AT_REST && heard > self.rest().lost_at);
        match connection.state() {
            State::Idle if is_trusted => true,
            State::Idle => {
                let lives = matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())));
                if !lives {
                    self.lose_idle();
                }
                lives
            }
            State::Interrupted => matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(()))),
            State::InTransaction | State::Silent | State::Broken => false,
        }
    }
}

impl Pool {
    /// Connects once, so that a failure shows, and why.
    pub(crate) async fn open(server: Server, connections: u32, observer: Observer) -> Result<Self> {
        let most = connections as usize;
        let now = Instant::now();
        let rest = Rest { idle: Vec::new(), refused: 0, refused_at: now, lost_at: now };
        let (places, rest) = (Semaphore::new(most), Mutex::new(rest));
        let pool = Self(Arc::new(Inner { server, observer, most, places, rest }));
        drop(pool.take().await?);
        Ok(pool)
    }

    /// A connection: one that rests, else a new one, else whichever is given back first.
    pub(crate) async fn take(&self) -> Result<Lease, DbErr> {
        match deadline::wait(timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0).take())).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) | Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Whether a pooler in between gives a connection's transactions to whichever session of the server is free, so that
    /// what a session sets and prepares is lost.
    pub(crate) async fn shares_sessions(&self) -> Result<bool> {
        let Server::Postgres(options) = &self.0.server else { return Ok(false) };
        let asked = timeout(ACQUIRE_TIMEOUT, Box::pin(shares_sessions(options))).await;
        let asked = asked.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        Ok(asked.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?)
    }

    /// Gives up what is idle; whoever needs a connection opens another.
    pub(crate) fn forget_idle(&self) {
        self.0.lose_idle();
    }

    /// How many connections somebody has, and how many there may be.
    pub(crate) fn used(&self) -> (usize, usize) {
        let refused = self.0.rest().refused;
        (self.0.most.saturating_sub(self.0.places.available_permits() + refused), self.0.most)
    }

    /// Closes what is idle at once and the rest when it comes back.
    pub(crate) async fn close(&self) {
        self.0.places.close();
        let idle = std::mem::take(&mut self.0.rest().idle);
        let close = idle.into_iter().map(Connection::close);
        drop(timeout(CLOSE_TIMEOUT, futures_util::future::join_all(close)).await);
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("only what ends the lease takes it"),
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("only what ends the lease takes it"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The place is given back last: whoever gets it finds the connection.
        let (Some(connection), Some(place)) = (self.connection.take(), self.place.take()) else { return };
        let pool = &place.pool;
        match connection.state() {
            State::Idle | State::Interrupted if pool.places.is_closed() => {}
            State::Idle | State::Interrupted => pool.rest().idle.push(connection),
            // Nothing waits for the locks of a transaction that nobody goes on with: the end of its connection ends it.
            State::InTransaction => {}
            // The others may only be busy; whoever takes one asks it first.
            State::Silent => pool.rest().lost_at = Instant::now(),
            State::Broken => pool.lose_idle(),
        }
    }
}

/// Whether the server has as many connections as it, the role or the database may have.
fn is_refusal(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == "53300"))
}

/// What the server does for us, set after connecting and not while, because a pooler in between refuses to pass on what it
/// does not know. It ends what exceeds a limit, even when we are gone, and looks whether we are: that also keeps something
/// on the way from forgetting a connection at rest.
const LIMITS: &str = "SET statement_timeout = 30000; SET idle_in_transaction_session_timeout = 10000; \
     SET lock_timeout = 3000; SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = 15000";

/// Ends a statement that nobody waits for any more. Not every platform of the server has it.
const WATCH: &str = "SET client_connection_check_interval = 1000";

/// Whether a second connection gets the session of the server that a first one, which is still open, has just used.
async fn shares_sessions(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let (mut first, mut second) = match (options.connect().await, options.connect().await) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return if is_refusal(&error) { Ok(false) } else { Err(error) },
    };
    // As simple statements: those that are prepared may already fail.
    let of_first: i32 = first.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)?;
    if second.execute(sqlx::raw_sql("BEGIN")).await.is_err() {
        return Ok(true);
    }
    let of_second: i32 = second.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)?;
    Ok(of_first == of_second)
}

async fn limited(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut raw = options.connect().await?;
    raw.execute(LIMITS).await?;
    match raw.execute(WATCH).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(raw),
        Err(error) => Err(error),
    }
}

/// Over a network the connection is encrypted unless the address says otherwise: the default of PostgreSQL's clients
/// falls back to none when somebody in between refuses encryption.
fn encrypted(options: PgConnectOptions, is_decided: bool) -> PgConnectOptions {
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if is_here || is_decided || !matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        return options;
    }
    tracing::info!(
        host,
        "the connection to the database is encrypted; DATABASE_URL has no sslmode that says otherwise"
    );
    options.ssl_mode(PgSslMode::Require)
}

/// How to connect to PostgreSQL.
pub(crate) fn postgres(url: &Secret<String>) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|e| Error::Other(DbErr::Custom(format!("DATABASE_URL: {e}"))))?;
    Ok(encrypted(options, url.expose().contains("sslmode="))
        .application_name("gatehouse")
        // Poolers refuse it, and no number of ours is a floating-point number.
        .extra_float_digits(None)
        .statement_cache_capacity(512)
        .disable_statement_logging())
}
