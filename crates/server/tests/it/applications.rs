//! Applications: what they are registered with, their secrets, and how many there may be.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, Signed, Tenant, World, api_tests,
    oauth::{App, Site, text},
};

/// A tenant with its administrator, signed in.
async fn administered(world: &World) -> (Tenant, Signed) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    (tenant, world.login(&boss).await)
}

fn list(tenant: &Tenant) -> String {
    format!("/tenants/{}/applications", tenant.id)
}

async fn make(world: &World, tenant: &Tenant, token: &Signed, body: Value) -> Answer {
    world.post(&list(tenant)).bearer(token).json(body).send().await
}

fn web() -> Value {
    json!({"name": "Wiki", "application_type": "WEB", "redirect_uris": ["https://wiki.example/callback"]})
}

fn id(answer: &Answer) -> String {
    answer.data()["id"].as_str().unwrap().to_owned()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// The digests of the secrets that are kept of an application.
async fn kept(world: &World, tenant: &Tenant, token: &Signed, id: &str) -> usize {
    let one = world.get(&format!("{}/{id}", list(tenant))).bearer(token).send().await.expect(200);
    one.data()["secrets"].as_array().unwrap().len()
}

api_tests! {
    async fn new_application_has_the_defaults_of_its_type(world) {
        let (tenant, token) = administered(&world).await;
        let uris = json!(["https://app.example/callback", "https://app.example/other", "https://b.example/"]);
        for (kind, expected) in [
            ("WEB", json!({"grant_types": ["authorization_code", "refresh_token"], "allowed_origins": [], "token_endpoint_auth_method": "client_secret_basic", "opens_popup": false})),
            ("SPA", json!({"grant_types": ["authorization_code", "refresh_token"], "allowed_origins": ["https://app.example", "https://b.example"], "token_endpoint_auth_method": "none", "opens_popup": true})),
            ("NATIVE", json!({"grant_types": ["authorization_code", "refresh_token"], "allowed_origins": [], "token_endpoint_auth_method": "none", "opens_popup": false})),
            ("SERVICE", json!({"grant_types": ["client_credentials"], "allowed_origins": [], "token_endpoint_auth_method": "client_secret_basic", "opens_popup": false})),
        ] {
            let body = json!({"name": "Wiki", "application_type": kind, "redirect_uris": uris});
            let data = make(&world, &tenant, &token, body).await.expect(201).data();
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&data[name], value, "{kind} {name}");
            }
            assert_eq!(data["id"], data["client_id"]);
            assert_eq!((&data["scope_level"], &data["tenant_id"], &data["status"]), (&json!("TENANT"), &json!(tenant.id), &json!("ACTIVE")));
            assert_eq!((&data["allowed_scopes"], &data["require_pkce"]), (&json!(["openid", "profile", "email"]), &json!(true)));
            assert_eq!((&data["id_token_signed_response_alg"], &data["registration"]), (&json!("RS256"), &json!("manual")));
            let has_secret = data["token_endpoint_auth_method"] == "client_secret_basic";
            assert_eq!(data["client_secret"].is_string(), has_secret, "{kind}");
            assert_eq!(data["secrets"].as_array().unwrap().len(), usize::from(has_secret), "{kind}");
        }
    }

    async fn secret_is_shown_once_and_kept_as_a_digest(world) {
        let (tenant, token) = administered(&world).await;
        let made = make(&world, &tenant, &token, web()).await.expect(201);
        let secret = made.data()["client_secret"].as_str().unwrap().to_owned();
        let random = secret.strip_prefix("ghk_").unwrap();
        assert!(random.len() == 43 && random.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{secret}");
        let one = world.get(&format!("{}/{}", list(&tenant), id(&made))).bearer(&token).send().await.expect(200);
        assert!(one.data().get("client_secret").is_none() && !one.text.contains(random));
        for table in ["applications", "audit_events"] {
            let column = if table == "applications" { "secrets" } else { "changes" };
            let found = format!("SELECT COUNT(*) FROM {table} WHERE {column} LIKE '%{random}%'");
            assert_eq!(world.number(&found).await, 0, "{table}");
        }
    }

    async fn request_that_is_sent_again_makes_one_application_and_shows_the_same_secret(world) {
        let (tenant, token) = administered(&world).await;
        let send = || world.post(&list(&tenant)).bearer(&token).header("idempotency-key", "once").json(web()).send();
        let (first, again) = (send().await.expect(201), send().await.expect(201));
        assert_eq!((first.data(), again.header("idempotency-replayed")), (again.data(), Some("true")));
        assert_eq!(world.get(&list(&tenant)).bearer(&token).send().await.total(), 1);
    }

    async fn two_secrets_are_kept_and_a_third_ends_the_oldest(world) {
        let (tenant, token) = administered(&world).await;
        let one = id(&make(&world, &tenant, &token, web()).await.expect(201));
        let path = format!("{}/{one}/rotate-secret", list(&tenant));
        let rotate = async |body: Value| world.post(&path).bearer(&token).json(body).send().await;
        let secrets = |answer: Answer| answer.expect(200).data()["secrets"].as_array().unwrap().clone();
        let two = secrets(rotate(json!({})).await);
        assert!(two.len() == 2 && two[0]["expires_at"].is_null() && two[1]["expires_at"].is_string(), "{two:?}");
        let three = secrets(rotate(json!({"expire_previous_in": 60})).await);
        assert_eq!((three.len(), &three[1]["created_at"]), (2, &two[0]["created_at"]));
        assert_eq!(secrets(rotate(json!({"expire_previous_in": 0})).await).len(), 1);
        assert_eq!(rotate(json!({"expire_previous_in": 604_801})).await.faults(), ["body.expire_previous_in out_of_range"]);
        let spa = json!({"name": "Mail", "application_type": "SPA", "redirect_uris": ["https://mail.example/"]});
        let spa = id(&make(&world, &tenant, &token, spa).await.expect(201));
        let path = format!("{}/{spa}/rotate-secret", list(&tenant));
        world.post(&path).bearer(&token).json(json!({})).send().await.problem(409, "conflict");
    }

    async fn when_an_application_and_each_of_its_secrets_were_last_used_is_shown(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({})).await;
        let path = format!("/tenants/{}/applications/{}", site.tenant.id, app.id);
        let one = async || world.get(&path).bearer(world.admin().await).send().await.expect(200).data();
        let unused = one().await;
        assert!(unused["last_used_at"].is_null() && unused["secrets"][0]["last_used_at"].is_null());
        world.post(&format!("{path}/rotate-secret")).bearer(world.admin().await).json(json!({})).send().await.expect(200);
        let etag = world.get(&path).bearer(world.admin().await).send().await.header("etag").unwrap().to_owned();
        // With the secret of before, that still works; an attempt with a wrong one is no use.
        world.clock.advance(Duration::from_secs(60));
        site.tokens(&Browser::new(&world), &app, &[]).await;
        let used = world.app.env().now().to_string();
        world.clock.advance(Duration::from_secs(60));
        let wrong = App { secret: Some("ghk_wrong".to_owned()), ..app.clone() };
        site.refresh(&wrong, "none").await.expect(401);
        world.app.maintenance().flush_activity().await.unwrap();
        let shown = one().await;
        assert_eq!(text(&shown, "last_used_at"), used);
        assert_eq!(text(&shown["secrets"][1], "last_used_at"), used);
        assert!(shown["secrets"][0]["last_used_at"].is_null(), "{shown}");
        let change = world.patch(&path).bearer(world.admin().await).header("if-match", &etag);
        change.json(json!({"description": "being used is no change"})).send().await.expect(200);
        world.post(&format!("{path}/rotate-secret")).bearer(world.admin().await).json(json!({})).send().await.expect(200);
        let shown = one().await;
        assert_eq!((text(&shown, "last_used_at"), shown["secrets"].as_array().unwrap().len()), (&*used, 2));
    }

    async fn sixteen_rotations_at_once_leave_two_secrets(world) {
        let (tenant, token) = administered(&world).await;
        let one = id(&make(&world, &tenant, &token, web()).await.expect(201));
        let path = format!("{}/{one}/rotate-secret", list(&tenant));
        let rotate = || world.post(&path).bearer(&token).json(json!({})).send();
        let answers = join_all((0..16).map(|_| rotate())).await;
        assert_eq!(count(&answers, 200), 16);
        let shown: BTreeSet<_> = answers.iter().map(|answer| answer.data()["client_secret"].to_string()).collect();
        assert_eq!((shown.len(), kept(&world, &tenant, &token, &one).await), (16, 2));
    }

    async fn sixty_four_applications_made_at_once_are_as_many_as_the_tenant_may_have(world) {
        let (tenant, token) = administered(&world).await;
        let path = format!("/admin/partners/{}", tenant.partner_id);
        let limit = json!({"max_applications_per_tenant": 10});
        world.patch(&path).bearer(world.admin().await).json(limit).send().await.expect(200);
        let answers = join_all((0..64).map(|_| make(&world, &tenant, &token, web()))).await;
        let others: Vec<_> = answers.iter().filter(|answer| ![201, 409].contains(&answer.status)).map(|other| &other.text).collect();
        assert_eq!((count(&answers, 201), count(&answers, 409)), (10, 54), "{others:?}");
        assert!(answers.iter().all(|answer| answer.status == 201 || answer.json()["code"] == "limit_reached"));
        // Those above are not counted.
        let above = json!({"name": "Above", "application_type": "SERVICE", "scope_level": "PARTNER", "partner_id": tenant.partner_id});
        world.post("/admin/applications").bearer(world.admin().await).json(above).send().await.expect(201);
        let one = world.get(&list(&tenant)).bearer(&token).send().await.ids();
        assert_eq!(one.len(), 11);
        let own = format!("{}/{}", list(&tenant), id(&answers[answers.iter().position(|it| it.status == 201).unwrap()]));
        world.delete(&own).bearer(&token).send().await.expect(204);
        make(&world, &tenant, &token, web()).await.expect(201);
    }

    async fn what_does_not_fit_together_is_a_fault_of_its_field(world) {
        let (tenant, token) = administered(&world).await;
        for (body, expected) in [
            (json!({"name": "x", "application_type": "WEB"}), vec!["body.redirect_uris client_metadata"]),
            (json!({"name": "x", "application_type": "SERVICE", "grant_types": ["refresh_token"]}), vec!["body.grant_types client_metadata"]),
            (json!({"name": "x", "application_type": "SERVICE", "token_endpoint_auth_method": "none"}), vec!["body.token_endpoint_auth_method client_metadata"]),
            (json!({"name": "x", "application_type": "SERVICE", "token_endpoint_auth_method": "private_key_jwt"}), vec!["body.jwks client_metadata"]),
            (json!({"name": "x", "application_type": "SERVICE", "jwks": {"keys": []}}), vec!["body.jwks jwks"]),
            (json!({"name": "x", "application_type": "SPA", "redirect_uris": ["http://app.example/"], "allowed_origins": ["*"]}), vec!["body.redirect_uris.0 redirect_uri", "body.allowed_origins.0 origin"]),
            (json!({"name": "x", "application_type": "SERVICE", "logo_uri": "javascript:alert(1)", "token_lifetime": 59}), vec!["body.token_lifetime out_of_range", "body.logo_uri url_parsing"]),
            (json!({"name": "x", "application_type": "SERVICE", "secrets": [], "client_secret": "ghk_mine"}), vec!["body.client_secret extra_forbidden", "body.secrets extra_forbidden"]),
        ] {
            assert_eq!(make(&world, &tenant, &token, body.clone()).await.faults(), expected, "{body}");
        }
    }

    async fn nobody_gives_an_application_more_than_they_hold(world) {
        let (tenant, boss) = administered(&world).await;
        let clerk = world.person(&tenant, "clerk").await;
        let role = world.role(&tenant, "clerk", &["applications:*", "users:read"]).await;
        world.give(&clerk, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let clerk = world.login(&clerk).await;
        let with = |scope: &str| json!({"name": "x", "application_type": "SERVICE", "allowed_scopes": [scope]});
        for scope in ["openid", "account:write", "users:read"] {
            make(&world, &tenant, &clerk, with(scope)).await.expect(201);
        }
        for scope in ["users:write", "admin:read", "admin:write", "audit:write"] {
            make(&world, &tenant, &clerk, with(scope)).await.problem(403, "missing_permission");
        }
        let strong = id(&make(&world, &tenant, &boss, with("users:write")).await.expect(201));
        let path = format!("{}/{strong}", list(&tenant));
        world.patch(&path).bearer(&clerk).json(json!({"name": "mine"})).send().await.problem(403, "missing_permission");
        world.post(&format!("{path}/rotate-secret")).bearer(&clerk).json(json!({})).send().await.problem(403, "missing_permission");
        world.delete(&path).bearer(&clerk).send().await.problem(403, "missing_permission");
        let weak = id(&make(&world, &tenant, &clerk, with("openid")).await.expect(201));
        let path = format!("{}/{weak}", list(&tenant));
        world.patch(&path).bearer(&clerk).json(json!({"allowed_scopes": ["users:write"]})).send().await.problem(403, "missing_permission");
    }

    async fn tokens_are_asked_for_apis_and_scopes_that_there_are(world) {
        let (tenant, token) = administered(&world).await;
        let asks = |resources: Value, scopes: Value| {
            let mut body = web();
            (body["allowed_resources"], body["allowed_scopes"]) = (resources, scopes);
            make(&world, &tenant, &token, body)
        };
        assert_eq!(asks(json!(["https://api.example/"]), json!([])).await.faults(), ["body.allowed_resources not_found"]);
        assert_eq!(asks(json!([]), json!(["orders"])).await.faults(), ["body.allowed_scopes not_found"]);
        let api = json!({"name": "Orders", "application_type": "SERVICE", "resource_uris": ["https://API.example"], "resource_scopes": [{"name": "orders", "description": "See orders"}]});
        let api = id(&make(&world, &tenant, &token, api).await.expect(201));
        let client = id(&asks(json!(["https://api.example/"]), json!(["openid", "orders"])).await.expect(201));
        assert_eq!(asks(json!(["https://api.example/"]), json!(["other"])).await.faults(), ["body.allowed_scopes not_found"]);
        // What was said before may stay when the API has gone.
        world.delete(&format!("{}/{api}", list(&tenant))).bearer(&token).send().await.expect(204);
        world.patch(&format!("{}/{client}", list(&tenant))).bearer(&token).json(json!({"name": "Still"})).send().await.expect(200);
        assert_eq!(asks(json!(["https://api.example/"]), json!([])).await.faults(), ["body.allowed_resources not_found"]);
    }

    async fn api_is_one_application_in_a_tenant_and_above_it(world) {
        let (tenant, _) = administered(&world).await;
        let elsewhere = world.tenant("globex").await;
        let admin = world.admin().await;
        let api = |owner: Value| {
            let mut body = json!({"name": "x", "application_type": "SERVICE", "resource_uris": ["https://api.example/"]});
            body.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
            world.post("/admin/applications").bearer(&admin).json(body).send()
        };
        let of_tenant = |tenant: &Tenant| json!({"tenant_id": tenant.id});
        let first = id(&api(of_tenant(&tenant)).await.expect(201));
        api(of_tenant(&elsewhere)).await.expect(201);
        api(of_tenant(&tenant)).await.problem(409, "conflict");
        api(json!({"scope_level": "PARTNER", "partner_id": tenant.partner_id})).await.problem(409, "conflict");
        let taken = api(json!({"scope_level": "GLOBAL"})).await.problem(409, "conflict").json()["detail"].to_string();
        assert!(taken.contains("app_"), "whoever sees it is told which one: {taken}");
        // Whoever gives it up frees it; who moves to where it is taken does not.
        let path = format!("/admin/applications/{first}");
        world.patch(&path).bearer(&admin).json(json!({"resource_uris": []})).send().await.expect(200);
        api(json!({"scope_level": "PARTNER", "partner_id": tenant.partner_id})).await.expect(201);
        let moves = json!({"partner_id": tenant.partner_id});
        let path = format!("/admin/tenants/{}", elsewhere.id);
        world.patch(&path).bearer(&admin).json(moves).send().await.problem(409, "conflict");
        let ours = json!({"name": "x", "application_type": "SERVICE", "tenant_id": tenant.id, "resource_uris": [admin.claim("iss")]});
        let answer = world.post("/admin/applications").bearer(&admin).json(ours).send().await;
        assert_eq!(answer.faults(), ["body.resource_uris resource_uri"]);
    }

    async fn change_is_told_by_its_event_and_can_be_tried_and_made_on_condition(world) {
        let (tenant, token) = administered(&world).await;
        let one = id(&make(&world, &tenant, &token, web()).await.expect(201));
        let path = format!("{}/{one}", list(&tenant));
        let tag = world.get(&path).bearer(&token).send().await.expect(200).header("etag").unwrap().to_owned();
        let suspend = json!({"status": "SUSPENDED"});
        let tried = world.patch(&format!("{path}?dry_run=true")).bearer(&token).json(suspend.clone()).send().await.expect(200);
        assert_eq!((&tried.data()["status"], tried.json()["meta"]["effects"]["sessions"].as_u64()), (&json!("SUSPENDED"), Some(0)));
        world.patch(&path).bearer(&token).header("if-match", &tag).json(suspend).send().await.expect(200);
        world.patch(&path).bearer(&token).header("if-match", &tag).json(json!({"name": "x"})).send().await.expect(412);
        world.patch(&path).bearer(&token).json(json!({"status": "ACTIVE"})).send().await.expect(200);
        world.patch(&path).bearer(&token).json(json!({"require_consent": true})).send().await.expect(200);
        world.post(&format!("{path}/rotate-secret")).bearer(&token).json(json!({})).send().await.expect(200);
        assert_eq!(world.delete(&format!("{path}?dry_run=true")).bearer(&token).send().await.expect(200).data()["id"], json!(one));
        for _ in 0..2 {
            world.delete(&path).bearer(&token).send().await.expect(204);
        }
        world.get(&path).bearer(&token).send().await.problem(404, "not_found");
        let events = world.get(&format!("/tenants/{}/audit-events?resource_id={one}&sort=created_at", tenant.id)).bearer(&token).send().await.expect(200).data();
        let actions: Vec<_> = events.as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap().trim_start_matches("application.").to_owned()).collect();
        assert_eq!(actions, ["created", "suspended", "activated", "updated", "secret_rotated", "deleted"]);
    }

    async fn applications_are_found_by_every_filter(world) {
        let (tenant, token) = administered(&world).await;
        let admin = world.admin().await;
        make(&world, &tenant, &token, web()).await.expect(201);
        let two = id(&make(&world, &tenant, &token, json!({"name": "Caf\u{e9} orders", "application_type": "SERVICE"})).await.expect(201));
        world.patch(&format!("{}/{two}", list(&tenant))).bearer(&token).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
        let global = json!({"name": "Mail", "application_type": "SERVICE", "scope_level": "GLOBAL"});
        world.post("/admin/applications").bearer(&admin).json(global).send().await.expect(201);
        for (query, expected) in [
            ("", 3), ("search=cafe", 1), ("search=order%20caf", 1), ("search=wi", 1), ("search=iki", 0), ("status=SUSPENDED", 1),
            ("application_type=SERVICE", 2), ("application_type=SERVICE&application_type=WEB", 3), ("scope_level=GLOBAL", 1),
            ("scope_level=PARTNER", 0), ("scope_level=TENANT&status=ACTIVE", 1),
        ] {
            for (path, token) in [(list(&tenant), &token), ("/admin/applications".to_owned(), &admin)] {
                let answer = world.get(&format!("{path}?{query}")).bearer(token).send().await.expect(200);
                assert_eq!((answer.total(), answer.len()), (expected, usize::try_from(expected).unwrap()), "{path}?{query}");
            }
        }
        let path = format!("{}?tenant_id={}", list(&tenant), tenant.id);
        assert_eq!(world.get(&path).bearer(&token).send().await.faults(), ["query.tenant_id extra_forbidden"]);
    }
}
