//! The command line: parses, calls use cases, prints. Every setting is a flag of the commands that read settings.

mod demo;
mod key;
mod serve;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use gatehouse_persistence::{Db, Error as Storage, Options};

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
    /// 3: another process serves the same SQLite file.
    InUse(String),
    /// 4: the database cannot be reached.
    Unavailable(String),
}

impl Exit {
    fn parts(&self) -> (u8, &str) {
        match self {
            Self::Failed(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::InUse(text) => (3, text),
            Self::Unavailable(text) => (4, text),
        }
    }
}

/// An error with what caused it.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
            StartError::WrongMasterKey | StartError::NotMigrated => Self::Usage(explain(&error)),
            StartError::File(..) | StartError::Thread(_) => Self::Failed(explain(&error)),
        }
    }
}

impl From<app::Error> for Exit {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Unavailable(error) => error.into(),
            app::Error::Invalid(issues) => Self::Usage(
                issues.0.iter().map(|issue| format!("{} {}", place(issue), issue.msg)).collect::<Vec<_>>().join("; "),
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

fn with_settings(command: Command) -> Command {
    SETTINGS.iter().fold(command, |command, setting| {
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

fn command() -> Command {
    Command::new("gatehouse")
        .about("A multi-tenant identity service with an admin plane.")
        .long_about(
            "A multi-tenant identity service with an admin plane.\n\nWithout a command it serves: on http://127.0.0.1:8000, with everything it keeps in ./data.\n\
             Every setting is a flag, an environment variable, or a key of a TOML file; `gatehouse serve --help` lists them.",
        )
        .after_help("Exit status: 0 done, 1 failed, 2 a setting or argument is wrong, 3 the database is served by another process, 4 the database cannot be reached.")
        .subcommand(with_settings(Command::new("serve").about("Serve the API (the default)")))
        .subcommand(
            with_settings(Command::new("demo").about("Serve a throw-away instance with partners, tenants, users and 30 days of sessions"))
                .long_about("Serve a throw-away instance with 2 partners, 5 tenants, about 200 users and 2,000 sessions over 30 days.\n\nPrints sign-ins to try. Everything is gone when it stops. All of them have the password of --admin-password, or one that is made up."),
        )
        .subcommand(
            with_settings(Command::new("migrate").about("Bring the schema up to date, or say whether it is")).arg(
                Arg::new("what")
                    .value_parser(PossibleValuesParser::new(["up", "status"]))
                    .default_value("up")
                    .help("up: bring it up to date; status: say what has run and what has not"),
            ),
        )
        .subcommand(with_settings(Command::new("setup-token").about("Make a one-time token for the first administrator")))
        .subcommand(key::command())
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(Command::new("version").about("Print the version"))
}

/// The settings among the flags.
fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    SETTINGS
        .iter()
        .filter_map(|setting| matches.get_one::<String>(setting.key).map(|text| (setting.key, text.clone())))
        .collect()
}

fn config(matches: &ArgMatches) -> Result<Config, Exit> {
    let config = Config::load(flags(matches), std::env::vars()).map_err(|problem| Exit::Usage(problem.to_string()))?;
    telemetry::start_logs(config.log_format, &config.log_level).map_err(Exit::Usage)?;
    Ok(config)
}

/// Runs something that waits.
fn block_on<T>(work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    actix_web::rt::System::new().block_on(work)
}

/// Opens the application of a command that runs beside the server.
async fn open(config: &Config) -> Result<App, Exit> {
    Ok(App::open(config, Env::system()).await?)
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    crate::app::process_start();
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
        Some(("openapi", _)) => {
            print!("{}", openapi::render(&openapi::document()));
            Ok(())
        }
        _ => {
            println!("gatehouse {}", env!("CARGO_PKG_VERSION"));
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
    let options = Options { target: app::target(config), connections: 2, on_change: std::sync::Arc::new(|_| {}) };
    app::prepare_folders(config)?;
    let db = Db::connect(options).await?;
    let status = if up { db.migrate().await? } else { db.migration_status().await? };
    for name in &status.applied {
        println!("applied  {name}");
    }
    for name in &status.pending {
        println!("pending  {name}");
    }
    db.close().await;
    Ok(())
}

async fn setup_token(config: &Config) -> Result<(), Exit> {
    let app = open(config).await?;
    let token = app.new_setup_token().await?;
    println!("{}", token.expose());
    eprintln!("Good for 30 minutes and one use, at POST /api/v1/setup.");
    app.db().close().await;
    Ok(())
}
