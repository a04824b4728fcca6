//! What a change ends besides, and asking for that without making the change.

use gatehouse_domain::session::{Effects, RevokeMany};
use gatehouse_persistence::{ChangeContext, Db, Error as Storage, WriteScope, WriteTx};

use crate::app::{Error, Result};

/// Whether a change is made, or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is made.
    Real,
    /// It is tried to the end, with every check, and taken back.
    DryRun,
}

impl Mode {
    /// Tried if so asked for.
    #[must_use]
    pub const fn of(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Real }
    }
}

/// What was deleted, or would be, and what ends with it.
pub type Deleted<T> = (T, Effects);

/// Why a transaction is not committed.
enum Stop<T> {
    Tried(T),
    Failed(Error),
}

impl<T> From<Storage> for Stop<T> {
    fn from(error: Storage) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs a change; a dry run is the same transaction without its commit.
pub(crate) async fn change<T, F>(db: &Db, ctx: ChangeContext, mode: Mode, work: F) -> Result<T>
where
    F: AsyncFn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let work = async move |tx: &WriteTx<'_>| match (work(tx).await, mode) {
        (Ok(result), Mode::Real) => Ok(result),
        (Ok(result), Mode::DryRun) => Err(Stop::Tried(result)),
        (Err(error), _) => Err(Stop::Failed(error)),
    };
    match db.write(ctx, work).await {
        Ok(result) | Err(Stop::Tried(result)) => Ok(result),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Ends sessions and says what that touches; a dry run only counts, because ending a million would hold up all others.
pub(crate) async fn end(tx: &WriteTx<'_>, scope: &WriteScope<'_>, ends: &RevokeMany, mode: Mode) -> Result<Effects> {
    let effects = scope.effects(ends, tx.now()).await?;
    if mode == Mode::Real {
        scope.revoke_many(ends).await?;
    }
    Ok(effects)
}
