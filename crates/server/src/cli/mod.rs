//! The command line: parses, calls use cases, prints. Every setting is a flag of the commands that read settings.

mod ask;
mod audit;
mod backup;
mod demo;
mod health;
mod key;
mod operate;
pub mod operator;
mod ops;
mod serve;
mod start;
mod user;

use std::{io::Write, process::ExitCode, sync::Arc};

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use gatehouse_domain::{issue::Parse, text::Slug};
use gatehouse_persistence::{Db, Error as Storage, Options, TenantFacts, deadline};

use crate::{
    app::{self, App, StartError},
    config::{Config, SETTINGS},
    env::Env,
    http::openapi,
    telemetry,
};

/// What a command ends with besides success.
#[derive(Debug)]
pub enum Exit {
    /// 1: it failed.
    Failed(String),
    /// 2: a setting or argument is wrong.
    Usage(String),
    /// 3: another process serves the same database.
    InUse(String),
    /// 4: the database cannot be reached.
    Unavailable(String),
    /// 5: the audit trail or a backup is not what was recorded.
    Damaged(String),
    /// 6: it is done but for what was rejected.
    Rejected(String),
}

impl Exit {
    fn parts(&self) -> (u8, &str) {
        match self {
            Self::Failed(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::InUse(text) => (3, text),
            Self::Unavailable(text) => (4, text),
            Self::Damaged(text) => (5, text),
            Self::Rejected(text) => (6, text),
        }
    }
}

/// An error with what caused it. Some crates repeat the cause in their own text; once is enough.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Prints. A reader that has gone away, such as `head`, is no reason to fail.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl From<Storage> for Exit {
    fn from(error: Storage) -> Self {
        let text = explain(&error);
        match error {
            Storage::InUse(_) => Self::InUse(text),
            Storage::Unavailable(_) => Self::Unavailable(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<StartError> for Exit {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Database(error) => error.into(),
            StartError::App(error) => error.into(),
            StartError::WrongMasterKey
            | StartError::NoMasterKey(_)
            | StartError::NotMigrated
            | StartError::PutBack { .. } => Self::Usage(explain(&error)),
            StartError::File(..) | StartError::Thread(_) => Self::Failed(explain(&error)),
        }
    }
}

impl From<app::Error> for Exit {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Unavailable(error) => error.into(),
            app::Error::Invalid(issues) => Self::Usage(
                issues.iter().map(|issue| format!("{} {}", place(issue), issue.msg)).collect::<Vec<_>>().join("; "),
            ),
            error => Self::Failed(explain(&error)),
        }
    }
}

fn place(issue: &gatehouse_domain::issue::Issue) -> String {
    match issue.loc.last() {
        Some(gatehouse_domain::issue::Loc::Key(key)) => key.to_string(),
        _ => "the value".to_owned(),
    }
}

/// What a command beside the server may need to find the installation; it takes the others, but does not list them.
const TO_FIND: [&str; 5] = ["data_dir", "database_url", "master_key", "log_level", "config"];

fn with_settings(command: Command) -> Command {
    with_settings_but(command, &[])
}

fn with_settings_but(command: Command, without: &[&str]) -> Command {
    SETTINGS.iter().filter(|setting| !without.contains(&setting.key)).fold(command, |command, setting| {
        let file = if setting.secret { format!(", {}_FILE", setting.env) } else { String::new() };
        let help = format!("{} [env: {}{file}] [default: {}]", setting.help, setting.env, setting.default);
        command.arg(
            Arg::new(setting.key)
                .long(setting.key.replace('_', "-"))
                .value_name("VALUE")
                .help(help)
                .help_heading("Settings"),
        )
    })
}

/// The settings for a command beside the server.
fn with_few_settings(command: Command) -> Command {
    let hidden = SETTINGS.iter().filter(|setting| !TO_FIND.contains(&setting.key));
    hidden
        .fold(with_settings(command), |command, setting| command.mut_arg(setting.key, |arg| arg.hide(true)))
        .after_help("It reads the same settings as `gatehouse serve`.")
}

fn command() -> Command {
    Command::new("gatehouse")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A multi-tenant identity service with an admin plane.")
        .long_about(
            "A multi-tenant identity service with an admin plane.\n\nWithout a command it serves: on http://127.0.0.1:8000, with everything it keeps in ./data.\n\
             Every setting is a flag, an environment variable, or a key of a TOML file; `gatehouse serve --help` lists them.",
        )
        .after_help(
            "Examples:\n  gatehouse                                       serve on SQLite in ./data\n  \
             gatehouse demo                                  look around and leave nothing behind\n  \
             DATABASE_URL=postgres://u:p@host/db gatehouse   serve on PostgreSQL\n  \
             gatehouse serve --config /etc/gatehouse.toml    serve with settings from a file\n\n\
             Exit status:\n  0  done\n  1  failed\n  2  a setting or argument is wrong\n  \
             3  another process serves the same database\n  4  the database cannot be reached\n  \
             5  the audit trail or a backup is damaged\n  6  done but for lines that were rejected",
        )
        .subcommand(with_settings(Command::new("serve").about("Serve the API (the default)")))
        .subcommand(demo::command())
        .subcommand(
            with_few_settings(Command::new("migrate").about("Bring the schema up to date, or say whether it is")).arg(
                Arg::new("what")
                    .value_parser(PossibleValuesParser::new(["up", "status"]))
                    .default_value("up")
                    .help("up: bring it up to date; status: say what has run and what has not"),
            ),
        )
        .subcommand(with_few_settings(
            Command::new("setup-token").about("Make a one-time token for the first administrator"),
        ))
        .subcommand(key::command())
        .subcommands(backup::commands())
        .subcommands(operate::commands())
        .subcommand(
            with_few_settings(Command::new("health").about("Ask the server on this machine whether it is ready"))
                .mut_arg("bind", |arg| arg.hide(false)),
        )
        .subcommand(ops::command())
        .subcommand(ops::completions())
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(Command::new("version").about("Print the version"))
}

/// The settings among the flags.
fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    SETTINGS
        .iter()
        .filter_map(|setting| {
            // Not every command takes every setting.
            let text = matches.try_get_one::<String>(setting.key).ok().flatten()?;
            Some((setting.key, text.clone()))
        })
        .collect()
}

fn config(matches: &ArgMatches) -> Result<Config, Exit> {
    let config = Config::load(flags(matches), std::env::vars()).map_err(|problem| Exit::Usage(problem.to_string()))?;
    telemetry::start_logs(config.log_format, &config.log_level).map_err(Exit::Usage)?;
    Ok(config)
}

/// Runs something that waits.
fn block_on<T>(work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    actix_web::rt::System::new().block_on(deadline::task(work))
}

/// Opens the application; the first time, this makes the installation.
async fn open_or_make(config: &Config) -> Result<App, Exit> {
    if config.migrate {
        bring_up_to_date(config).await?;
    } else {
        // The same look at the files, and the same wait for the database.
        connect(config).await?.close().await;
    }
    Ok(App::open(config, Env::system()).await?)
}

/// Opens the application for a command beside the server: an installation in the wrong folder would be an empty one, and
/// whatever a command said of it untrue.
async fn open(config: &Config) -> Result<App, Exit> {
    start::is_installed(config).await?;
    let mut app = open_or_make(config).await?;
    app.restores().must_not_be_put_back().await?;
    if config.public_url.is_none() {
        app.use_links_of_server().await?;
    }
    Ok(app)
}

/// What is known of the tenant of a slug.
async fn tenant(app: &App, slug: &str) -> Result<Arc<TenantFacts>, Exit> {
    let slug = Slug::parse(slug).map_err(|fault| Exit::Usage(format!("the slug of the tenant {}", fault.msg)))?;
    app.session_states().tenant_by_slug(&slug).await?.ok_or_else(|| Exit::Usage(format!("there is no tenant {slug}")))
}

async fn connect(config: &Config) -> Result<Db, Exit> {
    let options = Options { target: app::target(config), connections: 2, on_change: Arc::new(|_| {}) };
    app::prepare_folders(config)?;
    start::refuse_open_files(config)?;
    start::wait_for(config.database_wait, || Db::connect(options.clone())).await
}

/// Migrates and says so in one line. Opening the application would migrate as well, and say nothing.
async fn bring_up_to_date(config: &Config) -> Result<(), Exit> {
    let db = connect(config).await?;
    let pending = db.migration_status().await?.pending;
    if !pending.is_empty() {
        let status = db.migrate().await?;
        let schema = status.applied.last().map_or("", String::as_str);
        tracing::info!(migrations = pending.len(), schema, "the schema has been brought up to date");
    }
    db.close().await;
    Ok(())
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    crate::app::process_start();
    // Whatever this process makes, database and keys among it, is its user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let matches = command().get_matches();
    let result = match matches.subcommand() {
        None => {
            let serve = command().get_matches_from(["gatehouse", "serve"]);
            serve.subcommand_matches("serve").map_or(Ok(()), |matches| config(matches).and_then(serve::run))
        }
        Some(("serve", matches)) => config(matches).and_then(serve::run),
        Some(("demo", matches)) => demo::run(flags(matches)),
        Some(("migrate", matches)) => config(matches).and_then(|config| {
            let up = matches.get_one::<String>("what").is_none_or(|what| what == "up");
            block_on(migrate(&config, up))
        }),
        Some(("setup-token", matches)) => config(matches).and_then(|config| block_on(setup_token(&config))),
        Some(("key", matches)) => key::run(matches),
        Some((verb @ ("backup" | "restore" | "restored"), matches)) => backup::run(verb, matches),
        Some(("health", matches)) => config(matches).and_then(|config| health::run(&config)),
        Some(("user", matches)) if user::knows(matches.subcommand_name()) => user::run(matches),
        Some(("audit", matches)) if matches!(matches.subcommand_name(), Some("verify" | "accept-damage")) => {
            audit::run(matches)
        }
        Some((resource, matches)) if operate::knows(resource) => operate::run(resource, matches),
        Some(("ops", matches)) => {
            ops::run(matches);
            Ok(())
        }
        Some(("completions", matches)) => {
            ops::complete(command(), matches);
            Ok(())
        }
        Some(("openapi", _)) => {
            say(&openapi::render(&openapi::document()));
            Ok(())
        }
        _ => {
            say(concat!("gatehouse ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(())
        }
    };
    telemetry::flush_logs();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            let (code, text) = exit.parts();
            eprintln!("gatehouse: {text}");
            ExitCode::from(code)
        }
    }
}

async fn migrate(config: &Config, up: bool) -> Result<(), Exit> {
    if !up {
        start::is_there(config)?;
    }
    let db = connect(config).await?;
    let status = if up { db.migrate().await? } else { db.migration_status().await? };
    let applied = status.applied.iter().map(|name| format!("applied  {name}\n"));
    let pending = status.pending.iter().map(|name| format!("pending  {name}\n"));
    say(&applied.chain(pending).collect::<String>());
    db.close().await;
    Ok(())
}

async fn setup_token(config: &Config) -> Result<(), Exit> {
    let app = open_or_make(config).await?;
    let token = app.setup().new_token().await?;
    say(&format!("{}\n", token.expose()));
    eprintln!("Good for 30 minutes and one use, at POST /api/v1/setup.");
    app.db().close().await;
    Ok(())
}
