//! The rows of a whole database as lines of text, the same for both databases: what one reads out the other can take in.
//!
//! A line is a table, `{"table": "users", "columns": ["id", …]}`, or a row of the one before, `["0190…", …]`. Bytes and ids
//! are hexadecimal, everything else is as in JSON. Tables come in an order in which none refers to a later one.

mod kept;
mod tables;

use std::{io, ops::ControlFlow};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use super::{Db, WriteTx, alone::long};
use crate::error::{Error, Result};
pub(crate) use tables::migrations_until;
use tables::{Guards, Kind, Table, tables};

/// Values that one statement takes in at most; fewer than either database allows.
const VALUES: usize = 10_000;
/// And how long the lines of their rows are together, in bytes.
const LENGTH: usize = 1 << 20;

/// What a backup says of the database that was read out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOut {
    /// The newest migration that had run.
    pub schema: String,
    /// What tells the master key.
    pub key_check: Vec<u8>,
}

fn begin(backend: DbBackend) -> &'static str {
    match backend {
        // With the first statement it sees one state, and goes on seeing it; who writes is not kept waiting.
        DbBackend::Sqlite => "BEGIN",
        _ => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
}

impl Db {
    /// What there is to be read out; none where there is no installation.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn readable(&self) -> Result<Option<ReadOut>> {
        let Some(schema) = self.migration_status().await?.applied.pop() else { return Ok(None) };
        let key = Statement::from_string(self.backend(), "SELECT key_check FROM installation");
        let Some(row) = self.reader().query_one_raw(key).await? else { return Ok(None) };
        Ok(Some(ReadOut { schema, key_check: row.try_get_by_index(0).map_err(|_| Error::Corrupt("key"))? }))
    }

    /// Reads out everything as it is at one instant, beside whatever goes on.
    ///
    /// # Errors
    /// The database refuses a statement; [`Error::File`] when a line cannot be taken.
    pub async fn read_out(&self, schema: &str, sink: impl FnMut(&str) -> io::Result<()>) -> Result<()> {
        long(Box::pin(self.read_all(schema, sink))).await
    }

    async fn read_all(&self, schema: &str, mut sink: impl FnMut(&str) -> io::Result<()>) -> Result<()> {
        let mut connection = self.own_connection().await?;
        connection.execute_unprepared(begin(self.backend())).await?;
        for table in tables(schema).await? {
            let columns: Vec<_> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
            take(sink(&json!({"table": table.name, "columns": columns}).to_string()))?;
            let select = format!("SELECT {} FROM {}", columns.join(", "), table.name);
            let mut failed = None;
            let each = |row: QueryResult| match table.line(&row).and_then(|line| take(sink(&line))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            };
            connection.each(Statement::from_string(self.backend(), select), each).await?;
            failed.map_or(Ok(()), Err)?;
        }
        connection.execute_unprepared("COMMIT").await?;
        connection.close().await;
        Ok(())
    }
}

fn take<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::File("the backup".into(), error))
}

impl WriteTx<'_> {
    /// Puts what was read out of a database in the place of everything that is there. Both have the same schema.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a line is none, [`Error::File`] when one cannot be read; the database refuses a statement.
    pub async fn take_in(&self, schema: &str, lines: impl Iterator<Item = io::Result<String>>) -> Result<()> {
        let (db, tables) = (self.writing(), tables(schema).await?);
        let guards = Guards::take_away(db, &tables).await?;
        let mut batch: Option<Batch<'_>> = None;
        for line in lines {
            let line = take(line)?;
            if line.starts_with('{') {
                if let Some(mut batch) = batch.replace(Batch::of(&line, &tables)?) {
                    self.insert_batch(&mut batch).await?;
                }
                continue;
            }
            let batch = batch.as_mut().ok_or(Error::Corrupt("line of a backup"))?;
            batch.push(&line)?;
            if batch.is_full() {
                self.insert_batch(batch).await?;
            }
        }
        if let Some(mut batch) = batch {
            self.insert_batch(&mut batch).await?;
        }
        guards.put_back(db, &tables).await
    }

    async fn insert_batch(&self, batch: &mut Batch<'_>) -> Result<()> {
        let db = self.writing();
        if let Some(statement) = batch.statement(db.get_database_backend()) {
            db.execute_raw(statement).await?;
        }
        Ok(())
    }
}

/// Rows that go into a table together.
struct Batch<'t> {
    table: &'t Table,
    columns: Vec<(&'t str, Kind)>,
    values: Vec<Value>,
    length: usize,
}

impl<'t> Batch<'t> {
    fn of(line: &str, tables: &'t [Table]) -> Result<Self> {
        const WHAT: Error = Error::Corrupt("table of a backup");
        let head: serde_json::Value = serde_json::from_str(line).map_err(|_| WHAT)?;
        let table = tables.iter().find(|table| head["table"] == *table.name).ok_or(WHAT)?;
        let names = head["columns"].as_array().ok_or(WHAT)?;
        let column = |name: &serde_json::Value| {
            let known = table.columns.iter().find(|(known, _)| name == known).ok_or(WHAT)?;
            Ok((known.0.as_str(), known.1))
        };
        let columns = names.iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Self { table, columns, values: Vec::new(), length: 0 })
    }

    fn push(&mut self, line: &str) -> Result<()> {
        const WHAT: Error = Error::Corrupt("row of a backup");
        let row: Vec<serde_json::Value> = serde_json::from_str(line).map_err(|_| WHAT)?;
        if row.len() != self.columns.len() {
            return Err(WHAT);
        }
        for (value, (_, kind)) in row.into_iter().zip(&self.columns) {
            self.values.push(kind.value(value).ok_or(WHAT)?);
        }
        self.length += line.len();
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.values.len() + self.columns.len() > VALUES || self.length > LENGTH
    }

    /// The insertion of what has come, and an empty batch again.
    fn statement(&mut self, backend: DbBackend) -> Option<Statement> {
        let width = self.columns.len();
        let rows = self.values.len().checked_div(width).filter(|rows| *rows > 0)?;
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.table.name, names.join(", "));
        for at in 0..rows * width {
            sql.push_str(match (at, at % width) {
                (0, _) => "(",
                (_, 0) => "), (",
                _ => ", ",
            });
            match backend {
                DbBackend::Sqlite => sql.push('?'),
                _ => sql.push_str(&format!("${}", at + 1)),
            }
        }
        sql.push(')');
        self.length = 0;
        Some(Statement::from_sql_and_values(backend, sql, std::mem::take(&mut self.values)))
    }
}

impl Kind {
    /// A value of a row, as JSON.
    fn json(self, row: &QueryResult, at: usize) -> Result<serde_json::Value> {
        let wrong = |_| Error::Corrupt("value");
        Ok(match self {
            Self::Uuid => {
                row.try_get_by_index::<Option<Uuid>>(at).map_err(wrong)?.map(|id| id.simple().to_string()).into()
            }
            Self::Text => row.try_get_by_index::<Option<String>>(at).map_err(wrong)?.into(),
            Self::Bytes => row.try_get_by_index::<Option<Vec<u8>>>(at).map_err(wrong)?.map(|bytes| hex(&bytes)).into(),
            Self::Number => row.try_get_by_index::<Option<i64>>(at).map_err(wrong)?.into(),
            Self::Small => row.try_get_by_index::<Option<i32>>(at).map_err(wrong)?.into(),
            Self::Boolean => row.try_get_by_index::<Option<bool>>(at).map_err(wrong)?.into(),
        })
    }

    /// A value from JSON, to be bound; none if it is none of this kind.
    fn value(self, json: serde_json::Value) -> Option<Value> {
        use serde_json::Value as Json;
        Some(match (self, json) {
            (Self::Uuid, Json::Null) => Value::Uuid(None),
            (Self::Uuid, Json::String(text)) => Uuid::try_parse(&text).ok()?.into(),
            (Self::Text, Json::Null) => Value::String(None),
            (Self::Text, Json::String(text)) => text.into(),
            (Self::Bytes, Json::Null) => Value::Bytes(None),
            (Self::Bytes, Json::String(text)) => unhex(&text)?.into(),
            (Self::Number, Json::Null) => Value::BigInt(None),
            (Self::Number, json) => json.as_i64()?.into(),
            (Self::Small, Json::Null) => Value::Int(None),
            (Self::Small, json) => i32::try_from(json.as_i64()?).ok()?.into(),
            (Self::Boolean, Json::Null) => Value::Bool(None),
            (Self::Boolean, json) => json.as_bool()?.into(),
            _ => return None,
        })
    }
}

impl Table {
    fn line(&self, row: &QueryResult) -> Result<String> {
        let values = self.columns.iter().enumerate().map(|(at, (_, kind))| kind.json(row, at));
        Ok(serde_json::Value::Array(values.collect::<Result<_>>()?).to_string())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_halves_of_a_byte_do_not() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)), Some(all));
        assert_eq!((unhex(""), unhex("0"), unhex("0g")), (Some(Vec::new()), None, None));
    }
}
