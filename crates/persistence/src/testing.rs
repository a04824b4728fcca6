//! A fresh database for every test, on both engines.
//!
//! PostgreSQL: `TEST_DATABASE_URL` names a server whose user may create databases; without it a throw-away cluster is
//! started from the installed server programs, shared by all test processes of the moment, and removed a few seconds
//! after the last of them ended, however it ended. Where there is neither, PostgreSQL tests say so and pass, except
//! under `CI`, where they fail.

mod cluster;
mod fill;
mod template;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

pub use cluster::Cluster;
pub use fill::{LEFT_BEHIND, count_expired, fill_expired, fill_families, fill_sessions, fill_tenants, forget_pushed};
use gatehouse_domain::secret::Secret;
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    db::{Db, Mac, Options, RootPart, Target, TrailKey},
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

/// What a crash of the machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Everything: tests need no more, because only processes die in them.
    None,
    /// Nothing that was acknowledged: what measurements need.
    Full,
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
    Cluster(Cluster),
}

impl Drop for Fresh {
    fn drop(&mut self) {
        match &self.cleanup {
            Cleanup::Cluster(_) => {}
            Cleanup::Folder(folder) => drop(std::fs::remove_dir_all(folder)),
            Cleanup::Database { admin, name } => {
                let (admin, sql) = (admin.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                blocking(admin_execute(admin, sql));
            }
        }
    }
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A name that no other process has, nor one of before that had the same id and was killed.
fn unique() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    format!("gh_{}_{}_{random:016x}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))
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

/// The URL of another database of a server.
fn database_url(admin: &str, name: &str) -> String {
    format!("{}/{name}", admin.rsplit_once('/').map_or(admin, |(server, _)| server))
}

impl Fresh {
    /// A new empty database; `None` where the engine is not to be had.
    ///
    /// # Panics
    /// When it cannot be made although it should.
    #[must_use]
    pub fn new(engine: Engine) -> Option<Self> {
        Self::with(engine, Durability::None)
    }

    /// A new database with the whole schema: a copy of one that was migrated once, which is much faster than migrating.
    ///
    /// # Panics
    /// When it cannot be made although it should.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    pub fn migrated(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => {
                let fresh = Self::file();
                if let Target::Sqlite(path) = &fresh.target {
                    template::copy_to(path).expect("a copy of the schema");
                }
                Some(fresh)
            }
            Engine::Postgres => {
                let admin = Self::server(Durability::None)?;
                let template = template::on(&admin);
                Some(Self::database(admin, &format!("TEMPLATE {template}")))
            }
        }
    }

    /// The same as `new`, on a PostgreSQL that is as durable as asked for; SQLite always is.
    ///
    /// # Panics
    /// When it cannot be made although it should.
    #[must_use]
    pub fn with(engine: Engine, durability: Durability) -> Option<Self> {
        match engine {
            Engine::Sqlite => Some(Self::file()),
            Engine::Postgres => Self::server(durability).map(|admin| Self::database(admin, "")),
        }
    }

    /// A file of SQLite that is not there yet.
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    fn file() -> Self {
        let folder = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Self { target: Target::Sqlite(folder.join("test.db")), cleanup: Cleanup::Folder(folder) }
    }

    /// The URL of a PostgreSQL server; `None`, and said, where there is none.
    fn server(durability: Durability) -> Option<String> {
        let admin = cluster::url(durability);
        if admin.is_none() {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed and TEST_DATABASE_URL is not set");
            eprintln!("SKIPPED: PostgreSQL is not installed and TEST_DATABASE_URL is not set");
        }
        admin
    }

    /// A database on a PostgreSQL server.
    #[expect(clippy::panic, reason = "a test without its database has nothing to report but that")]
    fn database(admin: String, options: &str) -> Self {
        let name = unique();
        let made = blocking(admin_execute(admin.clone(), format!("CREATE DATABASE {name} {options}")));
        if !matches!(made, Some(Ok(()))) {
            panic!("cannot make a database: {made:?}");
        }
        let target = Target::Postgres(Secret::new(database_url(&admin, &name)));
        Self { target, cleanup: Cleanup::Database { admin, name } }
    }

    /// An empty database on a PostgreSQL of its own, which may come to harm; `None` where that is not installed.
    ///
    /// # Panics
    /// When it cannot be made although it should.
    #[must_use]
    pub fn alone() -> Option<Self> {
        let Some(cluster) = Cluster::start() else {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed");
            eprintln!("SKIPPED: PostgreSQL is not installed");
            return None;
        };
        let target = Target::Postgres(Secret::new(cluster.url.clone()));
        Some(Self { target, cleanup: Cleanup::Cluster(cluster) })
    }

    /// The server that is this database's alone.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        match &self.cleanup {
            Cleanup::Cluster(cluster) => Some(cluster),
            Cleanup::Folder(_) | Cleanup::Database { .. } => None,
        }
    }

    /// Connects, without migrating.
    ///
    /// # Panics
    /// When it cannot.
    #[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
    pub async fn connect(&self) -> Db {
        let options = Options { target: self.target.clone(), connections: 4, on_change: Arc::new(|_| {}) };
        let db = Db::connect(options).await.expect("a connection");
        db.authenticate_with(test_mac(), test_ids());
        db
    }
}

/// Ids that differ from each other and from those of other processes.
fn test_ids() -> crate::EventIds {
    let made = std::sync::atomic::AtomicU64::new(0);
    crate::EventIds::new(move || {
        let mut random = [0; 10];
        random[..2].copy_from_slice(&std::process::id().to_be_bytes()[2..]);
        random[2..].copy_from_slice(&made.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        random
    })
}

/// A key that is good enough where nobody attacks.
struct TestKey;

impl TrailKey for TestKey {
    fn code(&self, message: &[u8]) -> [u8; 32] {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut code = [0; 32];
        for (i, part) in code.chunks_exact_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (i, message).hash(&mut hasher);
            part.copy_from_slice(&hasher.finish().to_be_bytes());
        }
        code
    }

    fn root(&self, message: &[u8], _: RootPart) -> [u8; 32] {
        self.code(message)
    }

    fn part_of(&self, message: &[u8], code: &[u8; 32], _: bool) -> Option<RootPart> {
        (self.code(message) == *code).then_some(RootPart::Nth(0))
    }
}

/// Authentication codes that are good enough where nobody attacks.
#[must_use]
pub fn test_mac() -> Mac {
    Mac::new(TestKey)
}

/// Makes a user one that was made before there was searching.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn forget_terms(db: &Db, user: &gatehouse_domain::user::User) -> Result<()> {
    let id = user.id.uuid();
    db.write(crate::ChangeContext::at(gatehouse_domain::time::Timestamp::default()), async move |tx| {
        use sea_orm::ConnectionTrait;
        let db = tx.writing();
        let sql = "DELETE FROM user_terms WHERE user_id = $1";
        let statement = sea_orm::Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into()]);
        db.execute_raw(statement).await?;
        Ok::<_, crate::Error>(())
    })
    .await
}

/// Lets the planner look at what is there.
///
/// # Errors
/// The database refuses the statement, or does not answer in time.
pub async fn analyze(db: &Db) -> Result<()> {
    db.write(crate::ChangeContext::at(gatehouse_domain::time::Timestamp::default()), async |tx| {
        use sea_orm::ConnectionTrait;
        tx.writing().execute_unprepared("ANALYZE").await?;
        Ok::<_, crate::Error>(())
    })
    .await
}

/// Runs each body on SQLite and on PostgreSQL, with a fresh and migrated database.
#[macro_export]
macro_rules! db_tests {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn on(engine: $crate::testing::Engine) {
                let Some(fresh) = $crate::testing::Fresh::migrated(engine) else { return };
                let $db = fresh.connect().await;
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

/// The statement that makes a trigger of the audit trail on SQLite.
#[must_use]
pub fn audit_trigger(name: &str) -> String {
    migration::AUDIT_TRIGGERS
        .iter()
        .filter(|trigger| trigger.name == name)
        .map(migration::AuditTrigger::sqlite)
        .collect()
}
