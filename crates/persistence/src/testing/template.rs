//! A database with the whole schema, which tests copy. One for each build of a test program, since the schema is a part
//! of it.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::OnceLock,
};

use sqlx::{Connection, Executor, PgConnection};

use super::{admin_execute, blocking, database_url, unique};
use crate::db::{Target, make_schema};

/// The program that runs, whatever its build, and this build of it.
fn program() -> io::Result<(String, String)> {
    let path = std::env::current_exe()?;
    let about = path.metadata()?;
    let hashed = |of: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        of(&mut hasher);
        hasher.finish()
    };
    let program = hashed(&|hasher| path.hash(hasher));
    let build = hashed(&|hasher| (about.len(), about.modified().ok()).hash(hasher));
    Ok((format!("gh_schema_{program:016x}_"), format!("{build:016x}")))
}

/// Makes a file of SQLite that has the schema.
pub(super) fn copy_to(path: &Path) -> io::Result<()> {
    let (program, build) = program()?;
    let folder = std::env::temp_dir().join("gatehouse-test-schemas");
    let template = folder.join(format!("{program}{build}"));
    if !template.exists() {
        fs::create_dir_all(&folder)?;
        // Those of earlier builds are of no use any more.
        for entry in fs::read_dir(&folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Another process may just have put this build's there.
            if name.starts_with(&program) && !name.ends_with(&build) {
                drop(fs::remove_file(entry.path()));
            }
        }
        let new = folder.join(unique());
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        let target = Target::Sqlite(new.clone());
        let made = blocking(async move { make_schema(&target, None).await });
        made.and_then(Result::ok).ok_or_else(|| io::Error::other("the migrations do not run"))?;
        // Processes that make it at once put the same into its place.
        fs::rename(new, &template)?;
    }
    fs::copy(template, path).map(drop)
}

/// The database of a PostgreSQL server that has the schema.
///
/// # Panics
/// When it cannot be made.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to report but that")]
pub(super) fn on(admin: &str) -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let (program, build) = program().expect("this program is a file");
        let made = blocking(make_on(admin.to_owned(), program, build));
        made.expect("a runtime").expect("a database with the schema")
    })
}

/// Makes it if it is not there. One process does, others wait: the lock goes with the connection.
async fn make_on(admin: String, program: String, build: String) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(&admin).await?;
    connection.execute("SELECT pg_advisory_lock(7305425)").await?;
    let name = format!("{program}{build}");
    let names = sqlx::query_as("SELECT datname, datistemplate FROM pg_database WHERE starts_with(datname, $1)");
    let there: Vec<(String, bool)> = names.bind(&program).fetch_all(&mut connection).await?;
    if !there.contains(&(name.clone(), true)) {
        // Those of earlier builds, and what a process left that was killed, are of no use any more.
        for (old, _) in there {
            admin_execute(admin.clone(), format!("ALTER DATABASE {old} IS_TEMPLATE false")).await?;
            admin_execute(admin.clone(), format!("DROP DATABASE {old} WITH (FORCE)")).await?;
        }
        admin_execute(admin.clone(), format!("CREATE DATABASE {name}")).await?;
        let target = Target::Postgres(gatehouse_domain::secret::Secret::new(database_url(&admin, &name)));
        make_schema(&target, None).await.map_err(|error| sqlx::Error::Configuration(error.to_string().into()))?;
        admin_execute(admin, format!("ALTER DATABASE {name} IS_TEMPLATE true")).await?;
    }
    connection.close().await?;
    Ok(name)
}
