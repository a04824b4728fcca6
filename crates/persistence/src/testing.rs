//! A fresh database for every test, on both engines.
//!
//! PostgreSQL: `TEST_DATABASE_URL` names a server whose user may create databases; without it a throw-away cluster is
//! started from the installed server programs, shared by all test processes of the moment, and removed a few seconds
//! after the last of them ended, however it ended. Where there is neither, PostgreSQL tests say so and pass, except
//! under `CI`, where they fail.

mod cluster;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use gatehouse_domain::secret::Secret;
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    db::{Db, Options, Target},
    error::Result,
};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// An empty database that goes away with this value.
#[derive(Debug)]
pub struct Fresh {
    /// Where it is.
    pub target: Target,
    cleanup: Cleanup,
}

#[derive(Debug)]
enum Cleanup {
    Folder(PathBuf),
    Database { admin: String, name: String },
}

impl Drop for Fresh {
    fn drop(&mut self) {
        match &self.cleanup {
            Cleanup::Folder(folder) => drop(std::fs::remove_dir_all(folder)),
            Cleanup::Database { admin, name } => {
                let (admin, sql) = (admin.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                blocking(admin_execute(admin, sql));
            }
        }
    }
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

fn unique() -> String {
    format!("gh_{}_{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))
}

/// Waits for work on a runtime and thread of its own, so that it does not matter where the caller runs.
fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let run = || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().ok().map(|runtime| runtime.block_on(work))
    };
    std::thread::spawn(run).join().ok().flatten()
}

async fn admin_execute(url: String, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&url).await?;
    connection.execute(sqlx::AssertSqlSafe(sql)).await?;
    connection.close().await
}

impl Fresh {
    /// A new empty database; `None` where the engine is not to be had.
    ///
    /// # Panics
    /// When it cannot be made although it should.
    #[must_use]
    #[expect(clippy::panic, clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    pub fn new(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => {
                let folder = std::env::temp_dir().join(unique());
                std::fs::create_dir_all(&folder).expect("a temporary folder");
                Some(Self { target: Target::Sqlite(folder.join("test.db")), cleanup: Cleanup::Folder(folder) })
            }
            Engine::Postgres => {
                let Some(admin) = cluster::url() else {
                    assert!(
                        std::env::var_os("CI").is_none(),
                        "PostgreSQL is not installed and TEST_DATABASE_URL is not set"
                    );
                    eprintln!("SKIPPED: PostgreSQL is not installed and TEST_DATABASE_URL is not set");
                    return None;
                };
                let name = unique();
                let made = blocking(admin_execute(admin.clone(), format!("CREATE DATABASE {name}")));
                if !matches!(made, Some(Ok(()))) {
                    panic!("cannot make a database: {made:?}");
                }
                let url = format!("{}/{name}", admin.rsplit_once('/').map_or(admin.as_str(), |(server, _)| server));
                Some(Self { target: Target::Postgres(Secret::new(url)), cleanup: Cleanup::Database { admin, name } })
            }
        }
    }

    /// Connects, without migrating.
    ///
    /// # Panics
    /// When it cannot.
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    pub async fn connect(&self) -> Db {
        let options = Options { target: self.target.clone(), connections: 4, on_change: Arc::new(|_| {}) };
        Db::connect(options).await.expect("a connection")
    }
}

/// Runs each body on SQLite and on PostgreSQL, with a fresh and migrated database.
#[macro_export]
macro_rules! db_tests {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn on(engine: $crate::testing::Engine) {
                let Some(fresh) = $crate::testing::Fresh::new(engine) else { return };
                let $db = fresh.connect().await;
                $db.migrate().await.unwrap();
                $body
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                on($crate::testing::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                on($crate::testing::Engine::Postgres).await;
            }
        }
    )*};
}
