//! Requests that are sent again because their answer was lost: they happen once, and every sender gets the same answer.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use gatehouse_persistence::Target;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    harness::{Answer, PASSWORD, Signed, Tenant, World, api_tests},
    slow_bodies::serve,
};

async fn send(world: &World, token: &Signed, key: &str, path: &str, body: &Value) -> Answer {
    let call = world.post(path).bearer(token).header("idempotency-key", key);
    let call = match body {
        Value::String(file) => call.body("application/x-ndjson", file.clone()),
        body => call.json(body.clone()),
    };
    call.send().await
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// The request again, until nobody else is answering it.
async fn settled(world: &World, token: &Signed, key: &str, path: &str, body: &Value) -> Answer {
    loop {
        let answer = send(world, token, key, path, body).await;
        if answer.status != 409 {
            return answer;
        }
        assert_eq!(answer.header("retry-after"), Some("1"));
        answer.problem(409, "idempotency_in_progress");
        tokio::task::yield_now().await;
    }
}

async fn roles(world: &World, tenant: &Tenant) -> u64 {
    let path = format!("/admin/roles?tenant_id={}", tenant.id);
    world.get(&path).bearer(world.admin().await).send().await.expect(200).total()
}

fn role(name: &str) -> Value {
    json!({"name": name, "permissions": ["sessions:read"]})
}

/// Everything that makes or ends something: its path and a body.
async fn requests(world: &World, tenant: &Tenant) -> Vec<(String, String, Value)> {
    let ada = world.person(tenant, "ada").await;
    let (bob, eve) = (world.person(tenant, "bob").await, world.person(tenant, "eve").await);
    let reader = world.role(tenant, "reader", &["sessions:read"]).await;
    for person in [&ada, &bob, &eve] {
        world.login(person).await;
    }
    let (t, p) = (&tenant.id, &tenant.partner_id);
    let user = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "delivery": "link"});
    let mut elsewhere = user("new-1");
    elsewhere["tenant_id"] = json!(t);
    let admin = world.admin().await;
    let invited = json!({"tenant_id": t, "username": "new-0", "email": "new-0@example.com"});
    let invited = world.post("/admin/users").bearer(&admin).json(invited).send().await.expect(201).data();
    let invited = invited["id"].as_str().unwrap();
    let anchor = json!({"level": "tenant", "tenant_id": t});
    let gives = |user: &str| json!({"user_id": user, "role_id": reader, "anchor": anchor});
    let (file, mut imports) = (json!("\n"), Vec::new());
    for slug in ["b", "c"] {
        let of = world.tenant(slug).await.id;
        let path = format!("/tenants/{of}/user-imports");
        let job = world.post(&path).bearer(&admin).body("application/x-ndjson", "\n").send().await.expect(202);
        imports.push(format!("{of}/user-imports/{}/cancel", job.data()["id"].as_str().unwrap()));
    }
    let d = world.tenant("d").await.id;
    let application = |name: &str| json!({"name": name, "application_type": "SERVICE"});
    let applications = format!("/tenants/{t}/applications");
    let service = world.post(&applications).bearer(&admin).json(application("S")).send().await.expect(201).data();
    let service = service["id"].as_str().unwrap();
    let mut of_tenant = application("N1");
    of_tenant["tenant_id"] = json!(t);
    let link = json!({"delivery": "link"});
    let all = json!({});
    [
        ("admin.partners.create", "/admin/partners".to_owned(), json!({"name": "N", "slug": "n-partner"})),
        (
            "admin.tenants.create",
            "/admin/tenants".to_owned(),
            json!({"name": "N", "slug": "n-tenant", "partner_id": p}),
        ),
        ("admin.users.create", "/admin/users".to_owned(), elsewhere),
        ("tenants.users.create", format!("/tenants/{t}/users"), user("new-2")),
        ("admin.users.invitation.create", format!("/admin/users/{invited}/invitation"), link.clone()),
        ("tenants.users.invitation.create", format!("/tenants/{t}/users/{invited}/invitation"), link),
        ("admin.tenants.users.invite_all", format!("/admin/tenants/{d}/users/invite-all"), all.clone()),
        ("tenants.users.invite_all", format!("/tenants/{t}/users/invite-all"), all.clone()),
        ("admin.tenants.user_imports.create", format!("/admin/tenants/{d}/user-imports"), file.clone()),
        ("tenants.user_imports.create", format!("/tenants/{t}/user-imports"), file),
        ("admin.tenants.user_imports.cancel", format!("/admin/tenants/{}", imports[0]), all.clone()),
        ("tenants.user_imports.cancel", format!("/tenants/{}", imports[1]), all.clone()),
        ("admin.users.unlock", format!("/admin/users/{}/unlock", ada.id), all.clone()),
        ("tenants.users.unlock", format!("/tenants/{t}/users/{}/unlock", ada.id), all.clone()),
        (
            "admin.roles.create",
            "/admin/roles".to_owned(),
            json!({"name": "N1", "tenant_id": t, "permissions": ["sessions:read"]}),
        ),
        ("tenants.roles.create", format!("/tenants/{t}/roles"), role("N2")),
        ("admin.role_assignments.create", "/admin/role-assignments".to_owned(), gives(&ada.id)),
        ("tenants.role_assignments.create", format!("/tenants/{t}/role-assignments"), gives(&bob.id)),
        ("admin.applications.create", "/admin/applications".to_owned(), of_tenant),
        ("tenants.applications.create", applications.clone(), application("N2")),
        ("admin.applications.rotate_secret", format!("/admin/applications/{service}/rotate-secret"), all.clone()),
        ("tenants.applications.rotate_secret", format!("{applications}/{service}/rotate-secret"), all.clone()),
        ("admin.applications.revoke_tokens", format!("/admin/applications/{service}/revoke-tokens"), json!({})),
        ("tenants.applications.revoke_tokens", format!("{applications}/{service}/revoke-tokens"), json!({})),
        ("admin.sessions.revoke_all", "/admin/sessions/revoke-all".to_owned(), json!({"user_id": ada.id})),
        (
            "tenants.sessions.users.revoke",
            format!("/tenants/{t}/sessions/users/{}/revoke", bob.id),
            json!({"revoke_all": true}),
        ),
        ("tenants.sessions.revoke_all", format!("/tenants/{t}/sessions/revoke-all"), all.clone()),
        ("admin.users.password_reset.create", format!("/admin/users/{}/password-reset", ada.id), all.clone()),
        ("tenants.users.password_reset.create", format!("/tenants/{t}/users/{}/password-reset", bob.id), all.clone()),
        ("me.sessions.revoke_all", "/me/sessions/revoke-all".to_owned(), all),
        (
            "me.change_email",
            "/me/email".to_owned(),
            json!({"email": "another@example.com", "current_password": PASSWORD}),
        ),
        (
            "me.change_password",
            "/me/password".to_owned(),
            json!({"current_password": PASSWORD, "new_password": "copper-otter-below-stairs"}),
        ),
    ]
    .map(|(id, path, body)| (id.to_owned(), path, body))
    .to_vec()
}

api_tests! {
    async fn every_request_that_makes_or_ends_something_can_be_sent_again_under_its_key(world) {
        let tenant = world.tenant("acme").await;
        let requests = requests(&world, &tenant).await;
        let document: Value = serde_json::from_str(gatehouse_server::http::openapi::COMMITTED).unwrap();
        let of_document: BTreeSet<_> = document["paths"].as_object().unwrap().values().filter_map(|item| item.get("post"))
            .filter(|post| post["security"] == json!([{"bearerAuth": []}])).map(|post| post["operationId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(requests.iter().map(|(id, ..)| id.clone()).collect::<BTreeSet<_>>(), of_document);
        let admin = world.admin().await;
        for (id, path, body) in &requests {
            let first = send(&world, &admin, "key", path, body).await;
            assert!(first.status < 300 && !is_replay(&first), "{id}: {}", first.text);
            let events = world.number("SELECT COUNT(*) FROM audit_events").await;
            for _ in 0..2 {
                let again = send(&world, &admin, "key", path, body).await;
                assert!(is_replay(&again), "{id}: {}", again.text);
                assert_eq!((again.status, &again.text, again.header("content-type")), (first.status, &first.text, first.header("content-type")), "{id}");
                assert_eq!(again.header("location"), first.header("location"), "{id}");
                assert_ne!(again.header("x-request-id"), first.header("x-request-id"), "{id}");
            }
            assert_eq!(world.number("SELECT COUNT(*) FROM audit_events").await, events, "{id} happened again");
        }
    }

    async fn key_belongs_to_its_caller_path_and_input(world) {
        let tenant = world.tenant("acme").await;
        let (boss, other) = (world.tenant_admin(&tenant, "boss").await, world.tenant_admin(&tenant, "other").await);
        let (boss, other) = (world.login(&boss).await, world.login(&other).await);
        let path = format!("/tenants/{}/roles", tenant.id);
        send(&world, &boss, "k", &path, &role("one")).await.expect(201);
        let refused = send(&world, &boss, "k", &path, &role("two")).await;
        assert_eq!(refused.faults(), ["header.Idempotency-Key idempotency_key_reused"]);
        let revoke = "/admin/sessions/revoke-all";
        let admin = world.admin().await;
        let body = json!({"user_id": boss.user()});
        send(&world, &admin, "k", &format!("{revoke}?dry_run=true"), &body).await.expect(200);
        assert_eq!(send(&world, &admin, "k", revoke, &body).await.faults(), ["header.Idempotency-Key idempotency_key_reused"]);
        assert!(!is_replay(&send(&world, &other, "k", &path, &role("two")).await.expect(201)), "another caller");
        assert!(!is_replay(&send(&world, &boss, "K", &path, &role("three")).await.expect(201)), "another key");
        let user = json!({"username": "new", "email": "new@example.com"});
        assert!(!is_replay(&send(&world, &boss, "k", &format!("/tenants/{}/users", tenant.id), &user).await.expect(201)), "another path");
        assert!(is_replay(&send(&world, &boss, "k", &format!("{path}/"), &role("one")).await.expect(201)), "the same path, spelled otherwise");
        assert_eq!(roles(&world, &tenant).await, 3);
    }

    async fn key_is_a_bounded_visible_text(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = format!("/tenants/{}/roles", tenant.id);
        for bad in ["", " ", "a b", "a\tb", &"k".repeat(256)] {
            assert_eq!(send(&world, &admin, bad, &path, &role("one")).await.faults(), ["header.Idempotency-Key idempotency_key"], "{bad:?}");
        }
        let two = world.post(&path).bearer(&admin).header("idempotency-key", "a").header("idempotency-key", "b").json(role("one")).send().await;
        assert_eq!(two.faults(), ["header.Idempotency-Key idempotency_key"]);
        assert_eq!(roles(&world, &tenant).await, 0);
        for good in ["k".repeat(255), "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"".into(), "!~".into()] {
            send(&world, &admin, &good, &path, &role(&good[..2])).await.expect(201);
        }
    }

    async fn refused_request_is_tried_anew_and_nobody_gets_the_answer_of_rights_they_lost(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let token = world.login(&boss).await;
        let path = format!("/tenants/{}/roles", tenant.id);
        let taken = world.role(&tenant, "one", &["sessions:read"]).await;
        send(&world, &token, "k", &path, &role("one")).await.problem(409, "conflict");
        assert_eq!(send(&world, &token, "k", &path, &json!({"name": ""})).await.status, 422);
        let admin = world.admin().await;
        world.patch(&format!("/admin/roles/{taken}")).bearer(&admin).json(json!({"name": "moved"})).send().await.expect(200);
        assert!(!is_replay(&send(&world, &token, "k", &path, &role("one")).await.expect(201)));
        assert!(is_replay(&send(&world, &token, "k", &path, &role("one")).await.expect(201)));
        let held = world.get(&format!("/admin/role-assignments?user_id={}", boss.id)).bearer(&admin).send().await.ids().remove(0);
        world.delete(&format!("/admin/role-assignments/{held}")).bearer(&admin).send().await.expect(204);
        send(&world, &token, "k", &path, &role("one")).await.problem(403, "missing_permission");
    }

    async fn of_64_at_once_one_happens_and_all_learn_the_same(world) {
        let tenant = world.tenant("acme").await;
        let (admin, replica) = (world.admin().await, match world.target() {
            Target::Postgres(_) => world.replica(|_| {}).await,
            Target::Sqlite(_) => world.clone(),
        });
        let path = format!("/tenants/{}/roles", tenant.id);
        let body = role("one");
        let worlds = [&world, &replica];
        let answers = join_all((0..64).map(|n| send(worlds[n % 2], &admin, "k", &path, &body))).await;
        let fresh: Vec<_> = answers.iter().filter(|answer| answer.status == 201 && !is_replay(answer)).collect();
        assert_eq!(fresh.len(), 1);
        for answer in &answers {
            match answer.status {
                201 => assert_eq!(answer.text, fresh[0].text),
                _ => drop(answer.clone().problem(409, "idempotency_in_progress")),
            }
        }
        let learnt = join_all((0..64).map(|n| settled(worlds[n % 2], &admin, "k", &path, &body))).await;
        assert!(learnt.iter().all(|answer| is_replay(answer) && answer.status == 201 && answer.text == fresh[0].text));
        assert_eq!(roles(&world, &tenant).await, 1);
    }

    async fn answer_is_kept_for_a_day_sealed_and_then_removed(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = format!("/tenants/{}/users", tenant.id);
        let body = json!({"username": "new", "email": "new@example.com", "delivery": "link"});
        let first = send(&world, &admin, "k", &path, &body).await.expect(201);
        let token = first.data()["invitation"]["token"].as_str().unwrap().to_owned();
        let kept = match world.target() {
            Target::Sqlite(_) => world.text("SELECT hex(answer) || hex(fingerprint) || hex(key_hash) FROM idempotency_keys").await,
            Target::Postgres(_) => world.text("SELECT upper(encode(answer, 'hex') || encode(fingerprint, 'hex') || encode(key_hash, 'hex')) FROM idempotency_keys").await,
        };
        for secret in [token.as_str(), "new@example.com", "201"] {
            let hex: String = secret.bytes().map(|b| format!("{b:02X}")).collect();
            assert!(kept.len() == 1 && (secret.len() < 4 || !kept[0].contains(&hex)), "{secret}");
        }
        world.clock.advance(Duration::from_secs(24 * 3_600 - 60));
        let admin = world.fresh_admin().await;
        assert_eq!(send(&world, &admin, "k", &path, &body).await.expect(201).text, first.text, "another session of the same caller");
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM idempotency_keys").await, 1);
        world.clock.advance(Duration::from_secs(120));
        let admin = world.fresh_admin().await;
        send(&world, &admin, "k", &path, &body).await.problem(409, "already_registered");
        let other = json!({"username": "newer", "email": "newer@example.com"});
        assert!(!is_replay(&send(&world, &admin, "k", &path, &other).await.expect(201)), "the key is free again, removed or not");
        world.clock.advance(Duration::from_secs(25 * 3_600));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM idempotency_keys").await, 0);
    }

    async fn nobody_keeps_more_than_ten_thousand_answers(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = format!("/tenants/{}/roles", tenant.id);
        send(&world, &admin, "k", &path, &role("one")).await.expect(201);
        let more = match world.target() {
            Target::Sqlite(_) => "randomblob(32)",
            Target::Postgres(_) => "sha256(gen_random_uuid()::text::bytea)",
        };
        world.execute(format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
             INSERT INTO idempotency_keys (key_hash, tenant_id, user_id, fingerprint, answer, kept_at) \
             SELECT {more}, tenant_id, user_id, fingerprint, answer, kept_at FROM idempotency_keys, n"
        )).await;
        send(&world, &admin, "other", &path, &role("two")).await.problem(429, "rate_limited");
        assert!(is_replay(&send(&world, &admin, "k", &path, &role("one")).await.expect(201)));
        world.post(&path).bearer(&admin).json(role("two")).send().await.expect(201);
    }

    async fn without_a_key_nothing_costs_more_and_with_one_two_statements(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let path = format!("/tenants/{}/roles", tenant.id);
        let cost = async |key: Option<&str>, name: &str| {
            assert_eq!(world.me(&admin).await, 200);
            let before = world.app.db().statements().0;
            let call = world.post(&path).bearer(&admin).json(role(name));
            match key {
                Some(key) => call.header("idempotency-key", key).send().await.expect(201),
                None => call.send().await.expect(201),
            };
            world.app.db().statements().0 - before
        };
        let (mut plain, mut keyed) = (u64::MAX, u64::MAX);
        for n in 0..4 {
            plain = plain.min(cost(None, &format!("p{n}")).await);
            keyed = keyed.min(cost(Some(&format!("k{n}")), &format!("k{n}")).await);
        }
        assert_eq!(keyed, plain + 2);
        assert_eq!(world.number("SELECT COUNT(*) FROM idempotency_keys").await, 4);
    }

    async fn lost_answers_cost_nothing_but_a_second_request(world) {
        const ROUNDS: usize = 500;
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let (handle, port) = serve(&world);
        let ask = async |round: usize, is_cut: bool| {
            let body = role(&format!("role {round}")).to_string();
            let head = format!(
                "POST /api/v1/tenants/{}/roles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nIdempotency-Key: round-{round}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                tenant.id, admin.access, body.len(),
            );
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            if !is_cut {
                stream.read_to_end(&mut answer).await.unwrap();
            }
            String::from_utf8(answer).unwrap()
        };
        let body_of = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        for round in 0..ROUNDS {
            // Cut before anybody knows what became of it, or after the whole answer went out and before it arrives.
            let lost = ask(round, round % 2 == 0).await;
            let answer = loop {
                let answer = ask(round, false).await;
                if !answer.starts_with("HTTP/1.1 409") {
                    break answer;
                }
                assert!(answer.contains("idempotency_in_progress"), "{answer}");
            };
            assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
            if round % 2 == 1 {
                assert!(answer.contains("idempotency-replayed: true"), "{answer}");
                assert_eq!(body_of(&answer), body_of(&lost));
            }
        }
        assert_eq!(roles(&world, &tenant).await, ROUNDS as u64);
        handle.stop(false).await;
    }
}
