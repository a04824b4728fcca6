//! Slow clients, a thousand of them: they take neither memory nor time from others, and in the end nothing is left of
//! them. In full, against a running server, with Debian's slowhttptest:
//! `slowhttptest -X -c 1000 -r 200 -l 120 -w 10 -y 20 -n 5 -z 32 -u http://127.0.0.1:8000/openapi.json`, and with `-H` or
//! `-B` in the place of `-X` (then without `-w`, `-y`, `-n` and `-z`).

use std::time::{Duration, Instant};

use gatehouse_persistence::testing::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use crate::{
    client::{Client, request},
    process::{Place, Server},
};

const CLIENTS: usize = 1_000;
/// The most memory that is no file's, in KiB.
const MEMORY: u64 = 100 * 1_024;
/// How long after the last of them came nothing may be left: the longest deadline, and what a loaded machine takes.
const GONE: Duration = Duration::from_secs(90);

/// What a slow client sends at once.
fn head(n: usize) -> Vec<u8> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    let whole = |path: &str| [get(path), b"\r\n".to_vec()].concat();
    let post = "POST /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    match n % 6 {
        0 => whole("/healthz"),
        1 => [get("/healthz"), b"X-Slow: ".to_vec()].concat(),
        2 => format!("{post}Content-Length: 1000\r\n\r\n").into_bytes(),
        _ => deaf(n),
    }
}

/// Requests of a client that takes no answer: files that no buffer takes, and faults.
fn deaf(n: usize) -> Vec<u8> {
    let path = ["/openapi.json", "/docs/swagger-ui-bundle.js"][n % 2];
    let body = format!("{{\"{}\":{{\"a\":1{}}}}}", "k".repeat(30_000), ",\"a\":1".repeat(5_000));
    let post = |body: &str| request("POST", "/api/v1/setup", "Content-Type: application/json\r\n", body);
    match n % 10 {
        0 => post(&body).repeat(2),
        _ => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes().repeat(2),
    }
}

/// Connects from an address that few others have.
async fn connect(port: u16, n: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let [high, low] = u16::try_from(n / 20 + 1).unwrap().to_be_bytes();
    socket.bind((std::net::Ipv4Addr::new(127, 9, high, low), 0).into()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

/// Comes, and sends a byte every second for as long as the server stays, unless it waits for answers that it does not take.
async fn slow(port: u16, n: usize, bytes: Vec<u8>) {
    let (read, mut write) = connect(port, n).await.into_split();
    let is_slow = matches!(n % 6, 1 | 2);
    let writing = async {
        drop(write.write_all(&bytes).await);
        while !is_slow || write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    writing.await;
    drop(read);
}

/// The 99th percentile of what others wait for an answer.
async fn p99(port: u16) -> Duration {
    let mut times = Vec::new();
    for n in 0..300 {
        // Every third comes anew: who is there already must not be the only one to be served.
        let mut client = Client::new(port);
        for _ in 0..=(n % 3) {
            let began = Instant::now();
            assert_eq!(client.send(&request("GET", "/healthz", "", "")).await.unwrap().status, 200);
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn may_open_many() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// Lets slow clients come, and looks at what the server does meanwhile.
async fn withstands(server: &Server, bytes: fn(usize) -> Vec<u8>) {
    p99(server.port).await;
    let (before, descriptors) = (p99(server.port).await, server.descriptors());
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(slow(server.port, n, bytes(n)))).collect();
    let began = Instant::now();
    while server.descriptors() < descriptors + CLIENTS / 2 {
        assert!(began.elapsed() < GONE, "{} descriptors", server.descriptors());
        sleep(Duration::from_millis(20)).await;
    }
    let meanwhile = p99(server.port).await;
    println!("p99 {before:?} before, {meanwhile:?} meanwhile; {} KiB", server.memory());
    assert!(meanwhile <= 2 * before + Duration::from_millis(20), "{before:?} before, {meanwhile:?} meanwhile");
    let mut most = 0;
    // The database may have more connections than before, each with some files.
    while server.descriptors() > descriptors + 16 {
        assert!(began.elapsed() < GONE, "{} descriptors of {descriptors}", server.descriptors());
        most = Ord::max(most, server.memory());
        assert!(most <= MEMORY, "{most} KiB");
        sleep(Duration::from_millis(100)).await;
    }
    println!("{most} KiB at most; all gone after {:?}", began.elapsed());
    for client in clients {
        client.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_clients_take_no_time_from_others_and_nothing_is_left_of_them() {
    may_open_many();
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    withstands(&place.start(), head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_take_no_answer_take_little_memory() {
    may_open_many();
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    withstands(&place.start(), deaf).await;
}

#[tokio::test]
async fn one_address_leaves_room_for_others_and_it_is_in_the_log_once() {
    may_open_many();
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let mut command = place.command();
    command.env("GATEHOUSE_CONNECTIONS_PER_ADDRESS", "20").env("GATEHOUSE_LOG_FORMAT", "json");
    let server = Server::spawn(command, place.port, place.folder.join("log")).become_ready();
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(server.port, 0).await;
        drop(stream.write_all(&request("GET", "/healthz", "", "")).await);
        held.push(stream);
    }
    let mut served = 0;
    for stream in &mut held {
        served += usize::from(matches!(stream.read(&mut [0; 64]).await, Ok(n) if n > 0));
    }
    assert_eq!(served, 20);
    assert_eq!(Client::new(server.port).send(&request("GET", "/healthz", "", "")).await.unwrap().status, 200);
    server.terminate();
    let mut server = server;
    server.end(crate::process::PATIENCE);
    let log = std::fs::read_to_string(&server.log).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("WARN") && line.contains("127.9.0.1")).count(), 1, "{log}");
}
