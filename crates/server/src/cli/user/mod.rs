//! `user`: what an operator does for many users at once.

mod export;
mod import;

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use gatehouse_domain::{authz::SystemReason, issue::Parse, text::LoginName, user::User};

use crate::{
    app::App,
    cli::{Exit, tenant, with_few_settings},
    transfer::Format,
};

/// The verbs of these files.
const VERBS: [&str; 2] = ["import", "export"];

/// Whether a verb is one of these files.
pub(super) fn knows(verb: Option<&str>) -> bool {
    verb.is_some_and(|verb| VERBS.contains(&verb))
}

fn required(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).required(true).help(help)
}

/// The options that `import` and `export` share; `by_default` is the form of the file.
fn of_a_file(command: Command, by_default: &'static str) -> Command {
    let tenant = required("tenant", "The slug of the tenant").long("tenant").value_name("SLUG");
    let format = Arg::new("format").long("format").value_parser(PossibleValuesParser::new(["ndjson", "csv"]));
    command.arg(tenant).arg(format.help(format!("The form of the file; by default {by_default}")))
}

pub(super) fn commands() -> Vec<Command> {
    [import::command(), export::command()].map(with_few_settings).into()
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    match matches.subcommand() {
        Some(("import", matches)) => import::run(matches),
        Some(("export", matches)) => export::run(matches),
        _ => Ok(()),
    }
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn format(matches: &ArgMatches, file: Option<&str>) -> Result<Format, Exit> {
    let ending = file.and_then(|file| file.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    match text(matches, "format").or(ending).as_deref() {
        Some("csv" | "tsv" | "tab") => Ok(Format::Csv),
        Some("xlsx" | "xls" | "ods" | "numbers") => {
            Err(Exit::Usage("a workbook cannot be read: save the sheet as CSV (UTF-8)".into()))
        }
        _ => Ok(Format::Ndjson),
    }
}

/// The user of a name in the tenant of a slug.
pub(super) async fn find(app: &App, slug: &str, name: &str) -> Result<User, Exit> {
    let facts = tenant(app, slug).await?;
    let name = LoginName::parse(name).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
    let found = app.users().find(&facts, &name, SystemReason::Cli).await?;
    found.ok_or_else(|| Exit::Usage(format!("{slug} has no such user")))
}
