//! What holds for every operation: forms of answers and errors, methods, media types, limits on bodies.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests};

async fn ada(world: &World) -> Signed {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    world.login(&ada).await
}

api_tests! {
    async fn problem_has_the_members_of_rfc_9457_and_the_request_id(world) {
        let answer = world.get("/me").header("x-request-id", "my-id_1.2").send().await.problem(401, "unauthenticated");
        let problem = answer.json();
        let mut keys: Vec<_> = problem.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["code", "detail", "instance", "request_id", "status", "title", "type"]);
        assert_eq!(problem["instance"], "urn:gatehouse:request:my-id_1.2");
        assert_eq!((&problem["status"], &problem["request_id"]), (&json!(401), &json!("my-id_1.2")));
        assert!(problem["detail"].is_string());
        assert_eq!(answer.header("x-request-id"), Some("my-id_1.2"));
        // The type leads to a page that explains it.
        let page = problem["type"].as_str().unwrap();
        let (path, anchor) = page.split_once('#').unwrap();
        let docs = world.get(&format!("/{path}")).send().await.expect(200);
        assert!(docs.text.contains(&format!("id=\"{anchor}\"")), "{page}");
    }

    async fn request_ids_do_not_tell_how_many_requests_there_were(world) {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let id = world.get("/me").send().await.header("x-request-id").unwrap().to_owned();
            // RFC 9562, section 5.4: version 4, and random in each half.
            assert!(id.len() == 32 && &id[12..13] == "4" && matches!(&id[16..17], "8" | "9" | "a" | "b"), "{id}");
            assert!(seen.insert(id[..12].to_owned()) && seen.insert(id[17..].to_owned()), "{id}");
        }
    }

    async fn request_id_of_another_alphabet_is_replaced(world) {
        for bad in ["", "a b", "a\u{e9}", "x;y", "<script>", &"a".repeat(129), "a\tb"] {
            let answer = world.get("/me").header("x-request-id", bad).send().await;
            let id = answer.header("x-request-id").unwrap();
            assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{bad}: {id}");
        }
        let longest = "a".repeat(128);
        assert_eq!(world.get("/me").header("x-request-id", &longest).send().await.header("x-request-id"), Some(&*longest));
    }

    async fn one_object_and_a_list_come_in_their_envelopes(world) {
        let ada = ada(&world).await;
        let one = world.get("/me").bearer(&ada).send().await.expect(200);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&one.json()), ["data", "meta"]);
        assert_eq!(keys(&one.json()["meta"]), ["etag", "request_id", "timestamp"]);
        let list = world.get("/me/sessions").bearer(&ada).send().await.expect(200);
        assert_eq!(keys(&list.json()), ["data", "meta", "pagination"]);
        assert_eq!(keys(&list.json()["pagination"]), ["next_cursor", "page", "per_page", "total_items", "total_pages"]);
        assert_eq!(list.header("content-type"), Some("application/json"));
        assert!(list.json()["meta"]["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    async fn trailing_slash_is_the_same_path_without_a_redirect(world) {
        let ada = ada(&world).await;
        for path in ["/me/", "/me/sessions/", "/me/sessions/?per_page=1"] {
            world.get(path).bearer(&ada).send().await.expect(200);
        }
        world.get("/me//").bearer(&ada).send().await.problem(404, "not_found");
        world.get("//api/v1//me").bearer(&ada).send().await.problem(404, "not_found");
    }

    async fn unknown_path_is_not_found_whoever_asks(world) {
        let ada = ada(&world).await;
        for path in ["/nothing", "/me/nothing", "/admin/nothing", "/../etc/passwd", "/me%2Fsessions", "/%6de"] {
            world.get(path).send().await.problem(404, "not_found");
            world.get(path).bearer(&ada).send().await.problem(404, "not_found");
        }
        world.get("//api/v2/me").send().await.problem(404, "not_found");
        world.get("//nothing.ico").send().await.problem(404, "not_found");
    }

    async fn wrong_method_names_the_right_ones(world) {
        for (method, path, allow) in [
            (Method::DELETE, "/me", "GET, PATCH, HEAD"), (Method::PUT, "/me", "GET, PATCH, HEAD"), (Method::TRACE, "/me", "GET, PATCH, HEAD"),
            (Method::GET, "/me/password", "POST"), (Method::GET, "/auth/tenants/acme/login", "POST"), (Method::OPTIONS, "/setup", "POST"),
        ] {
            let answer = world.call(method.clone(), path).send().await.problem(405, "method_not_allowed");
            let mut allowed: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
            let mut expected: Vec<_> = allow.split(", ").collect();
            allowed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{method} {path}");
        }
    }

    async fn head_answers_like_get(world) {
        let ada = ada(&world).await;
        let head = world.call(Method::HEAD, "/me").bearer(&ada).send().await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
        world.call(Method::HEAD, "/me").send().await.expect(401);
    }

    async fn body_of_another_type_is_unsupported(world) {
        let ada = ada(&world).await;
        for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonx", "json", ""] {
            let call = world.patch("/me").bearer(&ada).body(content_type, r#"{"display_name":"x"}"#);
            call.send().await.problem(415, "unsupported_media_type");
        }
        for content_type in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
            world.patch("/me").bearer(&ada).body(content_type, r#"{"display_name":"x"}"#).send().await.expect(200);
        }
        world.post("/auth/tenants/acme/login").body("text/plain", "username=ada").send().await.problem(415, "unsupported_media_type");
    }

    async fn malformed_json_is_a_fault_of_the_body(world) {
        let ada = ada(&world).await;
        let deep = format!("{}1{}", r#"{"display_name":"#.repeat(70), "}".repeat(70));
        let deeper = "[".repeat(30_000);
        let bodies: [&[u8]; 18] = [
            b"", b"{", b"}", b"nul", b"{\"display_name\":}", b"{\"display_name\":\"x\",}", b"{'display_name':'x'}", b"{\"display_name\":NaN}",
            b"{\"display_name\":\"\xff\"}", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{\"display_name\":\"\\ud800\"}", b"{} {}", b"[]", b"null",
            b"\"text\"", deep.as_bytes(), deeper.as_bytes(),
        ];
        for body in bodies {
            let answer = world.patch("/me").bearer(&ada).body("application/json", body).send().await;
            let text = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert!(answer.faults().iter().all(|fault| fault.starts_with("body")), "{text}");
        }
    }

    async fn key_that_is_there_twice_is_refused(world) {
        let ada = ada(&world).await;
        let body = r#"{"display_name":"one","display_name":"two"}"#;
        let faults = world.patch("/me").bearer(&ada).body("application/json", body).send().await.faults();
        assert_eq!(faults.len(), 1);
        assert_eq!(world.get("/me").bearer(&ada).send().await.data()["display_name"], Value::Null);
    }

    async fn field_of_the_wrong_type_is_named(world) {
        let ada = ada(&world).await;
        for wrong in [json!(1), json!(true), json!([]), json!({}), json!(""), json!("a\u{0}b"), json!(" x"), json!("x".repeat(101))] {
            let faults = world.patch("/me").bearer(&ada).json(json!({"display_name": wrong})).send().await.faults();
            assert_eq!(faults.len(), 1, "{wrong}");
            assert!(faults[0].starts_with("body.display_name "), "{faults:?}");
        }
    }

    async fn body_beyond_64_kib_is_too_large(world) {
        let ada = ada(&world).await;
        let body = format!(r#"{{"display_name":"{}"}}"#, "x".repeat(64 * 1024));
        world.patch("/me").bearer(&ada).body("application/json", body.clone()).send().await.problem(413, "payload_too_large");
        let form = format!("username=ada&password={}", "x".repeat(64 * 1024));
        world.post("/auth/tenants/acme/login").body("application/x-www-form-urlencoded", form).send().await.problem(413, "payload_too_large");
    }

    async fn body_where_none_is_taken_is_refused_and_nothing_happens(world) {
        let tenant = world.tenant("acme").await;
        let person = world.tenant_admin(&tenant, "boss").await;
        let (boss, other) = (world.login(&person).await, world.login(&person).await);
        let plain = world.login(&world.person(&tenant, "ada").await).await;
        let everybody = format!("/tenants/{}/sessions/revoke-all", tenant.id);
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 * 1024));
        for path in ["/me/sessions/revoke-all", &everybody] {
            for (content_type, body, fault) in [
                ("application/json", r#"{"except_current":true}"#, "body.except_current extra_forbidden"),
                ("application/json", r#"{"user_id":"x"}"#, "body.user_id extra_forbidden"),
                ("application/json", "[]", "body object_type"),
                ("application/json", "null", "body object_type"),
                ("application/json", "{", "body json_invalid"),
                ("application/json", &long, "body body_forbidden"),
                ("text/plain", "{}", "body body_forbidden"),
                ("application/x-www-form-urlencoded", "except_current=true", "body body_forbidden"),
            ] {
                let answer = world.post(path).bearer(&boss).body(content_type, body).send().await;
                assert_eq!(answer.faults(), [fault], "{path}");
            }
            world.post(path).body("text/plain", "x").send().await.problem(401, "unauthenticated");
        }
        world.post(&everybody).bearer(&plain).body("text/plain", "x").send().await.problem(403, "missing_permission");
        assert_eq!((world.me(&boss).await, world.me(&other).await, world.me(&plain).await), (200, 200, 200));
        let count = async |path: &str, signed: &Signed| {
            world.post(path).bearer(signed).json(json!({})).send().await.expect(200).data()["revoked_count"].clone()
        };
        assert_eq!((count("/me/sessions/revoke-all", &boss).await, count(&everybody, &boss).await), (json!(1), json!(2)));
    }

    async fn missing_authorization_comes_before_any_fault(world) {
        ada(&world).await;
        world.patch("/me").body("text/plain", "x").send().await.problem(401, "unauthenticated");
        world.get("/me/sessions?page=0").send().await.problem(401, "unauthenticated");
        world.post("/admin/sessions/revoke-all").json(json!({})).send().await.problem(401, "unauthenticated");
        world.get("/tenants/nonsense/sessions").send().await.problem(401, "unauthenticated");
    }

    async fn every_answer_is_uncacheable_and_inert(world) {
        let ada = ada(&world).await;
        for answer in [
            world.get("/me").bearer(&ada).send().await, world.get("/me").send().await, world.get("/nothing").send().await,
            world.try_login("acme", "ada", PASSWORD).await, world.patch("/me").bearer(&ada).json(json!([])).send().await,
        ] {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.status);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert!(answer.header("server").is_none() && answer.header("access-control-allow-origin").is_none());
        }
    }

    async fn hostile_text_comes_back_as_text(world) {
        world.tick();
        let ada = ada(&world).await;
        for payload in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{7*7}}", "'; DROP TABLE users; --", "=cmd|' /C calc'!A0", "%s%n"] {
            let user = world.patch("/me").bearer(&ada).json(json!({"display_name": payload})).send().await.expect(200);
            assert_eq!(user.data()["display_name"], payload);
            assert_eq!(user.header("content-type"), Some("application/json"));
            let form = [("username", "ada"), ("password", PASSWORD)];
            let signed = Signed::of(&world.post("/auth/tenants/acme/login").header("user-agent", "x").form(&form).send().await.expect(200));
            let list = world.get("/me/sessions").bearer(&signed).send().await.expect(200);
            assert_eq!(list.header("content-type"), Some("application/json"));
        }
        let agent = "<script>alert(1)</script>\u{1b}[31m";
        let form = [("username", "ada"), ("password", PASSWORD)];
        let signed = Signed::of(&world.post("/auth/tenants/acme/login").header("user-agent", agent.trim_end_matches("\u{1b}[31m")).form(&form).send().await.expect(200));
        let item = world.get("/me/sessions?per_page=1").bearer(&signed).send().await.data()[0].clone();
        assert_eq!((&item["user_agent"], &item["device_type"]), (&json!("<script>alert(1)</script>"), &json!("unknown")));
    }

    async fn health_readiness_and_document_are_open(world) {
        world.get("//healthz").send().await.expect(200);
        world.get("//readyz").send().await.expect(200);
        let document = world.get("//openapi.json").send().await.expect(200);
        assert_eq!(document.json()["openapi"], "3.1.0");
        world.get("//metrics").send().await.problem(404, "not_found");
    }
}
