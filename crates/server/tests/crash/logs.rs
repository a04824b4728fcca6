//! What the program writes while strangers send what they like: one JSON object a line, and nobody's secrets.

use std::collections::BTreeSet;

use gatehouse_persistence::testing::Engine;
use serde_json::{Value, json};

use crate::{
    client::{Client, Reply, bearer, get, json, login, request, with_refresh_token},
    process::{PASSWORD, PATIENCE, Place},
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
