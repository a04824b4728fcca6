//! Keys that sign, opened with the master key as only the server can, and the tokens that are made with them.

use std::rc::Rc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::SystemReason,
    key::{Issuer, KeyState},
};
use gatehouse_server::security::{
    key_pair::{KeyPair, Signer},
    keyring::Keyring,
    master_key::MasterKey,
    token::Tokens,
};
use serde_json::Value;

use crate::harness::{World, claims};

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A key with its private part.
pub struct Key {
    pub id: String,
    pub jwk: String,
    pub algorithm: SigningAlgorithm,
    signer: Signer,
}

impl Key {
    /// A key that nobody knows.
    pub fn new(id: &str, algorithm: SigningAlgorithm) -> Self {
        let pair = KeyPair::generate(algorithm).unwrap();
        let signer = Signer::open(algorithm, &pair.private).unwrap();
        Self { id: id.to_owned(), jwk: pair.public_jwk, algorithm, signer }
    }

    /// A key of an issuer.
    pub async fn of(world: &World, issuer: Issuer, algorithm: SigningAlgorithm, state: KeyState) -> Self {
        let master = MasterKey::load(&world.config.data_dir.join("master.key")).unwrap();
        let keys = world.app.keys().list(issuer, SystemReason::Cli).await.unwrap();
        let mut keys = keys.into_iter().filter(|key| key.algorithm == algorithm && key.state == state);
        let key = keys.next().unwrap();
        let owner = Tokens::owner(issuer.uuid(), key.id);
        let private = Keyring::new(&master).open(&owner, &key.private_sealed).unwrap();
        let signer = Signer::open(algorithm, &private).unwrap();
        Self { id: key.id.to_string(), jwk: key.public_jwk, algorithm, signer }
    }

    pub fn signature(&self, text: &str) -> String {
        encoded(self.signer.sign(text.as_bytes()).unwrap())
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token for our own API.
    Access,
    /// An access token for the application itself.
    Subject,
    Id,
    Assertion,
}

/// A token that is right in everything, and the key that signed it.
#[derive(Clone)]
pub struct Real {
    pub kind: Kind,
    pub header: Value,
    pub payload: Value,
    pub key: Rc<Key>,
    pub text: String,
}

impl Real {
    pub fn of(kind: Kind, text: &str, key: &Rc<Key>) -> Self {
        let header = serde_json::from_slice(&decoded(text.split('.').next().unwrap())).unwrap();
        Self { kind, header, payload: claims(text), key: Rc::clone(key), text: text.to_owned() }
    }

    /// Header, payload, signature.
    pub fn parts(&self) -> [&str; 3] {
        let mut parts = self.text.split('.');
        [(); 3].map(|()| parts.next().unwrap())
    }

    /// These parts under a signature that is right.
    pub fn signed(&self, header: &str, payload: &str) -> String {
        let text = format!("{header}.{payload}");
        format!("{text}.{}", self.key.signature(&text))
    }

    /// Another text as its header.
    pub fn with_header(&self, header: impl AsRef<[u8]>) -> String {
        self.signed(&encoded(header), self.parts()[1])
    }

    /// Another text as its payload.
    pub fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        self.signed(self.parts()[0], &encoded(payload))
    }

    /// Another value in the header; null takes the member away.
    pub fn header(&self, name: &str, value: &Value) -> String {
        self.with_header(changed(&self.header, name, value))
    }

    /// Another claim; null takes it away.
    pub fn claim(&self, name: &str, value: &Value) -> String {
        self.with_payload(changed(&self.payload, name, value))
    }

    /// A text of JSON with more members in front of those that are there.
    pub fn header_after(&self, members: &str) -> String {
        self.with_header(after(members, &self.header))
    }

    pub fn claims_after(&self, members: &str) -> String {
        self.with_payload(after(members, &self.payload))
    }

    /// The same token under an id of its own, where it counts once.
    pub fn renewed(&self, serial: usize) -> Self {
        let mut renewed = self.clone();
        if self.kind == Kind::Assertion {
            renewed.payload["jti"] = format!("renewed-{serial}").into();
            renewed.text = self.with_payload(renewed.payload.to_string());
        }
        renewed
    }
}

fn changed(from: &Value, name: &str, value: &Value) -> String {
    let mut changed = from.as_object().unwrap().clone();
    match value {
        Value::Null => drop(changed.remove(name)),
        value => drop(changed.insert(name.to_owned(), value.clone())),
    }
    Value::from(changed).to_string()
}

fn after(members: &str, object: &Value) -> String {
    object.to_string().replacen('{', &format!("{{{members},"), 1)
}
