//! The same grants at the npm package `oidc-provider`, where it is installed: the folder that it is in is named by
//! `NODE_PATH`. It keeps everything in memory and has no trail, which flatters it.

use std::sync::{Arc, Mutex};

use super::{CALLBACK, CONNECTIONS, VERIFIER};
use crate::{
    client::{field, get, post_form, request},
    process::Process,
    raw::Unit,
    scenarios::Bench,
};

const OWN: [(&str, &str); 2] = [("client_id", "wiki"), ("client_secret", "a-secret-of-the-benchmark")];

fn post(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    post_form(path, "", &[&OWN, fields].concat())
}

/// What the pages would have led to.
async fn made(bench: &Bench<'_>, what: &str, count: usize) -> Vec<String> {
    let answer = bench.call(&request("GET", &format!("/made/{what}/{count}"), None, "", "")).await;
    answer.body.split(' ').map(str::to_owned).collect()
}

/// Measures it in the place of the server.
pub async fn run(bench: &mut Bench<'_>) {
    if !bench.wanted("oauth: peer") {
        return;
    }
    let Some(peer) = Process::node("oauth/peer.mjs") else {
        println!("  oauth: peer: the npm package oidc-provider is not installed");
        return;
    };
    let ours = std::mem::replace(&mut bench.server, peer);
    measure(bench).await;
    bench.server = ours;
}

async fn measure(bench: &Bench<'_>) {
    let access = made(bench, "access", 1).await.remove(0);
    for (name, read) in [
        ("oauth: peer: metadata", request("GET", "/.well-known/openid-configuration", None, "", "")),
        ("oauth: peer: keys", request("GET", "/jwks", None, "", "")),
        ("oauth: peer: userinfo", get("/me", &access)),
    ] {
        bench.measure(name, vec![(); CONNECTIONS], move |(), _| read.clone()).await;
    }
    let resource = [("grant_type", "client_credentials"), ("resource", "https://api.example"), ("scope", "read")];
    let push = [
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    for (name, call) in [
        ("oauth: peer: introspection", post("/token/introspection", &[("token", &access)])),
        ("oauth: peer: client_credentials, ES256", post("/token", &resource)),
        ("oauth: peer: pushed request", post("/request", &push)),
    ] {
        let states = vec![(); CONNECTIONS];
        bench.measure_as(Unit::Post, name, states, async || {}, move |(), _| call.clone()).await;
    }
    for (name, connections) in
        [("oauth: peer: refresh, ID token ES256", CONNECTIONS), ("oauth: peer: refresh at 64", 64)]
    {
        let tokens = made(bench, "refresh", connections).await;
        let chains = tokens.into_iter().map(|token| Arc::new(Mutex::new(token))).collect();
        let next = |chain: &mut Arc<Mutex<String>>, answer: Option<&crate::client::Answer>| {
            let mut token = chain.lock().unwrap();
            if let Some(answer) = answer {
                *token = field(&answer.body, "refresh_token");
            }
            post("/token", &[("grant_type", "refresh_token"), ("refresh_token", &token)])
        };
        bench.measure_as(Unit::Post, name, chains, async || {}, next).await;
    }
    let codes = Arc::new(Mutex::new(Vec::new()));
    let prepare = async || {
        let more = made(bench, "code", 1_000).await;
        *codes.lock().unwrap() = more;
    };
    let states = vec![Arc::clone(&codes); CONNECTIONS];
    let next = |codes: &mut Arc<Mutex<Vec<String>>>, _: Option<&crate::client::Answer>| {
        let exchange = |code: String| {
            let fields = [("code", code.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
            post("/token", &[&[("grant_type", "authorization_code")], &fields[..]].concat())
        };
        codes.lock().unwrap().pop().map(exchange).unwrap_or_default()
    };
    bench.measure_as(Unit::Post, "oauth: peer: code exchange, ID token ES256", states, prepare, next).await;
}
