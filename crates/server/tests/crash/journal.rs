//! What one client was promised: the tokens that were acknowledged to it and the ends that were.

use std::{
    io::{ErrorKind, Result},
    time::Instant,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::{id::SessionId, issue::Parse};
use serde_json::{Value, json};

use crate::{
    client::{Client, Reply, get, json, login, with_refresh_token},
    process::PATIENCE,
};

/// How a tenant treats second uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A lost answer loses the session: its token is spent.
    Reject,
    /// A lost answer can be had again.
    Replay,
}

impl Mode {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Replay => "replay",
        }
    }
}

/// What a client has in its hands of a session.
#[derive(Debug, Clone)]
pub struct Held {
    pub access: String,
    pub refresh: String,
    /// Exchanges that were acknowledged.
    pub exchanges: u64,
    /// An exchange has had no answer.
    pub asked: bool,
    /// An end has had no answer.
    pub ending: bool,
}

impl Held {
    /// The session.
    pub fn session(&self) -> SessionId {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(self.access.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        SessionId::parse(claims["sid"].as_str().unwrap()).unwrap()
    }
}

/// A client with its user, and its journal.
pub struct Player {
    /// To each process that serves; they take turns.
    clients: Vec<Client>,
    mode: Mode,
    name: String,
    /// An administrator's access token.
    admin: String,
    pub held: Option<Held>,
    /// Sessions whose end was acknowledged.
    pub ended: Vec<Held>,
    /// Whatever was acknowledged.
    pub acknowledged: u64,
    /// Requests that had no answer.
    pub unanswered: u64,
    turn: u64,
}

enum Outcome {
    Answer(Reply),
    Unsent,
    Lost,
}

impl Player {
    pub fn new(ports: &[u16], mode: Mode, name: String, admin: String) -> Self {
        let turn = name.bytes().map(u64::from).sum();
        let clients = ports.iter().map(|port| Client::new(*port)).collect();
        Self { clients, mode, name, admin, held: None, ended: Vec::new(), acknowledged: 0, unanswered: 0, turn }
    }

    fn client(&mut self) -> &mut Client {
        let at = usize::try_from(self.turn).unwrap() % self.clients.len();
        &mut self.clients[at]
    }

    /// Does the next thing: signs in, exchanges, or now and then ends the session.
    pub async fn play(&mut self) {
        self.turn += 1;
        let Some(held) = self.held.clone() else { return self.sign_in().await };
        // With an unanswered request in the air, the first thing to find out is where the session stands.
        if self.turn.is_multiple_of(17) && !held.asked && !held.ending {
            self.end(held).await;
        } else {
            self.exchange(held).await;
        }
    }

    /// Journals an answer. `Lost` means that the request may have taken effect.
    fn note(&mut self, result: Result<Reply>) -> Outcome {
        match result {
            Ok(reply) => {
                self.acknowledged += 1;
                Outcome::Answer(reply)
            }
            // Nobody was there to take it.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Outcome::Unsent,
            Err(_) => {
                self.unanswered += 1;
                Outcome::Lost
            }
        }
    }

    async fn sign_in(&mut self) {
        let request = login(self.mode.slug(), &self.name);
        let result = self.client().send(&request).await;
        let Outcome::Answer(reply) = self.note(result) else { return };
        assert_eq!(reply.status, 200, "sign-in of {}: {}", self.name, reply.body);
        let (access, refresh) = (reply.text("/access_token"), reply.text("/refresh_token"));
        self.held = Some(Held { access, refresh, exchanges: 0, asked: false, ending: false });
    }

    async fn exchange(&mut self, mut held: Held) {
        let request = with_refresh_token(self.mode.slug(), "refresh", &held.refresh);
        let result = self.client().send(&request).await;
        let reply = match self.note(result) {
            Outcome::Answer(reply) => reply,
            Outcome::Unsent => return,
            Outcome::Lost => {
                held.asked = true;
                self.held = Some(held);
                return;
            }
        };
        let code = reply.text("/code");
        match (reply.status, code.as_str()) {
            (200, _) => {
                let (access, refresh) = (reply.text("/access_token"), reply.text("/refresh_token"));
                let exchanges = held.exchanges + 1;
                // An end that had no answer and had not happened can still happen no more: its connection is gone.
                self.held = Some(Held { access, refresh, exchanges, asked: false, ending: false });
            }
            // It had happened although its answer was lost.
            (401, "session_revoked") if held.ending => {
                self.ended.push(held);
                self.held = None;
            }
            (401, "refresh_token_spent") if held.asked && self.mode == Mode::Reject => self.held = None,
            _ => unreachable!("an acknowledged token is lost: {held:?}: {reply:?}"),
        }
    }

    async fn end(&mut self, mut held: Held) {
        let session = held.session();
        let request = match self.turn / 17 % 3 {
            0 => with_refresh_token(self.mode.slug(), "logout", &held.refresh),
            1 => json("DELETE", &format!("/me/sessions/{session}"), &held.access, &json!({})),
            _ => json("DELETE", &format!("/admin/sessions/{session}"), &self.admin, &json!({})),
        };
        let result = self.client().send(&request).await;
        match self.note(result) {
            Outcome::Answer(reply) => {
                assert!([200, 204].contains(&reply.status), "{}", reply.body);
                self.ended.push(held);
                self.held = None;
            }
            Outcome::Unsent => {}
            Outcome::Lost => {
                held.ending = true;
                self.held = Some(held);
            }
        }
    }

    /// Goes on until everything that was in the air is settled, then looks whether every promise was kept.
    pub async fn settle(&mut self) {
        let began = Instant::now();
        while self.held.as_ref().is_some_and(|held| held.asked || held.ending) {
            self.play().await;
            assert!(began.elapsed() < PATIENCE, "{} cannot settle", self.name);
        }
        if let Some(held) = self.held.clone() {
            self.exchange(held).await;
        }
        let ended = std::mem::take(&mut self.ended);
        for held in &ended {
            for request in [with_refresh_token(self.mode.slug(), "refresh", &held.refresh), get("/me", &held.access)] {
                let reply = self.client().send(&request).await.unwrap();
                assert_eq!((reply.status, reply.text("/code").as_str()), (401, "session_revoked"), "an end is lost");
            }
        }
        self.ended = ended;
    }
}
