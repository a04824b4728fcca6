//! The server is killed again and again while clients sign in, exchange tokens and end sessions. Whatever was
//! acknowledged to them still holds afterwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gatehouse_persistence::testing::Engine;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    client::{Client, json, login, request},
    journal::{Held, Mode, Player},
    process::{PASSWORD, PATIENCE, Place, Server},
};

const KILLS: u64 = 20;
const PLAYERS: u64 = 8;
/// How soon a process serves after the last one was killed.
const READY: Duration = Duration::from_secs(2);

/// Makes a tenant for each mode and a user for each player.
async fn cast(place: &Place, ports: &[u16]) -> Vec<Player> {
    let _server = place.start();
    let mut client = Client::new(place.port);
    let admin = client.send(&login("default", "root")).await.unwrap().text("/access_token");
    let partner = json("POST", "/admin/partners", &admin, &json!({"name": "acme", "slug": "acme"}));
    let partner = client.send(&partner).await.unwrap().text("/data/id");
    for mode in [Mode::Reject, Mode::Replay] {
        // The longest window, so that a slow machine does not turn a retry into a theft.
        let settings = json!({
            "registration": "open", "refresh_reuse": mode.slug(), "refresh_reuse_window_seconds": 60,
        });
        let tenant = json!({"name": "t", "slug": mode.slug(), "partner_id": partner, "settings": settings});
        let made = client.send(&json("POST", "/admin/tenants", &admin, &tenant)).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let mut players = Vec::new();
    for i in 0..PLAYERS {
        let mode = if i.is_multiple_of(2) { Mode::Replay } else { Mode::Reject };
        let name = format!("player{i}");
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string();
        let path = format!("/api/v1/auth/tenants/{}/register", mode.slug());
        let register = request("POST", &path, "Content-Type: application/json\r\n", &body);
        assert_eq!(client.send(&register).await.unwrap().status, 201);
        players.push(Player::new(ports, mode, name, admin.clone()));
    }
    players
}

/// Starts those processes that do not run.
fn start_missing(place: &Place, servers: &mut [Option<Server>]) {
    for (i, server) in servers.iter_mut().enumerate().filter(|(_, server)| server.is_none()) {
        let started = if i == 0 { place.start() } else { place.start_another() };
        assert!(started.ready <= READY, "ready after {:?}", started.ready);
        *server = Some(started);
    }
}

async fn wait_for(count: &AtomicU64, acknowledged: u64, tasks: &[JoinHandle<Player>]) {
    let began = Instant::now();
    while count.load(Ordering::Relaxed) < acknowledged && tasks.iter().all(|task| !task.is_finished()) {
        assert!(began.elapsed() < PATIENCE, "the storm is too slow");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets everybody play until so many requests were acknowledged, and kills a server in the middle of the others.
async fn play_and_kill(players: Vec<Player>, servers: &mut [Option<Server>], kill: u64) -> Vec<Player> {
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = players
        .into_iter()
        .map(|mut player| {
            let (over, count) = (Arc::clone(&over), Arc::clone(&count));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let before = player.acknowledged;
                    player.play().await;
                    count.fetch_add(player.acknowledged - before, Ordering::Relaxed);
                }
                player
            })
        })
        .collect();
    wait_for(&count, 40 + kill * 13 % 60, &tasks).await;
    let at = usize::try_from(kill).unwrap() % servers.len();
    servers[at].take().unwrap().kill();
    if servers.len() > 1 {
        // The other one goes on with the sessions of both.
        wait_for(&count, count.load(Ordering::Relaxed) + 30, &tasks).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut players = Vec::new();
    for task in tasks {
        players.push(task.await.unwrap());
    }
    players
}

async fn survive(engine: Engine, processes: usize) {
    let Some(place) = Place::new(engine) else { return };
    let ports = [place.port, place.port_beside];
    let mut players = cast(&place, &ports[..processes]).await;
    let mut servers: Vec<_> = (0..processes).map(|_| None).collect();
    for kill in 0..KILLS {
        start_missing(&place, &mut servers);
        place.assert_sound().await;
        players = play_and_kill(players, &mut servers, kill).await;
    }
    start_missing(&place, &mut servers);
    for player in &mut players {
        player.settle().await;
    }
    place.assert_sound().await;
    let literal = |held: &Held| {
        let id = held.session().uuid();
        if place.is_sqlite() { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
    };
    for player in &players {
        if let Some(held) = &player.held {
            let sql = format!("SELECT CAST(refresh_generation AS TEXT) FROM sessions WHERE id = {}", literal(held));
            assert_eq!(place.texts(&sql).await, [held.exchanges.to_string()], "exchanges that nobody was told of");
        }
        for held in &player.ended {
            let sql = format!(
                "SELECT action FROM audit_events WHERE action LIKE 'session.revoked%' AND resource_id = {}",
                literal(held)
            );
            assert_eq!(place.texts(&sql).await, ["session.revoked"], "an end without its event");
        }
    }
    let left_out = if place.is_sqlite() {
        "json_extract(a.changes, '$.unrecorded_count.new')"
    } else {
        "CAST(CAST(a.changes AS json) #>> '{unrecorded_count,new}' AS bigint)"
    };
    let torn = format!(
        "SELECT CAST(COUNT(*) AS TEXT) FROM sessions s WHERE refresh_generation <> \
         (SELECT COALESCE(SUM(1 + COALESCE({left_out}, 0)), 0) FROM audit_events a \
          WHERE a.action = 'session.refreshed' AND a.resource_id = s.id) \
         + CASE WHEN refreshes > 0 THEN refreshes - 1 ELSE 0 END"
    );
    assert_eq!(place.texts(&torn).await, ["0"], "exchanges and their events differ");
    let reuse = "SELECT action FROM audit_events WHERE action = 'session.refresh_reuse_detected'";
    assert_eq!(place.texts(reuse).await, [""; 0], "an honest client was taken for a thief");
    // The storm was one: answers got lost, and sessions were ended.
    assert!(players.iter().map(|player| player.unanswered).sum::<u64>() > KILLS);
    assert!(players.iter().map(|player| player.ended.len()).sum::<usize>() > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_twenty_kills_on_sqlite() {
    survive(Engine::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_twenty_kills_on_postgres() {
    survive(Engine::Postgres, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_twenty_kills_of_one_or_the_other_replica() {
    survive(Engine::Postgres, 2).await;
}
