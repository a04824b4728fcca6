//! What is looked at before anything starts: files that others can read, a database that is not there yet, an installation
//! that is not there at all.

use std::{
    fmt,
    io::{self, IsTerminal},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gatehouse_domain::authz::SystemReason;
use gatehouse_persistence::{Error as Storage, Unfit};

use crate::{
    app::{self, App},
    cli::{Exit, connect},
    config::{Config, Database},
    security::private::write_private,
};

/// How long it takes until the database is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Refuses to go on where other users of the machine can read the master key or the database, and says how to mend that.
pub(super) fn refuse_open_files(config: &Config) -> Result<(), Exit> {
    if config.allow_open_files {
        return Ok(());
    }
    let database = match &config.database {
        Database::Sqlite(path) => Some(path.clone()),
        Database::Postgres(_) => None,
    };
    for (path, mode) in
        [(Some(config.data_dir.clone()), "700"), (Some(config.data_dir.join("master.key")), "600"), (database, "600")]
    {
        let Some(path) = path.filter(|path| is_open(path)) else { continue };
        return Err(Exit::Usage(format!(
            "other users of this machine can read {0}: chmod {mode} {0} (or --allow-open-files true)",
            path.display()
        )));
    }
    Ok(())
}

/// Whether somebody else than its owner can use a file or folder.
fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Tries to connect for some time, as what starts together does not come up in order. Says so once.
pub(super) async fn wait_for<T>(patience: Duration, connect: impl AsyncFn() -> Result<T, Storage>) -> Result<T, Exit> {
    let began = Instant::now();
    let mut is_said = false;
    loop {
        match connect().await {
            Err(error) if error.may_pass() && began.elapsed() < patience => {
                if !is_said {
                    tracing::warn!(seconds = patience.as_secs(), "the database does not answer yet; waiting for it");
                    is_said = true;
                }
                tokio::time::sleep(AGAIN).await;
            }
            result => return Ok(result?),
        }
    }
}

/// Why nothing starts while a database is replaced.
pub(super) fn is_being_replaced() -> Exit {
    Exit::InUse("another process restores this database: start again when that is over".into())
}

/// Refuses to serve on a database that lacks something that everything relies on or that was put back, and warns of what is
/// dangerous.
pub(super) async fn check(app: &App) -> Result<(), Exit> {
    if !app.db().may_be_served().await? {
        return Err(is_being_replaced());
    }
    app.restores().must_not_be_put_back().await?;
    app.restores().note_newest().await?;
    for Unfit { is_fatal, text } in app.db().check(app.env().now()).await? {
        if is_fatal {
            return Err(Exit::Usage(format!("the database: {text}")));
        }
        tracing::warn!("the database: {text}");
    }
    Ok(())
}

fn none(place: impl fmt::Display) -> Exit {
    Exit::Usage(format!(
        "there is no installation in {place}: `gatehouse serve` makes one; --data-dir and DATABASE_URL name another"
    ))
}

/// Whether there is a database to look at; looking would make one.
pub(super) fn is_there(config: &Config) -> Result<(), Exit> {
    match &config.database {
        Database::Sqlite(path) if !path.exists() => Err(none(path.display())),
        _ => Ok(()),
    }
}

/// Whether there is an installation.
pub(super) async fn is_installed(config: &Config) -> Result<(), Exit> {
    is_there(config)?;
    let db = connect(config).await?;
    let is_migrated = !db.migration_status().await?.applied.is_empty();
    let is_made = is_migrated && db.system(SystemReason::Setup).installation().await?.is_some();
    db.close().await;
    if is_made { Ok(()) } else { Err(none("the database")) }
}

/// The token for the first administrator, where only who started the program finds it: a log is read by others.
pub(super) enum SetupToken {
    /// On the terminal.
    Shown(String),
    /// In a file.
    Kept(PathBuf),
}

impl SetupToken {
    /// A new token, where there is no administrator yet. Where there is one, the file of an earlier token goes.
    pub(super) async fn of(config: &Config, app: &App) -> Result<Option<Self>, Exit> {
        let path = config.data_dir.join("setup-token");
        if app.setup().is_done().await? {
            // Its token is spent: that it cannot be removed is no reason not to serve.
            let _ = std::fs::remove_file(path);
            return Ok(None);
        }
        let token = app.setup().new_token().await?;
        if io::stdout().is_terminal() {
            return Ok(Some(Self::Shown(token.expose().clone())));
        }
        let failed = |error| app::StartError::File(path.clone(), error);
        write_private(&path, token.expose().as_bytes()).map_err(failed)?;
        Ok(Some(Self::Kept(path)))
    }
}

/// As a part of a shell command that is within single quotes.
impl fmt::Display for SetupToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(token) => f.write_str(token),
            Self::Kept(path) => write!(f, "\"$(cat '{}')\"", path.display()),
        }
    }
}
