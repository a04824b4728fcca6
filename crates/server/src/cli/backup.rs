//! `backup`, `restore` and `restored`.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Arg, ArgMatches, Command};
use gatehouse_domain::platform::Restored;
use gatehouse_persistence::{ReplaceLock, ServeLock};

use crate::{
    app::{
        self, StartError,
        platform::backup::{BackupError, back_up},
    },
    cli::{Exit, ask, block_on, config, connect, explain, open_or_make, say, start, with_few_settings},
    config::{Config, Database},
    env::Env,
    security::{
        archive::{Archive, Unusable},
        keyring::Keyring,
    },
};

/// How long processes that have just been stopped may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(3);

pub(super) fn commands() -> [Command; 3] {
    let file = |help: &'static str| Arg::new("file").value_name("FILE").required(true).help(help);
    let backup =
        Command::new("backup").about("Write everything but the master key into a file, beside a running server");
    let restore = Command::new("restore").about("Put a backup in the place of everything that is in the database");
    let restored = Command::new("restored").about("Say that the database was put back, and end what began before");
    [
        with_few_settings(backup.long_about(
            "Writes everything that is in the database into a file, as it is at one instant, beside a running server or \
             without one. The file is compressed, and only its owner can read it. It does not have the master key, \
             without which it cannot be restored: keep that elsewhere. Guard it as you guard the database: it has \
             addresses and password hashes. SQLite and PostgreSQL have the same file.",
        ))
        .arg(file("The file to be made; one that is there is not replaced")),
        with_few_settings(restore.long_about(
            "Puts a backup in the place of everything that is in the database, or nothing if anything fails, and ends what \
             began before: sessions and their refresh tokens, links, setup tokens, known devices, imports, mails that wait, \
             and signing keys, each of which is replaced. Users, tenants and partners that were suspended or deleted in the \
             database that is replaced are suspended; passwords that were changed there and roles that were taken away \
             there stay so. Everything else, such as addresses and which partner a tenant has, is as in the backup.\n\n\
             Stop every server first, and put the master key in its place.",
        ))
        .arg(file("The file that `gatehouse backup` made"))
        .arg(ask::yes()),
        with_few_settings(restored.long_about(
            "Ends what began before, because the database was put back to an earlier state by other means than `gatehouse \
             restore`: sessions and their refresh tokens, links, setup tokens, known devices, imports, mails that wait, and \
             signing keys, each of which is replaced. Stop every server first.\n\nWhoever was suspended after that state is \
             active again, passwords and roles are those of then: look them through.",
        ))
        .arg(ask::yes()),
    ]
}

pub(super) fn run(verb: &str, matches: &ArgMatches) -> Result<(), Exit> {
    let config = config(matches)?;
    let file = matches.try_get_one::<String>("file").ok().flatten().map(PathBuf::from).unwrap_or_default();
    match verb {
        "restore" => {
            let what = format!("restore {}: everything in the database is replaced.", file.display());
            ask::confirm(matches, &what)?;
        }
        "restored" => ask::confirm(matches, "restored: every session, link and signing key ends.")?,
        _ => {}
    }
    block_on(async {
        match verb {
            "backup" => Box::pin(write(&config, file)).await,
            "restore" => Box::pin(restore(&config, file)).await,
            _ => restored(&config).await,
        }
    })
}

impl From<BackupError> for Exit {
    fn from(error: BackupError) -> Self {
        let text = explain(&error);
        match error {
            BackupError::Start(error) => error.into(),
            BackupError::Unusable(Unusable::Damaged(_)) => Self::Damaged(text),
            BackupError::Unusable(Unusable::File(..)) => Self::Failed(text),
            BackupError::Unusable(_) | BackupError::NoInstallation => Self::Usage(text),
        }
    }
}

impl From<Unusable> for Exit {
    fn from(error: Unusable) -> Self {
        BackupError::from(error).into()
    }
}

/// The keys of an installation that has some.
fn keyring(config: &Config) -> Result<Keyring, Exit> {
    let key = app::existing_master_key(config)?;
    let none = || StartError::NoMasterKey(config.data_dir.join("master.key"));
    Ok(Keyring::new(&key.ok_or_else(none)?))
}

async fn write(config: &Config, file: PathBuf) -> Result<(), Exit> {
    start::is_there(config)?;
    let (keyring, db, now) = (keyring(config)?, connect(config).await?, Env::system().now());
    let length = back_up(&db, &keyring, &file, now).await?;
    db.close().await;
    say(&format!("{}  {length} bytes, as of {now}\n", file.display()));
    Ok(())
}

async fn restore(config: &Config, file: PathBuf) -> Result<(), Exit> {
    let archive = Archive::open(&file, &keyring(config)?)?;
    let lock = alone(config).await?;
    let app = open_or_make(config).await?;
    // Another installation, such as one that was made for this, tells nothing of what came after.
    let before = app.setup().made_at().await?;
    let made_at = archive.head.made_at();
    let restored = app.restores().restore(archive).await?;
    let is_the_same = before == app.setup().made_at().await?;
    app.db().close().await;
    drop(lock);
    say(&report(&restored));
    say(&if is_the_same {
        format!(
            "Restored as of {made_at}. Who was suspended or deleted here after then is suspended, and passwords and roles \
             that were taken away stay so. Addresses, names, settings and the partners of tenants are those of then.\n"
        )
    } else {
        format!(
            "Restored as of {made_at}. There was no database that tells what came after: whoever was suspended or deleted \
             after then is active again, and passwords and roles are those of then. Look them through.\n"
        )
    });
    Ok(())
}

async fn restored(config: &Config) -> Result<(), Exit> {
    start::is_there(config)?;
    let lock = alone(config).await?;
    start::is_installed(config).await?;
    let app = open_or_make(config).await?;
    let restored = app.restores().finish().await?;
    app.db().close().await;
    drop(lock);
    say(&report(&restored));
    Ok(())
}

/// What keeps servers from starting meanwhile.
enum Alone {
    Sqlite(#[expect(dead_code, reason = "held until dropped")] ServeLock),
    Postgres(#[expect(dead_code, reason = "held until dropped")] ReplaceLock),
}

/// Makes sure that no server uses the database, and none begins to until what this returns is dropped.
async fn alone(config: &Config) -> Result<Alone, Exit> {
    app::prepare_folders(config)?;
    if let Database::Sqlite(path) = &config.database {
        return Ok(Alone::Sqlite(ServeLock::take(path)?));
    }
    let db = connect(config).await?;
    let lock = db.keep_servers_away().await?.ok_or_else(start::is_being_replaced)?;
    let began = Instant::now();
    while db.connections_beside().await? > 0 {
        if began.elapsed() > GONE_WITHIN {
            return Err(Exit::InUse("other processes of Gatehouse use this database: stop them first".into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    db.close().await;
    Ok(Alone::Postgres(lock))
}

fn report(restored: &Restored) -> String {
    let counts = restored.counts().into_iter().filter(|(_, count)| *count > 0);
    let counts: String = counts.map(|(name, count)| format!("  {name} {count}\n")).collect();
    format!("What began before is over:\n{counts}")
}
