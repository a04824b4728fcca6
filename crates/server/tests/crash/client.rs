//! An HTTP client that can lose its server: no answer is a result like any other.

use std::io::{Error, ErrorKind, Result};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::process::PASSWORD;

/// A connection that is made anew whenever it was lost.
pub struct Client {
    port: u16,
    stream: Option<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A text in the answer: `/data/id`.
    pub fn text(&self, pointer: &str) -> String {
        self.json().pointer(pointer).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
    }
}

impl Client {
    pub const fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    async fn stream(&mut self) -> Result<&mut TcpStream> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(("127.0.0.1", self.port)).await?,
        };
        Ok(self.stream.insert(stream))
    }

    /// Sends a request. An error says that there was no answer, not that nothing happened.
    pub async fn send(&mut self, request: &[u8]) -> Result<Reply> {
        let reply = self.exchange(request).await;
        if reply.is_err() {
            self.stream = None;
        }
        reply
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        self.stream().await?.write_all(request).await?;
        self.read().await
    }

    /// Sends bytes and reads nothing.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream().await?.write_all(bytes).await
    }

    /// Reads an answer.
    pub async fn read(&mut self) -> Result<Reply> {
        let stream = self.stream().await?;
        let mut bytes = Vec::new();
        let cut = || Error::from(ErrorKind::UnexpectedEof);
        let (head, length) = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(cut());
            }
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                break (head, end + 4 + length.unwrap_or(0));
            }
        };
        while bytes.len() < length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(cut());
            }
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        let body = String::from_utf8_lossy(&bytes[head.len() + 4..]).into_owned();
        Ok(Reply { status, head, body })
    }
}

/// A request; headers are lines with their ends.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub fn json(method: &str, path: &str, token: &str, body: &Value) -> Vec<u8> {
    let path = format!("/api/v1{path}");
    request(method, &path, &format!("{}Content-Type: application/json\r\n", bearer(token)), &body.to_string())
}

pub fn get(path: &str, token: &str) -> Vec<u8> {
    request("GET", &format!("/api/v1{path}"), &bearer(token), "")
}

pub fn login(slug: &str, name: &str) -> Vec<u8> {
    let body = format!("username={name}&password={}", PASSWORD.replace(' ', "+"));
    let path = format!("/api/v1/auth/tenants/{slug}/login");
    request("POST", &path, "Content-Type: application/x-www-form-urlencoded\r\n", &body)
}

/// `refresh` or `logout`.
pub fn with_refresh_token(slug: &str, what: &str, token: &str) -> Vec<u8> {
    let path = format!("/api/v1/auth/tenants/{slug}/{what}");
    request("POST", &path, "Content-Type: application/json\r\n", &format!("{{\"refresh_token\":\"{token}\"}}"))
}
