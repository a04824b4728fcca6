//! `key`: signing keys of tenants, and the master key.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::SystemReason,
    id::KeyId,
    issue::Parse,
    key::{Issuer, SigningKey},
    word::Word,
};

use crate::{
    app::{
        self, App, StartError,
        platform::{keys::Activation, periodic::FOLLOW_EVERY},
    },
    cli::{Exit, ask, block_on, config, open, say, tenant, with_few_settings},
    config::{Config, Database},
    security::master_key::MasterKey,
};

/// After how long every running server has taken up what has become of the master key.
const TAKEN_UP: Duration = FOLLOW_EVERY.saturating_mul(2);
/// How often everything is looked through for what was sealed with the old key meanwhile.
const ROUNDS: usize = 5;

pub(super) fn command() -> Command {
    let tenant = || {
        let tenant = Arg::new("tenant").long("tenant").value_name("SLUG").help("The slug of the tenant");
        tenant.required_unless_present("platform").conflicts_with("platform")
    };
    let platform =
        || Arg::new("platform").long("platform").action(ArgAction::SetTrue).help("The platform, instead of a tenant");
    let words = SigningAlgorithm::ALL.iter().map(|(_, word)| *word).collect::<Vec<_>>();
    let algorithm = Arg::new("algorithm").long("algorithm").value_parser(words).default_value("ES256");
    let algorithm = algorithm.help("The algorithm of the key");
    let now = Arg::new("now").long("now").action(ArgAction::SetTrue);
    let now = now.help("Do not wait until everybody who keeps the keys has read the next one");
    let key = Arg::new("key").required(true).help("The id of the key: key_…");
    Command::new("key")
        .about("Signing keys of tenants, and the master key")
        .subcommand_required(true)
        .subcommand(with_few_settings(
            Command::new("list").about("List the keys of a tenant, newest first").arg(tenant()).arg(platform()),
        ))
        .subcommand(with_few_settings(
            Command::new("rotate")
                .about("Let a tenant's next key sign; tokens of the old one stay valid until they expire")
                .arg(tenant())
                .arg(platform())
                .arg(algorithm)
                .arg(now),
        ))
        .subcommand(with_few_settings(
            Command::new("withdraw")
                .about("Withdraw a key; tokens of it are invalid within a second")
                .arg(key)
                .arg(ask::yes()),
        ))
        .subcommand(with_few_settings(
            Command::new("rotate-master")
                .about("Replace the master key and seal everything anew, while servers run")
                .long_about(
                    "Replaces the master key: makes a new one beside the old one, seals with it whatever is sealed in the \
                     database, some rows at a time, and then leaves the old one no use but to recognise tokens and to check \
                     the audit trail of before. Nobody is signed out. Servers go on meanwhile. If it is stopped, or ends \
                     with an error, run it again: it goes on where it was.\n\nWhere all servers read the same file, that is \
                     all. Otherwise this prints the value that every server must be given first, does the rest when it \
                     is run again with that value, and prints the one that ends it.\n\nA backup \
                     can be restored with the master key of its time only: make one afterwards.",
                ),
        ).arg(
            Arg::new("shared-file")
                .long("shared-file")
                .action(ArgAction::SetTrue)
                .help("Every server reads the same file of the master key (always so on SQLite)"),
        ))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    block_on(async {
        if verb == "rotate-master" {
            return Box::pin(rotate_master(&config, matches.get_flag("shared-file"))).await;
        }
        let app = open(&config).await?;
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let keys = if verb == "withdraw" {
            let id = KeyId::parse(&text("key")).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
            ask::confirm(matches, &format!("key withdraw {id}: every access token of it ends."))?;
            vec![app.keys().withdraw(id, SystemReason::Cli).await?]
        } else {
            let issuer = if matches.get_flag("platform") {
                Issuer::Platform
            } else {
                tenant(&app, &text("tenant")).await?.reference().into()
            };
            match verb {
                "rotate" => {
                    let algorithm = SigningAlgorithm::from_word(&text("algorithm"))
                        .map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
                    let when = if matches.get_flag("now") { Activation::AtOnce } else { Activation::Published };
                    vec![app.keys().rotate(issuer, algorithm, when, SystemReason::Cli).await?]
                }
                _ => app.keys().list(issuer, SystemReason::Cli).await?,
            }
        };
        keys.iter().for_each(show);
        app.db().close().await;
        Ok(())
    })
}

/// Where the new key goes, and who else is kept from replacing it meanwhile.
struct KeyFile {
    path: PathBuf,
    _lock: File,
}

impl KeyFile {
    /// The file that every server reads; none where each server has to be given the key.
    fn of(config: &Config, is_shared: bool) -> Result<Option<Self>, Exit> {
        let is_one_machine = matches!(config.database, Database::Sqlite(_));
        let Some(path) = app::key_file(config).filter(|_| is_one_machine || is_shared) else { return Ok(None) };
        let lock = path.with_extension("rotating");
        let failed = |error: &dyn std::fmt::Display| Exit::Failed(format!("cannot use {}: {error}", lock.display()));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let lock = lock.map_err(|error| failed(&error))?;
        lock.try_lock().map_err(|_| Exit::InUse("the master key is being replaced by another process".into()))?;
        Ok(Some(Self { path, _lock: lock }))
    }

    fn save(&self, key: &MasterKey) -> Result<(), Exit> {
        let failed = |error| Exit::Failed(format!("cannot replace {}: {error}", self.path.display()));
        key.save(&self.path).map_err(failed)
    }
}

async fn rotate_master(config: &Config, is_shared: bool) -> Result<(), Exit> {
    let app = open(config).await?;
    let file = KeyFile::of(config, is_shared)?;
    let key =
        app::existing_master_key(config)?.ok_or_else(|| StartError::NoMasterKey(config.data_dir.join("master.key")))?;
    let key = if key.is_rotating() {
        key
    } else {
        let often = || Exit::Failed("this master key was replaced as often as one can be".into());
        let next = key.rotated(app.env()).ok_or_else(often)?;
        let Some(file) = &file else {
            say(
                "Give every server this master key, and no other that this command has printed. Restart those that have it\n\
                 from a setting. Then run this again with it.\n",
            );
            say(next.line().expose());
            return Ok(());
        };
        file.save(&next)?;
        next
    };
    let newest = key.newest_check();
    reseal(&app, &newest).await?;
    // Nobody gives up the old part while the installation knows another new one.
    app.master_keys().must_know_the_newest(&newest).await?;
    let settled = key.settled();
    match file {
        Some(file) => {
            file.save(&settled)?;
            say(&format!("{} has the new master key. Backups of before need the old one.\n", file.path.display()));
        }
        None => {
            say("Done. Give every server this master key. Backups of before need the old one.\n");
            say(settled.line().expose());
        }
    }
    app.db().close().await;
    Ok(())
}

/// Seals everything with the newest part of the master key, once every server has both.
async fn reseal(app: &App, newest: &[u8]) -> Result<(), Exit> {
    let keys = app.master_keys();
    say("Waiting until every running server has the new master key...\n");
    tokio::time::sleep(TAKEN_UP).await;
    keys.follow().await?;
    keys.rotate(newest).await?;
    for _ in 0..ROUNDS {
        let done = keys.reseal().await?;
        say(&format!("{} rows sealed anew\n", done.rows));
        // What a server sealed as before, until it knew, is found the next time.
        tokio::time::sleep(TAKEN_UP).await;
        let rest = keys.reseal().await?;
        if rest.rows == 0 {
            if rest.unopenable > 0 {
                say(&format!("{} rows were sealed with none of these keys and stay as they are\n", rest.unopenable));
            }
            return Ok(());
        }
    }
    Err(Exit::Failed("a server goes on sealing with the old master key: restart it, and run this again".into()))
}

fn show(key: &SigningKey) {
    say(&format!("{}  {}  {:<9}  {}\n", key.id, key.algorithm, key.state, key.created_at));
}
