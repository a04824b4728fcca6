//! `audit`: whether the audit trail is what was recorded.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use gatehouse_domain::{
    audit::{Finding, Verification},
    authz::SystemReason,
};
use serde_json::json;

use crate::cli::{Exit, block_on, config, open, say, tenant, with_few_settings};

pub(super) fn verify() -> Command {
    let verify = Command::new("verify")
        .about("Check that nothing was changed, added or removed; exits with 5 if something was")
        .long_about(
            "Checks every seal of the audit trail and every event, beside a running server. Exits with 5 if something was \
             changed, added or removed.\n\nNote the version that it prints somewhere else: `--at-least` with it tells a trail that \
             was turned back as a whole, with the database, from one that was not.",
        )
        .arg(Arg::new("tenant").long("tenant").value_name("SLUG").help("Only the trail of this tenant"))
        .arg(
            Arg::new("at_least")
                .long("at-least")
                .value_name("VERSION")
                .value_parser(value_parser!(i64))
                .help("A version that the trail is known to have had"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one line of JSON"));
    with_few_settings(verify)
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(()) };
    let config = config(matches)?;
    let least = matches.get_one::<i64>("at_least").copied().unwrap_or_default();
    block_on(async {
        let app = open(&config).await?;
        let tenant = match matches.get_one::<String>("tenant") {
            Some(slug) => Some(tenant(&app, slug).await?.tenant.id),
            None => None,
        };
        let report = app.verify_audit(tenant, least, SystemReason::Cli).await?;
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
        json!({"damage": it.damage.as_str(), "tenant_id": tenant, "seal": it.seal, "event_id": it.event_id.map(|id| id.to_string())})
    };
    json!({
        "intact": report.damages == 0,
        "version": report.version,
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
    let Verification { chains, seals, events, redacted, adopted, unsealed, version, damages, .. } = report;
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
        ];
        parts.into_iter().flatten().for_each(|part| text += &part);
        text += "\n";
    }
    if *damages > report.findings.len() as u64 {
        text += &format!("and {} more\n", damages - report.findings.len() as u64);
    }
    text + &format!("{}; version {version}\n", if *damages == 0 { "Intact" } else { "Damaged" })
}
