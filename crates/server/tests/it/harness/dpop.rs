//! Who holds a key, and proves it with each request (RFC 9449).

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::security::key_pair::{KeyPair, Signer};
use serde_json::{Value, json};

use super::{
    Answer, Call, World,
    oauth::{App, Site, basic},
};

/// The address that clients of the tests use.
pub const BASE: &str = "http://127.0.0.1:8000";

/// A key, and what is made with it.
pub struct Holder {
    pair: KeyPair,
    serial: AtomicU32,
}

/// Signs a header and claims with a key.
pub fn signed(pair: &KeyPair, header: &Value, claims: &Value) -> String {
    let text = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", text(header), text(claims));
    let signer = Signer::open(pair.algorithm, &pair.private).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap()))
}

impl Holder {
    pub fn new() -> Self {
        Self::with(SigningAlgorithm::Es256)
    }

    pub fn with(algorithm: SigningAlgorithm) -> Self {
        Self { pair: KeyPair::generate(algorithm).unwrap(), serial: AtomicU32::new(0) }
    }

    fn jwk(&self) -> Value {
        serde_json::from_str(&self.pair.public_jwk).unwrap()
    }

    /// The thumbprint of the key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let needed = ["crv", "e", "kty", "n", "x", "y"];
        let members = needed.iter().filter(|name| jwk[**name].is_string());
        let members: Vec<_> = members.map(|name| format!("\"{name}\":{}", jwk[*name])).collect();
        let text = format!("{{{}}}", members.join(","));
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    /// A proof for a request, with the access token that it has.
    pub fn proof(&self, world: &World, (method, url): (&str, &str), token: Option<&str>) -> String {
        self.proof_with(world, (method, url), token, |_, _| ())
    }

    /// The same with changes of its header and claims.
    pub fn proof_with(
        &self,
        world: &World,
        (method, url): (&str, &str),
        token: Option<&str>,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> String {
        let jti = format!("{}-{}", self.thumbprint(), self.serial.fetch_add(1, Ordering::Relaxed));
        let now = world.app.env().now().unix_seconds();
        let mut claims = json!({"jti": jti, "htm": method, "htu": url, "iat": now});
        if let Some(token) = token {
            claims["ath"] = json!(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
        }
        let mut header = json!({"typ": "dpop+jwt", "alg": self.pair.algorithm.to_string(), "jwk": self.jwk()});
        change(&mut header, &mut claims);
        signed(&self.pair, &header, &claims)
    }
}

/// The address of an endpoint of a tenant's issuer.
pub fn endpoint(site: &Site, path: &str) -> String {
    format!("{BASE}{}/oauth/{path}", site.issuer_path())
}

/// A request at an endpoint with a proof of a key, or with this text for one.
pub fn call(site: &Site, world: &World, path: &str, proof: Option<&str>) -> Call {
    let call = world.post(&format!("/auth/tenants/{}/oauth/{path}", site.tenant.slug));
    match proof {
        Some(proof) => call.header("dpop", proof),
        None => call,
    }
}

/// Asks for tokens with a proof.
pub async fn token_with(site: &Site, world: &World, app: &App, proof: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let call = call(site, world, "token", proof);
    match &app.secret {
        Some(secret) => call.header("authorization", &basic(&app.id, secret)).form(fields).send().await,
        None => call.form(&[&[("client_id", app.id.as_str())], fields].concat()).send().await,
    }
}

impl Site {
    /// Asks for tokens that are bound to a key.
    pub async fn bound_token(&self, holder: &Holder, app: &App, fields: &[(&str, &str)]) -> Answer {
        let proof = holder.proof(&self.world, ("POST", &endpoint(self, "token")), None);
        token_with(self, &self.world, app, Some(&proof), fields).await
    }
}
