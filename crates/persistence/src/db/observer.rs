//! What statements run, and how long they take.

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
    // The builder knows `?` on SQLite, ours are numbered; and it does not know that we keep UUIDs as bytes there.
    let literal = |value: &Value| match value {
        Value::Uuid(Some(id)) => format!("x'{}'", id.simple()),
        value => SqliteQueryBuilder.value_to_string(value),
    };
    if statement.sql.contains("$1") {
        let numbered = values.0.iter().enumerate().rev();
        return numbered.fold(statement.sql.clone(), |sql, (i, v)| sql.replace(&format!("${}", i + 1), &literal(v)));
    }
    let mut literals = values.0.iter().map(literal);
    let mut parts = statement.sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sql, part| sql + &literals.next().unwrap_or_default() + part)
}
