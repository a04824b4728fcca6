//! The program while its PostgreSQL hangs.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatehouse_persistence::testing::Fresh;

use crate::{
    client::{Client, get, login, request},
    process::{Place, Server},
};

/// What requests are told while many clients ask for so long; all of them in time.
async fn told(server: &Server, token: &str, duration: Duration) -> Vec<u16> {
    let began = Instant::now();
    let client = |number: usize| async move {
        let (mut client, mut told) = (Client::new(server.port), Vec::new());
        while told.is_empty() || began.elapsed() < duration {
            let asked = Instant::now();
            let reply = match number % 2 {
                0 => client.send(&get("/me/sessions", token)).await.unwrap(),
                _ => client.send(&login("default", "nobody")).await.unwrap(),
            };
            assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
            assert!(reply.status != 503 || reply.head.contains("retry-after: "), "{}", reply.head);
            told.push(reply.status);
        }
        told
    };
    join_all((0..200).map(client)).await.concat()
}

#[tokio::test]
async fn frozen_database_costs_little_memory_and_everything_works_again_soon_after() {
    let Some(fresh) = Fresh::alone() else { return };
    let place = Place::on(fresh);
    let mut command = place.command();
    // All clients come from one address.
    command.env("GATEHOUSE_LOG_FORMAT", "json").env("GATEHOUSE_CONNECTIONS_PER_ADDRESS", "1000");
    let server = Server::spawn(command, place.port, place.folder.join("log")).become_ready();
    let mut client = Client::new(server.port);
    let signed = client.send(&login("default", "root")).await.unwrap();
    let token = signed.text("/access_token");
    told(&server, &token, Duration::ZERO).await;
    let before = server.memory();
    place.cluster().freeze();
    let statuses = told(&server, &token, Duration::from_secs(12)).await;
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    // A new one, as the first has rested for longer than connections are kept alive.
    let mut client = Client::new(server.port);
    assert_eq!(client.send(&request("GET", "/healthz", "", "")).await.unwrap().status, 200);
    assert_eq!(client.send(&request("GET", "/readyz", "", "")).await.unwrap().status, 503);
    let grown = server.memory().saturating_sub(before);
    assert!(grown <= 50 << 10, "{grown} KiB more");
    place.cluster().thaw();
    let thawed = Instant::now();
    while client.send(&get("/me/sessions", &token)).await.unwrap().status != 200
        || client.send(&request("GET", "/readyz", "", "")).await.unwrap().status != 200
    {
        assert!(thawed.elapsed() < Duration::from_secs(5), "still unavailable");
    }
    drop(server);
    let log = std::fs::read_to_string(place.folder.join("log")).unwrap();
    assert_eq!(log.matches("the database is back").count(), 1);
    assert!(!log.contains("SqlxError(") && !log.contains("Some("), "what a programmer prints");
}
