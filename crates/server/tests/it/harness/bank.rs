//! An application that keeps the FAPI 2.0 Security Profile: it pushes its requests, signs with a key, and its tokens are bound
//! to another.

use std::sync::atomic::{AtomicU32, Ordering};

use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::security::key_pair::KeyPair;
use serde_json::{Value, json};

use super::{
    Answer, Browser, World,
    dpop::{BASE, Holder, call, endpoint, signed},
    oauth::{App, CALLBACK, Site, VERIFIER, challenge, code},
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SCOPES: &str = "openid profile account:read";

/// An application that keeps the profile, with its key and the key of its proofs.
pub struct Bank {
    pub site: Site,
    pub app: App,
    pub pair: KeyPair,
    pub holder: Holder,
    serial: AtomicU32,
}

pub fn registered(pair: &KeyPair, kid: &str) -> Value {
    let mut key: Value = serde_json::from_str(&pair.public_jwk).unwrap();
    key["kid"] = json!(kid);
    json!({
        "name": "Bank", "redirect_uris": [CALLBACK], "profile": "fapi2", "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key]}, "id_token_signed_response_alg": "ES256", "require_pushed_authorization_requests": true,
        "dpop_bound_access_tokens": true, "allowed_scopes": ["openid", "profile", "account:read"],
    })
}

impl Bank {
    pub async fn new(world: &World) -> Self {
        Self::with(world, SigningAlgorithm::Es256, Holder::new()).await
    }

    pub async fn with(world: &World, algorithm: SigningAlgorithm, holder: Holder) -> Self {
        let (site, pair) = (Site::new(world).await, KeyPair::generate(algorithm).unwrap());
        let app = site.app(registered(&pair, "k1")).await;
        Self { site, app, pair, holder, serial: AtomicU32::new(0) }
    }

    pub fn now(&self) -> i64 {
        self.site.world.app.env().now().unix_seconds()
    }

    pub fn assertion(&self, change: impl FnOnce(&mut Value)) -> String {
        let jti = self.serial.fetch_add(1, Ordering::Relaxed).to_string();
        let issuer = format!("{BASE}{}", self.site.issuer_path());
        let mut claims =
            json!({"iss": self.app.id, "sub": self.app.id, "aud": issuer, "exp": self.now() + 60, "jti": jti});
        change(&mut claims);
        signed(&self.pair, &json!({"alg": self.pair.algorithm.to_string(), "kid": "k1"}), &claims)
    }

    pub fn proof(&self, path: &str) -> String {
        self.holder.proof(&self.site.world, ("POST", &endpoint(&self.site, path)), None)
    }

    /// Sends a form to an endpoint, with this assertion and this proof.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)], assertion: &str, proof: Option<&str>) -> Answer {
        let who = [("client_assertion_type", TYPE), ("client_assertion", assertion)];
        call(&self.site, &self.site.world, path, proof).form(&[fields, &who].concat()).send().await
    }

    /// Pushes a request with these parameters besides or instead of the usual ones; an empty one is left out.
    pub async fn push_with(&self, more: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let challenge = challenge();
        let mut fields = vec![
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", SCOPES),
            ("state", "s-1"),
            ("nonce", "n-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.send("par", &fields, &self.assertion(|_| ()), proof).await
    }

    pub async fn push(&self, more: &[(&str, &str)]) -> Answer {
        self.push_with(more, None).await
    }

    /// The address at which a browser brings what was pushed.
    pub fn bring(&self, pushed: &Answer) -> String {
        let (uri, path) = (pushed.json()["request_uri"].as_str().unwrap().to_owned(), self.site.issuer_path());
        format!("{path}/oauth/authorize?client_id={}&request_uri={uri}", self.app.id)
    }

    /// The answer of the issuer to a request that was pushed, by a browser that signs in.
    pub async fn authorize(&self, more: &[(&str, &str)]) -> Answer {
        let pushed = self.push(more).await.expect(201);
        let browser = Browser::new(&self.site.world);
        let page = browser.get(&self.bring(&pushed)).await.expect(200);
        self.site.submit(&browser, &page).await
    }

    pub async fn exchange_with(&self, code: &str, more: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.send("token", &fields, &self.assertion(|_| ()), proof).await
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        self.exchange_with(code, &[], Some(&self.proof("token"))).await
    }

    pub async fn tokens(&self) -> Value {
        self.exchange(&code(&self.authorize(&[]).await)).await.expect(200).json()
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.send("token", &fields, &self.assertion(|_| ()), Some(&self.proof("token"))).await
    }

    /// Asks our API who one is.
    pub async fn me(&self, scheme: &str, token: &str, proof: Option<&str>) -> Answer {
        let call = self.site.world.get("/me").header("authorization", &format!("{scheme} {token}"));
        match proof {
            Some(proof) => call.header("dpop", proof).send().await,
            None => call.send().await,
        }
    }

    pub fn proof_at_api(&self, token: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        self.holder.proof_with(&self.site.world, ("GET", &format!("{BASE}/api/v1/me")), Some(token), change)
    }

    /// What the token endpoint says of a proof with a claim like this.
    pub async fn token_by_proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> Answer {
        let code = code(&self.authorize(&[]).await);
        let at = endpoint(&self.site, "token");
        let proof = self.holder.proof_with(&self.site.world, ("POST", &at), None, change);
        self.exchange_with(&code, &[], Some(&proof)).await
    }
}
