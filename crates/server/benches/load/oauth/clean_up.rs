//! What others wait for while a million rows of each kind that requests leave behind are cleaned up: codes, pushed requests,
//! devices, assertions.

use std::time::{Duration, Instant};

use gatehouse_domain::id::TenantId;
use gatehouse_persistence::testing::{Fresh, LEFT_BEHIND, analyze, count_expired, fill_expired};
use gatehouse_server::env::Env;

use super::{CONNECTIONS, Client, path, refresh, register, tokens};
use crate::{
    client::post_form,
    scenarios::{Bench, restart},
};

/// How many rows of each kind.
const ROWS: u64 = 1_000_000;
/// After how long one gives up.
const LIMIT: Duration = Duration::from_secs(600);

/// Measures refreshes, fills the tables, starts the server, which cleans up then, and measures refreshes meanwhile.
pub async fn run(
    bench: &mut Bench<'_>,
    fresh: &Fresh,
    folder: &std::path::Path,
    tenant: TenantId,
    browsers: &[String],
) {
    let client = Client::web(bench, tenant, "ES256").await;
    let first = tokens(bench, &client, browsers, CONNECTIONS).await;
    let before = refresh(bench, "oauth: clean-up: refresh, before", &client, first).await;
    // One that is good of each kind, from which the others are copied.
    let parameters = client.request();
    let fields: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(bench.call(&client.post("par", &fields)).await.status, 201);
    let television = r#"{"name":"Television","application_type":"NATIVE","redirect_uris":["http://localhost/"],"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]}"#;
    let television = register(bench, tenant, television).await;
    let fields = [("client_id", television.id.as_str()), ("scope", "openid")];
    let waiting = post_form(&path("/oauth/device_authorization"), "", &fields);
    let answer = bench.call(&waiting).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for table in LEFT_BEHIND {
        fill_expired(&bench.db, table, ROWS, Env::system().now()).await.unwrap();
    }
    if !bench.db.is_sqlite() {
        analyze(&bench.db).await.unwrap();
    }
    let began = Instant::now();
    bench.server = restart(bench, fresh, folder);
    let first = tokens(bench, &client, browsers, CONNECTIONS).await;
    let during = refresh(bench, "oauth: clean-up: refresh, meanwhile", &client, first).await;
    let is_going = rows_left(bench).await > 0;
    println!("  oauth: clean-up: rows are {} after that", if is_going { "still there" } else { "gone" });
    while rows_left(bench).await > 0 && began.elapsed() < LIMIT {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!(
        "  oauth: clean-up: {} rows are gone after {:.0} s, {:.1} MiB resident",
        ROWS * LEFT_BEHIND.len() as u64,
        began.elapsed().as_secs_f64(),
        bench.server.rss_mib()
    );
    if let (Some(before), Some(during)) = (before, during) {
        println!("  oauth: clean-up: refresh: p99 {:.2} × that without (2)", during.p99 / before.p99);
    }
}

/// How many of the rows are still there.
async fn rows_left(bench: &Bench<'_>) -> u64 {
    count_expired(&bench.db, Env::system().now()).await.unwrap()
}
