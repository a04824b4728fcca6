//! A client that costs little: keeps its connection, writes prepared requests, reads just enough of the answer.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const LENGTH: &[u8] = b"content-length: ";

/// A connection to a server.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The values of a header.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(move |(n, v)| n.eq_ignore_ascii_case(name).then_some(v))
    }
}

impl Connection {
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and reads its answer.
    pub async fn send(&mut self, request: &[u8]) -> Answer {
        self.stream.write_all(request).await.expect("the connection holds");
        self.buffer.clear();
        let (head, length) = loop {
            self.fill().await;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = &self.buffer[..end];
                let length = find(&head.to_ascii_lowercase(), LENGTH)
                    .and_then(|at| {
                        String::from_utf8_lossy(&head[at + LENGTH.len()..]).lines().next()?.trim().parse().ok()
                    })
                    .unwrap_or(0);
                break (end + 4, length);
            }
        };
        while self.buffer.len() < head + length {
            self.fill().await;
        }
        let status = std::str::from_utf8(&self.buffer[9..12]).unwrap().parse().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer { status, head: text(&self.buffer[..head]), body: text(&self.buffer[head..head + length]) }
    }

    async fn fill(&mut self) {
        let n = self.stream.read_buf(&mut self.buffer).await.expect("the connection holds");
        assert!(n > 0, "the server closed the connection");
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A request as bytes.
pub fn request(method: &str, path: &str, token: Option<&str>, content_type: &str, body: &str) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body_head = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{body_head}\r\n{body}").into_bytes()
}

pub fn get(path: &str, token: &str) -> Vec<u8> {
    request("GET", path, Some(token), "", "")
}

/// A form, with headers besides.
pub fn post_form(path: &str, headers: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub fn post_json(path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    request("POST", path, token, "application/json", body)
}

pub fn login(tenant: &str, username: &str, password: &str) -> Vec<u8> {
    login_from(1, tenant, username, password)
}

/// A sign-in from an address that the number stands for.
pub fn login_from(address: u64, tenant: &str, username: &str, password: &str) -> Vec<u8> {
    let body = format!("username={username}&password={}", password.replace(' ', "+"));
    format!(
        "POST /api/v1/auth/tenants/{tenant}/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 10.{}.{}.{}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        address >> 16 & 255,
        address >> 8 & 255,
        address & 255,
        body.len()
    )
    .into_bytes()
}

/// A text field of a JSON answer, if it is there and not null.
pub fn optional_field(body: &str, name: &str) -> Option<String> {
    body.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next().map(str::to_owned)
}

/// A text field of a JSON answer.
pub fn field(body: &str, name: &str) -> String {
    optional_field(body, name).unwrap_or_else(|| unreachable!("no {name} in {body:.300}"))
}

/// What a load came to.
#[derive(Default, Clone)]
pub struct Load {
    pub latencies: Vec<Duration>,
    pub elapsed: Duration,
    pub statuses: std::collections::BTreeMap<u16, u64>,
}

impl Load {
    /// Adds what happened meanwhile.
    fn merge(&mut self, other: Self) {
        let elapsed = Ord::max(self.elapsed, other.elapsed);
        self.follow(other);
        self.elapsed = elapsed;
    }

    /// Adds what happened afterwards.
    pub fn follow(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.elapsed += other.elapsed;
        for (status, n) in other.statuses {
            *self.statuses.entry(status).or_default() += n;
        }
    }

    pub fn percentile(&mut self, share: f64) -> Duration {
        self.latencies.sort_unstable();
        let at = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Sends requests one after the other on each of several connections for some time, or until there is none left. `next`
/// makes the next request from the last answer; an empty one says that there is none.
pub async fn closed_loop<S: Send + 'static>(
    port: u16,
    states: Vec<S>,
    time: Duration,
    next: impl Fn(&mut S, Option<&Answer>) -> Vec<u8> + Clone + Send + 'static,
) -> Load {
    let tasks: Vec<_> = states
        .into_iter()
        .map(|mut state| {
            let next = next.clone();
            tokio::spawn(async move {
                let mut connection = Connection::open(port).await;
                let mut load = Load::default();
                let began = Instant::now();
                let mut answer = None;
                while began.elapsed() < time {
                    let request = next(&mut state, answer.as_ref());
                    if request.is_empty() {
                        answer = None;
                        break;
                    }
                    let sent = Instant::now();
                    let got = connection.send(&request).await;
                    load.latencies.push(sent.elapsed());
                    *load.statuses.entry(got.status).or_default() += 1;
                    answer = Some(got);
                }
                load.elapsed = began.elapsed();
                // What the last answer brought may be needed later.
                next(&mut state, answer.as_ref());
                load
            })
        })
        .collect();
    let mut total = Load::default();
    for task in tasks {
        total.merge(task.await.unwrap());
    }
    total
}
