//! Applications that prove who they are with a key of their own (RFC 7523).

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::security::key_pair::{KeyPair, Signer};
use serde_json::{Value, json};

use crate::harness::{
    Answer, World, api_tests,
    oauth::{App, Site, refused},
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A service with a key.
pub struct Robot {
    site: Site,
    app: App,
    issuer: String,
    pair: KeyPair,
    serial: AtomicU32,
}

impl Robot {
    pub async fn new(world: &World, algorithm: SigningAlgorithm) -> Self {
        let (site, pair) = (Site::new(world).await, KeyPair::generate(algorithm).unwrap());
        let mut key: Value = serde_json::from_str(&pair.public_jwk).unwrap();
        key["kid"] = json!("k1");
        let app = site
            .app(json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"],
            "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}}));
        let app = app.await;
        let metadata = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
        let issuer = metadata["issuer"].as_str().unwrap().to_owned();
        Self { site, app, issuer, pair, serial: AtomicU32::new(0) }
    }

    pub fn into_site(self) -> Site {
        self.site
    }

    /// The claims of an assertion that is right.
    fn claims(&self) -> Value {
        let now = self.site.world.app.env().now().unix_seconds();
        let jti = self.serial.fetch_add(1, Ordering::Relaxed).to_string();
        json!({"iss": self.app.id, "sub": self.app.id, "aud": self.issuer, "exp": now + 60, "jti": jti})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signer = Signer::open(self.pair.algorithm, &self.pair.private).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap()))
    }

    pub fn assertion(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.sign(&json!({"alg": self.pair.algorithm.to_string(), "kid": "k1", "typ": "JWT"}), &claims)
    }

    async fn ask(&self, assertion: &str, more: &[(&str, &str)]) -> Answer {
        self.ask_at(&self.site.world, assertion, more).await
    }

    pub async fn ask_at(&self, world: &World, assertion: &str, more: &[(&str, &str)]) -> Answer {
        let fields =
            [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
        let call = world.post(&format!("/auth/tenants/{}/oauth/token", self.site.tenant.slug));
        call.form(&[&fields[..], more].concat()).send().await
    }
}

api_tests! {
    async fn application_with_a_key_gets_a_token_by_what_it_signs(world) {
        let mut robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        robot.ask(&robot.assertion(|_| ()), &[]).await.expect(200);
        robot.ask(&robot.assertion(|_| ()), &[("client_id", &robot.app.id)]).await.expect(200);
        robot.ask(&robot.assertion(|claims| claims["aud"] = json!([claims["aud"]])), &[]).await.expect(200);
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa] {
            robot.pair = KeyPair::generate(algorithm).unwrap();
            let key: Value = serde_json::from_str(&robot.pair.public_jwk).unwrap();
            robot.site.change(&robot.app, json!({"jwks": {"keys": [key]}})).await;
            robot.ask(&robot.assertion(|_| ()), &[]).await.expect(200);
        }
    }

    async fn key_of_ed25519_may_be_called_by_either_name_of_its_algorithm(world) {
        let robot = Robot::new(&world, SigningAlgorithm::EdDsa).await;
        let mut key: Value = serde_json::from_str(&robot.pair.public_jwk).unwrap();
        for of_key in ["EdDSA", "Ed25519"] {
            key["alg"] = json!(of_key);
            robot.site.change(&robot.app, json!({"jwks": {"keys": [key]}})).await;
            for of_assertion in ["EdDSA", "Ed25519"] {
                let assertion = robot.sign(&json!({"alg": of_assertion}), &robot.claims());
                robot.ask(&assertion, &[]).await.expect(200);
            }
            assert_eq!(refused(robot.ask(&robot.sign(&json!({"alg": "ES256"}), &robot.claims()), &[]).await, 401), "invalid_client");
        }
    }

    async fn end_of_an_assertion_may_have_a_fraction(world) {
        let robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        let now = world.app.env().now().unix_seconds();
        let at = |seconds: i64| serde_json::from_str::<Value>(&format!("{seconds}.75")).unwrap();
        robot.ask(&robot.assertion(|claims| claims["exp"] = at(now + 60)), &[]).await.expect(200);
        assert_eq!(refused(robot.ask(&robot.assertion(|claims| claims["exp"] = at(now - 1)), &[]).await, 401), "invalid_client");
    }

    async fn assertion_that_is_not_right_in_everything_is_none(world) {
        let robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        let now = world.app.env().now().unix_seconds();
        let changes: [&dyn Fn(&mut Value); 15] = [
            &|it| it["aud"] = json!(format!("{}/oauth/token", it["aud"].as_str().unwrap())),
            &|it| it["aud"] = json!([it["aud"], "https://other.example"]),
            &|it| it["aud"] = json!("https://other.example"),
            &|it| drop(it.as_object_mut().unwrap().remove("aud")),
            &|it| it["iss"] = json!("https://other.example"),
            &|it| it["sub"] = json!("app_01h455vb4pex5vsknk084sn02q"),
            &|it| it["exp"] = json!(now - 1),
            &|it| it["exp"] = json!(now + 311),
            &|it| it["exp"] = json!("soon"),
            &|it| drop(it.as_object_mut().unwrap().remove("exp")),
            &|it| it["nbf"] = json!(now + 60),
            &|it| it["iat"] = json!(now + 60),
            &|it| it["jti"] = json!(""),
            &|it| drop(it.as_object_mut().unwrap().remove("jti")),
            &|it| it["jti"] = json!(1),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let answer = robot.ask(&robot.assertion(change), &[("client_id", &robot.app.id)]).await;
            assert_eq!(refused(answer, 401), "invalid_client", "{n}");
        }
        let headers = [
            json!({"alg": "none", "kid": "k1"}), json!({"alg": "HS256", "kid": "k1"}), json!({"alg": "ES256", "kid": "k2"}),
            json!({"alg": "RS256", "kid": "k1"}), json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]}),
            json!({"alg": "ES256", "kid": "k1", "jku": "https://evil.example/jwks"}), json!({"alg": "ES256", "kid": "k1", "jwk": {"kty": "EC"}}),
            json!({"alg": "ES256", "kid": "k1", "x5u": "https://evil.example/x"}), json!({"alg": "ES256", "kid": "k1", "x5c": ["MIIB"]}),
            json!({"alg": "ES256", "kid": "k1", "zip": "DEF"}), json!({"alg": "ES256", "kid": "k1", "enc": "A256GCM"}),
            json!({"alg": "ES256", "kid": "k1", "b64": false}), json!({"kid": "k1"}),
        ];
        for header in headers {
            let answer = robot.ask(&robot.sign(&header, &robot.claims()), &[("client_id", &robot.app.id)]).await;
            assert_eq!(refused(answer, 401), "invalid_client", "{header}");
        }
        let good = robot.assertion(|_| ());
        for mangled in [good[..good.len() - 2].to_owned(), format!("{good}A"), good.replace('.', ".."), "a.b.c".to_owned()] {
            assert_eq!(refused(robot.ask(&mangled, &[("client_id", &robot.app.id)]).await, 401), "invalid_client");
        }
        let told = robot.ask(&robot.assertion(|it| it["aud"] = json!("x")), &[]).await.json();
        assert_eq!(told["error_description"], "aud of client_assertion must be the issuer and nothing else");
        robot.ask(&good, &[]).await.expect(200);
    }

    async fn assertion_counts_once_on_whichever_replica_and_however_many_come_at_once(world) {
        let robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        let other = world.replica(|_| ()).await;
        let assertion = robot.assertion(|_| ());
        let all = (0..64).map(|n| robot.ask_at(if n % 2 == 0 { &world } else { &other }, &assertion, &[]));
        let statuses: Vec<_> = join_all(all).await.into_iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
        let twin = robot.assertion(|claims| claims["jti"] = json!("0"));
        assert_eq!(refused(robot.ask(&twin, &[]).await, 401), "invalid_client", "the same jti in another assertion");
        world.clock.advance(Duration::from_secs(600));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM assertion_ids").await, 0);
    }

    async fn application_proves_itself_in_the_way_that_it_is_registered_with_and_in_one(world) {
        let robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        let by_secret = robot.site.app(json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"]})).await;
        let secret = by_secret.secret.clone().unwrap();
        let both = robot.ask(&robot.assertion(|_| ()), &[("client_id", &robot.app.id), ("client_secret", &secret)]).await;
        assert_eq!(refused(both, 400), "invalid_request");
        let grant = [("grant_type", "client_credentials")];
        assert_eq!(refused(robot.site.token(&robot.app, &grant).await, 401), "invalid_client", "nothing is shown");
        let theirs = robot.assertion(|claims| (claims["iss"], claims["sub"]) = (json!(by_secret.id), json!(by_secret.id)));
        assert_eq!(refused(robot.ask(&theirs, &[]).await, 401), "invalid_client");
        let call = world.post(&format!("/auth/tenants/{}/oauth/token", robot.site.tenant.slug));
        let fields = [grant[0], ("client_assertion_type", "urn:other"), ("client_assertion", &robot.assertion(|_| ()))];
        assert_eq!(refused(call.form(&fields).send().await, 400), "invalid_request");
    }
}
