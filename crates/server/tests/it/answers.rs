//! How large an answer can be: what it repeats of its caller is cut, and what is neither a list nor a file is at most
//! 64 KiB, whatever was sent.

use actix_web::http::Method;
use gatehouse_persistence::testing::Engine;
use gatehouse_server::http::openapi;
use serde_json::Value;

use crate::harness::{Answer, MOST, World};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=b";

/// An operation of the committed document, with something in the place of each parameter.
struct Operation {
    method: Method,
    path: String,
    takes_body: bool,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(openapi::COMMITTED).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.trim_start_matches("/api/v1").replace("{tenant_slug}", "default").replace(['{', '}'], "");
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            all.push(Operation { method, path: path.clone(), takes_body: operation["requestBody"].is_object() });
        }
    }
    all
}

/// As many repetitions as fit into a body, between a beginning and an end.
fn filled(begin: &str, repeated: &str, end: &str) -> String {
    format!("{begin}{}{end}", repeated.repeat((MOST - begin.len() - end.len()) / repeated.len()))
}

/// Bodies whose faults have long places, are many, or both.
fn hostile() -> Vec<(&'static str, String)> {
    let (quarter, half) = (MOST / 4, MOST / 2);
    let mut bodies = Vec::new();
    for letter in ["k", "\u{1f600}", "\\u0001"] {
        let key = letter.repeat(half / letter.len());
        bodies.push((JSON, filled(&format!("{{\"{key}\":{{\"a\":1"), ",\"a\":1", "}}")));
        let key = letter.repeat(400 / letter.len());
        let deep = format!("{{\"{key}\":").repeat(60);
        bodies.push((JSON, filled(&format!("{deep}{{\"a\":1"), ",\"a\":1", &"}".repeat(61))));
        let field = format!("\"{}", letter.repeat(quarter / 32 / letter.len()));
        let fields: Vec<_> = (0..96).map(|n| format!("{field}{n}\":1")).collect();
        bodies.push((JSON, format!("{{{}}}", fields.join(","))));
    }
    bodies.push((JSON, filled("{\"a\":1", ",\"a\":1", "}")));
    bodies.push((JSON, filled("{", &"[".repeat(8), "")));
    bodies.push((JSON, format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100))));
    bodies.push((JSON, format!("{{{}}}", (0..5_000).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","))));
    bodies.push((JSON, filled("{\"session_ids\":[1", ",1", "],\"permissions\":[1,2]}")));
    bodies.push((JSON, format!("\"{}\"", "x".repeat(MOST - 2))));
    bodies.push((FORM, filled("", "%01", "=1")));
    let fields = |n: usize| format!("{}{n}=1", "k".repeat(2_000));
    bodies.push((FORM, (0..32).map(fields).collect::<Vec<_>>().join("&")));
    bodies.push((FORM, format!("username={}&password={}", "u".repeat(half - 20), "p".repeat(half - 20))));
    let part =
        |n: usize| format!("--b\r\nContent-Disposition: form-data; name=\"{}{n}\"\r\n\r\n1\r\n", "k".repeat(1_900));
    bodies.push((MULTIPART, format!("{}--b--\r\n", (0..32).map(part).collect::<String>())));
    bodies
}

/// What a query cannot be any longer without being refused by the server's reader of heads.
fn queries() -> Vec<String> {
    let wide: Vec<_> = (0..2_000).map(|n| format!("q{n}=1")).collect();
    vec![filled("", "k", "=1")[MOST / 2..].to_owned(), wide.join("&"), "per_page=0&".repeat(1_000), "%01".repeat(8_000)]
}

#[track_caller]
fn assert_bounded(answer: &Answer, what: &str) {
    assert!(answer.text.len() <= MOST, "{what}: {} bytes", answer.text.len());
    let headers: usize = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(headers <= 8 * 1024, "{what}: {headers} bytes of headers");
    if answer.status != 422 {
        return;
    }
    let json = answer.json();
    let faults = json["detail"].as_array().unwrap();
    assert!((1..=50).contains(&faults.len()), "{what}: {} faults", faults.len());
    for fault in faults {
        assert!(fault["msg"].as_str().unwrap().chars().count() <= 256, "{what}: {fault}");
        for step in fault["loc"].as_array().unwrap() {
            assert!(step.as_str().is_none_or(|step| step.chars().count() <= 128), "{what}: {step}");
        }
    }
}

#[actix_web::test]
async fn no_answer_to_a_stranger_repeats_more_than_it_may() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    for operation in operations() {
        let what = format!("{} {}", operation.method, operation.path);
        for (media_type, body) in hostile() {
            assert!(body.len() <= MOST, "{} {media_type}", body.len());
            let call = world.call(operation.method.clone(), &operation.path).body(media_type, body.as_str());
            assert_bounded(&call.send().await, &what);
        }
        for query in queries() {
            let path = format!("{}?{query}", operation.path);
            assert_bounded(&world.call(operation.method.clone(), &path).send().await, &what);
        }
    }
}

#[actix_web::test]
async fn no_answer_to_a_hostile_body_repeats_more_than_it_may() {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let admin = world.admin().await;
    for operation in operations().into_iter().filter(|operation| operation.takes_body) {
        let what = format!("{} {}", operation.method, operation.path);
        for (media_type, body) in hostile() {
            let call = world.call(operation.method.clone(), &operation.path).bearer(&admin);
            assert_bounded(&call.body(media_type, body.as_str()).send().await, &what);
        }
    }
}
