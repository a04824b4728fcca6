//! Statements put together by hand, where the builder would hide what the index is for.

use std::sync::LazyLock;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, EntityTrait, Iden, IdenStatic, Iterable, QueryResult,
    Statement, Value,
};

use crate::{
    db::Exec,
    entity::{audit_event, session, signing_key, tenant, user},
    error::{Error, Result},
    repo::list::unsigned,
};

/// A statement in the making. Values never become part of the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    /// What stands before each value.
    before: Vec<String>,
    /// What comes behind the last.
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for a value, as the builder writes it for the database.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.before.push(std::mem::take(&mut self.text));
        self.values.push(value.into());
        self
    }

    /// Appends a word itself, where a partial index holds only what it names: no planner looks for it among values.
    pub(crate) fn literal(&mut self, word: &'static str) -> &mut Self {
        self.push("'").push(word).push("'")
    }

    /// Appends ` = $n`, or ` IN ($n, …)` for several.
    pub(crate) fn one_of<V: Into<Value>>(&mut self, values: impl ExactSizeIterator<Item = V>) -> &mut Self {
        if values.len() == 1 {
            self.push(" = ");
            for value in values {
                self.bind(value);
            }
            return self;
        }
        self.push(" IN (");
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    /// Appends `column = $n, …` for what a row sets.
    pub(crate) fn assign<A: ActiveModelTrait>(&mut self, row: &A) -> &mut Self {
        let mut separator = "";
        for column in <A::Entity as EntityTrait>::Column::iter() {
            if let ActiveValue::Set(value) = row.get(column) {
                self.push(separator).push(column.as_str()).push(" = ").bind(value);
                separator = ", ";
            }
        }
        self
    }

    pub(crate) fn statement(self, backend: DbBackend) -> Statement {
        let mut text = String::new();
        for (at, before) in self.before.iter().enumerate() {
            text.push_str(before);
            match backend {
                DbBackend::Sqlite => text.push('?'),
                _ => text.push_str(&format!("${}", at + 1)),
            }
        }
        Statement::from_sql_and_values(backend, text + &self.text, self.values)
    }

    /// Every row that it finds.
    pub(crate) async fn all(self, db: Exec<'_>) -> Result<Vec<QueryResult>> {
        Ok(db.query_all_raw(self.statement(db.get_database_backend())).await?)
    }

    /// The first row that it finds.
    pub(crate) async fn one(self, db: Exec<'_>) -> Result<Option<QueryResult>> {
        Ok(db.query_one_raw(self.statement(db.get_database_backend())).await?)
    }

    /// Runs it; returns how many rows it changed.
    pub(crate) async fn exec(self, db: Exec<'_>) -> Result<u64> {
        Ok(db.execute_raw(self.statement(db.get_database_backend())).await?.rows_affected())
    }

    /// The number in its only column.
    pub(crate) async fn count(self, db: Exec<'_>) -> Result<u64> {
        let row = self.one(db).await?.ok_or(Error::Corrupt("count"))?;
        row.try_get_by_index::<i64>(0).map(unsigned).map_err(|_| Error::Corrupt("count"))
    }
}

/// The values, repeated to a power of two, so that a handful of prepared statements serve every length.
pub(crate) fn power_of_two<T: Copy>(values: &[T]) -> impl ExactSizeIterator<Item = T> {
    let padded = values.iter().chain(values.iter().cycle().take(values.len().next_power_of_two() - values.len()));
    padded.copied().collect::<Vec<_>>().into_iter()
}

/// The values in pieces whose lengths are powers of two: likewise.
pub(crate) fn powers_of_two<T>(mut values: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (piece, rest) = values.split_at(1 << values.len().checked_ilog2()?);
        values = rest;
        Some(piece)
    })
}

/// `alias.column AS prefix_column, …` for every column of a table, as `FromQueryResult` with that prefix reads them.
fn columns<E: EntityTrait>(alias: &str, prefix: &str) -> String {
    let columns: Vec<_> = E::Column::iter()
        .map(|c| c.unquoted().to_owned())
        .map(|name| format!("{alias}.{name} AS {prefix}{name}"))
        .collect();
    columns.join(", ")
}

/// The columns of `sessions s`, prefixed `s_`.
pub(crate) static SESSION: LazyLock<String> = LazyLock::new(|| columns::<session::Entity>("s", "s_"));
/// The columns of `users u`, prefixed `u_`.
pub(crate) static USER: LazyLock<String> = LazyLock::new(|| columns::<user::Entity>("u", "u_"));
/// The columns of `tenants t`, prefixed `t_`.
pub(crate) static TENANT: LazyLock<String> = LazyLock::new(|| columns::<tenant::Entity>("t", "t_"));
/// The columns of `audit_events e`, prefixed `e_`.
pub(crate) static AUDIT_EVENT: LazyLock<String> = LazyLock::new(|| columns::<audit_event::Entity>("e", "e_"));
/// The columns of `signing_keys k`, prefixed `k_`.
pub(crate) static KEY: LazyLock<String> = LazyLock::new(|| columns::<signing_key::Entity>("k", "k_"));
