//! Starting and stopping: alone, twice at once, and interrupted.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use gatehouse_persistence::testing::Engine;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, Executor};

use crate::{
    client::{Client, get, login, request},
    process::{PATIENCE, Place, Server},
};

async fn assert_serves(server: &Server) {
    let mut client = Client::new(server.port);
    assert_eq!(client.send(&request("GET", "/readyz", "", "")).await.unwrap().status, 200);
    let signed = client.send(&login("default", "root")).await.unwrap();
    assert_eq!(signed.status, 200, "{}", signed.body);
    assert_eq!(client.send(&get("/me", &signed.text("/access_token"))).await.unwrap().status, 200);
}

async fn on_both(test: impl AsyncFn(Place)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if let Some(place) = Place::new(engine) {
            test(place).await;
        }
    }
}

/// The names of the migrations that have run.
async fn migrations(place: &Place) -> Vec<String> {
    place.texts("SELECT version FROM seaql_migrations ORDER BY version").await
}

/// Tables, columns and indexes.
async fn schema(place: &Place) -> Vec<String> {
    place
        .texts(if place.is_sqlite() {
            "SELECT COALESCE(sql, name) FROM sqlite_master ORDER BY 1"
        } else {
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns \
             WHERE table_schema = 'public' UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        })
        .await
}

#[tokio::test]
async fn request_under_way_is_answered_before_sigterm_ends_the_process_with_success() {
    on_both(async |place| {
        let mut server = place.start();
        let whole = String::from_utf8(login("default", "root")).unwrap();
        let whole = whole.replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1);
        let (half, rest) = whole.split_at(whole.len() - 10);
        let mut slow = Client::new(server.port);
        slow.write(half.as_bytes()).await.unwrap();
        // Told to go on: so the server is at it.
        assert_eq!(slow.read().await.unwrap().status, 100);
        server.terminate();
        // It takes no new work once it stops.
        let began = Instant::now();
        while Client::new(server.port).send(&request("GET", "/readyz", "", "")).await.is_ok_and(|r| r.status == 200) {
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        slow.write(rest.as_bytes()).await.unwrap();
        let answer = slow.read().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        drop(slow);
        let status = server.end(Duration::from_secs(9));
        assert_eq!(status.code(), Some(0));
        // What was answered is there for the next process.
        let next = place.start();
        let mut client = Client::new(next.port);
        assert_eq!(client.send(&get("/me", &answer.text("/access_token"))).await.unwrap().status, 200);
    })
    .await;
}

#[tokio::test]
async fn what_a_process_knows_when_it_stops_is_written_down() {
    on_both(async |place| {
        let mut server = place.start();
        let mut client = Client::new(server.port);
        let signed = client.send(&login("default", "root")).await.unwrap();
        assert_eq!(client.send(&get("/me", &signed.text("/access_token"))).await.unwrap().status, 200);
        server.terminate();
        assert_eq!(server.end(PATIENCE).code(), Some(0));
        let log = std::fs::read_to_string(&server.log).unwrap();
        let stop = log.split("\"message\":\"stopping\"").nth(1).unwrap();
        assert!(!stop.contains("\"level\":\"WARN\""), "{stop}");
    })
    .await;
}

#[test]
fn demo_that_is_stopped_as_soon_as_it_says_where_it_is_ends() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut demo = place.command_at(place.port);
    demo.args(["demo", "--admin-password", "otter-juggles-42-copper-lamps"]);
    let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("Everything is gone")));
    kill_process(Pid::from_child(&demo), Signal::TERM).unwrap();
    let began = Instant::now();
    let status = loop {
        match demo.try_wait().unwrap() {
            None if began.elapsed() > PATIENCE => {
                demo.kill().unwrap();
                panic!("the demo does not stop");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
            Some(status) => break status,
        }
    };
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn idle_process_stops_at_once() {
    on_both(async |place| {
        let mut server = place.start();
        // A client that keeps its connection, as proxies do, has nothing under way.
        let mut kept = Client::new(server.port);
        assert_eq!(kept.send(&request("GET", "/readyz", "", "")).await.unwrap().status, 200);
        let began = Instant::now();
        server.terminate();
        assert_eq!(server.end(PATIENCE).code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn memory_of_hashes_is_given_back_every_time_with_the_tunables_of_the_image() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let server = place.start_as_in_the_image();
    for round in 1..=3 {
        assert_serves(&server).await;
        let (began, hashed) = (Instant::now(), server.memory());
        // One hash works on seven MiB; of these the process may come to need some for something else meanwhile.
        while server.memory() + 4 * 1024 > hashed {
            assert!(began.elapsed() < Duration::from_secs(10), "round {round}: {hashed} KiB are kept");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn second_process_on_one_sqlite_file_is_refused_and_the_first_unharmed() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let first = place.start();
    let log = place.folder.join("second");
    let began = Instant::now();
    let mut second = Server::spawn(place.command_at(0), 0, log.clone());
    let status = second.end(Duration::from_secs(2));
    assert!(began.elapsed() <= Duration::from_secs(2));
    assert_eq!(status.code(), Some(3));
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("another process serves this database"), "{said}");
    assert_serves(&first).await;
    // The file is free again as soon as the first is gone, even if it was killed.
    first.kill();
    assert_serves(&place.start()).await;
}

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_both_serve() {
    for _ in 0..3 {
        let Some(place) = Place::new(Engine::Postgres) else { return };
        let (a, b) = (Server::spawn(place.command(), place.port, place.folder.join("a")), place.start_another());
        let a = a.become_ready();
        assert_serves(&a).await;
        assert_serves(&b).await;
        let names = migrations(&place).await;
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]) && !names.is_empty(), "{names:?}");
        for (sql, count) in
            [("SELECT slug FROM tenants", 1), ("SELECT slug FROM partners", 1), ("SELECT username FROM users", 1)]
        {
            assert_eq!(place.texts(sql).await.len(), count, "{sql}");
        }
    }
}

#[tokio::test]
async fn replica_waits_for_another_that_migrates_for_longer_than_a_request_for_a_lock() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    // The lock that a migrating process holds.
    let mut migrating = place.postgres().await;
    migrating.execute("SELECT pg_advisory_lock(7305424)").await.unwrap();
    let server = Server::spawn(place.command(), place.port, place.folder.join("log"));
    let began = Instant::now();
    // Longer than any statement of a request may take to get a lock.
    let waits = "SELECT application_name FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_xact_lock%' \
                 AND datname = current_database() AND pid <> pg_backend_pid() AND clock_timestamp() - xact_start > interval '6 seconds'";
    while place.texts(waits).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "it does not wait: {}", std::fs::read_to_string(&server.log).unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    migrating.close().await.unwrap();
    assert_serves(&server.become_ready()).await;
}

#[tokio::test]
async fn unreachable_database_ends_the_start_with_4_and_keeps_its_password() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut command = place.command();
    // Nothing listens on the port of a place that nobody has started.
    let url = format!("postgres://gatehouse:swordfish@127.0.0.1:{}/gatehouse", place.port);
    command.env("DATABASE_URL", url).env("GATEHOUSE_LOG_LEVEL", "trace").env("GATEHOUSE_DATABASE_WAIT_SECONDS", "1");
    let log = place.folder.join("log");
    let mut server = Server::spawn(command, place.port, log.clone());
    assert_eq!(server.end(Duration::from_secs(10)).code(), Some(4));
    let said = std::fs::read_to_string(log).unwrap();
    assert_eq!(said.matches("waiting for it").count(), 1, "{said}");
    assert!(said.contains("the database is not available"), "{said}");
    assert!(!said.contains("swordfish"), "{said}");
}

#[tokio::test]
async fn one_connection_is_enough() {
    on_both(async |place| {
        let mut command = place.command();
        command.env("GATEHOUSE_DATABASE_CONNECTIONS", "1");
        let server = Server::spawn(command, place.port, place.folder.join("log")).become_ready();
        assert_serves(&server).await;
        // No request takes a second connection while it holds one: then these would wait for each other.
        let mut clients: Vec<_> = (0..16).map(|_| Client::new(server.port)).collect();
        let request = login("default", "root");
        let answers = join_all(clients.iter_mut().map(|client| client.send(&request))).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    })
    .await;
}

async fn first_start_that_was_killed_is_completed(engine: Engine) {
    let Some(whole) = Place::new(engine) else { return };
    drop(whole.start());
    let (wanted, names) = (schema(&whole).await, migrations(&whole).await);
    // Killed as soon as so many migrations are seen, and once before anything is.
    for seen in (0..names.len()).step_by(2).chain([names.len()]) {
        let Some(place) = Place::new(engine) else { return };
        let server = Server::spawn(place.command(), place.port, place.folder.join("log"));
        let began = Instant::now();
        while seen > 0 && migrations(&place).await.len() < seen {
            assert!(began.elapsed() < PATIENCE, "no migration {seen}");
        }
        server.kill();
        assert_serves(&place.start()).await;
        assert_eq!(migrations(&place).await, names, "killed after {seen}");
        assert_eq!(schema(&place).await, wanted, "killed after {seen}");
        place.assert_sound().await;
    }
}

#[tokio::test]
async fn first_start_that_was_killed_is_completed_by_the_next_on_sqlite() {
    first_start_that_was_killed_is_completed(Engine::Sqlite).await;
}

#[tokio::test]
async fn first_start_that_was_killed_is_completed_by_the_next_on_postgres() {
    first_start_that_was_killed_is_completed(Engine::Postgres).await;
}

#[tokio::test]
async fn passwords_are_hashed_by_as_many_threads_as_there_are_permits() {
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let mut command = place.command();
    command.env("GATEHOUSE_HASH_PERMITS", "3");
    let server = Server::spawn(command, place.port, place.folder.join("log")).become_ready();
    let logins = (0..24).map(|_| async {
        Client::new(server.port).send(&login("default", "root")).await.unwrap();
        server.threads().iter().filter(|name| name.starts_with("argon2-")).count()
    });
    let counts = futures_util::future::join_all(logins).await;
    assert!(counts.iter().all(|count| *count == 3), "{counts:?}");
}
