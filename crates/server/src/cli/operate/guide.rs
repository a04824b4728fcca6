//! What a person is asked before a command, and told after it.

use actix_web::http::StatusCode;
use clap::ArgMatches;
use serde_json::Value;

use super::{
    api::{Api, Call},
    fields::Operation,
    print,
};
use crate::cli::{Exit, ask};

/// Whether a command may take something away, so that it asks.
pub(super) fn may_ask(verb: &str, operation: &Operation) -> bool {
    operation.fields.iter().any(|field| field.name == "dry_run") || asks_always(verb, &Call::of(operation))
}

fn asks_always(verb: &str, call: &Call) -> bool {
    let ends =
        matches!(verb, "suspend" | "cancel" | "revoke-all" | "reset-password" | "rotate-secret" | "revoke-tokens");
    ends || call.deletes() || call.suspends()
}

/// Asks before something ends. What would end is found out by a dry run, where there is one.
pub(super) async fn ask(
    api: &Api,
    call: &Call,
    deed: [&str; 3],
    operation: &Operation,
    matches: &ArgMatches,
) -> Result<(), Exit> {
    let [_, verb, _] = deed;
    if !may_ask(verb, operation) || call.is_dry_run() || !ask::is_needed(matches) {
        return Ok(());
    }
    let mut ends = None;
    if operation.fields.iter().any(|field| field.name == "dry_run") {
        let tried = api.send(&call.as_dry_run()).await?;
        // What is refused needs no question: it is tried, and says why.
        if tried.status != StatusCode::OK {
            return Ok(());
        }
        ends = tried.json.as_ref().and_then(print::effects);
    }
    if ends.is_none() && !asks_always(verb, call) {
        return Ok(());
    }
    let ends = ends.map(|ends| format!(" Ends: {ends}.")).unwrap_or_default();
    ask::confirm(matches, &format!("{}.{ends}", deed.join(" ").trim_end()))
}

/// What usually comes next, once something that has this name was made.
pub(super) fn next_step(resource: &str, verb: &str, name: &str, made: &Value) -> Option<String> {
    let tenant = name.split_once('/').map_or(name, |(tenant, _)| tenant);
    Some(match (resource, verb) {
        ("partner", "create") => format!("Next: gatehouse tenant create --partner {name} --name NAME --slug SLUG"),
        ("tenant", "create") => format!("Next: gatehouse user create --tenant {name} --username NAME --email ADDRESS"),
        ("user", "create") => {
            let invited = if made["invitation"]["url"].is_string() {
                "The account has no password yet: whoever has the link above sets it."
            } else if made["invitation"].is_object() {
                "The account has no password yet: its owner is mailed a link to set it."
            } else {
                &format!(
                    "The account has no password yet. `gatehouse user invite {name}` mails its owner a link to set one; \
                     with `--delivery link` it prints the link."
                )
            };
            format!(
                "{invited}\nNext, for an administrator of the tenant: gatehouse role assign --user {name} --role \
                 tenant_admin --level tenant --tenant {tenant}"
            )
        }
        ("role", "create") => {
            format!("Next: gatehouse role assign --user {tenant}/NAME --role {name} --level tenant --tenant {tenant}")
        }
        ("application", "create" | "rotate-secret") if made["client_secret"].is_string() => {
            "Keep the secret now: it is not shown again.".to_owned()
        }
        ("application", "suspend") => "While it is suspended nothing of it works: no sign-in, no token.".to_owned(),
        ("user", "invite-all") => "The server mails the invitations, ten a second.".to_owned(),
        ("user", "reset-password") => "The owner is mailed a link to set another password.".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::next_step;

    #[test]
    fn who_makes_an_account_is_told_how_its_owner_gets_in() {
        for (made, says) in [
            (json!({"invitation": {"url": "https://id.example.com/invitation#x"}}), "whoever has the link above"),
            (json!({"invitation": {"expires_at": "2030-01-01T00:00:00Z"}}), "its owner is mailed a link"),
            (json!({"invitation": null}), "`gatehouse user invite shop/ada` mails its owner a link"),
        ] {
            let said = next_step("user", "create", "shop/ada", &made).unwrap();
            assert!(said.starts_with("The account has no password yet") && said.contains(says), "{said}");
        }
    }
}
