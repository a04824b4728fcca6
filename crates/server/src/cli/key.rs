//! `key`: signing keys of tenants.

use clap::{Arg, ArgMatches, Command};
use gatehouse_domain::{authz::SystemReason, id::KeyId, issue::Parse, key::SigningKey};

use crate::cli::{Exit, block_on, config, open, say, tenant, with_few_settings};

pub(super) fn command() -> Command {
    let tenant = || Arg::new("tenant").required(true).help("The slug of the tenant");
    let key = Arg::new("key").required(true).help("The id of the key: key_…");
    Command::new("key")
        .about("List, rotate and withdraw signing keys")
        .subcommand_required(true)
        .subcommand(with_few_settings(
            Command::new("list").about("List the keys of a tenant, newest first").arg(tenant()),
        ))
        .subcommand(with_few_settings(
            Command::new("rotate")
                .about("Replace a tenant's key; tokens of the old one stay valid until they expire")
                .arg(tenant()),
        ))
        .subcommand(with_few_settings(
            Command::new("withdraw").about("Withdraw a key; tokens of it are invalid within a second").arg(key),
        ))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    block_on(async {
        let app = open(&config).await?;
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let keys = if verb == "withdraw" {
            let id = KeyId::parse(&text("key")).map_err(|fault| Exit::Usage(fault.msg.into_owned()))?;
            vec![app.keys().withdraw(id, SystemReason::Cli).await?]
        } else {
            let tenant = tenant(&app, &text("tenant")).await?.reference();
            match verb {
                "rotate" => vec![app.keys().rotate(tenant, SystemReason::Cli).await?],
                _ => app.keys().list(tenant.id, SystemReason::Cli).await?,
            }
        };
        keys.iter().for_each(show);
        app.db().close().await;
        Ok(())
    })
}

fn show(key: &SigningKey) {
    say(&format!("{}  {}  {:<9}  {}\n", key.id, key.algorithm, key.state, key.created_at));
}
