//! `audit`: whether the audit trail is what was recorded.

use clap::{Arg, ArgAction, ArgMatches, Command};
use gatehouse_domain::{
    audit::{Finding, TrailRoot, Verification},
    authz::SystemReason,
    issue::Parse,
};
use serde_json::json;

use crate::cli::{Exit, block_on, config, open, say, tenant, with_few_settings};

pub(super) fn verify() -> Command {
    let verify = Command::new("verify")
        .about("Check that nothing was changed, added or removed; exits with 5 if something was")
        .long_about(
            "Checks every seal of the audit trail and every event, beside a running server. Exits with 5 if something was \
             changed, added or removed. What waits for a seal is sealed first, if it can be.\n\nNote the root that it prints, VERSION:MAC, \
             outside the database; a server also logs it every hour. `--at-least` with it checks that the trail has that very \
             root in its history, which goes back 400 days, and so was not turned back, with the database, to what it was before.",
        )
        .arg(Arg::new("tenant").long("tenant").value_name("SLUG").help("Only the trail of this tenant"))
        .arg(
            Arg::new("at_least")
                .long("at-least")
                .value_name("VERSION:MAC")
                .value_parser(|text: &str| TrailRoot::parse(text).map_err(|fault| fault.msg.into_owned()))
                .help("A root that the trail is known to have had"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one line of JSON"));
    with_few_settings(verify)
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    let least = matches.get_one::<TrailRoot>("at_least").copied();
    block_on(async {
        let app = open(&config).await?;
        let tenant = match matches.get_one::<String>("tenant") {
            Some(slug) => Some(tenant(&app, slug).await?.tenant.id),
            None => None,
        };
        // Without a server nobody has sealed what commands recorded. Where that cannot be done, the check says why.
        if let Err(error) = app.trail().seal().await {
            tracing::warn!(error = %error, "what waits is not sealed");
        }
        let report = app.trail().verify(tenant, least, SystemReason::Cli).await?;
        app.db().close().await;
        say(&if matches.get_flag("json") { format!("{}\n", as_json(&report)) } else { as_text(&report) });
        match report.damages {
            0 => Ok(()),
            n => Err(Exit::Damaged(format!("the audit trail is damaged: {n} findings"))),
        }
    })
}

fn as_json(report: &Verification) -> serde_json::Value {
    let finding = |it: &Finding| {
        let tenant = it.tenant_id.map(|id| id.to_string());
        let event = it.event_id.map(|id| id.to_string());
        json!({"damage": it.damage.as_str(), "tenant_id": tenant, "seal": it.seal, "event_id": event, "version": it.version, "trigger": it.trigger})
    };
    json!({
        "intact": report.damages == 0,
        "root": report.root.map(|root| root.to_string()),
        "chains": report.chains,
        "seals": report.seals,
        "events": report.events,
        "redacted": report.redacted,
        "adopted": report.adopted,
        "unsealed": report.unsealed,
        "oldest": report.oldest.map(|at| at.to_string()),
        "damages": report.damages,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn as_text(report: &Verification) -> String {
    let Verification { chains, seals, events, redacted, adopted, unsealed, damages, .. } = report;
    let mut text = format!("{events} events under {seals} seals in {chains} chains; {unsealed} wait for a seal.\n");
    if let Some(oldest) = report.oldest {
        text += &format!("The oldest is of {oldest}.\n");
    }
    if *redacted > 0 {
        text += &format!("Personal data has been erased from {redacted}.\n");
    }
    if *adopted > 0 {
        text += &format!("{adopted} are from before events were authenticated as they were written.\n");
    }
    for it in &report.findings {
        text += it.damage.as_str();
        let parts = [
            it.tenant_id.map(|id| format!("  tenant {id}")),
            it.seal.map(|seal| format!("  seal {seal}")),
            it.event_id.map(|id| format!("  event {id}")),
            it.version.map(|version| format!("  root {version}")),
            it.trigger.as_ref().map(|trigger| format!("  {trigger}")),
        ];
        parts.into_iter().flatten().for_each(|part| text += &part);
        text += "\n";
    }
    if *damages > report.findings.len() as u64 {
        text += &format!("and {} more\n", damages - report.findings.len() as u64);
    }
    text += if *damages == 0 { "Intact" } else { "Damaged" };
    text + &report.root.map_or_else(|| "\n".to_owned(), |root| format!("; root {root}\n"))
}
