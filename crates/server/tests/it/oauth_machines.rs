//! Applications that act in their own name, and tokens of applications at our own API.

use std::time::Duration;

use gatehouse_domain::job::JobKind;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, PASSWORD, api_tests, claims,
    oauth::{App, Site, basic, refused, text},
};

const API: &str = "https://files.example/v1";

/// A service with these scopes.
async fn service(site: &Site, scopes: &[&str]) -> App {
    let body = json!({"name": "Robot", "application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": scopes});
    let path = format!("/tenants/{}/applications", site.tenant.id);
    let admin = site.world.admin().await;
    let made = site.world.post(&path).bearer(admin).json(body).send().await.expect(201).data();
    let text = |name: &str| made[name].as_str().map(str::to_owned);
    App { id: text("id").unwrap(), secret: text("client_secret"), callback: String::new() }
}

async fn ask(site: &Site, app: &App, more: &[(&str, &str)]) -> Answer {
    site.token(app, &[&[("grant_type", "client_credentials")], more].concat()).await
}

async fn token(site: &Site, app: &App) -> String {
    text(&ask(site, app, &[]).await.expect(200).json(), "access_token").to_owned()
}

/// What a second later is true everywhere.
async fn a_second_later() {
    tokio::time::sleep(Duration::from_millis(950)).await;
}

api_tests! {
    async fn service_reads_with_admin_read_and_is_refused_a_write(world) {
        let site = Site::new(&world).await;
        let app = service(&site, &["admin:read"]).await;
        let answer = ask(&site, &app, &[]).await.expect(200);
        let tokens = answer.json();
        assert_eq!((&tokens["scope"], &tokens["expires_in"], &tokens["token_type"]), (&json!("admin:read"), &json!(900), &json!("Bearer")));
        assert_eq!((tokens.get("refresh_token"), tokens.get("id_token"), answer.header("cache-control")), (None, None, Some("no-store")));
        let token = text(&tokens, "access_token");
        let says = claims(token);
        assert_eq!((&says["sub"], &says["client_id"], &says["aud"]), (&json!(app.id), &json!(app.id), &says["iss"]));
        assert_eq!((&says["tenant_id"], says.get("sid"), says.get("roles"), says.get("amr")), (&json!(site.tenant.id), None, None, None));
        let users = format!("/tenants/{}/users", site.tenant.id);
        assert_eq!(world.get(&users).bearer(token).send().await.expect(200).total(), 2);
        let new = json!({"username": "eve", "email": "eve@acme.example"});
        let answer = world.post(&users).bearer(token).json(new).send().await;
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        answer.problem(403, "insufficient_scope");
        assert_eq!(challenge.as_deref(), Some("Bearer error=\"insufficient_scope\", scope=\"users:write\""));
        let events = format!("/tenants/{}/audit-events?action=access.denied&actor_id={}", site.tenant.id, app.id);
        let events = world.get(&events).bearer(&site.boss).send().await.expect(200).data();
        assert_eq!((&events[0]["actor"]["type"], &events[0]["actor"]["id"]), (&json!("application"), &json!(app.id)));
    }

    async fn application_has_no_account_and_acts_in_the_tenant_of_its_issuer_alone(world) {
        let site = Site::new(&world).await;
        let far = world.tenant("far").await;
        let app = service(&site, &["admin:read", "admin:write"]).await;
        let token = token(&site, &app).await;
        for path in ["/me", "/me/sessions", "/admin/users", "/admin/tenants", "/admin/me/scope"] {
            world.get(path).bearer(&token).send().await.problem(403, "missing_permission");
        }
        world.get(&format!("/tenants/{}/me/scope", site.tenant.id)).bearer(&token).send().await.problem(403, "missing_permission");
        world.get(&format!("/tenants/{}/users", site.tenant.id)).bearer(&token).send().await.expect(200);
        world.get(&format!("/tenants/{}/users", far.id)).bearer(&token).send().await.problem(404, "not_found");
        let answer = world.get(&format!("/auth/tenants/{}/oauth/userinfo", site.tenant.slug)).bearer(&token).send().await;
        answer.expect(401);
    }

    async fn changes_of_an_application_name_it_and_can_be_repeated_under_a_key(world) {
        let site = Site::new(&world).await;
        let app = service(&site, &["users:write", "users:read"]).await;
        let token = token(&site, &app).await;
        let users = format!("/tenants/{}/users", site.tenant.id);
        let new = json!({"username": "eve", "email": "eve@acme.example"});
        let send = async |key: &str, body: &Value| {
            world.post(&users).bearer(&token).header("idempotency-key", key).json(body.clone()).send().await
        };
        let first = send("k", &new).await.expect(201);
        let again = send("k", &new).await.expect(201);
        assert_eq!((again.header("idempotency-replayed"), again.data()["id"].clone()), (Some("true"), first.data()["id"].clone()));
        send("k", &json!({"username": "bob", "email": "bob@acme.example"})).await.expect(422);
        let events = format!("/tenants/{}/audit-events?actor_id={}", site.tenant.id, app.id);
        let events = world.get(&format!("{events}&action=user.created")).bearer(&site.boss).send().await.expect(200);
        assert_eq!((events.total(), &events.data()[0]["actor"]["acting_as"]), (1, &json!("tenant")));
        assert!(events.data()[0]["actor"]["session_id"].is_null());
    }

    async fn import_goes_on_in_the_name_of_its_application_while_that_may(world) {
        let site = Site::new(&world).await;
        let app = service(&site, &["users:write", "users:read"]).await;
        let token = token(&site, &app).await;
        let path = format!("/tenants/{}/user-imports", site.tenant.id);
        let line = |name: &str| json!({"username": name, "email": format!("{name}@mail.example")}).to_string();
        let ask = async |file: String| {
            let asked = world.post(&path).bearer(&token).body("application/x-ndjson", file).send().await.expect(202);
            format!("{path}/{}", asked.data()["id"].as_str().unwrap())
        };
        let import = ask(line("eve")).await;
        world.work(JobKind::UserImport).await;
        let done = world.get(&import).bearer(&site.boss).send().await.expect(200).data();
        assert_eq!((&done["state"], &done["created"], &done["created_by"]), (&json!("completed"), &json!(1), &json!(app.id)));
        let import = ask(line("zoe")).await;
        site.change(&app, json!({"allowed_scopes": ["users:read"]})).await;
        world.work(JobKind::UserImport).await;
        let failed = world.get(&import).bearer(&site.boss).send().await.expect(200).data();
        assert_eq!((&failed["state"], &failed["failure"], &failed["created"]), (&json!("failed"), &json!("not_allowed"), &json!(0)));
    }

    async fn application_that_changes_loses_what_it_loses_within_a_second_on_every_replica(world) {
        let site = Site::new(&world).await;
        let other = world.replica(|_| ()).await;
        let app = service(&site, &["users:read", "roles:read"]).await;
        let token = token(&site, &app).await;
        let (users, roles) = (format!("/tenants/{}/users", site.tenant.id), format!("/tenants/{}/roles", site.tenant.id));
        let both = async |path: &str, status: u16| {
            for at in [&world, &other] {
                at.get(path).bearer(&token).send().await.expect(status);
            }
        };
        both(&users, 200).await;
        both(&roles, 200).await;
        site.change(&app, json!({"allowed_scopes": ["roles:read"]})).await;
        a_second_later().await;
        both(&users, 403).await;
        both(&roles, 200).await;
        site.change(&app, json!({"allowed_scopes": ["roles:read", "users:read", "users:write"]})).await;
        a_second_later().await;
        let new = json!({"username": "eve", "email": "eve@acme.example"});
        world.post(&users).bearer(&token).json(new).send().await.problem(403, "insufficient_scope");
        both(&users, 200).await;
        site.change(&app, json!({"status": "SUSPENDED"})).await;
        a_second_later().await;
        both(&roles, 401).await;
        assert_eq!(refused(ask(&site, &app, &[]).await, 401), "invalid_client");
        site.change(&app, json!({"status": "ACTIVE"})).await;
        a_second_later().await;
        both(&roles, 200).await;
        let path = format!("/tenants/{}/applications/{}", site.tenant.id, app.id);
        world.delete(&path).bearer(&site.boss).send().await.expect(204);
        a_second_later().await;
        both(&roles, 401).await;
    }

    async fn suspended_tenant_gives_applications_nothing(world) {
        let site = Site::new(&world).await;
        let app = service(&site, &["users:read"]).await;
        let token = token(&site, &app).await;
        world.set_status("tenants", &site.tenant.id, "SUSPENDED").await;
        a_second_later().await;
        world.get(&format!("/tenants/{}/users", site.tenant.id)).bearer(&token).send().await.expect(401);
        assert_eq!(refused(ask(&site, &app, &[]).await, 400), "invalid_grant");
    }

    async fn scopes_of_an_application_are_those_that_it_may_use_in_its_own_name(world) {
        let site = Site::new(&world).await;
        let app = service(&site, &["openid", "profile", "account:read", "users:read", "roles:read"]).await;
        assert_eq!(ask(&site, &app, &[]).await.expect(200).json()["scope"], "roles:read users:read");
        assert_eq!(ask(&site, &app, &[("scope", "users:read")]).await.expect(200).json()["scope"], "users:read");
        for bad in ["openid", "account:read", "users:write", "users:read users:write", "unknown", "sp\u{e4}ce"] {
            assert_eq!(refused(ask(&site, &app, &[("scope", bad)]).await, 400), "invalid_scope", "{bad}");
        }
        let plain = service(&site, &["openid"]).await;
        assert_eq!(refused(ask(&site, &plain, &[]).await, 400), "invalid_scope");
        assert_eq!(refused(ask(&site, &site.app(json!({})).await, &[]).await, 400), "unauthorized_client");
        assert_eq!(refused(ask(&site, &site.spa().await, &[]).await, 400), "unauthorized_client");
        let wrong = App { secret: Some("ghk_wrong".to_owned()), ..app.clone() };
        assert_eq!(refused(ask(&site, &wrong, &[]).await, 401), "invalid_client");
        assert_eq!(refused(ask(&site, &app, &[("resource", API)]).await, 400), "invalid_target");
    }

    async fn token_for_an_api_of_others_opens_nothing_of_ours(world) {
        let site = Site::new(&world).await;
        let api = json!({"name": "Files", "application_type": "SERVICE", "resource_uris": [API],
            "resource_scopes": [{"name": "files:read", "description": null}]});
        let path = format!("/tenants/{}/applications", site.tenant.id);
        world.post(&path).bearer(&site.boss).json(api).send().await.expect(201);
        let app = service(&site, &["users:read"]).await;
        site.change(&app, json!({"allowed_resources": [API], "allowed_scopes": ["users:read", "files:read"]})).await;
        let tokens = ask(&site, &app, &[("resource", API)]).await.expect(200).json();
        assert_eq!((&tokens["scope"], &tokens["expires_in"]), (&json!("files:read"), &json!(300)));
        let token = text(&tokens, "access_token");
        assert_eq!(claims(token)["aud"], API);
        world.get(&format!("/tenants/{}/users", site.tenant.id)).bearer(token).send().await.problem(401, "invalid_token");
        assert_eq!(refused(ask(&site, &app, &[("resource", API), ("scope", "users:read")]).await, 400), "invalid_scope");
    }

    async fn application_of_a_partner_acts_in_the_tenant_whose_issuer_it_asks(world) {
        let site = Site::new(&world).await;
        let sibling = world.tenant_of(&site.tenant.partner_id, "sibling").await;
        let body = json!({"name": "Robot", "application_type": "SERVICE", "scope_level": "PARTNER",
            "partner_id": site.tenant.partner_id, "allowed_scopes": ["users:read", "users:write"]});
        let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
        let (id, secret) = (text(&made, "id"), text(&made, "client_secret"));
        let ask = world.post("/auth/tenants/sibling/oauth/token").header("authorization", &basic(id, secret));
        let tokens = ask.form(&[("grant_type", "client_credentials")]).send().await.expect(200).json();
        let token = text(&tokens, "access_token");
        let new = json!({"username": "eve", "email": "eve@acme.example"});
        world.post(&format!("/tenants/{}/users", sibling.id)).bearer(token).json(new).send().await.expect(201);
        world.get(&format!("/tenants/{}/users", site.tenant.id)).bearer(token).send().await.expect(404);
        let boss = world.tenant_admin(&sibling, "boss").await;
        let boss = world.login(&boss).await;
        let events = format!("/tenants/{}/audit-events?action=user.created&actor_id={id}", sibling.id);
        let events = world.get(&events).bearer(&boss).send().await.expect(200).data();
        let actor = &events[0]["actor"];
        assert_eq!((&actor["id"], &actor["acting_as"], &events[0]["ip_address"]), (&json!(id), &json!("partner"), &Value::Null));
    }

    async fn token_of_a_user_opens_its_own_account_as_its_scopes_say(world) {
        let site = Site::new(&world).await;
        let scopes = ["openid", "account:read", "account:write"];
        let (app, browser) = (site.app(json!({"allowed_scopes": scopes})).await, Browser::new(&world));
        let with = async |scope: &str| {
            let tokens = site.tokens(&browser, &app, &[("scope", scope)]).await;
            let says = claims(text(&tokens, "access_token"));
            assert_eq!(says["aud"], says["iss"], "our own API");
            text(&tokens, "access_token").to_owned()
        };
        let (read, write) = (with("openid account:read").await, with("account:write").await);
        world.get("/me").bearer(&read).send().await.expect(200);
        world.get("/me/sessions").bearer(&read).send().await.expect(200);
        let rename = json!({"display_name": "Ada L."});
        world.patch("/me").bearer(&read).json(rename.clone()).send().await.problem(403, "insufficient_scope");
        world.patch("/me").bearer(&write).json(rename).send().await.expect(200);
        world.get("/me").bearer(&write).send().await.problem(403, "insufficient_scope");
        let change = json!({"current_password": PASSWORD, "new_password": "quite another 4711 phrase"});
        world.post("/me/password").bearer(&write).json(change).send().await.problem(403, "missing_permission");
        let change = json!({"current_password": PASSWORD, "email": "ada@elsewhere.example"});
        world.post("/me/email").bearer(&write).json(change).send().await.problem(403, "missing_permission");
        site.user_info(&read).await.expect(200);
        let plain = site.tokens(&browser, &app, &[("scope", "openid")]).await;
        world.get("/me").bearer(text(&plain, "access_token")).send().await.problem(401, "invalid_token");
    }

    async fn token_of_an_administrator_opens_what_scope_and_roles_both_allow(world) {
        let site = Site::new(&world).await;
        let scopes = json!({"allowed_scopes": ["openid", "admin:read", "users:write", "account:read"]});
        let admin = world.admin().await;
        let app = site.app(json!({})).await;
        let path = format!("/tenants/{}/applications/{}", site.tenant.id, app.id);
        world.patch(&path).bearer(admin).json(scopes).send().await.expect(200);
        let users = format!("/tenants/{}/users", site.tenant.id);
        let sign_in = async |name: &str, scope: &str| {
            let browser = Browser::new(&world);
            let page = browser.get(&site.request(&app, &[("scope", scope)])).await.expect(200);
            let form = crate::harness::Form::of(&page);
            let code = crate::harness::oauth::code(&browser.submit(&form, &[("username", name), ("password", PASSWORD)]).await);
            text(&site.exchange(&app, &code).await.expect(200).json(), "access_token").to_owned()
        };
        let (boss, ada) = (sign_in("boss", "admin:read").await, sign_in("ada", "admin:read users:write").await);
        world.get(&users).bearer(&boss).send().await.expect(200);
        let new = json!({"username": "eve", "email": "eve@acme.example"});
        world.post(&users).bearer(&boss).json(new.clone()).send().await.problem(403, "insufficient_scope");
        world.get(&users).bearer(&ada).send().await.problem(403, "missing_permission");
        world.post(&users).bearer(&ada).json(new.clone()).send().await.problem(403, "missing_permission");
        let writes = sign_in("boss", "users:write").await;
        world.post(&users).bearer(&writes).json(new).send().await.expect(201);
        world.get(&users).bearer(&writes).send().await.problem(403, "insufficient_scope");
    }

    async fn application_of_a_tenant_opens_nothing_above_it_whoever_signs_in(world) {
        let site = Site::new(&world).await;
        let sibling = world.tenant_of(&site.tenant.partner_id, "sibling").await;
        let chief = world.partner_admin(&site.tenant, "chief").await;
        let app = site.app(json!({"allowed_scopes": ["openid", "admin:write", "users:write"]})).await;
        let browser = Browser::new(&world);
        let page = browser.get(&site.request(&app, &[("scope", "openid admin:write users:write")])).await.expect(200);
        let form = crate::harness::Form::of(&page);
        let answer = browser.submit(&form, &[("username", &chief.name), ("password", PASSWORD)]).await;
        let tokens = site.exchange(&app, &crate::harness::oauth::code(&answer)).await.expect(200).json();
        let token = text(&tokens, "access_token");
        world.get(&format!("/tenants/{}/users", site.tenant.id)).bearer(token).send().await.expect(200);
        for path in ["/admin/users", "/admin/tenants", "/admin/audit-events"] {
            world.get(path).bearer(token).send().await.expect(403);
        }
        world.get(&format!("/tenants/{}/users", sibling.id)).bearer(token).send().await.expect(404);
        let role = world.builtin("partner_admin").await;
        let anchor = json!({"level": "partner", "partner_id": site.tenant.partner_id});
        let gives = json!({"user_id": site.ada.id, "role_id": role, "anchor": anchor});
        world.post("/admin/role-assignments").bearer(token).json(gives.clone()).send().await.expect(403);
        let path = format!("/tenants/{}/role-assignments", site.tenant.id);
        world.post(&path).bearer(token).json(gives).send().await.expect(422);
    }

    async fn token_of_an_application_changes_nothing_that_its_user_signs_in_with(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({"allowed_scopes": ["openid", "admin:write"]})).await;
        let browser = Browser::new(&world);
        let page = browser.get(&site.request(&app, &[("scope", "openid admin:write")])).await.expect(200);
        let form = crate::harness::Form::of(&page);
        let answer = browser.submit(&form, &[("username", "boss"), ("password", PASSWORD)]).await;
        let tokens = site.exchange(&app, &crate::harness::oauth::code(&answer)).await.expect(200).json();
        let token = text(&tokens, "access_token");
        let boss = format!("/tenants/{}/users/{}", site.tenant.id, site.boss.user());
        let moved = json!({"email": "mine@evil.example"});
        world.patch(&boss).bearer(token).json(moved.clone()).send().await.problem(403, "missing_permission");
        world.post(&format!("{boss}/password-reset")).bearer(token).send().await.problem(403, "missing_permission");
        let ada = format!("/tenants/{}/users/{}", site.tenant.id, site.ada.id);
        world.patch(&ada).bearer(token).json(json!({"display_name": "Ada"})).send().await.expect(200);
    }

    async fn answer_kept_for_one_token_is_not_shown_to_one_that_opens_less(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({"allowed_scopes": ["openid", "applications:write"]})).await;
        let browser = Browser::new(&world);
        let page = browser.get(&site.request(&app, &[("scope", "openid applications:write")])).await.expect(200);
        let form = crate::harness::Form::of(&page);
        let answer = browser.submit(&form, &[("username", "boss"), ("password", PASSWORD)]).await;
        let tokens = site.exchange(&app, &crate::harness::oauth::code(&answer)).await.expect(200).json();
        let path = format!("/tenants/{}/applications", site.tenant.id);
        let body = json!({"name": "Till", "application_type": "SERVICE", "allowed_scopes": ["admin:write"]});
        let send = async |token: &str| world.post(&path).bearer(token).header("idempotency-key", "till-1").json(body.clone()).send().await;
        send(&site.boss.access).await.expect(201);
        send(text(&tokens, "access_token")).await.problem(403, "missing_permission");
    }

    async fn import_asked_for_through_an_application_ends_with_that(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({"allowed_scopes": ["openid", "users:write", "users:read"]})).await;
        let browser = Browser::new(&world);
        let page = browser.get(&site.request(&app, &[("scope", "openid users:write")])).await.expect(200);
        let form = crate::harness::Form::of(&page);
        let answer = browser.submit(&form, &[("username", "boss"), ("password", PASSWORD)]).await;
        let tokens = site.exchange(&app, &crate::harness::oauth::code(&answer)).await.expect(200).json();
        let path = format!("/tenants/{}/user-imports", site.tenant.id);
        let line = json!({"username": "eve", "email": "eve@mail.example"}).to_string();
        let asked = world.post(&path).bearer(text(&tokens, "access_token")).body("application/x-ndjson", line).send().await.expect(202);
        let one = format!("/tenants/{}/applications/{}/revoke-tokens", site.tenant.id, app.id);
        world.post(&one).bearer(&site.boss).send().await.expect(200);
        world.work(JobKind::UserImport).await;
        let import = format!("{path}/{}", asked.data()["id"].as_str().unwrap());
        let failed = world.get(&import).bearer(&site.boss).send().await.expect(200).data();
        assert_eq!((&failed["state"], &failed["failure"]), (&json!("failed"), &json!("not_allowed")));
    }
}
