//! A running transaction, and where statements run.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use gatehouse_domain::time::Timestamp;
use sea_orm::{DatabaseConnection, DatabaseExecutor, DatabaseTransaction};

use super::{Change, Ctx};
use crate::error::{Error, Result};

/// Where a statement runs: on the pool, or in a transaction.
#[derive(Clone, Copy)]
pub(crate) enum Exec<'c> {
    Pool(&'c DatabaseConnection),
    Tx(&'c DatabaseTransaction),
}

impl<'c> Exec<'c> {
    pub(crate) fn db(self) -> DatabaseExecutor<'c> {
        match self {
            Self::Pool(connection) => connection.into(),
            Self::Tx(transaction) => transaction.into(),
        }
    }
}

/// A running transaction.
pub struct WriteTx<'t> {
    transaction: &'t DatabaseTransaction,
    ctx: &'t Ctx,
    outcome: Mutex<(Vec<Change>, bool)>,
    wrote: AtomicBool,
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteTx")
    }
}

impl<'t> WriteTx<'t> {
    pub(crate) fn new(transaction: &'t DatabaseTransaction, ctx: &'t Ctx) -> Self {
        Self { transaction, ctx, outcome: Mutex::default(), wrote: AtomicBool::new(false) }
    }

    /// The instant of the request.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ctx.now
    }

    pub(crate) const fn ctx(&self) -> &Ctx {
        self.ctx
    }

    pub(crate) const fn exec(&self) -> Exec<'t> {
        Exec::Tx(self.transaction)
    }

    /// The connection, for a statement that changes something.
    pub(crate) fn writing(&self) -> DatabaseExecutor<'t> {
        self.wrote.store(true, Ordering::Relaxed);
        self.exec().db()
    }

    /// Notes what the commit will invalidate.
    pub(crate) fn changed(&self, change: Change) {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).0.push(change);
    }

    /// Turns a database error into ours, and remembers if the transaction is lost and can be tried again.
    pub(crate) fn check<T>(&self, result: Result<T, sea_orm::DbErr>) -> Result<T> {
        result.map_err(|error| {
            let error = Error::from(error);
            if matches!(error, Error::Retry(_)) {
                self.outcome.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            }
            error
        })
    }

    pub(crate) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// What the commit invalidates, and whether the transaction lost.
    pub(crate) fn into_outcome(self) -> (Vec<Change>, bool) {
        self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
