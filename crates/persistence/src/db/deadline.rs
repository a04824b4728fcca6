//! How long anybody waits for the database.
//!
//! The limits of the server (`statement_timeout`) are of no help where the server is frozen or a network has forgotten
//! the connection. So every exchange is waited for with a limit of our own, that of the work it belongs to. Work that
//! names no limit has the strictest.

use std::{
    cell::Cell,
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::error::Elapsed;

/// How long a request waits for the database, all its exchanges together: below five seconds, so that the answer, which
/// is 503 then, is there within five.
pub(crate) const REQUEST: Duration = Duration::from_millis(4_500);
/// How long a task in the background or a command waits for one exchange.
const TASK: Duration = Duration::from_secs(30);
/// How long a request waits that changes as many rows as there may be, all its exchanges together.
const BULK: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Limit {
    /// For each wait.
    Each(Duration),
    /// What is left for all waits to come.
    Together(Duration),
}

tokio::task_local! {
    static LIMIT: Cell<Limit>;
}

/// Runs a request, or a part of an answer that is sent in parts.
pub fn request<F: Future>(work: F) -> impl Future<Output = F::Output> {
    LIMIT.scope(Cell::new(Limit::Together(REQUEST)), work)
}

/// Runs what nobody waits for at the other end of a connection: a periodic task, a command.
pub fn task<F: Future>(work: F) -> impl Future<Output = F::Output> {
    LIMIT.scope(Cell::new(Limit::Each(TASK)), work)
}

/// Runs a transaction of a request that changes as many rows as there may be, such as the deletion of a tenant.
pub(crate) fn bulk<F: Future>(work: F) -> impl Future<Output = F::Output> {
    LIMIT.scope(Cell::new(Limit::Together(BULK)), work)
}

/// Runs work whose waits end then.
pub(crate) fn until<F: Future>(deadline: Instant, work: F) -> impl Future<Output = F::Output> {
    LIMIT.scope(Cell::new(Limit::Together(deadline.saturating_duration_since(Instant::now()))), work)
}

/// How long the next wait may take.
pub(crate) fn left() -> Duration {
    match LIMIT.try_with(Cell::get).unwrap_or(Limit::Each(REQUEST)) {
        Limit::Each(limit) | Limit::Together(limit) => limit,
    }
}

/// Waits for something from the database, as long as the work may that it belongs to.
pub(crate) async fn wait<T>(exchange: impl Future<Output = T>) -> Result<T, Elapsed> {
    let (left, began) = (left(), Instant::now());
    let result = tokio::time::timeout(left, exchange).await;
    let spent = |limit: &Cell<Limit>| {
        if let Limit::Together(now) = limit.get() {
            // What is waited for at the same time is counted once.
            limit.set(Limit::Together(now.min(left.saturating_sub(began.elapsed()))));
        }
    };
    // Without a limit of its own there is nothing to count.
    let _ = LIMIT.try_with(spent);
    result
}
