//! What the program writes while strangers send what they like: one JSON object a line, and nobody's secrets.

use std::collections::BTreeSet;

use gatehouse_persistence::testing::Engine;
use serde_json::{Value, json};

use crate::{
    client::{Client, Reply, bearer, get, json, login, request, with_refresh_token},
    process::{PASSWORD, PATIENCE, Place, Server},
};

const HOSTILE: &[&str] = &[
    "\\r\\n{\"level\":\"ERROR\"}",
    "\u{1b}[2J\u{1b}[31mred",
    "a\u{2028}b\u{2029}c",
    "\u{0085}",
    "%0d%0a%1b[0m",
    "\"}\\",
    "🦀",
];

/// Everything that must not be found in the log.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn of(&mut self, reply: &Reply) {
        for pointer in ["/access_token", "/refresh_token"] {
            let token = reply.text(pointer);
            if !token.is_empty() {
                // The part that makes it a credential: the signature, or the random bits.
                self.0.insert(token[token.len() - 30..].to_owned());
            }
        }
    }
}

#[tokio::test]
async fn log_is_one_json_object_a_line_without_secrets_whatever_is_sent() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::new(engine) else { continue };
        let mut server = place.start();
        let (mut client, mut secrets, mut requests) = (Client::new(server.port), Secrets::default(), 0);
        let signed = client.send(&login("default", "root")).await.unwrap();
        secrets.of(&signed);
        let next =
            client.send(&with_refresh_token("default", "refresh", &signed.text("/refresh_token"))).await.unwrap();
        secrets.of(&next);
        let me = client.send(&get("/me", &signed.text("/access_token"))).await.unwrap();
        requests += 3;
        for hostile in HOSTILE {
            // Raw in a header, as far as HTTP lets it through; a real CR or LF ends the header, so nothing can be in it.
            let agent = format!("User-Agent: {hostile}\r\nX-Request-Id: {hostile}\r\nX-Forwarded-For: {hostile}\r\n");
            let form = "Content-Type: application/x-www-form-urlencoded\r\n";
            let escaped: String = hostile.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let body = format!("username={escaped}%0D%0A%1B%5B31m&password=secret-{escaped}");
            let email = json!({"username": hostile, "email": format!("{hostile}@leak.example"), "password": PASSWORD});
            for request in [
                request("POST", "/api/v1/auth/tenants/default/login", &format!("{agent}{form}"), &body),
                request("GET", &format!("/api/v1/{escaped}"), &agent, ""),
                request(
                    "GET",
                    &format!("/api/v1/tenants/{escaped}/sessions?q={escaped}"),
                    &bearer("forged.token.here"),
                    "",
                ),
                json("POST", "/auth/tenants/default/register", hostile, &email),
                json("PATCH", "/me", &signed.text("/access_token"), &json!({"display_name": hostile})),
            ] {
                // A header that is not one of HTTP is refused before there is a request.
                match client.send(&request).await {
                    Ok(reply) => assert!(reply.status < 500, "{}", reply.body),
                    Err(_) => requests -= 1,
                }
                requests += 1;
            }
        }
        server.terminate();
        assert_eq!(server.end(PATIENCE).code(), Some(0));
        let text = std::fs::read_to_string(&server.log).unwrap();
        let mut events = Vec::new();
        for line in text.lines() {
            assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{line:?}");
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| unreachable!("{error}: {line}"));
            assert!(event.is_object() && event["timestamp"].is_string() && event["level"].is_string(), "{line}");
            events.push(event);
        }
        let seen: Vec<_> = events.iter().filter(|event| event["message"] == "request").collect();
        // What the connection refused by itself has no line; everything else has one.
        assert!(seen.len() >= requests - HOSTILE.len() * 5 && seen.len() >= 20, "{} lines of {requests}", seen.len());
        assert!(seen.iter().all(|event| event["request_id"].as_str().is_some_and(|id| !id.is_empty())));
        let mine = seen.iter().find(|event| event["route"] == "/api/v1/me" && event["status"] == 200).unwrap();
        assert_eq!(mine["user_id"], me.json()["data"]["id"]);
        assert_eq!(mine["tenant_id"], me.json()["data"]["tenant_id"]);
        let lower = text.to_lowercase();
        for secret in secrets.0.iter().map(String::as_str).chain([
            PASSWORD,
            "otter",
            "secret-",
            "leak.example",
            "root@example.com",
            "forged.token",
        ]) {
            assert!(!lower.contains(&secret.to_lowercase()), "the log has {secret}");
        }
    }
}

#[tokio::test]
async fn health_checks_that_find_nothing_wrong_are_no_lines_of_the_log() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut server = place.start();
    let mut client = Client::new(server.port);
    for path in ["/healthz", "/readyz", "/invitation", "/api/v1/me"] {
        client.send(&request("GET", path, "", "")).await.unwrap();
    }
    server.terminate();
    assert!(server.end(PATIENCE).success());
    let log = std::fs::read_to_string(&server.log).unwrap();
    let routes: Vec<_> = log.lines().filter_map(|line| line.split("\"route\":\"").nth(1)?.split('"').next()).collect();
    assert_eq!(routes, ["/api/v1/me"], "{log}");
}

/// The lines of a log about a route.
fn lines_about(log: &std::path::Path, route: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["route"] == route).collect()
}

const LOGIN: &str = "/api/v1/auth/tenants/{tenant_slug}/login";

#[tokio::test]
async fn log_says_who_signed_in_from_where_and_in_which_trace() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut server = place.start();
    let mut client = Client::new(server.port);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers =
        format!("Content-Type: application/x-www-form-urlencoded\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    let form = format!("username=root&password={}", PASSWORD.replace(' ', "+"));
    let signed = client.send(&request("POST", "/api/v1/auth/tenants/default/login", &headers, &form)).await.unwrap();
    let me = client.send(&get("/me", &signed.text("/access_token"))).await.unwrap();
    server.terminate();
    assert!(server.end(PATIENCE).success());
    let [line] = lines_about(&server.log, LOGIN).try_into().unwrap();
    assert_eq!((&line["user_id"], &line["client"]), (&me.json()["data"]["id"], &json!("127.0.0.1")), "{line}");
    assert_eq!((&line["trace_id"], &line["status"]), (&json!(trace), &json!(200)), "{line}");
}

#[tokio::test]
async fn log_has_a_digest_where_addresses_are_not_to_be_known() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut command = place.command();
    command.env("GATEHOUSE_LOG_ADDRESSES", "false");
    let mut server = Server::start(command, place.port, place.folder.join("log"));
    let mut client = Client::new(server.port);
    for _ in 0..2 {
        client.send(&login("default", "nobody")).await.unwrap();
    }
    server.terminate();
    assert!(server.end(PATIENCE).success());
    let [first, second] = lines_about(&server.log, LOGIN).try_into().unwrap();
    let digest = first["client"].as_str().unwrap();
    assert!(digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(first["client"], second["client"]);
    assert!(!std::fs::read_to_string(&server.log).unwrap().contains("\"127.0.0.1\""));
}

#[tokio::test]
async fn figures_are_there_from_the_start_and_count_what_happens() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut command = place.command();
    command.env("GATEHOUSE_METRICS_BIND", format!("127.0.0.1:{}", place.port_beside));
    let mut server = Server::start(command, place.port, place.folder.join("log"));
    let (mut client, mut scraper) = (Client::new(server.port), Client::new(place.port_beside));
    let mut scrape = async || scraper.send(&request("GET", "/metrics", "", "")).await.unwrap().body;
    let before = scrape().await;
    for zero in [
        "gatehouse_sign_ins_total{result=\"throttled\"} 0",
        "gatehouse_refreshes_total{result=\"refused\"} 0",
        "gatehouse_alarms_total{alarm=\"token_reuse\"} 0",
        "gatehouse_throttled_requests_total{limit=\"user\"} 0",
        "gatehouse_mails_total{result=\"given_up\"} 0",
        "gatehouse_logout_deliveries_total{result=\"given_up\"} 0",
        "gatehouse_logout_deliveries_waiting 0",
        "gatehouse_connections_dropped_total{reason=\"address\"} 0",
        "gatehouse_jobs_waiting{kind=\"mail\"} 0",
        "gatehouse_database_connections{state=\"most\"} 4",
    ] {
        assert!(before.contains(zero), "{zero}: {before}");
    }
    let names = before.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in names {
        assert!(before.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    let signed = client.send(&login("default", "root")).await.unwrap();
    client.send(&login("default", "nobody")).await.unwrap();
    let first = signed.text("/refresh_token");
    let mut last = first.clone();
    for _ in 0..2 {
        last = client.send(&with_refresh_token("default", "refresh", &last)).await.unwrap().text("/refresh_token");
    }
    client.send(&with_refresh_token("default", "refresh", &first)).await.unwrap();
    let after = scrape().await;
    for counted in [
        "gatehouse_sign_ins_total{result=\"succeeded\"} 1",
        "gatehouse_sign_ins_total{result=\"refused\"} 1",
        "gatehouse_refreshes_total{result=\"succeeded\"} 2",
        "gatehouse_refreshes_total{result=\"refused\"} 1",
        "gatehouse_alarms_total{alarm=\"token_reuse\"} 1",
    ] {
        assert!(after.contains(counted), "{counted}: {after}");
    }
    server.terminate();
    assert!(server.end(PATIENCE).success());
    let log = std::fs::read_to_string(&server.log).unwrap();
    assert!(log.contains("a refresh token was used twice"), "{log}");
}
