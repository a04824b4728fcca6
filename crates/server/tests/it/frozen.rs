//! A PostgreSQL that hangs, and one behind a network that forgets connections: nobody waits for longer than five seconds,
//! and everything works again soon after it does.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatehouse_domain::secret::Secret;
use gatehouse_persistence::{
    Target,
    testing::{Engine, Fresh},
};
use gatehouse_server::config::Database;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    faults::{LONGEST, Needs, RECOVERY, assert_unavailable, readiness},
    harness::{Proxy, Signed, World},
};

fn url(world: &World) -> &str {
    let Target::Postgres(url) = world.target() else { unreachable!("asked for PostgreSQL") };
    url.expose()
}

/// A world whose way to the database is the proxy.
async fn through_a_proxy() -> Option<(World, World, Proxy)> {
    let world = World::new(Engine::Postgres).await?;
    let (proxy, url) = Proxy::to(url(&world)).await;
    let on = world.replica(|config| config.database = Database::Postgres(Secret::new(url))).await;
    Some((world, on, proxy))
}

/// Sixteen reads at once, in time; how many were told to come again.
async fn refused(world: &World, signed: &Signed) -> usize {
    let began = Instant::now();
    let answers = join_all((0..16).map(|_| world.get("/me/sessions").bearer(signed).send())).await;
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    let refused: Vec<_> = answers.into_iter().filter(|answer| answer.status != 200).collect();
    refused
        .into_iter()
        .map(|answer| assert_eq!(answer.problem(503, "unavailable").header("retry-after"), Some("1")))
        .count()
}

async fn assert_recovers(world: &World, signed: &Signed) {
    let began = Instant::now();
    while refused(world, signed).await > 0 || readiness(world).await != 200 {
        assert!(began.elapsed() < RECOVERY, "still unavailable");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn server_that_is_frozen_lets_nobody_wait_for_longer_than_five_seconds() {
    let Some(fresh) = Fresh::alone() else { return };
    let world = World::on(fresh).await;
    let needs = Needs::new(&world).await;
    assert_eq!((refused(&world, &needs.signed).await, readiness(&world).await), (0, 200));
    world.cluster().freeze();
    assert_eq!(world.get("//healthz").send().await.status, 200);
    needs.wait_until_forgotten(&world).await;
    assert_unavailable(needs.reads(&world)).await;
    assert_eq!(readiness(&world).await, 503);
    assert_unavailable(needs.writes(&world)).await;
    world.cluster().thaw();
    assert_recovers(&world, &needs.signed).await;
    needs.assert_nothing_happened(&world).await;
}

#[actix_web::test]
async fn one_backend_that_is_frozen_costs_what_it_was_doing_and_nobody_else_anything() {
    let Some(fresh) = Fresh::alone() else { return };
    let world = World::on(fresh).await;
    let needs = Needs::new(&world).await;
    assert_eq!(refused(&world, &needs.signed).await, 0);
    let mut other = PgConnection::connect(url(&world)).await.unwrap();
    let one = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gatehouse' LIMIT 1";
    let pid: i32 = sqlx::query_scalar(one).fetch_one(&mut other).await.unwrap();
    world.cluster().freeze_one(pid);
    // Which request comes upon it is chance, or whether one does.
    let mut refusals = 0;
    for _ in 0..4 {
        refusals += refused(&world, &needs.signed).await;
    }
    assert!(refusals <= 1, "{refusals}");
    assert_eq!(readiness(&world).await, 200);
    world.cluster().thaw();
}

#[actix_web::test]
async fn connections_that_a_network_forgot_let_nobody_wait_for_longer_than_five_seconds() {
    let Some((_world, on, proxy)) = through_a_proxy().await else { return };
    let needs = Needs::new(&on).await;
    assert_eq!(refused(&on, &needs.signed).await, 0);
    // As many as there are connections may be on their way.
    proxy.forget();
    refused(&on, &needs.signed).await;
    assert_recovers(&on, &needs.signed).await;
}

#[actix_web::test]
async fn connections_that_were_forgotten_while_they_rested_cost_nobody_an_answer() {
    let Some((_world, on, proxy)) = through_a_proxy().await else { return };
    let needs = Needs::new(&on).await;
    assert_eq!(refused(&on, &needs.signed).await, 0);
    proxy.forget();
    // What rested for a second is asked before it is used.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(refused(&on, &needs.signed).await, 0);
    assert_eq!(readiness(&on).await, 200);
}

#[actix_web::test]
async fn commit_whose_answer_is_lost_is_told_by_the_idempotency_key() {
    let Some((world, on, proxy)) = through_a_proxy().await else { return };
    let tenant = world.tenant("acme").await;
    let admin = on.admin().await;
    let path = format!("/tenants/{}/roles", tenant.id);
    let ask = || {
        let call = on.post(&path).bearer(&admin).header("idempotency-key", "0197a3f0-once");
        call.json(json!({"name": "reader", "permissions": ["sessions:read"]})).send()
    };
    proxy.lose_commits(true);
    let began = Instant::now();
    let lost = ask().await.problem(503, "unavailable");
    assert!(began.elapsed() < LONGEST && lost.header("retry-after") == Some("1"), "{:?}", began.elapsed());
    proxy.lose_commits(false);
    let told = ask().await.expect(201);
    assert_eq!(told.header("idempotency-replayed"), Some("true"), "it had happened");
    assert_eq!(world.number("SELECT COUNT(*) FROM roles WHERE name = 'reader'").await, 1);
}
