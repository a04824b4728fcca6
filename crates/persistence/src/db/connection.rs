//! One connection, to either database.
//!
//! SeaORM's own connections come from the pool of sqlx, which asks the database for a sign of life whenever a
//! connection is given back: one more exchange for every read and every transaction, as dear as the read itself. Here a
//! connection remembers what state it was left in, and is asked only after it was left in the middle of something.

use std::{sync::Arc, time::Instant};

use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres, Sqlite, SqliteConnection};

use super::Observer;

/// A connection.
pub(crate) struct Connection {
    raw: Raw,
    state: State,
    observer: Observer,
}

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
    pub(crate) const fn sqlite(raw: SqliteConnection, observer: Observer) -> Self {
        Self { raw: Raw::Sqlite(raw), state: State::Idle, observer }
    }

    pub(crate) const fn postgres(raw: PgConnection, observer: Observer) -> Self {
        Self { raw: Raw::Postgres(raw), state: State::Idle, observer }
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

    /// Does something that leaves the connection in its state, unless nobody waits for the end or it breaks.
    async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let before = self.state;
        if before == State::Idle {
            self.state = State::Interrupted;
        }
        let result = work(self).await;
        self.state = match &result {
            Err(error) if is_lost(error) => State::Broken,
            _ => before,
        };
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
        // Connection lost, the server shutting down, and a server that takes no writes any more: whoever else is the
        // first one now is found by connecting again.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.len() == 5 && (code.starts_with("08") || code.starts_with("57P") || code == "25006")
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
