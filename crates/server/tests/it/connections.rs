//! Connections: how many an address may have, which one makes room, and when one is dropped.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::dev::ServerHandle;
use gatehouse_persistence::testing::Engine;
use gatehouse_server::http::{
    self, Site,
    connections::{Connections, Rules},
    server::{self, Running},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::harness::World;

/// How soon something must have happened that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);
/// What no connection of these tests reaches unless it is tested.
const LONG: Duration = Duration::from_secs(60);
/// What is tested.
const SHORT: Duration = Duration::from_millis(400);
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 99, 1);
const ASKED: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// An answer that no buffer takes.
const LARGE: &[u8] = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A real server.
pub struct Served {
    pub handle: ServerHandle,
    pub port: u16,
    connections: Arc<Connections>,
}

impl Served {
    /// Rules that meet nobody.
    pub fn rules() -> Rules {
        Rules {
            logs_addresses: true,
            most: 1_000,
            per_address: 1_000,
            trusted_proxies: vec![std::net::IpAddr::V4(PROXY).into()],
            head: LONG,
            keep_alive: LONG,
            keep_alive_of_proxy: LONG,
            unread: LONG,
        }
    }

    /// A server for a world.
    pub fn of(world: &World, body_timeout: Duration, rules: Rules) -> Self {
        let mut site = Site::new(&world.config, world.app.env());
        site.body_timeout = body_timeout;
        let (app, site) = (world.app.clone(), Arc::new(site));
        let factory = move || http::service(app.clone(), Arc::clone(&site));
        let listener = server::listener(SocketAddr::from(([127, 0, 0, 1], 0)), rules.unread).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Connections::new(rules);
        let running = Running { workers: 1, grace: Duration::ZERO };
        let server = server::serve(listener, &connections, running, factory).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { handle, port, connections }
    }

    async fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], self.port).into()).await.unwrap()
    }

    /// A connection that has had an answer.
    async fn served(&self, from: Ipv4Addr) -> TcpStream {
        let mut stream = self.connect(from).await;
        assert!(is_served(&mut stream).await, "{from}");
        stream
    }

    async fn until(&self, many: usize) {
        let waiting = async {
            while self.connections.count() != many {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| unreachable!("{} remain", self.connections.count()));
    }
}

fn client(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 7, n)
}

async fn is_served(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4_096];
    let asked = stream.write_all(ASKED).await;
    let read = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap();
    asked.is_ok() && matches!(read, Ok(n) if bytes[..n].starts_with(b"HTTP/1.1 200 "))
}

/// Waits for the end of a connection; how long that took.
async fn end(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    began.elapsed()
}

#[actix_web::test]
async fn client_that_takes_nothing_of_its_answer_is_dropped_and_others_are_served() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { unread: SHORT, ..Served::rules() });
    let mut deaf = Vec::new();
    for n in 1..=20 {
        let mut stream = served.connect(client(n)).await;
        stream.write_all(&LARGE.repeat(8)).await.unwrap();
        deaf.push(stream);
    }
    let mut other = served.served(client(99)).await;
    served.until(1).await;
    assert!(is_served(&mut other).await);
    served.handle.stop(false).await;
}

/// Whether an answer is there with as much as its head promises.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    bytes.len() >= head + 4 + length.unwrap()
}

#[actix_web::test]
async fn client_that_takes_its_answer_slowly_has_all_of_it() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { unread: 2 * SHORT, keep_alive: SHORT, ..Served::rules() });
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(([127, 0, 0, 1], served.port).into()).await.unwrap();
    stream.write_all(LARGE).await.unwrap();
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 32 * 1024]);
    let began = Instant::now();
    while !is_whole(&bytes) {
        let n = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(n > 0, "dropped after {} bytes", bytes.len());
        bytes.extend_from_slice(&piece[..n]);
        sleep(SHORT / 10).await;
    }
    assert!(began.elapsed() > 3 * SHORT, "that was not slow");
    served.handle.stop(false).await;
}

#[actix_web::test]
async fn head_that_does_not_come_is_given_up_whichever_request_of_the_connection_it_is() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { head: SHORT, ..Served::rules() });
    let (mut first, mut later) = (served.connect(client(1)).await, served.served(client(2)).await);
    for stream in [&mut first, &mut later] {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.unwrap();
    }
    end(&mut first).await;
    end(&mut later).await;
    served.handle.stop(false).await;
}

#[actix_web::test]
async fn idle_connection_is_kept_longer_for_a_trusted_proxy() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { keep_alive: SHORT, ..Served::rules() });
    let (mut client, mut proxy) = (served.served(client(1)).await, served.served(PROXY).await);
    let waited = end(&mut client).await;
    assert!(waited >= SHORT / 2, "{waited:?}");
    assert!(is_served(&mut proxy).await);
    served.handle.stop(false).await;
}

#[actix_web::test]
async fn request_may_take_longer_than_a_connection_may_be_idle() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let rules = Rules { head: SHORT, keep_alive: SHORT, unread: SHORT, ..Served::rules() };
    let served = Served::of(&world, LONG, rules);
    let mut stream = served.served(client(1)).await;
    let head = "POST /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2";
    stream.write_all(format!("{head}\r\n\r\n{{").as_bytes()).await.unwrap();
    sleep(3 * SHORT).await;
    stream.write_all(b"}").await.unwrap();
    let mut bytes = [0; 4_096];
    let n = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes[..n].starts_with(b"HTTP/1.1 422 "), "{}", String::from_utf8_lossy(&bytes[..n]));
    served.handle.stop(false).await;
}

#[actix_web::test]
async fn address_has_so_many_connections_at_most_and_takes_none_from_others() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { per_address: 5, ..Served::rules() });
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(served.served(client(1)).await);
    }
    let mut surplus = served.connect(client(1)).await;
    assert!(!is_served(&mut surplus).await);
    for other in [client(2), PROXY, PROXY, PROXY, PROXY, PROXY, PROXY] {
        held.push(served.served(other).await);
    }
    // What was given back can be had again.
    drop(held.remove(0));
    served.until(11).await;
    held.push(served.served(client(1)).await);
    served.handle.stop(false).await;
}

#[actix_web::test]
async fn longest_idle_makes_room_when_there_are_nearly_too_many() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let served = Served::of(&world, LONG, Rules { most: 32, ..Served::rules() });
    let mut streams = Vec::new();
    for n in 1..=30 {
        streams.push(served.served(client(n)).await);
        // So that one is idle longer than the next, as the server sees it.
        sleep(Duration::from_millis(2)).await;
    }
    // A request on its way is not idle, however long.
    let head = b"POST /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: application/json";
    let mut busy = streams.remove(0);
    busy.write_all(head).await.unwrap();
    for n in 31..=90 {
        streams.push(served.served(client(n)).await);
    }
    end(&mut streams[0]).await;
    let last = streams.last_mut().unwrap();
    assert!(is_served(last).await);
    busy.write_all(b"\r\n\r\n{}").await.unwrap();
    let mut bytes = [0; 4_096];
    let n = timeout(PATIENCE, busy.read(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes[..n].starts_with(b"HTTP/1.1 422 "), "{}", String::from_utf8_lossy(&bytes[..n]));
    served.handle.stop(false).await;
}
