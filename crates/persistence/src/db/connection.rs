//! One connection, to either database.
//!
//! SeaORM's own connections come from the pool of sqlx, which asks the database for a sign of life whenever a
//! connection is given back: one more exchange for every read and every transaction, as dear as the read itself. Here a
//! connection remembers what state it was left in and when it was heard last, and is asked only where that says too little.
//! Every exchange ends by a deadline of our own, and with it the connection: nothing is sent over it any more.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures_util::TryStreamExt;
use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres, Sqlite, SqliteConnection};

use super::{Observer, deadline};

/// A connection.
pub(crate) struct Connection {
    raw: Raw,
    state: State,
    observer: Observer,
    born: Instant,
    heard: Instant,
    _unneeded: Option<Unneeded>,
}

/// Ends what a connection to SQLite still does when nobody has it any more.
struct Unneeded(Arc<AtomicBool>);

impl Drop for Unneeded {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many steps of a statement SQLite takes before it looks whether anybody waits for the result.
const STEPS: i32 = 10_000;

enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// In what state a connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is going on.
    Idle,
    /// Nobody waited for the end of a statement.
    Interrupted,
    /// A transaction has begun, and not ended as it should.
    InTransaction,
    /// It did not answer in time.
    Silent,
    /// It is of no more use.
    Broken,
}

/// Runs the same expression on either connection.
macro_rules! on {
    ($connection:expr, $database:ident, |$raw:ident| $run:expr) => {
        match &mut $connection.raw {
            Raw::Sqlite($raw) => {
                type $database = Sqlite;
                $run
            }
            Raw::Postgres($raw) => {
                type $database = Postgres;
                $run
            }
        }
    };
}

impl Connection {
    pub(crate) async fn sqlite(mut raw: SqliteConnection, observer: Observer) -> Result<Self, sqlx::Error> {
        let unneeded = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&unneeded);
        raw.lock_handle().await?.set_progress_handler(STEPS, move || !ends.load(Ordering::Relaxed));
        Ok(Self::new(Raw::Sqlite(raw), observer, Some(Unneeded(unneeded))))
    }

    pub(crate) fn postgres(raw: PgConnection, observer: Observer) -> Self {
        Self::new(Raw::Postgres(raw), observer, None)
    }

    fn new(raw: Raw, observer: Observer, unneeded: Option<Unneeded>) -> Self {
        let now = Instant::now();
        Self { raw, state: State::Idle, observer, born: now, heard: now, _unneeded: unneeded }
    }

    pub(crate) const fn backend(&self) -> DbBackend {
        match self.raw {
            Raw::Sqlite(_) => DbBackend::Sqlite,
            Raw::Postgres(_) => DbBackend::Postgres,
        }
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// When it was made.
    pub(crate) const fn born(&self) -> Instant {
        self.born
    }

    /// When it answered last.
    pub(crate) const fn heard(&self) -> Instant {
        self.heard
    }

    /// Does something that leaves the connection in its state, unless nobody waits for the end, it breaks or falls silent.
    /// Then nothing is sent over it any more.
    async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let before = self.state;
        match before {
            State::Broken | State::Silent => return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into()),
            State::Idle => self.state = State::Interrupted,
            State::Interrupted | State::InTransaction => {}
        }
        let Ok(result) = deadline::wait(work(self)).await else {
            self.state = State::Silent;
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into();
            self.observer.lost(&error);
            return Err(error);
        };
        match &result {
            Err(error) if is_lost(error) => {
                self.state = State::Broken;
                self.observer.lost(error);
            }
            Err(error) if takes_no_writes(error) => {
                self.state = State::Broken;
                self.observer.took_no_write(error);
            }
            _ => {
                self.state = before;
                self.heard = Instant::now();
                self.observer.answered();
            }
        }
        result
    }

    async fn observed<T>(
        &mut self,
        statement: Statement,
        work: impl AsyncFnOnce(&mut Self, AssertSqlSafe<String>, SqlxValues) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let began = Instant::now();
        self.observer.hear(&statement);
        let values = SqlxValues(statement.values.unwrap_or_else(|| sea_orm::Values(Vec::new())));
        let result = self.run(async |this| work(this, AssertSqlSafe(statement.sql), values).await).await;
        self.observer.count(began);
        result
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.observed(statement, async |this, sql, values| {
            Ok(on!(this, Db, |raw| sqlx::query_with::<Db, _>(sql, values).execute(raw).await?.into()))
        })
        .await
        .map_err(executing)
    }

    pub(crate) async fn query_one(&mut self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.observed(statement, async |this, sql, values| {
            Ok(on!(this, Db, |raw| {
                sqlx::query_with::<Db, _>(sql, values).fetch_optional(raw).await?.map(QueryResult::from)
            }))
        })
        .await
        .map_err(querying)
    }

    pub(crate) async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.observed(statement, async |this, sql, values| {
            Ok(on!(this, Db, |raw| {
                let rows = sqlx::query_with::<Db, _>(sql, values).fetch_all(raw).await?;
                rows.into_iter().map(QueryResult::from).collect()
            }))
        })
        .await
        .map_err(querying)
    }

    /// Visits what a statement finds, row by row, until the visitor has enough.
    pub(crate) async fn each(
        &mut self,
        statement: Statement,
        mut visit: impl FnMut(QueryResult) -> ControlFlow<()>,
    ) -> Result<(), DbErr> {
        self.observed(statement, async |this, sql, values| {
            on!(this, Db, |raw| {
                let mut rows = sqlx::query_with::<Db, _>(sql, values).fetch(raw);
                while let Some(row) = rows.try_next().await? {
                    if visit(row.into()).is_break() {
                        break;
                    }
                }
            });
            Ok(())
        })
        .await
        .map_err(querying)
    }

    /// Statements without values.
    pub(crate) async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = AssertSqlSafe(sql.to_owned());
        self.run(async |this| {
            Ok(on!(this, Db, |raw| <&mut <Db as sqlx::Database>::Connection>::execute(raw, sql).await?.into()))
        })
        .await
        .map_err(executing)
    }

    pub(crate) async fn begin(&mut self) -> Result<(), DbErr> {
        self.state = State::InTransaction;
        self.control(if self.backend() == DbBackend::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }).await
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DbErr> {
        self.control("COMMIT").await?;
        self.ended(State::InTransaction);
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), DbErr> {
        self.control("ROLLBACK").await?;
        self.ended(State::InTransaction);
        Ok(())
    }

    /// Transaction control: kept prepared on SQLite; on PostgreSQL one message, as preparing it would be two.
    async fn control(&mut self, sql: &'static str) -> Result<(), DbErr> {
        self.run(async |this| match &mut this.raw {
            Raw::Sqlite(raw) => sqlx::query(sql).execute(raw).await.map(drop),
            Raw::Postgres(raw) => raw.execute(sql).await.map(drop),
        })
        .await
        .map_err(executing)
    }

    pub(crate) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.run(async |this| on!(this, Db, |raw| <Db as sqlx::Database>::Connection::ping(raw).await)).await?;
        self.ended(State::Interrupted);
        Ok(())
    }

    /// What was going on is over; a broken connection stays one.
    fn ended(&mut self, what: State) {
        if self.state == what {
            self.state = State::Idle;
        }
    }

    pub(crate) async fn close(self) {
        // What cannot be closed is closed already.
        drop(match self.raw {
            Raw::Sqlite(raw) => raw.close().await,
            Raw::Postgres(raw) => raw.close().await,
        });
    }
}

fn executing(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn querying(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether an error says that the connection is of no more use.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        // Connection lost, and the server shutting down.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.len() == 5 && (code.starts_with("08") || code.starts_with("57P")))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether an error says that the server takes no writes any more: whoever else is the first one now is found by connecting
/// again.
fn takes_no_writes(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == "25006"))
}
