//! The same in a large installation: ten thousand tenants, and a million families in 200,000 sessions of one tenant.

use std::time::Instant;

use gatehouse_domain::{
    id::{ApplicationId, PartnerId, TenantId},
    issue::Parse,
};
use gatehouse_persistence::testing::{Fresh, analyze, fill_families, fill_sessions, fill_tenants};
use gatehouse_server::env::Env;

use super::{CONNECTIONS, Client, exchange, number, refresh, register, tokens};
use crate::{
    client::{field, get, request},
    scenarios::{Bench, restart},
};

const TENANTS: u64 = 10_000;
/// Each of them has families of half of the applications.
const SESSIONS: u64 = 200_000;
const APPLICATIONS: usize = 10;

/// Measures refresh and exchange in what is there, fills the database, and measures them again.
pub async fn run(
    bench: &mut Bench<'_>,
    fresh: &Fresh,
    folder: &std::path::Path,
    tenant: TenantId,
    browsers: &[String],
) {
    let before = pair(bench, "as it is", tenant, browsers).await;
    let began = Instant::now();
    let applications = fill(bench, tenant).await;
    println!("  oauth: large: filled in {:.0} s", began.elapsed().as_secs_f64());
    bench.server = restart(bench, fresh, folder);
    println!(
        "  oauth: large: ready after {} ms (300), {:.1} MiB resident (35)",
        bench.server.ready.as_millis(),
        bench.server.rss_mib()
    );
    bench.admin = bench.sign_in("default", "admin").await.0;
    let after = pair(bench, "large", tenant, browsers).await;
    for (name, before, after) in [("refresh", before.0, after.0), ("code exchange", before.1, after.1)] {
        println!("  oauth: large: {name}: {:.2} × the time without (1.3)", after / before);
    }
    let path = format!("/api/v1/tenants/{tenant}/applications/{}/revoke-tokens", applications[0]);
    let revoke = request("POST", &path, Some(&bench.admin), "", "");
    let answer = bench.once("oauth: large: revoke-tokens, 100,000 (2 s)", &revoke).await;
    let families = number(&answer.body, "families");
    println!("  oauth: large: {families:?} families ended, {:.1} MiB resident then", bench.server.rss_mib());
}

/// What a refresh and an exchange take, in units of the bare handler.
async fn pair(bench: &Bench<'_>, name: &str, tenant: TenantId, browsers: &[String]) -> (f64, f64) {
    let client = Client::web(bench, tenant, "ES256").await;
    let first = tokens(bench, &client, browsers, CONNECTIONS).await;
    let refreshed = refresh(bench, &format!("oauth: large: refresh, {name}"), &client, first).await;
    let exchanged = exchange(bench, &format!("oauth: large: code exchange, {name}"), tenant, "ES256", browsers).await;
    (refreshed.map_or(0.0, |cost| cost.ratio), exchanged.map_or(0.0, |cost| cost.ratio))
}

async fn fill(bench: &Bench<'_>, tenant: TenantId) -> Vec<ApplicationId> {
    let now = Env::system().now();
    let partner = bench.call(&get("/api/v1/admin/partners", &bench.admin)).await;
    fill_tenants(&bench.db, PartnerId::parse(&field(&partner.body, "id")).unwrap(), TENANTS, now).await.unwrap();
    let crowd = bench.register(super::SLUG, "crowd").await;
    let crowd = bench.db.system(gatehouse_domain::authz::SystemReason::Cli).user(crowd).await.unwrap().unwrap();
    fill_sessions(&bench.db, &crowd, SESSIONS, now).await.unwrap();
    let mut applications = Vec::new();
    for n in 0..APPLICATIONS {
        let body = format!(
            r#"{{"name":"Filled {n}","application_type":"WEB","redirect_uris":["https://filled{n}.example/callback"]}}"#
        );
        let client = register(bench, tenant, &body).await;
        applications.push(ApplicationId::parse(&client.id).unwrap());
    }
    fill_families(&bench.db, tenant, &applications, SESSIONS, now).await.unwrap();
    if !bench.db.is_sqlite() {
        analyze(&bench.db).await.unwrap();
    }
    applications
}
