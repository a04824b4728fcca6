//! Programs that nobody registered, with the host that their documents lie at.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

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

use super::{
    Answer, Browser, Form, World,
    oauth::{App, Site, code},
};

pub const LOOPBACK: &str = "http://localhost:49152/callback";
pub const JSON: &str = "Content-Type: application/json";

/// A web server with documents.
#[derive(Clone)]
pub struct Shelf {
    pub at: String,
    authority: CertificateDer<'static>,
    answers: Rc<RefCell<BTreeMap<String, String>>>,
    asked: Rc<RefCell<Vec<String>>>,
    connections: Rc<Cell<usize>>,
    slow: Rc<Cell<Duration>>,
}

impl Shelf {
    pub async fn start() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let shelf = Self {
            at: format!("https://{}", listener.local_addr().unwrap()),
            authority: cert.der().clone(),
            answers: Rc::default(),
            asked: Rc::default(),
            connections: Rc::default(),
            slow: Rc::default(),
        };
        let serving = shelf.clone();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.set(serving.connections.get() + 1);
                let (serving, acceptor) = (serving.clone(), acceptor.clone());
                actix_web::rt::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = [0; 4_096];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    let head = String::from_utf8_lossy(&head[..read]).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    serving.asked.borrow_mut().push(head);
                    actix_web::rt::time::sleep(serving.slow.get()).await;
                    let known = serving.answers.borrow().get(&path).cloned();
                    let answer =
                        known.unwrap_or_else(|| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned());
                    if stream.write_all(answer.as_bytes()).await.is_ok() {
                        drop(stream.shutdown().await);
                    }
                });
            }
        });
        shelf
    }

    /// What is answered at a path: status, headers, body.
    pub fn answers(&self, path: &str, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close");
        self.answers.borrow_mut().insert(path.to_owned(), format!("{head}\r\n\r\n{body}"));
    }

    pub fn has_nothing(&self) {
        self.answers.borrow_mut().clear();
    }

    pub fn takes(&self, time: Duration) {
        self.slow.set(time);
    }

    /// How often it was asked for anything.
    pub fn asked(&self) -> usize {
        self.asked.borrow().len()
    }

    /// The head of the last request.
    pub fn last(&self) -> String {
        self.asked.borrow().last().cloned().unwrap_or_default()
    }

    pub fn connections(&self) -> usize {
        self.connections.get()
    }
}

/// A tenant that programs come to which nobody registered.
pub struct Strangers {
    pub site: Site,
    pub shelf: Shelf,
}

impl Strangers {
    /// One that takes these documents (`off`, `registered`, `any`).
    pub async fn new(world: &World, taken: &str) -> Self {
        Self::behind(world, taken, "127.0.0.0/8").await
    }

    /// The same at a server that may call this network though it is private.
    pub async fn behind(world: &World, taken: &str, allow: &str) -> Self {
        let shelf = Shelf::start().await;
        let world = world
            .replica(|config| {
                config.outbound.allow = allow.parse().into_iter().collect();
                config.outbound.authorities = vec![shelf.authority.clone()];
                config.outbound.timeout = Duration::from_millis(500);
            })
            .await;
        let site = Site::new(&world).await;
        world.settings(&site.tenant, json!({"client_id_metadata_documents": taken})).await;
        Self { site, shelf }
    }

    /// A document as it is usually written.
    pub fn document(&self, path: &str, more: &Value) -> Value {
        let mut document = json!({
            "client_id": format!("{}{path}", self.shelf.at), "client_name": "Tool", "redirect_uris": ["http://localhost/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none",
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    }

    /// A program whose document lies at a path, with what is else in it.
    pub fn program_at(&self, path: &str, more: &Value) -> App {
        let document = self.document(path, more);
        self.shelf.answers(path, "200 OK", JSON, &document.to_string());
        let first = document["redirect_uris"][0].as_str().unwrap();
        let callback = if first == "http://localhost/callback" { LOOPBACK } else { first };
        App { id: format!("{}{path}", self.shelf.at), secret: None, callback: callback.to_owned() }
    }

    pub fn program(&self) -> App {
        self.program_at("/tool.json", &json!({}))
    }

    /// The page that asks for consent, once the user has signed in.
    pub async fn asked(&self, browser: &Browser, app: &App, more: &[(&str, &str)]) -> Answer {
        let page = browser.get(&self.site.request(app, more)).await.expect(200);
        let page = if page.text.contains("name=\"password\"") { self.site.submit(browser, &page).await } else { page };
        let page = page.expect(200);
        assert!(page.text.contains("value=\"allow\""), "{}", page.text);
        page
    }

    /// What the browser is answered when the user allows what is asked.
    pub async fn allowed(&self, browser: &Browser, app: &App, more: &[(&str, &str)]) -> Answer {
        let page = self.asked(browser, app, more).await;
        browser.submit(&Form::of(&page), &[("answer", "allow")]).await
    }

    pub async fn tokens(&self, browser: &Browser, app: &App, more: &[(&str, &str)]) -> Value {
        let answer = self.allowed(browser, app, more).await;
        self.site.exchange(app, &code(&answer)).await.expect(200).json()
    }

    /// The applications of the tenant, as its administrator sees them.
    pub async fn applications(&self) -> Vec<Value> {
        let path = format!("/tenants/{}/applications", self.site.tenant.id);
        let list = self.site.world.get(&path).bearer(&self.site.boss).send().await.expect(200).data();
        list.as_array().unwrap().clone()
    }

    pub fn path_of(&self, application: &Value) -> String {
        format!("/tenants/{}/applications/{}", self.site.tenant.id, application["id"].as_str().unwrap())
    }

    /// Adds a program as an administrator does.
    pub async fn add(&self, app: &App, more: &Value) -> Answer {
        let mut body = json!({"name": "Known", "application_type": "NATIVE", "client_id": app.id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/tenants/{}/applications", self.site.tenant.id);
        self.site.world.post(&path).bearer(&self.site.boss).json(body).send().await
    }
}
