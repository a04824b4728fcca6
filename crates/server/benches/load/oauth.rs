//! What applications ask of an issuer: metadata, tokens, codes and the pages of a sign-in.
//!
//! The words in brackets are the bounds that these rows are held against, in units of the bare handler that answers the
//! same kind of request.

mod clean_up;
mod large;
mod peer;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::id::TenantId;
use gatehouse_persistence::testing::{Fresh, forget_pushed};

use crate::{
    client::{Answer, Connection, closed_loop, field, get, post_form, post_json, request},
    raw::{Unit, measure_rsa},
    scenarios::{Bench, Cost, PASSWORD, TURN, beside_hash},
};

const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123456789";
const CALLBACK: &str = "https://wiki.example/callback";
const CONNECTIONS: usize = 16;
/// Who is signed in.
const BROWSERS: usize = 1_000;
const USERS: usize = 100;
const SLUG: &str = "oauth";

/// An application with a secret.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    secret: String,
}

impl Client {
    /// Registers one that people sign in to.
    async fn web(bench: &Bench<'_>, tenant: TenantId, algorithm: &str) -> Self {
        let body = format!(
            r#"{{"name":"Wiki","application_type":"WEB","redirect_uris":["{CALLBACK}"],"id_token_signed_response_alg":"{algorithm}"}}"#
        );
        register(bench, tenant, &body).await
    }

    /// A form of the token endpoint or of one of its neighbours.
    fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let own = [("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        post_form(&path(&format!("/oauth/{endpoint}")), "", &[&own, fields].concat())
    }

    fn request(&self) -> Vec<(&'static str, String)> {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        [
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("state", "a-state"),
            ("nonce", "a-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
    }

    fn authorize(&self, cookies: &str) -> Vec<u8> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", &self.id).extend_pairs(self.request());
        let path = path(&format!("/oauth/authorize?{}", query.finish()));
        let cookie = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n{cookie}\r\n").into_bytes()
    }

    fn exchange(&self, code: &str) -> Vec<u8> {
        let fields = [("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        self.post("token", &[&[("grant_type", "authorization_code")], &fields[..]].concat())
    }

    fn refresh(&self, token: &str) -> Vec<u8> {
        self.post("token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }
}

fn path(below: &str) -> String {
    format!("/api/v1/auth/tenants/{SLUG}{below}")
}

/// Registers an application of a tenant.
async fn register(bench: &Bench<'_>, tenant: TenantId, body: &str) -> Client {
    let path = format!("/api/v1/tenants/{tenant}/applications");
    let answer = bench.call(&post_json(&path, Some(&bench.admin), body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    Client { id: field(&answer.body, "id"), secret: field(&answer.body, "client_secret") }
}

/// A browser on the page of a sign-in: its cookies, and the form as it would be sent.
#[derive(Clone)]
struct SignInPage {
    post: Vec<u8>,
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(found, _)| found)
}

/// The cookies that an answer sets, as a browser sends them.
fn cookies(answer: &Answer) -> Vec<String> {
    answer.headers("set-cookie").filter_map(|cookie| cookie.split(';').next()).map(str::to_owned).collect()
}

impl SignInPage {
    async fn open(bench: &Bench<'_>, client: &Client, user: &str) -> Self {
        let page = bench.call(&client.authorize("")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let form = between(&page.body, "<form method=\"post\" action=\"", "</form>");
        let action = form.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
        let hidden = hidden.map(|field| (field.split('"').next().unwrap(), between(field, "value=\"", "\"")));
        let fields: Vec<_> = hidden.chain([("username", user), ("password", PASSWORD)]).collect();
        let headers =
            format!("Accept: text/html\r\nSec-Fetch-Site: same-origin\r\nCookie: {}\r\n", cookies(&page).join("; "));
        Self { post: post_form(&action, &headers, &fields) }
    }

    /// Signs in, and returns the cookies of the browser then.
    async fn sign_in(self, bench: &Bench<'_>) -> String {
        let answer = bench.call(&self.post).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let before = String::from_utf8_lossy(&self.post).into_owned();
        let before = between(&before, "Cookie: ", "\r\n");
        [&[before.to_owned()], &cookies(&answer)[..]].concat().join("; ")
    }
}

/// The code that an answer sends an application.
fn code(answer: &Answer) -> Option<String> {
    let location = answer.headers("location").next()?;
    location.split("code=").nth(1)?.split('&').next().map(str::to_owned)
}

/// Signs browsers in, on two connections: ten of each user, as a sign-in counts the sessions of its user.
async fn browsers(bench: &Bench<'_>, client: &Client) -> Vec<String> {
    for n in 0..USERS {
        bench.register(SLUG, &user(n)).await;
    }
    let half = async |first: usize| {
        let mut browsers = Vec::new();
        for n in (first..BROWSERS).step_by(2) {
            browsers.push(SignInPage::open(bench, client, &user(n)).await.sign_in(bench).await);
        }
        browsers
    };
    let (one, other) = tokio::join!(half(0), half(1));
    [one, other].concat()
}

/// The name of one of the users.
fn user(n: usize) -> String {
    format!("user{}", n % USERS)
}

/// Requests that are to be sent, and the codes that came of others.
struct Codes {
    wanted: Vec<Vec<u8>>,
    found: Vec<String>,
}

/// Asks for so many codes, for one browser after the other.
async fn codes(bench: &Bench<'_>, client: &Client, browsers: &[String], count: usize) -> Vec<String> {
    let wanted: Vec<_> = browsers.iter().cycle().take(count).map(|cookies| client.authorize(cookies)).collect();
    let codes = Arc::new(Mutex::new(Codes { wanted, found: Vec::new() }));
    let next = |codes: &mut Arc<Mutex<Codes>>, answer: Option<&Answer>| {
        let mut codes = codes.lock().unwrap();
        codes.found.extend(answer.and_then(code));
        codes.wanted.pop().unwrap_or_default()
    };
    closed_loop(bench.server.port, vec![Arc::clone(&codes); CONNECTIONS], Duration::from_secs(60), next).await;
    std::mem::take(&mut codes.lock().unwrap().found)
}

/// Gets tokens for each of so many browsers.
async fn tokens(bench: &Bench<'_>, client: &Client, browsers: &[String], count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for cookies in browsers.iter().cycle().take(count) {
        let mut connection = Connection::open(bench.server.port).await;
        let code = code(&connection.send(&client.authorize(cookies)).await).unwrap();
        let answer = connection.send(&client.exchange(&code)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        tokens.push(answer.body);
    }
    tokens
}

/// Refreshes on so many connections, each with a family of its own.
async fn refresh(bench: &Bench<'_>, name: &str, client: &Client, tokens: Vec<String>) -> Option<Cost> {
    let client = client.clone();
    let chains: Vec<_> = tokens.iter().map(|body| Arc::new(Mutex::new(field(body, "refresh_token")))).collect();
    bench
        .measure_as(
            Unit::Post,
            name,
            chains,
            async || {},
            move |chain, answer| {
                let mut token = chain.lock().unwrap();
                if let Some(answer) = answer {
                    *token = field(&answer.body, "refresh_token");
                }
                client.refresh(&token)
            },
        )
        .await
}

/// Exchanges codes that were made just before each turn, for an application of its own: so few that no session comes to
/// the number of families from which on the oldest ends.
async fn exchange(
    bench: &Bench<'_>,
    name: &str,
    tenant: TenantId,
    algorithm: &str,
    browsers: &[String],
) -> Option<Cost> {
    let client = Client::web(bench, tenant, algorithm).await;
    let waiting = Arc::new(Mutex::new(Vec::<String>::new()));
    let (asking, states) = (client.clone(), vec![Arc::clone(&waiting); CONNECTIONS]);
    let prepare = async || {
        let codes = codes(bench, &client, browsers, browsers.len() * 10 / 6).await;
        *waiting.lock().unwrap() = codes;
    };
    let next = move |waiting: &mut Arc<Mutex<Vec<String>>>, answer: Option<&Answer>| {
        let failed = answer.filter(|answer| answer.status != 200);
        assert!(failed.is_none(), "{}", failed.map_or("", |answer| &answer.body));
        waiting.lock().unwrap().pop().map(|code| asking.exchange(&code)).unwrap_or_default()
    };
    bench.measure_as(Unit::Post, name, states, prepare, next).await
}

/// What is asked over and over, and changes nothing.
async fn reads(bench: &Bench<'_>, client: &Client, access: &str) {
    for (name, below) in
        [("oauth: metadata (2)", "/.well-known/openid-configuration"), ("oauth: keys (2)", "/.well-known/jwks.json")]
    {
        let read = request("GET", &path(below), None, "", "");
        bench.measure(name, vec![(); CONNECTIONS], move |(), _| read.clone()).await;
    }
    let user_info = get(&path("/oauth/userinfo"), access);
    bench.measure("oauth: userinfo (3)", vec![(); CONNECTIONS], move |(), _| user_info.clone()).await;
    let introspect = client.post("introspect", &[("token", access)]);
    let answer = bench.call(&introspect).await;
    assert!(answer.body.contains("\"active\":true"), "{}", answer.body);
    let states = vec![(); CONNECTIONS];
    bench
        .measure_as(Unit::Post, "oauth: introspection (8)", states, async || {}, move |(), _| introspect.clone())
        .await;
}

/// What begins something.
async fn starts(bench: &Bench<'_>, client: &Client, service: &Client, browsers: &[String]) {
    let states = vec![(); CONNECTIONS];
    let own = service.post("token", &[("grant_type", "client_credentials")]);
    let name = "oauth: client_credentials, ES256 (25)";
    bench.measure_as(Unit::Post, name, states.clone(), async || {}, move |(), _| own.clone()).await;
    let parameters = client.request();
    let fields: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let push = client.post("par", &fields);
    let name = "oauth: pushed request (20)";
    // Nobody brings them: there are never as many as an application may have waiting.
    let forget = async || forget_pushed(&bench.db).await.unwrap();
    bench.measure_as(Unit::Post, name, states, forget, move |(), _| push.clone()).await;
    let requests: Vec<_> = browsers.iter().take(CONNECTIONS).map(|cookies| client.authorize(cookies)).collect();
    let name = "oauth: authorize from a session (40)";
    bench
        .measure_as(
            Unit::Post,
            name,
            requests,
            async || {},
            |request, answer| {
                assert!(answer.is_none_or(|answer| code(answer).is_some()));
                request.clone()
            },
        )
        .await;
}

/// Runs everything at a tenant's issuer.
pub async fn run(bench: &mut Bench<'_>, fresh: &Fresh, folder: &std::path::Path) {
    let tenant = bench.tenant(SLUG, 0).await;
    let wiki = Client::web(bench, tenant, "ES256").await;
    let old = Client::web(bench, tenant, "RS256").await;
    let service = r#"{"name":"Report","application_type":"SERVICE","allowed_scopes":["admin:read"]}"#;
    let service = register(bench, tenant, service).await;
    let browsers = browsers(bench, &wiki).await;
    let first = tokens(bench, &wiki, &browsers, CONNECTIONS).await;
    reads(bench, &wiki, &field(&first[0], "access_token")).await;
    starts(bench, &wiki, &service, &browsers).await;

    let before = measure_rsa(TURN);
    let ours = refresh(bench, "oauth: refresh, ID token ES256 (30)", &wiki, first).await;
    let exchanged = exchange(bench, "oauth: code exchange, ID token ES256 (45)", tenant, "ES256", &browsers).await;
    let others = tokens(bench, &old, &browsers, CONNECTIONS).await;
    let refreshed = refresh(bench, "oauth: refresh, ID token RS256", &old, others).await;
    let other = exchange(bench, "oauth: code exchange, ID token RS256", tenant, "RS256", &browsers).await;
    let rsa = f64::midpoint(before, measure_rsa(TURN));
    for (name, with, without) in [("refresh", refreshed, ours), ("code exchange", other, exchanged)] {
        let (Some(with), Some(without)) = (with, without) else { continue };
        let more = (with.micros - without.micros) / rsa;
        println!(
            "  oauth: {name}, RS256 instead of ES256: {more:.2} × a signature with RSA-2048 of {rsa:.0} µs more (1.1)"
        );
    }
    let many = tokens(bench, &wiki, &browsers, 64).await;
    refresh(bench, "oauth: refresh at 64 (p99 60 ms)", &wiki, many).await;
    if bench.wanted("oauth: sign-in by page") {
        let mut pages = Vec::new();
        for n in 0..USERS {
            pages.push(SignInPage::open(bench, &wiki, &user(n)).await.post);
        }
        let pages = Arc::new((pages, AtomicUsize::new(0)));
        let next = |pages: &mut Arc<(Vec<Vec<u8>>, AtomicUsize)>, _: Option<&Answer>| {
            pages.0[pages.1.fetch_add(1, Ordering::Relaxed) % USERS].clone()
        };
        beside_hash(bench, "oauth: sign-in by page (1.1)", vec![pages; 8], next).await;
    }
    peer::run(bench).await;
    if bench.wanted("oauth: clean-up") {
        clean_up::run(bench, fresh, folder, tenant, &browsers).await;
    }
    if bench.wanted("oauth: large") {
        large::run(bench, fresh, folder, tenant, &browsers).await;
    }
}

/// The value of a field, if the answer has it.
fn number(body: &str, name: &str) -> Option<u64> {
    body.split(&format!("\"{name}\":")).nth(1)?.split([',', '}']).next()?.parse().ok()
}
