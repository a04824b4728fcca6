//! `user`: what an operator does for users when nobody else can, and for many of them at once.

mod export;
mod import;

use clap::{Arg, ArgMatches, Command, builder::PossibleValuesParser};
use gatehouse_domain::{authz::SystemReason, issue::Parse, text::LoginName, user::User};

use crate::{
    app::App,
    cli::{Exit, block_on, config, open, say, tenant, with_few_settings},
    transfer::Format,
};

/// The verbs of these files.
const VERBS: [&str; 3] = ["unlock", "import", "export"];

/// Whether a verb is one of these files.
pub(super) fn knows(verb: Option<&str>) -> bool {
    verb.is_some_and(|verb| VERBS.contains(&verb))
}

fn required(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).required(true).help(help)
}

/// The options that `import` and `export` share.
fn of_a_file(command: Command) -> Command {
    let tenant = required("tenant", "The slug of the tenant").long("tenant").value_name("SLUG");
    let format = Arg::new("format").long("format").value_parser(PossibleValuesParser::new(["ndjson", "csv"]));
    command.arg(tenant).arg(format.help("The form of the file; by default what its name ends with, or else NDJSON"))
}

pub(super) fn commands() -> Vec<Command> {
    let unlock = Command::new("unlock")
        .about("Forget the failed sign-ins of an account: 100 in a row lock it, the last administrator's, too")
        .arg(required("tenant", "The slug of the tenant"))
        .arg(required("name", "The user name or e-mail address"));
    [unlock, import::command(), export::command()].map(with_few_settings).into()
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    match matches.subcommand() {
        Some(("import", matches)) => import::run(matches),
        Some(("export", matches)) => export::run(matches),
        Some((_, matches)) => run_unlock(matches),
        None => Ok(()),
    }
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn format(matches: &ArgMatches, file: Option<&str>) -> Format {
    let ending = file.and_then(|file| file.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    match text(matches, "format").or(ending).as_deref() {
        Some("csv") => Format::Csv,
        _ => Format::Ndjson,
    }
}

/// The user of a name in the tenant of a slug.
pub(super) async fn find(app: &App, slug: &str, name: &str) -> Result<User, Exit> {
    let facts = tenant(app, slug).await?;
    let name = LoginName::parse(name).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
    let found = app.find_user(&facts, &name, SystemReason::Cli).await?;
    found.ok_or_else(|| Exit::Usage(format!("{slug} has no such user")))
}

fn run_unlock(matches: &ArgMatches) -> Result<(), Exit> {
    let config = config(matches)?;
    let text = |name: &str| text(matches, name).unwrap_or_default();
    block_on(async {
        let app = open(&config).await?;
        let user = app.unlock(find(&app, &text("tenant"), &text("name")).await?, SystemReason::Cli).await?;
        app.db().close().await;
        say(&format!("{} may sign in again\n", user.id));
        Ok(())
    })
}
