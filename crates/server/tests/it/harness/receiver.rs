//! An application's end of the back channel, on loopback: it behaves as it is told, and remembers what it hears.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::claims;

/// How the application behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It answers with a status, and headers as lines with their ends.
    Answers(u16, String),
    /// It says nothing.
    Hangs,
    /// It closes the connection without a word.
    HangsUp,
    /// Its answer does not end.
    Floods,
}

impl Manner {
    pub fn status(status: u16) -> Self {
        Self::Answers(status, String::new())
    }
}

/// An application that listens.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    manner: Rc<RefCell<Manner>>,
    heard: Rc<RefCell<Vec<String>>>,
    connections: Rc<Cell<usize>>,
    /// How many bytes of its answers went out.
    pub sent: Rc<Cell<u64>>,
    news: Rc<Notify>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            manner: Rc::new(RefCell::new(Manner::status(200))),
            heard: Rc::default(),
            connections: Rc::default(),
            sent: Rc::default(),
            news: Rc::default(),
        };
        let serving = receiver.clone();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.set(serving.connections.get() + 1);
                let receiver = serving.clone();
                actix_web::rt::spawn(async move { receiver.talk(stream).await });
            }
        });
        receiver
    }

    /// Where it wants to be told.
    pub fn uri(&self) -> String {
        format!("http://{}/logout?app=1", self.address)
    }

    pub fn becomes(&self, manner: Manner) {
        *self.manner.borrow_mut() = manner;
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }

    /// The tokens that it got.
    pub fn tokens(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }

    /// What these say, unverified.
    pub fn claims(&self) -> Vec<Value> {
        self.tokens().iter().map(|token| claims(token)).collect()
    }

    /// The sessions of which it heard since it was last asked.
    pub fn sessions(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.heard.borrow_mut());
        let mut sessions: Vec<_> =
            heard.iter().map(|token| claims(token)["sid"].as_str().unwrap().to_owned()).collect();
        sessions.sort();
        sessions
    }

    /// Waits until it has heard so much.
    pub async fn hears(&self, tokens: usize) {
        let enough = async {
            while self.heard.borrow().len() < tokens {
                self.news.notified().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), enough).await.is_ok(), "nothing is heard");
    }

    async fn talk(&self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream).await else { return };
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /logout?app=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
        assert!(head.contains(&format!("{}", self.address)), "{head}");
        self.heard.borrow_mut().push(body.strip_prefix("logout_token=").unwrap().to_owned());
        self.news.notify_waiters();
        self.news.notify_one();
        let manner = self.manner.borrow().clone();
        match manner {
            Manner::Answers(status, headers) => {
                let answer = format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: 0\r\n\r\n");
                drop(stream.write_all(answer.as_bytes()).await);
            }
            Manner::Hangs => std::future::pending().await,
            Manner::HangsUp => {}
            Manner::Floods => {
                drop(stream.write_all(b"HTTP/1.1 200 Said\r\nContent-Length: 10000000000\r\n\r\n").await);
                let much = vec![b'x'; 64 * 1024];
                while stream.write_all(&much).await.is_ok() {
                    self.sent.set(self.sent.get() + much.len() as u64);
                }
            }
        }
    }
}

/// A request with its body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
    }
}
