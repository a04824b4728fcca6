//! Bodies that do not come, or come too slowly: no connection is held for them.

use std::time::Duration;

use gatehouse_persistence::testing::Engine;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{connections::Served, harness::World};

/// How long a body may take here.
const LIMIT: Duration = Duration::from_millis(400);
/// How soon a connection must be closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A real server for a world.
pub fn serve(world: &World) -> (actix_web::dev::ServerHandle, u16) {
    let served = Served::of(world, LIMIT, Served::rules());
    (served.handle, served.port)
}

/// What is answered until the connection closes, to a head and then drops of a body.
async fn drip(port: u16, head: &str, drop: &str) -> String {
    let (mut read, mut write) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
    write.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let dripping = async {
        while drop.is_empty() || write.write_all(drop.as_bytes()).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut bytes = Vec::new();
        // A reset closes as well.
        let _ = read.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    };
    let both = async {
        tokio::select! { text = reading => text, () = dripping => unreachable!() }
    };
    timeout(PATIENCE, both).await.unwrap_or_else(|_| unreachable!("the connection stays: {head}"))
}

#[actix_web::test]
async fn body_that_does_not_come_is_given_up_with_its_connection() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let admin = world.admin().await;
    let (handle, port) = serve(&world);
    let bearer = format!("Authorization: Bearer {}\r\n", admin.as_ref());
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    let multipart = "multipart/form-data; boundary=b";
    let mut cases = Vec::new();
    for (path, content_type, status) in [
        ("POST /api/v1/setup", json, 408),
        ("PATCH /api/v1/me", json, 408),
        ("POST /api/v1/me/sessions/revoke-all", json, 408),
        ("POST /api/v1/auth/tenants/default/login", form, 408),
        ("POST /api/v1/auth/tenants/default/login", multipart, 408),
        // Nobody reads these.
        ("GET /api/v1/me", json, 200),
        ("POST /api/v1/nothing", json, 404),
        ("GET /healthz", json, 200),
    ] {
        for (framing, drop) in [
            ("Content-Length: 1000", ""),
            ("Content-Length: 1000", " "),
            ("Transfer-Encoding: chunked", ""),
            ("Transfer-Encoding: chunked", "1\r\n \r\n"),
        ] {
            let head =
                format!("{path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Type: {content_type}\r\n{framing}");
            cases.push(async move {
                let text = drip(port, &head, drop).await;
                assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {text}");
                let lower = text.to_lowercase();
                assert!(lower.contains("connection: close"), "{head}: {text}");
                if status == 408 {
                    assert!(
                        lower.contains("application/problem+json") && text.contains("\"request_timeout\""),
                        "{text}"
                    );
                }
            });
        }
    }
    futures_util::future::join_all(cases).await;
    handle.stop(false).await;
}

#[actix_web::test]
async fn file_that_comes_too_slowly_is_given_up_and_the_next_one_is_taken() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let tenant = world.tenant("acme").await;
    let admin = world.admin().await;
    let (handle, port) = serve(&world);
    let path = format!("/tenants/{}/user-imports", tenant.id);
    let head = format!(
        "POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked",
        admin.as_ref()
    );
    for drop in ["", "1\r\n\n\r\n"] {
        let text = drip(port, &head, drop).await;
        assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM user_import_pieces").await, 0);
    world.post(&path).bearer(&admin).body("application/x-ndjson", "\n").send().await.expect(202);
    handle.stop(false).await;
}

#[actix_web::test]
async fn file_whose_connection_breaks_leaves_nothing() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let tenant = world.tenant("acme").await;
    let admin = world.admin().await;
    let (handle, port) = serve(&world);
    let head = format!(
        "POST /api/v1/tenants/{}/user-imports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: 9000000\r\n\r\n",
        tenant.id,
        admin.as_ref()
    );
    let pieces = async || world.number("SELECT COUNT(*) FROM user_import_pieces").await;
    let until = async |left: fn(i64) -> bool| {
        let waiting = async {
            while !left(pieces().await) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'\n'; 600_000]).await.unwrap();
    until(|pieces| pieces > 0).await;
    // Reset, not closed: whoever waits for more is not told, but dropped.
    stream.set_zero_linger().unwrap();
    drop(stream);
    until(|pieces| pieces == 0).await;
    handle.stop(false).await;
}

#[actix_web::test]
async fn connection_goes_on_after_a_body_that_was_read_or_is_whole() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let (handle, port) = serve(&world);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for _ in 0..3 {
        let head = "POST /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n").as_bytes()).await.unwrap();
        sleep(LIMIT / 4).await;
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut bytes = [0; 4096];
        let n = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(bytes[..n].starts_with(b"HTTP/1.1 422 "), "{}", String::from_utf8_lossy(&bytes[..n]));
    }
    handle.stop(false).await;
}
