//! What statements run, how long they take, and whether there are answers at all.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    DbBackend, Statement, Value,
    sea_query::{QueryBuilder, SqliteQueryBuilder},
};

/// Counts statements, and keeps their texts while somebody listens.
#[derive(Clone, Default)]
pub(crate) struct Observer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicU64,
    micros: AtomicU64,
    listening: AtomicBool,
    heard: Mutex<Vec<String>>,
    /// Whether the last that is known is that it does not answer.
    is_silent: AtomicBool,
    /// Whether the last that is known is that it takes no writes.
    refuses_writes: AtomicBool,
}

impl Observer {
    /// Notes that a statement is about to run.
    pub(crate) fn hear(&self, statement: &Statement) {
        if self.0.listening.load(Ordering::Relaxed) {
            self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).push(with_values(statement));
        }
    }

    /// Notes that a statement that began then has run.
    pub(crate) fn count(&self, began: Instant) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.micros.fetch_add(u64::try_from(began.elapsed().as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Notes that a connection was lost or could not be made; says so once.
    pub(crate) fn lost(&self, error: &sqlx::Error) {
        if !self.0.is_silent.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the database does not answer");
        }
    }

    /// Notes an answer; says so if there was none before.
    pub(crate) fn answered(&self) {
        if self.0.is_silent.load(Ordering::Relaxed) && self.0.is_silent.swap(false, Ordering::Relaxed) {
            tracing::info!("the database is back");
        }
    }

    /// Notes that a write was refused that could have been taken; says so once.
    pub(crate) fn took_no_write(&self, error: &dyn std::error::Error) {
        if !self.0.refuses_writes.swap(true, Ordering::Relaxed) {
            let cause = error.source().map(tracing::field::display);
            tracing::error!(%error, cause, "the database takes no writes");
        }
    }

    /// Notes that something was written; says so if that was not possible before.
    pub(crate) fn took_write(&self) {
        if self.0.refuses_writes.load(Ordering::Relaxed) && self.0.refuses_writes.swap(false, Ordering::Relaxed) {
            tracing::info!("the database takes writes again");
        }
    }

    pub(crate) fn counted(&self) -> (u64, Duration) {
        (self.0.count.load(Ordering::Relaxed), Duration::from_micros(self.0.micros.load(Ordering::Relaxed)))
    }

    pub(crate) async fn overhear<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        self.0.listening.store(true, Ordering::Relaxed);
        let result = work.await;
        self.0.listening.store(false, Ordering::Relaxed);
        (result, std::mem::take(&mut *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The text of a statement as a console would take it.
fn with_values(statement: &Statement) -> String {
    let (DbBackend::Sqlite, Some(values)) = (statement.db_backend, &statement.values) else {
        return statement.to_string();
    };
    // The builder does not know that we keep UUIDs as bytes there.
    let literal = |value: &Value| match value {
        Value::Uuid(Some(id)) => format!("x'{}'", id.simple()),
        value => SqliteQueryBuilder.value_to_string(value),
    };
    let mut literals = values.0.iter().map(literal);
    let mut parts = statement.sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sql, part| sql + &literals.next().unwrap_or_default() + part)
}
