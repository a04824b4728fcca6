//! Applications whose keys are at an address of theirs (`jwks_uri`).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::security::key_pair::{KeyPair, Signer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::harness::{
    Answer, World, api_tests,
    oauth::{App, Site, refused},
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where an application publishes its keys.
#[derive(Clone)]
struct Publisher {
    uri: String,
    authority: CertificateDer<'static>,
    answer: Rc<RefCell<String>>,
    asked: Rc<Cell<usize>>,
}

impl Publisher {
    async fn start() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let publisher = Self {
            uri: format!("https://{}/keys.json", listener.local_addr().unwrap()),
            authority: cert.der().clone(),
            answer: Rc::default(),
            asked: Rc::default(),
        };
        let serving = publisher.clone();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                serving.asked.set(serving.asked.get() + 1);
                let read = stream.read(&mut [0; 4_096]).await.unwrap_or(0);
                let answer = serving.answer.borrow().clone();
                if read > 0 && stream.write_all(answer.as_bytes()).await.is_ok() {
                    drop(stream.shutdown().await);
                }
            }
        });
        publisher
    }

    fn publishes(&self, keys: &[Value]) {
        self.says("200 OK", &json!({"keys": keys}).to_string());
    }

    fn says(&self, status: &str, body: &str) {
        let length = body.len();
        *self.answer.borrow_mut() =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    }
}

/// A service whose keys are published, at a server that may call this machine.
struct Robot {
    world: World,
    app: App,
    issuer: String,
    publisher: Publisher,
    serial: Cell<u32>,
}

fn key(kid: &str) -> (KeyPair, Value) {
    let pair = KeyPair::generate(SigningAlgorithm::Es256).unwrap();
    let mut public: Value = serde_json::from_str(&pair.public_jwk).unwrap();
    public["kid"] = json!(kid);
    (pair, public)
}

impl Robot {
    async fn new(world: &World, allow: &str) -> Self {
        let publisher = Publisher::start().await;
        let world = world
            .replica(|config| {
                config.outbound.allow = allow.parse().into_iter().collect();
                config.outbound.authorities = vec![publisher.authority.clone()];
                config.outbound.timeout = Duration::from_millis(500);
            })
            .await;
        let site = Site::new(&world).await;
        let app = json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"],
            "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": publisher.uri});
        let app = site.app(app).await;
        let metadata = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
        let issuer = metadata["issuer"].as_str().unwrap().to_owned();
        Self { world, app, issuer, publisher, serial: Cell::default() }
    }

    async fn ask(&self, pair: &KeyPair, kid: &str) -> Answer {
        let now = self.world.app.env().now().unix_seconds();
        self.serial.set(self.serial.get() + 1);
        let header = json!({"alg": "ES256", "kid": kid});
        let (id, jti) = (&self.app.id, self.serial.get().to_string());
        let claims = json!({"iss": id, "sub": id, "aud": self.issuer, "exp": now + 60, "jti": jti});
        let text = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", text(&header), text(&claims));
        let signer = Signer::open(pair.algorithm, &pair.private).unwrap();
        let assertion = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap()));
        let fields =
            [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", &assertion)];
        self.world.post("/auth/tenants/acme/oauth/token").form(&fields).send().await
    }

    fn asked(&self) -> usize {
        self.publisher.asked.get()
    }
}

api_tests! {
    async fn keys_that_were_fetched_count_for_five_minutes(world) {
        let robot = Robot::new(&world, "127.0.0.0/8").await;
        let (pair, public) = key("k1");
        robot.publisher.publishes(&[json!({"kty": "EC", "crv": "P-384", "kid": "k0"}), public]);
        for _ in 0..3 {
            robot.ask(&pair, "k1").await.expect(200);
        }
        assert_eq!(robot.asked(), 1);
        robot.publisher.publishes(&[]);
        world.clock.advance(Duration::from_secs(299));
        robot.ask(&pair, "k1").await.expect(200);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(refused(robot.ask(&pair, "k1").await, 401), "invalid_client");
        assert_eq!(robot.asked(), 2);
    }

    async fn key_that_is_not_known_has_them_fetched_again_once_in_thirty_seconds(world) {
        let robot = Robot::new(&world, "127.0.0.0/8").await;
        let ((old, first), (new, second)) = (key("k1"), key("k2"));
        robot.publisher.publishes(&[first]);
        robot.ask(&old, "k1").await.expect(200);
        robot.publisher.publishes(&[second]);
        for _ in 0..3 {
            assert_eq!(refused(robot.ask(&new, "k2").await, 401), "invalid_client");
        }
        assert_eq!(robot.asked(), 1, "less than thirty seconds after the first time");
        world.clock.advance(Duration::from_secs(30));
        robot.ask(&new, "k2").await.expect(200);
        assert_eq!(refused(robot.ask(&old, "k1").await, 401), "invalid_client");
        assert_eq!(robot.asked(), 2);
    }

    async fn whoever_asks_at_the_same_time_waits_for_the_same_keys(world) {
        let robot = Robot::new(&world, "127.0.0.0/8").await;
        let (pair, public) = key("k1");
        robot.publisher.publishes(&[public]);
        let answers = join_all((0..16).map(|_| robot.ask(&pair, "k1"))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(robot.asked(), 1);
    }

    async fn answer_that_is_no_set_of_keys_lets_nobody_in(world) {
        let robot = Robot::new(&world, "127.0.0.0/8").await;
        let (pair, public) = key("k1");
        let set = json!({"keys": [public]}).to_string();
        let long = format!("{set}{}", " ".repeat(64 * 1024));
        let redirect = format!("302 Found\r\nLocation: {}", robot.publisher.uri);
        for (status, body) in [("500 Error", set.as_str()), (&redirect, &set), ("200 OK", "[]"), ("200 OK", "<html>"), ("200 OK", &long)] {
            robot.publisher.says(status, body);
            assert_eq!(refused(robot.ask(&pair, "k1").await, 401), "invalid_client", "{status}");
            world.clock.advance(Duration::from_secs(30));
        }
        assert_eq!(robot.asked(), 5);
        robot.publisher.says("200 OK", &set);
        robot.ask(&pair, "k1").await.expect(200);
    }

    async fn address_that_only_the_server_reaches_is_not_called(world) {
        let robot = Robot::new(&world, "10.0.0.0/8").await;
        let (pair, public) = key("k1");
        robot.publisher.publishes(&[public]);
        assert_eq!(refused(robot.ask(&pair, "k1").await, 401), "invalid_client");
        assert_eq!(robot.asked(), 0);
    }
}
