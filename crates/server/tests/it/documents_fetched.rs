//! What is fetched because a stranger named it: as little as can be, and nothing of what only the server reaches.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Browser, api_tests,
    documents::{JSON, Strangers},
    oauth::{App, code},
};

/// A document that could be used, but for what is changed.
const GOOD: &str = "application/json";

/// Documents and answers that describe no program, each with what is wrong with it.
fn bad(strangers: &Strangers) -> Vec<(&'static str, String, String, String)> {
    let path = "/bad.json";
    let good = strangers.document(path, &json!({}));
    let json_of = |more: Value| strangers.document(path, &more).to_string();
    let without = |name: &str| {
        let mut document = good.clone();
        document.as_object_mut().unwrap().remove(name);
        document.to_string()
    };
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "x"});
    let bodies = [
        ("nothing", String::new()),
        ("no JSON", "<html>".to_owned()),
        ("a list", format!("[{good}]")),
        ("two objects", format!("{good}{good}")),
        ("half an object", good.to_string().replace('}', "")),
        ("a mark of byte order", format!("\u{feff}{good}")),
        ("more than 8 KiB", format!("{good}{}", " ".repeat(8_192))),
        ("client_id twice", good.to_string().replacen('{', "{\"client_id\": \"https://bank.example/\",", 1)),
        ("no client_id", without("client_id")),
        ("client_id of another", json_of(json!({"client_id": "https://bank.example/client.json"}))),
        (
            "client_id in other letters",
            json_of(json!({"client_id": good["client_id"].as_str().unwrap().replace("bad", "BAD")})),
        ),
        ("no client_name", without("client_name")),
        ("an empty client_name", json_of(json!({"client_name": ""}))),
        ("a client_name of lines", json_of(json!({"client_name": "Tool\nBank"}))),
        ("no redirect_uris", without("redirect_uris")),
        ("empty redirect_uris", json_of(json!({"redirect_uris": []}))),
        ("redirect_uris that are text", json_of(json!({"redirect_uris": "http://localhost/callback"}))),
        (
            "a redirect URI over http",
            json_of(json!({"redirect_uris": ["http://localhost/callback", "http://tool.example/"]})),
        ),
        ("a redirect URI that is a script", json_of(json!({"redirect_uris": ["javascript:alert(1)"]}))),
        ("a redirect URI with a wildcard", json_of(json!({"redirect_uris": ["https://*.tool.example/"]}))),
        ("a secret", json_of(json!({"client_secret": "s3cret"}))),
        ("the end of a secret", json_of(json!({"client_secret_expires_at": 0}))),
        ("a method of secrets", json_of(json!({"token_endpoint_auth_method": "client_secret_post"}))),
        ("signatures without keys", json_of(json!({"token_endpoint_auth_method": "private_key_jwt"}))),
        ("a private key", json_of(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}}))),
        (
            "keys over http",
            json_of(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://tool.example/keys"})),
        ),
        ("grants without codes", json_of(json!({"grant_types": ["implicit"]}))),
        ("answers without codes", json_of(json!({"response_types": ["token"]}))),
    ];
    let mut all: Vec<_> = bodies
        .into_iter()
        .map(|(what, body)| (what, "200 OK".to_owned(), format!("Content-Type: {GOOD}"), body))
        .collect();
    for (what, status, headers) in [
        ("another kind of file", "200 OK", "Content-Type: text/plain"),
        ("no kind of file", "200 OK", "X-None: 1"),
        ("another success", "203 Non-Authoritative Information", JSON),
        ("not found", "404 Not Found", JSON),
        ("a failure", "500 Internal Server Error", JSON),
    ] {
        all.push((what, status.to_owned(), headers.to_owned(), good.to_string()));
    }
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("{JSON}\r\nLocation: {}/elsewhere.json", strangers.shelf.at);
        all.push(("a redirect", status.to_owned(), to, good.to_string()));
    }
    all
}

async fn visit(strangers: &Strangers, app: &App) -> u16 {
    Browser::new(&strangers.site.world).get(&strangers.site.request(app, &[])).await.status
}

api_tests! {
    async fn document_that_is_not_as_it_has_to_be_describes_no_program(world) {
        let strangers = Strangers::new(&world, "any").await;
        let app = strangers.program_at("/bad.json", &json!({}));
        strangers.shelf.answers("/elsewhere.json", "200 OK", JSON, &strangers.document("/elsewhere.json", &json!({})).to_string());
        let all = bad(&strangers);
        assert!(all.len() >= 30);
        for (number, (what, status, headers, body)) in all.into_iter().enumerate() {
            strangers.shelf.answers("/bad.json", &status, &headers, &body);
            assert_eq!(visit(&strangers, &app).await, 400, "{what}");
            assert_eq!(strangers.shelf.asked(), number + 1, "{what}: fetched once, no redirect followed");
            world.clock.advance(Duration::from_secs(10));
        }
        assert_eq!(strangers.applications().await.len(), 0);
        strangers.program_at("/bad.json", &json!({}));
        assert_eq!(visit(&strangers, &app).await, 200);
    }

    async fn address_that_is_none_of_a_document_is_not_called(world) {
        let strangers = Strangers::new(&world, "any").await;
        let good = strangers.program();
        let (at, host) = (&strangers.shelf.at, strangers.shelf.at.strip_prefix("https://").unwrap());
        for id in [
            at.clone(), format!("{at}/"), format!("{at}/a/../tool.json"), format!("{at}/./tool.json"), format!("{at}/%2e%2e/tool.json"),
            format!("{at}/tool.json?x"), format!("{at}/tool.json?"), format!("{at}/tool.json#x"), format!("https://u@{host}/tool.json"),
            format!("https://@{host}/tool.json"), format!("HTTPS://{host}/tool.json"), format!("https:{host}/tool.json"), format!("{at}\\tool.json"),
            format!("{at}/{}", "x".repeat(512)), format!("{at}/tool json"), host.to_owned(), format!("ftp://{host}/tool.json"),
            format!("file:///{host}/tool.json"), at.replace("127.0.0.1", "2130706433") + "/tool.json", at.replace("127.0.0.1", "127.1") + "/tool.json",
            at.replace("127.0.0.1", "0x7f000001") + "/tool.json", at.replace("127.0.0.1", "0177.0.0.1") + "/tool.json",
        ] {
            assert_eq!(visit(&strangers, &App { id: id.clone(), ..good.clone() }).await, 400, "{id}");
        }
        assert_eq!(strangers.shelf.connections(), 0);
    }

    async fn nothing_is_fetched_where_the_tenant_takes_no_documents(world) {
        let strangers = Strangers::new(&world, "off").await;
        let app = strangers.program();
        for taken in ["off", "registered"] {
            strangers.site.world.settings(&strangers.site.tenant, json!({"client_id_metadata_documents": taken})).await;
            assert_eq!(visit(&strangers, &app).await, 400);
            let fields = [("client_id", app.id.as_str()), ("grant_type", "authorization_code"), ("code", "x")];
            for endpoint in ["token", "par", "revoke", "introspect", "device_authorization"] {
                strangers.site.world.post(&format!("/auth/tenants/acme/oauth/{endpoint}")).form(&fields).send().await.expect(401);
            }
            let path = format!("{}/oauth/logout?client_id={}", strangers.site.issuer_path(), app.id);
            Browser::new(&strangers.site.world).get(&path).await.expect(200);
        }
        assert_eq!(strangers.shelf.connections(), 0);
    }

    async fn private_addresses_are_not_called(world) {
        let strangers = Strangers::behind(&world, "any", "10.11.12.13/32").await;
        let good = strangers.program();
        let port = strangers.shelf.at.rsplit(':').next().unwrap();
        for host in [
            "127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "169.254.169.254", "[fd00::1]", "[fe80::1]",
            "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.2", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        ] {
            for scheme in ["https", "http"] {
                let id = format!("{scheme}://{host}:{port}/tool.json");
                assert_eq!(visit(&strangers, &App { id: id.clone(), ..good.clone() }).await, 400, "{id}");
            }
            world.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(strangers.shelf.connections(), 0);
    }

    async fn document_over_http_is_taken_nowhere_not_even_where_private_addresses_may_be_called(world) {
        let strangers = Strangers::new(&world, "any").await;
        let good = strangers.program();
        let plain = App { id: good.id.replace("https:", "http:"), ..good.clone() };
        assert_eq!(visit(&strangers, &plain).await, 400);
        strangers.add(&plain, &json!({})).await.expect(422);
        assert_eq!(strangers.shelf.connections(), 0);
    }

    async fn document_counts_for_as_long_as_it_says_and_a_failure_for_no_time(world) {
        let strangers = Strangers::new(&world, "any").await;
        let app = strangers.program();
        strangers.shelf.has_nothing();
        for _ in 0..2 {
            assert_eq!(visit(&strangers, &app).await, 400);
        }
        assert_eq!(strangers.shelf.asked(), 2);
        let document = strangers.document("/tool.json", &json!({})).to_string();
        strangers.shelf.answers("/tool.json", "200 OK", &format!("{JSON}\r\nCache-Control: public, max-age=3600"), &document);
        assert_eq!(visit(&strangers, &app).await, 200);
        world.clock.advance(Duration::from_secs(3_599));
        assert_eq!((visit(&strangers, &app).await, strangers.shelf.asked()), (200, 3));
        world.clock.advance(Duration::from_secs(1));
        assert_eq!((visit(&strangers, &app).await, strangers.shelf.asked()), (200, 4));
    }

    async fn whoever_comes_at_the_same_time_waits_for_the_same_document(world) {
        let strangers = Strangers::new(&world, "any").await;
        let app = strangers.program();
        strangers.shelf.takes(Duration::from_millis(200));
        let answers = join_all((0..16).map(|_| visit(&strangers, &app))).await;
        assert_eq!((answers, strangers.shelf.asked()), (vec![200; 16], 1));
        strangers.shelf.has_nothing();
        world.clock.advance(Duration::from_secs(300));
        let answers = join_all((0..16).map(|_| visit(&strangers, &app))).await;
        assert_eq!((answers, strangers.shelf.asked()), (vec![400; 16], 2), "nobody waits for one failure after the other");
    }

    async fn thirty_documents_are_fetched_for_a_tenant_in_a_minute(world) {
        let strangers = Strangers::new(&world, "any").await;
        let known = strangers.program();
        code(&strangers.allowed(&Browser::new(&strangers.site.world), &known, &[]).await);
        for number in 0..29 {
            assert_eq!(visit(&strangers, &strangers.program_at(&format!("/{number}.json"), &json!({}))).await, 200);
        }
        let one_more = strangers.program_at("/more.json", &json!({}));
        assert_eq!((visit(&strangers, &one_more).await, strangers.shelf.asked()), (429, 30));
        assert_eq!(visit(&strangers, &known).await, 200, "what is there counts");
        let other = strangers.site.world.tenant_with("other", json!({"client_id_metadata_documents": "any"})).await;
        let path = strangers.site.request(&one_more, &[]).replace("/acme/", &format!("/{}/", other.slug));
        Browser::new(&strangers.site.world).get(&path).await.expect(200);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(visit(&strangers, &one_more).await, 200);
    }

    async fn document_that_takes_too_long_is_none(world) {
        let strangers = Strangers::new(&world, "any").await;
        let app = strangers.program();
        strangers.shelf.takes(Duration::from_secs(2));
        assert_eq!(visit(&strangers, &app).await, 400);
    }
}
