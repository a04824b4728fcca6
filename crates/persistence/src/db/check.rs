//! Whether a server is one that everything here relies on, asked before anything is served, and every hour again.

use gatehouse_domain::time::Timestamp;
use sea_orm::{ConnectionTrait, Statement};

use super::Db;
use crate::error::{Error, Result};

/// The oldest release of PostgreSQL that is tested with, as `server_version_num` has it.
const OLDEST: i32 = 150_000;
/// How far the server's clock may be from ours, in microseconds: what is decided by one is compared with the other.
const CLOCKS: i64 = 5_000_000;

/// Something about a server that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Whether nothing can be served on it.
    pub is_fatal: bool,
    /// What is wrong, and what mends it.
    pub text: String,
}

const ASK: &str = "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding, \
     current_setting('transaction_isolation') AS isolation, current_setting('statement_timeout') AS statement_timeout, \
     current_setting('lock_timeout') AS lock_timeout, current_setting('standard_conforming_strings') AS strings, \
     current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock, current_database()::text AS database";

impl Db {
    /// What is wrong with the server; nothing of a SQLite file, which this program brings along.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not answer.
    pub async fn check(&self, now: Timestamp) -> Result<Vec<Unfit>> {
        if self.is_sqlite() {
            return Ok(Vec::new());
        }
        let row = self.reader().query_one_raw(Statement::from_string(self.backend(), ASK)).await?;
        let row = row.ok_or(Error::Corrupt("setting of the server"))?;
        let text = |name: &str| row.try_get::<String>("", name);
        let database = text("database")?;
        let mut found = Vec::new();
        let mut note = |is_fatal, text: String| found.push(Unfit { is_fatal, text });
        let version: i32 = row.try_get("", "version")?;
        if version < OLDEST {
            note(true, format!("PostgreSQL {} is older than 15", version / 10_000));
        }
        let encoding = text("encoding")?;
        if encoding != "UTF8" {
            note(
                true,
                format!(
                    "the database has the encoding {encoding}, which cannot hold every name: make one with CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0"
                ),
            );
        }
        let isolation = text("isolation")?;
        if isolation != "read committed" {
            note(
                true,
                format!(
                    "transactions are {isolation} by default: ALTER DATABASE {database} SET default_transaction_isolation = 'read committed'"
                ),
            );
        }
        if text("strings")? != "on" {
            note(true, format!("backslashes escape: ALTER DATABASE {database} SET standard_conforming_strings = on"));
        }
        for (name, needed) in [("statement_timeout", "30s"), ("lock_timeout", "3s")] {
            let set = text(name)?;
            if set != needed {
                note(
                    true,
                    format!(
                        "{name} is {set} although it was set to {needed}: a pooler in between does not keep what a session sets. Use one in session mode"
                    ),
                );
            }
        }
        for name in ["fsync", "synchronous_commit"] {
            if text(name)? == "off" {
                note(false, format!("{name} is off: what was acknowledged can be lost. ALTER SYSTEM SET {name} = on"));
            }
        }
        let apart = row.try_get::<i64>("", "clock")? - now.micros();
        if apart.abs() > CLOCKS {
            note(
                false,
                format!("its clock is {} seconds from that of this machine: synchronise both", apart / 1_000_000),
            );
        }
        Ok(found)
    }
}
