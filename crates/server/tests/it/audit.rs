//! The audit trail: every change and every authentication event, in the transaction of the change; and what must be in
//! no answer and in no table.

use gatehouse_persistence::Target;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Person, Signed, World, api_tests};

/// The actions so far, oldest first, keys and installation left out.
async fn actions(world: &World) -> Vec<String> {
    let mut all = world.text("SELECT action FROM audit_events ORDER BY occurred_at, id").await;
    all.retain(|action| !action.starts_with("key.") && !action.starts_with("installation."));
    all
}

async fn rows(world: &World) -> Vec<Value> {
    let sql = match world.app.db().is_sqlite() {
        true => {
            "SELECT json_object('action', action, 'actor_type', actor_type, 'actor_id', lower(hex(actor_id)), 'session', lower(hex(actor_session_id)), 'tenant_id', lower(hex(tenant_id)), \
                 'resource_type', resource_type, 'resource_id', lower(hex(resource_id)), 'result', result, 'failure', failure, 'changes', changes, 'ip', ip_address, 'agent', user_agent, \
                 'request_id', request_id) FROM audit_events ORDER BY occurred_at, id"
        }
        false => {
            "SELECT json_build_object('action', action, 'actor_type', actor_type, 'actor_id', replace(actor_id::text, '-', ''), 'session', replace(actor_session_id::text, '-', ''), \
                  'tenant_id', replace(tenant_id::text, '-', ''), 'resource_type', resource_type, 'resource_id', replace(resource_id::text, '-', ''), 'result', result, 'failure', failure, \
                  'changes', changes, 'ip', ip_address, 'agent', user_agent, 'request_id', request_id)::text FROM audit_events ORDER BY occurred_at, id"
        }
    };
    world.text(sql).await.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

async fn ada(world: &World) -> (Person, Signed) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    let signed = world.login(&ada).await;
    (ada, signed)
}

api_tests! {
    async fn every_change_leaves_its_event(world) {
        world.tick();
        let (ada, signed) = ada(&world).await;
        let next = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        world.patch("/me").bearer(&next).json(json!({"display_name": "Ada"})).send().await.expect(200);
        world.try_login("acme", "ada", "wrong wrong wrong wrong").await.expect(401);
        world.login(&ada).await;
        world.post("/me/sessions/revoke-all").bearer(&next).send().await.expect(200);
        world.logout("acme", &next.refresh).await.expect(200);
        world.set_status("users", &ada.id, "SUSPENDED").await;
        world.set_status("users", &ada.id, "ACTIVE").await;
        assert_eq!(actions(&world).await, [
            "partner.created", "tenant.created", "role_assignment.created", "session.created", "partner.created", "tenant.created", "user.registered",
            "user.email_verification_requested", "session.created", "session.refreshed", "user.updated", "session.login_failed", "session.created", "session.revoked_all", "session.revoked",
            "user.suspended", "user.activated",
        ]);
    }

    async fn event_says_who_did_what_to_whom_from_where(world) {
        world.tick();
        let (_, signed) = ada(&world).await;
        let call = world.patch("/me").bearer(&signed).header("x-request-id", "trace-me").header("user-agent", "probe/1").from([203, 0, 113, 77]);
        call.json(json!({"display_name": "Ada", "phone": "+34 600 000 000"})).send().await.expect(200);
        let row = rows(&world).await.pop().unwrap();
        assert_eq!((&row["action"], &row["resource_type"], &row["result"]), (&json!("user.updated"), &json!("user"), &json!("success")));
        assert_eq!((&row["ip"], &row["agent"], &row["request_id"]), (&json!("203.0.113.77"), &json!("probe/1"), &json!("trace-me")));
        assert_eq!((&row["actor_type"], &row["actor_id"]), (&json!("user"), &row["resource_id"]));
        let changes: Value = serde_json::from_str(row["changes"].as_str().unwrap()).unwrap();
        assert_eq!(changes["display_name"], json!({"old": null, "new": "Ada"}));
    }

    async fn refused_change_leaves_no_event_of_success(world) {
        world.tick();
        let (_, signed) = ada(&world).await;
        let before = actions(&world).await;
        world.patch("/me").bearer(&signed).json(json!({"email": "x"})).send().await.expect(422);
        world.delete("/me/sessions/ses_01h455vb4pex5vsknk084sn02q").bearer(&signed).send().await.expect(404);
        world.get("/admin/users").bearer(&signed).send().await.expect(403);
        assert_eq!(actions(&world).await, before);
    }

    async fn failed_login_says_why_to_the_trail_only(world) {
        world.tick();
        let (ada, _) = ada(&world).await;
        let ask = async |name: &str, password: &str| {
            let answer = world.try_login("acme", name, password).await.problem(401, "invalid_credentials");
            (answer.text.replace(answer.header("x-request-id").unwrap(), ""), rows(&world).await.pop().unwrap())
        };
        let (unknown, row) = ask("nobody", PASSWORD).await;
        assert_eq!((&row["action"], &row["result"], &row["failure"]), (&json!("session.login_failed"), &json!("failure"), &json!("invalid_credentials")));
        assert!(row["resource_id"].as_str().is_none_or(str::is_empty));
        let (wrong, row) = ask("ada", "wrong wrong wrong wrong").await;
        assert!(!row["resource_id"].as_str().unwrap().is_empty());
        world.set_status("users", &ada.id, "SUSPENDED").await;
        let (suspended, row) = ask("ada", PASSWORD).await;
        assert_eq!(row["failure"], "not_active");
        assert!(unknown == wrong && wrong == suspended);
    }

    async fn sign_in_to_a_suspended_tenant_is_in_its_trail_which_strangers_cannot_fill(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        world.try_login("acme", "ada", PASSWORD).await.problem(403, "tenant_suspended");
        let row = rows(&world).await.pop().unwrap();
        assert_eq!((&row["action"], &row["failure"]), (&json!("session.login_failed"), &json!("tenant_suspended")));
        let strict = world.replica(|config| config.limits.attempts.networks.limits = [3; 3]).await;
        let events = "SELECT COUNT(*) FROM audit_events WHERE failure = 'tenant_suspended'";
        for _ in 0..4 {
            strict.try_login("acme", "ada", PASSWORD).await.problem(403, "tenant_suspended");
        }
        assert_eq!(world.number(events).await, 3);
        // Whoever signs in elsewhere from the same address has guessed nothing.
        strict.try_login("default", "root", PASSWORD).await.expect(200);
    }

    async fn refused_refresh_says_why_in_the_trail(world) {
        world.tick();
        let (_, signed) = ada(&world).await;
        let why = async || world.text("SELECT failure FROM audit_events WHERE action = 'session.refresh_failed' ORDER BY occurred_at, id").await;
        world.refresh("acme", &signed.refresh).await.expect(200);
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_spent");
        assert_eq!(why().await, ["refresh_token_spent"]);
        world.logout("acme", &signed.refresh).await.expect(200);
        world.refresh("acme", &signed.refresh).await.problem(401, "session_revoked");
        assert_eq!(why().await, ["refresh_token_spent", "session_revoked"]);
        // What we never made says nothing about anybody.
        world.refresh("acme", "made-up").await.expect(401);
        assert_eq!(why().await.len(), 2);
    }

    async fn account_that_is_locked_by_failures_is_in_the_trail_once(world) {
        world.tick();
        let (ada, _) = ada(&world).await;
        for i in 0..103_u8 {
            world.clock.advance(std::time::Duration::from_secs(901));
            let login = world.post("/auth/tenants/acme/login").from([198, 51, 100, i]);
            login.form(&[("username", "ada"), ("password", "wrong wrong wrong wrong")]).send().await.expect(401);
        }
        assert_eq!(world.events("user.locked", &ada.id).await, 1);
    }

    async fn sign_in_beyond_the_number_of_sessions_is_in_the_trail(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        world.login(&world.person(&tenant, "ada").await).await;
        let one = json!({"settings": {"max_sessions_per_user": 1, "session_limit_action": "refuse"}});
        world.patch(&format!("/admin/tenants/{}", tenant.id)).bearer(world.admin().await).json(one).send().await.expect(200);
        world.try_login("acme", "ada", PASSWORD).await.problem(409, "limit_reached");
        let row = rows(&world).await.pop().unwrap();
        assert_eq!((&row["action"], &row["failure"]), (&json!("session.login_failed"), &json!("session_limit")));
    }

    async fn secrets_are_in_no_table(world) {
        world.tick();
        let (_, signed) = ada(&world).await;
        let next = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        let change = json!({"current_password": PASSWORD, "new_password": "seventeen quiet harbour cranes"});
        world.post("/me/password").bearer(&next).json(change).send().await.expect(204);
        let dump = dump(&world).await;
        assert!(contains(&dump, b"ada@acme.example"), "the search finds what is there");
        let random = |token: &str| token.as_bytes()[token.len() - 60..token.len() - 20].to_vec();
        for secret in [
            PASSWORD.as_bytes().to_vec(), b"seventeen quiet harbour cranes".to_vec(), random(&signed.refresh), random(&next.refresh), random(&next.access),
        ] {
            assert!(!contains(&dump, &secret), "{}", String::from_utf8_lossy(&secret));
        }
    }

    async fn no_answer_carries_a_secret(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let signed = world.login(&boss).await;
        let admin = world.admin().await;
        let hash = world.text("SELECT password_hash FROM users WHERE username_key = 'boss'").await.remove(0);
        let jwk: Value = serde_json::from_str(&world.text("SELECT public_jwk FROM signing_keys").await[0]).unwrap();
        let paths = [
            "/me".to_owned(), "/me/sessions?active_only=false".into(), "/admin/sessions?active_only=false".into(), "/admin/users".into(), format!("/admin/users/{}", boss.id),
            "/admin/tenants".into(), format!("/admin/tenants/{}", tenant.id), "/admin/partners".into(), "/admin/roles".into(), "/admin/role-assignments".into(), "/admin/permissions".into(),
            "/admin/audit-events?per_page=200".into(), format!("/tenants/{}/audit-events?per_page=200", tenant.id),
            format!("/tenants/{}/sessions", tenant.id), format!("/tenants/{}/sessions/{}", tenant.id, signed.session()), format!("/tenants/{}/sessions/stats", tenant.id), "//openapi.json".into(),
        ];
        for path in paths {
            let answer = world.get(&path).bearer(&admin).send().await.expect(200);
            let headers = format!("{:?}", answer.headers);
            for secret in [hash.as_str(), "$argon2", "refresh_hash", "ghr_m", &signed.refresh, &signed.access, jwk["x"].as_str().unwrap(), "private_sealed", "/tmp/", "sqlite", "postgres://"] {
                assert!(!answer.text.contains(secret) && !headers.contains(secret), "{path}: {secret}");
            }
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Everything that is stored, as bytes.
async fn dump(world: &World) -> Vec<u8> {
    match world.target() {
        Target::Sqlite(path) => {
            let wal = path.with_extension("db-wal");
            [std::fs::read(path).unwrap(), std::fs::read(wal).unwrap_or_default()].concat()
        }
        Target::Postgres(_) => {
            let rows = world
                .text(
                    "SELECT concat((SELECT string_agg(t::text, ' ') FROM users t), (SELECT string_agg(t::text, ' ') FROM sessions t), (SELECT string_agg(t::text, ' ') FROM audit_events t), \
                     (SELECT string_agg(t::text, ' ') FROM signing_keys t), (SELECT string_agg(t::text, ' ') FROM throttles t))",
                )
                .await;
            // Bytes are shown in hexadecimal: both readings count.
            let text = rows.concat();
            let mut bytes = text.clone().into_bytes();
            for part in text.split("\\\\x").skip(1) {
                let digits: Vec<_> = part.bytes().take_while(u8::is_ascii_hexdigit).collect();
                bytes.extend(
                    digits
                        .chunks_exact(2)
                        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()),
                );
            }
            bytes
        }
    }
}
