//! `user`: what an operator does for users when nobody else can.

use clap::{Arg, ArgMatches, Command};
use gatehouse_domain::{
    authz::SystemReason,
    issue::Parse,
    text::{LoginName, Slug},
};

use crate::cli::{Exit, block_on, config, open, say, with_few_settings};

pub(super) fn command() -> Command {
    let required = |name: &'static str, help: &'static str| Arg::new(name).required(true).help(help);
    Command::new("user").about("Help users whom no administrator can help").subcommand_required(true).subcommand(
        with_few_settings(
            Command::new("unlock")
                .about("Forget the failed sign-ins of an account: 100 in a row lock it, the last administrator's, too")
                .arg(required("tenant", "The slug of the tenant"))
                .arg(required("name", "The user name or e-mail address")),
        ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let slug = Slug::parse(&text("tenant")).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
    let name = LoginName::parse(&text("name")).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
    block_on(async {
        let app = open(&config).await?;
        let facts = app.tenant_facts_by_slug(&slug).await?;
        let facts = facts.ok_or_else(|| Exit::Usage(format!("there is no tenant {slug}")))?;
        let user = app.unlock(&facts, &name, SystemReason::Cli).await?;
        let user = user.ok_or_else(|| Exit::Usage(format!("{slug} has no such user")))?;
        app.db().close().await;
        say(&format!("{} may sign in again\n", user.id));
        Ok(())
    })
}
