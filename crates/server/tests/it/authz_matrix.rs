//! Who may do what, proven over every operation of the OpenAPI document. A new route cannot be forgotten: the committed
//! table does not know it.
//!
//! The columns of the table: `anonymous` has no token; `plain`, `reader` (a role with `sessions:read` only), `deleter`
//! (`sessions:delete` only) and `tenant` (its administrator) belong to the tenant whose things are asked for;
//! `partner` and `platform` administer it from elsewhere; `suspended` administered it until the user was suspended;
//! `sibling` administers another tenant of the same partner, `foreign` another partner.

pub mod cast;
mod conflicts;
mod escalation;
mod isolation;
mod mass_assignment;
pub mod operation;
mod trail;

use std::collections::BTreeSet;

use cast::{Cast, Whose};
use operation::{Operation, operations};

use crate::harness::{Answer, api_tests};

/// Without the permission the first two are allowed for one's own session, and with it nobody deletes a user who may do
/// more: whose it is, and who, only the lookup tells. They take no body.
const REFUSED_BY_OWNER: [&str; 3] = ["tenants.sessions.get", "tenants.sessions.revoke", "tenants.users.delete"];

/// The permission that a 403 says is missing.
fn missing(answer: &Answer) -> Option<String> {
    (answer.status == 403).then(|| {
        assert_eq!(answer.json()["code"], "missing_permission", "{}", answer.text);
        answer.json()["detail"].as_str().unwrap().strip_prefix("Missing permission ").unwrap().to_owned()
    })
}

/// The answers of one operation to all actors. Refusals must come before any look at the input, and change nothing.
async fn ask_everybody(cast: &Cast, operation: &Operation, whose: Whose) -> Vec<Answer> {
    let with_session = operation.names("session_id") || matches!(operation.id.as_str(), "auth.refresh" | "auth.logout");
    let whose_session = if operation.path.starts_with("/me") { Whose::Own } else { whose };
    let mut calls = Vec::new();
    for actor in &cast.actors {
        let mut target = cast.target(actor, whose_session, with_session).await;
        if whose == Whose::Another {
            cast.spare(operation, &mut target).await;
        }
        calls.push((actor, target, cast.token(actor).await));
    }
    let mut before = cast.everything().await;
    let mut answers = Vec::new();
    for (actor, target, token) in &calls {
        let bad = operation.bad(&cast.world, target, token.as_deref()).await;
        if bad.status == 422 {
            answers.push(None);
            continue;
        }
        let good = operation.good(&cast.world, target, token.as_deref()).await;
        assert_eq!(good.anonymised(), bad.anonymised(), "{} to {}: the input matters", operation.id, actor.name);
        assert!((401..405).contains(&good.status), "{} takes any input: {}", operation.id, good.text);
        answers.push(Some(good));
    }
    assert_eq!(cast.everything().await, before, "{}: a refused call changed something", operation.id);
    let mut all = Vec::new();
    for ((actor, target, _), refused) in calls.iter().zip(answers) {
        if let Some(answer) = refused {
            all.push(answer);
            continue;
        }
        // A neighbour's call may have signed this one out.
        let token = cast.token(actor).await;
        let answer = operation.good(&cast.world, target, token.as_deref()).await;
        let after = cast.everything().await;
        if answer.status >= 400 {
            let (id, name) = (&operation.id, actor.name);
            let late = operation.secured && matches!(answer.status, 401 | 403) && !REFUSED_BY_OWNER.contains(&&**id);
            assert!(!late, "{id} looks at the input of {name} before it refuses");
            assert_eq!(after, before, "{id} by {name}: {} and yet something changed", answer.text);
        }
        before = after;
        all.push(answer);
    }
    all
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!("{cell:<10}")).collect();
    format!("{name:<70}{}\n", cells.trim_end())
}

async fn table(cast: &Cast) -> String {
    let heads = cast.actors.iter().map(|actor| actor.name.to_owned()).chain(["403 for want of".to_owned()]);
    let mut table = row("", heads);
    for operation in operations() {
        // Who takes the own password away makes no further call.
        let locks_out = operation.id.ends_with("password_reset.create");
        let personal = operation.path.starts_with("/tenants/")
            && !locks_out
            && (operation.names("session_id") || operation.names("user_id"));
        for whose in [Whose::Another, Whose::Own].into_iter().take(if personal { 2 } else { 1 }) {
            let answers = ask_everybody(cast, &operation, whose).await;
            let missing: BTreeSet<_> = answers.iter().filter_map(missing).collect();
            let statuses = answers.iter().map(|answer| answer.status.to_string());
            let own = if whose == Whose::Own { " (own)" } else { "" };
            let name = format!("{} {}{own}", operation.method, operation.path);
            table += &row(&name, statuses.chain(missing));
        }
    }
    table
}

api_tests! {
    async fn every_operation_answers_every_caller_as_the_committed_table_says(world) {
        let cast = Cast::new(&world).await;
        insta::assert_snapshot!("authz_matrix", table(&cast).await);
    }
}
