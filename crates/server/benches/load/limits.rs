//! What one who asks for too much costs the others, and the disk, with the limits that hold when nothing is set.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gatehouse_persistence::{Target, testing::Fresh};
use sqlx::{Connection as _, PgConnection};

use crate::{
    client::{closed_loop, field, get, login, optional_field, post_json, request},
    flood::open_loop,
    process::Process,
    scenarios::{Bench, PASSWORD},
};

const TIME: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);
/// Ten times what a tenant may ask for in a second.
const NOISE_PER_SECOND: u32 = 5_000;
const CALM_PER_SECOND: u32 = 50;
const NOISY: usize = 40;

/// Runs both, on a server of their own.
pub async fn run(bench: &mut Bench<'_>, fresh: &Fresh, folder: &std::path::Path) {
    for tenant in ["noisy", "calm", "eager"] {
        bench.tenant(tenant, 0).await;
    }
    let mut noisy = Vec::new();
    for n in 0..NOISY {
        bench.register("noisy", &format!("noisy{n}")).await;
        noisy.push(bench.sign_in("noisy", &format!("noisy{n}")).await.0);
    }
    bench.server.stop();
    bench.server = Process::limited(&fresh.target, folder);
    neighbour(bench, noisy).await;
    full_speed(bench, fresh).await;
}

/// A tenant at ten times its quota, and another one beside it.
async fn neighbour(bench: &Bench<'_>, noisy: Vec<String>) {
    let port = bench.server.port;
    let token = bench.sign_in("calm", "owner").await.0;
    let calm = |token: &str| {
        let request = get("/api/v1/me/sessions", token);
        open_loop(port, CALM_PER_SECOND, TIME, move |_| request.clone())
    };
    let _warm = calm(&token).await;
    let mut alone = calm(&token).await;
    let requests: Vec<_> = noisy.iter().map(|token| get("/api/v1/me/sessions", token)).collect();
    let noise = open_loop(port, NOISE_PER_SECOND, TIME, move |n| {
        requests[usize::try_from(n).unwrap() % requests.len()].clone()
    });
    // Not even the client of the one shares a thread with that of the other.
    let noise = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(noise)
    });
    let mut beside = calm(&token).await;
    let noise = noise.join().unwrap();
    let (before, after) = (alone.percentile(0.99).as_secs_f64() * 1e3, beside.percentile(0.99).as_secs_f64() * 1e3);
    println!(
        "  limits: neighbour at {NOISE_PER_SECOND}/s {:?}: p99 {before:.2} ms alone, {after:.2} ms beside it = {:.2} ×  {:?}",
        noise.statuses,
        after / before,
        beside.statuses
    );
}

/// Rows of the trail, and bytes of the database.
async fn size(bench: &Bench<'_>, fresh: &Fresh) -> (i64, i64) {
    let events = bench.call(&get("/api/v1/admin/audit-events?per_page=1", &bench.admin)).await.body;
    let total = events.split("\"total_items\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).unwrap();
    let bytes = match &fresh.target {
        Target::Sqlite(path) => i64::try_from(std::fs::metadata(path).unwrap().len()).unwrap(),
        Target::Postgres(url) => {
            let mut connection = PgConnection::connect(url.expose()).await.unwrap();
            let size = sqlx::query_scalar("SELECT pg_database_size(current_database())");
            size.fetch_one(&mut connection).await.unwrap()
        }
    };
    (total.parse().unwrap(), bytes)
}

/// One user who does at full speed for a minute what leaves something in the trail.
async fn full_speed(bench: &Bench<'_>, fresh: &Fresh) {
    let answer = bench.call(&login("eager", "owner", PASSWORD)).await;
    let (token, refresh) = (field(&answer.body, "access_token"), field(&answer.body, "refresh_token"));
    let me = bench.call(&get("/api/v1/me", &token)).await.body;
    let (user, tenant) = (field(&me, "id"), field(&me, "tenant_id"));
    let before = size(bench, fresh).await;
    let delete = request("DELETE", &format!("/api/v1/tenants/{tenant}/users/{user}"), Some(&token), "", "");
    let wrong = post_json(
        "/api/v1/me/password",
        Some(&token),
        r#"{"current_password":"not the right password","new_password":"seventeen quiet harbour cranes"}"#,
    );
    let chain = Arc::new(Mutex::new(refresh));
    let port = bench.server.port;
    let refreshes = closed_loop(port, vec![chain], MINUTE, |chain, answer| {
        let mut token = chain.lock().unwrap();
        if let Some(next) = answer.and_then(|answer| optional_field(&answer.body, "refresh_token")) {
            *token = next;
        }
        post_json("/api/v1/auth/tenants/eager/refresh", None, &format!(r#"{{"refresh_token":"{token}"}}"#))
    });
    // Signs in, and ends that session with its own token.
    let sessions = closed_loop(port, vec![(); 2], MINUTE, |(), answer| {
        match answer.and_then(|answer| optional_field(&answer.body, "access_token")) {
            Some(token) => request("POST", "/api/v1/me/sessions/revoke-all", Some(&token), "", ""),
            None => login("eager", "owner", PASSWORD),
        }
    });
    let refused = closed_loop(port, vec![(); 4], MINUTE, move |(), _| delete.clone());
    let proofs = closed_loop(port, vec![()], MINUTE, move |(), _| wrong.clone());
    let (refreshes, sessions, refused, proofs) = tokio::join!(refreshes, sessions, refused, proofs);
    // What was left out is recorded when its minute is over.
    tokio::time::sleep(MINUTE * 2).await;
    let after = size(bench, fresh).await;
    println!(
        "  limits: a user at full speed for 60 s: {} events and {:.1} MB more  deletes {:?}, refreshes {:?}, passwords {:?}, sign-ins and ends {:?}",
        after.0 - before.0,
        (after.1 - before.1) as f64 / 1e6,
        refused.statuses,
        refreshes.statuses,
        proofs.statuses,
        sessions.statuses
    );
}
