//! A running transaction, and where statements run.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

#[cfg(feature = "testing")]
use gatehouse_domain::session::EndedSession;
use gatehouse_domain::{authz::Right, id::AuditEventId, time::Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, entity::prelude::async_trait};

use super::{
    Authentication, Change, ChangeContext,
    connection::State,
    mac::Mac,
    pool::{Lease, Pool},
};
use crate::error::{Error, Result, is_lost_to_another};
use uuid::Uuid;

/// Where a statement runs: on a connection of its own, or in a transaction, for which it is noted when a statement loses it
/// to another one.
#[derive(Clone, Copy)]
pub(crate) enum Exec<'c> {
    Pool(&'c Pool, DbBackend),
    Tx(&'c Transaction, &'c AtomicBool),
}

/// Calls a method of whatever connection it is. A connection may have been lost while it rested, and be the first to notice.
/// A statement outside of a transaction only reads, so it is tried once more, on a connection that was asked or is new.
macro_rules! on {
    ($exec:expr, $method:ident, $argument:ident) => {
        match $exec {
            Exec::Pool(pool, _) => {
                let mut connection = pool.take().await?;
                let result = connection.$method($argument.clone()).await;
                if connection.state() != State::Broken {
                    return result;
                }
                drop(connection);
                pool.take().await?.$method($argument).await
            }
            Exec::Tx(transaction, lost) => {
                let result = transaction.connection.lock().await.$method($argument).await;
                if result.as_ref().is_err_and(is_lost_to_another) {
                    lost.store(true, Ordering::Relaxed);
                }
                result
            }
        }
    };
}

#[async_trait::async_trait]
impl ConnectionTrait for Exec<'_> {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Pool(_, backend) => *backend,
            Self::Tx(transaction, _) => transaction.backend,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        on!(self, execute, statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        on!(self, execute_unprepared, sql)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        on!(self, query_one, statement)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        on!(self, query_all, statement)
    }
}

/// A transaction on a connection. One that is dropped gives the connection up.
pub(crate) struct Transaction {
    connection: tokio::sync::Mutex<Lease>,
    backend: DbBackend,
}

impl Transaction {
    /// Begins one, or gives the connection back.
    pub(crate) async fn begin(mut connection: Lease) -> Result<Self, (Lease, DbErr)> {
        match connection.begin().await {
            Ok(()) => {
                let backend = connection.backend();
                Ok(Self { connection: tokio::sync::Mutex::new(connection), backend })
            }
            Err(error) => Err((connection, error)),
        }
    }

    /// Whether its connection has not been lost.
    pub(crate) async fn lives(&self) -> bool {
        self.connection.lock().await.state() == State::InTransaction
    }

    pub(crate) async fn commit(self) -> (Lease, Result<(), DbErr>) {
        let mut connection = self.connection.into_inner();
        let result = connection.commit().await;
        (connection, result)
    }

    pub(crate) async fn rollback(self) -> (Lease, Result<(), DbErr>) {
        let mut connection = self.connection.into_inner();
        let result = connection.rollback().await;
        (connection, result)
    }
}

/// A running transaction.
pub struct WriteTx<'t> {
    transaction: &'t Transaction,
    ctx: &'t ChangeContext,
    authentication: &'t Authentication,
    changes: Mutex<Vec<Change>>,
    lost: AtomicBool,
    wrote: AtomicBool,
    met: AtomicBool,
    now: AtomicI64,
    /// By whom a change is made, and the rights that they have in this transaction.
    caller: Mutex<Option<(Uuid, Vec<Right>)>>,
    #[cfg(feature = "testing")]
    ended: Mutex<Vec<EndedSession>>,
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteTx")
    }
}

impl<'t> WriteTx<'t> {
    pub(crate) fn new(
        transaction: &'t Transaction,
        ctx: &'t ChangeContext,
        authentication: &'t Authentication,
    ) -> Self {
        let tx = Self {
            transaction,
            ctx,
            authentication,
            changes: Mutex::default(),
            lost: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            met: AtomicBool::new(false),
            now: AtomicI64::new(ctx.now.micros()),
            caller: Mutex::default(),
            #[cfg(feature = "testing")]
            ended: Mutex::default(),
        };
        tx.look_at_clock();
        tx
    }

    /// The instant of the transaction: not before it began, nor before its caller was found to be allowed. A request may
    /// have waited since it came, and what others committed meanwhile happened before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Moves the instant of the transaction to what the clock shows, never back.
    pub(crate) fn look_at_clock(&self) {
        if let Some(clock) = &self.ctx.clock {
            self.now.fetch_max(clock.now().micros(), Ordering::Relaxed);
        }
    }

    /// The rights of a caller that was looked at in this transaction: a session or an application.
    pub(crate) fn confirmed(&self, id: Uuid) -> Option<Vec<Right>> {
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        caller.as_ref().filter(|(known, _)| *known == id).map(|(_, rights)| rights.clone())
    }

    /// Remembers them.
    pub(crate) fn confirm_caller(&self, id: Uuid, rights: Vec<Right>) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, rights));
    }

    pub(crate) fn mac(&self) -> Result<&'t Mac> {
        self.authentication.mac()
    }

    /// The id of the next event.
    pub(crate) fn event_id(&self) -> Result<AuditEventId> {
        Ok(self.authentication.ids()?.next(self.now()))
    }

    pub(crate) const fn ctx(&self) -> &ChangeContext {
        self.ctx
    }

    pub(crate) const fn exec(&self) -> Exec<'_> {
        Exec::Tx(self.transaction, &self.lost)
    }

    /// The connection, for a statement that changes something.
    pub(crate) fn writing(&self) -> Exec<'_> {
        self.wrote.store(true, Ordering::Relaxed);
        self.exec()
    }

    /// Checks the condition of the request, if it has one, against the first thing that is changed.
    ///
    /// # Errors
    /// [`Error::Precondition`] when it does not hold.
    pub(crate) fn meets_condition(&self, id: Uuid, version: i64) -> Result<()> {
        match &self.ctx.condition {
            Some(condition) if !self.met.load(Ordering::Relaxed) && !condition.holds(id, version) => {
                Err(Error::Precondition)
            }
            _ => {
                self.met.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Fails if the request has a condition and the work has changed nothing for which it was checked.
    pub(crate) fn met_condition(&self) -> Result<()> {
        if self.ctx.condition.is_none() || self.met.load(Ordering::Relaxed) { Ok(()) } else { Err(Error::Precondition) }
    }

    /// Why something is not what it was when it was loaded.
    pub(crate) fn stale(&self) -> Error {
        if self.ctx.condition.is_some() { Error::Precondition } else { Error::Stale }
    }

    /// Notes what the commit will invalidate.
    pub(crate) fn changed(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    /// The sessions that have ended in this transaction, for tests.
    #[cfg(feature = "testing")]
    pub fn sessions_ended(&self) -> std::sync::MutexGuard<'_, Vec<EndedSession>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// What the commit invalidates, and whether the transaction lost to another and can be tried again.
    pub(crate) fn into_outcome(self) -> (Vec<Change>, bool) {
        (self.changes.into_inner().unwrap_or_else(PoisonError::into_inner), self.lost.into_inner())
    }
}
