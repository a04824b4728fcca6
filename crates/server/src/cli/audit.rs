//! `audit`: whether the audit trail is what was recorded.

use clap::{Arg, ArgAction, ArgMatches, Command};
use gatehouse_domain::{
    audit::{Acceptance, Finding, TrailRoot, Verification},
    authz::SystemReason,
    issue::Parse,
    text::Name,
};
use serde_json::json;

use crate::{
    app,
    cli::{Exit, ask, block_on, config, explain, open, say, tenant, with_few_settings},
};

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

pub(super) fn accept_damage() -> Command {
    let accept = Command::new("accept-damage")
        .about("Go on with a trail that is damaged, after looking at what `audit verify` finds")
        .long_about(
            "Verifies the audit trail, shows what is wrong, and has the trail go on from what is there. From then on nothing \
             stops sealing and retention any more, and every `audit verify` says what was accepted, when and by whom; what \
             is changed later is found as before. Acceptance is an event of the platform, and a new root: note it.\n\nEvents \
             stay as they are, and nothing that is gone comes back. Keep a backup first: it is the evidence. Changes of a \
             running server wait meanwhile. A trigger that is gone or changed cannot be accepted: a backup that is restored \
             has them all.",
        )
        .arg(
            Arg::new("by")
                .long("by")
                .value_name("NAME")
                .required(true)
                .value_parser(|text: &str| Name::parse(text).map_err(|fault| fault.msg.into_owned()))
                .help("Who has looked at the damage"),
        )
        .arg(ask::yes());
    with_few_settings(accept)
}

fn accept(matches: &ArgMatches) -> Result<(), Exit> {
    let config = config(matches)?;
    let Some(by) = matches.get_one::<Name>("by") else { return Ok(()) };
    block_on(async {
        let app = open(&config).await?;
        // What only waits is sealed, where that can be.
        drop(app.trail().seal().await);
        let seen = app.trail().verify(None, None, SystemReason::Cli).await?;
        say(&as_text(&seen));
        if seen.lasting().next().is_none() {
            say("There is nothing to accept.\n");
            app.db().close().await;
            return Ok(());
        }
        ask::confirm(matches, "audit accept-damage: the trail goes on from what is there.")?;
        app.trail().accept_damage(&seen, by).await.map_err(|error| match error {
            app::Error::Stale => Exit::Damaged("something else is wrong by now: look at it again".into()),
            app::Error::Internal(_) => Exit::Damaged(explain(&error)),
            other => other.into(),
        })?;
        say(&as_text(&app.trail().verify(None, None, SystemReason::Cli).await?));
        app.db().close().await;
        Ok(())
    })
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    if verb == "accept-damage" {
        return accept(matches);
    }
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
    let accepted = |it: &Acceptance| {
        let at = it.accepted_at.to_string();
        json!({"accepted_at": at, "accepted_by": it.accepted_by, "damages": it.damages, "findings": it.findings})
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
        "accepted": report.accepted.iter().map(accepted).collect::<Vec<_>>(),
    })
}

/// Findings, and how many more there are.
fn lines<T: std::fmt::Display>(findings: &[T], count: u64) -> String {
    let named: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    match count.saturating_sub(findings.len() as u64) {
        0 => named,
        more => format!("{named}and {more} more\n"),
    }
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
        text +=
            &format!("{adopted} are sealed as they were found: from before events were authenticated, or accepted.\n");
    }
    for Acceptance { accepted_at, accepted_by, damages, findings } in &report.accepted {
        text += &format!("Accepted at {accepted_at} by {accepted_by}, {damages} findings:\n");
        text += &lines(findings, *damages);
    }
    text += &lines(&report.findings, *damages);
    text += match (*damages, report.accepted.is_empty()) {
        (0, true) => "Intact",
        (0, false) => "Intact but for what was accepted",
        _ => "Damaged",
    };
    text + &report.root.map_or_else(|| "\n".to_owned(), |root| format!("; root {root}\n"))
}
