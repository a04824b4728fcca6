//! Statements that go to the database together.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Values};

use super::Exec;
use crate::error::Result;

/// Statements in their order. On SQLite they are one text, because waking the thread that owns the connection costs more
/// than most statements; this is the only place where statements are joined as text. It is sound because placeholders
/// have no numbers there, so that the values of the next statement just follow. On PostgreSQL each statement is an
/// exchange of its own: one that is prepared is one statement.
pub(crate) struct Batch<const N: usize>(pub [Statement; N]);

impl<const N: usize> Batch<N> {
    /// Runs them; returns how many rows they changed together.
    pub(crate) async fn exec(self, db: Exec<'_>) -> Result<u64> {
        if db.get_database_backend() == DbBackend::Sqlite {
            return Ok(db.execute_raw(self.joined()).await?.rows_affected());
        }
        let mut rows = 0;
        for statement in self.0 {
            rows += db.execute_raw(statement).await?.rows_affected();
        }
        Ok(rows)
    }

    fn joined(self) -> Statement {
        let texts: Vec<_> = self.0.iter().map(|statement| statement.sql.as_str()).collect();
        let text = texts.join("; ");
        let values = self.0.into_iter().filter_map(|statement| statement.values).flat_map(|Values(values)| values);
        Statement::from_sql_and_values(DbBackend::Sqlite, text, values)
    }
}
