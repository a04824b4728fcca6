//! Bytes on the wire that proxies and servers are known to read differently (CWE-444), and requests without end: each
//! connection gets one answer at most, so nothing can be smuggled behind it.

use std::time::Duration;

use gatehouse_persistence::testing::Engine;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::process::{PATIENCE, Place};

const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Everything that the server answers to these bytes until it closes the connection, or has nothing more to say.
async fn answers(port: u16, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut text = Vec::new();
    loop {
        let quiet = if text.is_empty() { PATIENCE } else { Duration::from_millis(300) };
        match timeout(quiet, stream.read_buf(&mut text)).await {
            Ok(Ok(n)) if n > 0 => {}
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&text);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let head = "POST /api/v1/setup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    format!("{head}{headers}\r\n{body}").into_bytes()
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn request_with_two_lengths_or_ends_gets_one_refusal() {
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let server = place.start();
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", 5 + SMUGGLED.len());
    let behind_chunk = format!("0\r\n\r\n{SMUGGLED}");
    for (what, bytes) in [
        ("length and chunks", post(&both, &behind_chunk)),
        ("two encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", &behind_chunk)),
        ("unknown encoding", post("Transfer-Encoding: xchunked\r\n", &behind_chunk)),
        ("encoding after a tab", post("Transfer-Encoding:\tchunked, x\r\n", &behind_chunk)),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 50\r\n", &format!("{{}}{SMUGGLED}"))),
        ("signed length", post("Content-Length: +2\r\n", "{}")),
        ("list of lengths", post("Content-Length: 2, 2\r\n", "{}")),
        ("blank before the colon", post("Content-Length : 2\r\n", "{}")),
        ("folded header", get("/healthz", "X-A: b\r\n c\r\n")),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n".to_vec()),
        ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ] {
        assert_eq!(answers(server.port, &bytes).await, [400], "{what}");
    }
    assert_eq!(answers(server.port, &get("/healthz", "")).await, [200], "the server goes on");
}

#[tokio::test]
async fn head_of_a_request_is_bounded() {
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let server = place.start();
    let many: String = (0..2_000).map(|i| format!("X-{i}: a\r\n")).collect();
    for (what, bytes) in [
        ("long header", get("/healthz", &format!("X-A: {}\r\n", "a".repeat(300_000)))),
        ("many headers", get("/healthz", &many)),
        ("long path", get(&format!("/api/v1/me?{}", "a".repeat(200_000)), "")),
    ] {
        assert_eq!(answers(server.port, &bytes).await, [431], "{what}");
    }
}

#[tokio::test]
async fn body_that_claims_too_much_is_refused_before_it_comes() {
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let server = place.start();
    let claims = post("Content-Length: 1073741824\r\n", "{");
    assert_eq!(answers(server.port, &claims).await, [413]);
    // Chunks do not say how many there will be; they are counted.
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let endless = post("Transfer-Encoding: chunked\r\n", &chunk.repeat(3));
    assert_eq!(answers(server.port, &endless).await, [413]);
}

#[tokio::test]
async fn method_that_echoes_or_tunnels_is_not_served() {
    let Some(place) = Place::new(Engine::Sqlite) else { return };
    let server = place.start();
    let ask = |line: &str| format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").into_bytes();
    assert_eq!(answers(server.port, &ask("TRACE /api/v1/me")).await, [405]);
    assert_eq!(answers(server.port, &ask("CONNECT example.com:443")).await, [404]);
}
