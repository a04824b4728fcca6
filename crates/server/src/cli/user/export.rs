//! `user export`: the users of a tenant as a file.

use std::io::Write;

use clap::{Arg, ArgAction, ArgMatches, Command};
use gatehouse_domain::authz::{Area, authorize};
use gatehouse_persistence::ChangeContext;

use crate::{
    app,
    cli::{Exit, block_on, config, explain, open, operator::Operator, tenant, user},
    transfer::UserFile,
};

pub(super) fn command() -> Command {
    let command = Command::new("export").about("Write the users of a tenant to standard output, oldest first");
    user::of_a_file(command, "NDJSON").arg(
        Arg::new("with_password_hashes")
            .long("with-password-hashes")
            .action(ArgAction::SetTrue)
            .help("Write the hashes of their passwords, too: keep such a file like the passwords themselves"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let config = config(matches)?;
    let slug = user::text(matches, "tenant").unwrap_or_default();
    let file =
        UserFile { format: user::format(matches, None)?, password_hashes: matches.get_flag("with_password_hashes") };
    block_on(async {
        let app = open(&config).await?;
        let tenant = tenant(&app, &slug).await?.reference();
        let operator = Operator::at_command_line();
        let grant = authorize(operator.actor(), &Area::Tenant(tenant)).map_err(app::Error::from)?;
        let ctx = ChangeContext::at(app.env().now());
        let mut export = app.exports().begin(&grant, tenant.id, file.password_hashes, ctx).await?;
        let mut out = std::io::stdout().lock();
        // Unlike elsewhere, a reader that goes away makes this fail: whoever wanted the file has not got it.
        let mut write = |text: &str| {
            out.write_all(text.as_bytes()).map_err(|error| Exit::Failed(format!("cannot write: {}", explain(&error))))
        };
        write(&file.head())?;
        loop {
            let users = app.exports().next(&mut export).await?;
            if users.is_empty() {
                break;
            }
            write(&users.iter().map(|user| file.line(user)).collect::<String>())?;
        }
        write("")?;
        app.db().close().await;
        Ok(())
    })
}
