//! `user`: what an operator does for users when nobody else can.

use clap::{Arg, ArgMatches, Command};
use gatehouse_domain::{authz::SystemReason, issue::Parse, text::LoginName, user::User};

use crate::{
    app::App,
    cli::{Exit, block_on, config, open, say, tenant, with_few_settings},
};

pub(super) fn unlock() -> Command {
    let required = |name: &'static str, help: &'static str| Arg::new(name).required(true).help(help);
    with_few_settings(
        Command::new("unlock")
            .about("Forget the failed sign-ins of an account: 100 in a row lock it, the last administrator's, too")
            .arg(required("tenant", "The slug of the tenant"))
            .arg(required("name", "The user name or e-mail address")),
    )
}

/// The user of a name in the tenant of a slug.
pub(super) async fn find(app: &App, slug: &str, name: &str) -> Result<User, Exit> {
    let facts = tenant(app, slug).await?;
    let name = LoginName::parse(name).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
    let found = app.find_user(&facts, &name, SystemReason::Cli).await?;
    found.ok_or_else(|| Exit::Usage(format!("{slug} has no such user")))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    block_on(async {
        let app = open(&config).await?;
        let user = app.unlock(find(&app, &text("tenant"), &text("name")).await?, SystemReason::Cli).await?;
        app.db().close().await;
        say(&format!("{} may sign in again\n", user.id));
        Ok(())
    })
}
