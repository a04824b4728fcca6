//! Which tables there are, found out where the migrations make them: nobody keeps a list that a new table can be missing in.

use migration::Migrator;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, SqlxSqliteConnector, Statement};
use sea_orm_migration::MigratorTrait;
use sqlx::sqlite::SqlitePoolOptions;

use crate::{
    db::{Exec, unavailable},
    error::{Error, Result},
};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Uuid,
    Text,
    Bytes,
    Number,
    /// A number of four bytes.
    Small,
    Boolean,
}

impl Kind {
    fn of(declared: &str) -> Result<Self> {
        Ok(match declared.to_ascii_lowercase().as_str() {
            "uuid" => Self::Uuid,
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            "bigint" => Self::Number,
            "integer" => Self::Small,
            "boolean" => Self::Boolean,
            _ => return Err(Error::Corrupt("type of a column")),
        })
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
}

const COLUMNS: &str = "SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'seaql_migrations' ORDER BY t.name, c.cid";
const PARENTS: &str = "SELECT t.name, f.\"table\" FROM sqlite_master t, pragma_foreign_key_list(t.name) f \
     WHERE t.type = 'table' AND t.name <> f.\"table\"";

/// How many migrations have run when this one is the newest.
///
/// # Errors
/// [`Error::TooNew`] when this release does not know it.
pub(crate) fn migrations_until(schema: &str) -> Result<u32> {
    let at = Migrator::migrations().iter().position(|migration| migration.name() == schema);
    at.and_then(|at| u32::try_from(at + 1).ok()).ok_or_else(|| Error::TooNew(schema.to_owned()))
}

/// The tables of a schema; none refers to one that comes later.
pub(super) async fn tables(schema: &str) -> Result<Vec<Table>> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.map_err(unavailable)?;
    let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    Migrator::up(&db, Some(migrations_until(schema)?)).await?;
    let rows = async |sql: &str| db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await;
    let mut left: Vec<Table> = Vec::new();
    for row in rows(COLUMNS).await? {
        let (table, column, kind): (String, String, String) = row.try_get_many_by_index()?;
        if left.last().is_none_or(|last| last.name != table) {
            left.push(Table { name: table, columns: Vec::new() });
        }
        let columns = left.last_mut().map(|table| &mut table.columns);
        columns.ok_or(Error::Corrupt("schema"))?.push((column, Kind::of(&kind)?));
    }
    let parents = rows(PARENTS).await?;
    let parents: Vec<(String, String)> =
        parents.iter().map(QueryResult::try_get_many_by_index).collect::<Result<_, _>>()?;
    db.close().await?;
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |table: &Table| {
            let mut of_table = parents.iter().filter(|(child, _)| *child == table.name);
            of_table.any(|(_, parent)| ordered.iter().all(|done| done.name != *parent))
        };
        let (waiting, next): (Vec<_>, Vec<_>) = left.into_iter().partition(waits);
        if next.is_empty() {
            return Err(Error::Corrupt("order of the tables"));
        }
        ordered.extend(next);
        left = waiting;
    }
    Ok(ordered)
}

/// What acts when a row changes, and on SQLite what is cheaper to make once than to keep right row by row.
pub(super) struct Guards {
    /// The statements that make them again.
    texts: Vec<String>,
}

const GUARDS: &str = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, rowid";

impl Guards {
    /// Takes them away, and then every row.
    pub(super) async fn take_away(db: Exec<'_>, tables: &[Table]) -> Result<Self> {
        let mut texts = Vec::new();
        if db.get_database_backend() == DbBackend::Sqlite {
            for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, GUARDS)).await? {
                let (kind, name, text): (String, String, String) = row.try_get_many_by_index()?;
                db.execute_unprepared(&format!("DROP {kind} {name}")).await?;
                texts.push(text);
            }
            for table in tables.iter().rev() {
                db.execute_unprepared(&format!("DELETE FROM {}", table.name)).await?;
            }
        } else {
            for Table { name, .. } in tables {
                db.execute_unprepared(&format!("ALTER TABLE {name} DISABLE TRIGGER USER")).await?;
            }
            db.execute_unprepared(&format!("TRUNCATE {}", list(tables))).await?;
        }
        Ok(Self { texts })
    }

    /// Puts them back.
    pub(super) async fn put_back(self, db: Exec<'_>, tables: &[Table]) -> Result<()> {
        if db.get_database_backend() == DbBackend::Sqlite {
            for text in self.texts {
                db.execute_unprepared(&text).await?;
            }
        } else {
            for Table { name, .. } in tables {
                db.execute_unprepared(&format!("ALTER TABLE {name} ENABLE TRIGGER USER")).await?;
            }
            db.execute_unprepared(&format!("ANALYZE {}", list(tables))).await?;
        }
        Ok(())
    }
}

fn list(tables: &[Table]) -> String {
    tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ")
}
