//! One's own profile and password: `/me`.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests};

const NEW: &str = "seventeen quiet harbour cranes";

async fn ada(world: &World) -> Signed {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    world.login(&ada).await
}

async fn change(world: &World, signed: &Signed, current: &str, new: &str) -> crate::harness::Answer {
    let body = json!({"current_password": current, "new_password": new});
    world.post("/me/password").bearer(signed).json(body).send().await
}

api_tests! {
    async fn profile_changes_where_it_is_named_and_stays_elsewhere(world) {
        let ada = ada(&world).await;
        let patch = async |body: Value| world.patch("/me").bearer(&ada).json(body).send().await.expect(200).data();
        let user = patch(json!({"display_name": "Ada Lovelace", "phone": "+44 20 7946 0000"})).await;
        assert_eq!((&user["display_name"], &user["phone"]), (&json!("Ada Lovelace"), &json!("+44 20 7946 0000")));
        let user = patch(json!({"phone": null})).await;
        assert_eq!((&user["display_name"], &user["phone"]), (&json!("Ada Lovelace"), &Value::Null));
        assert_eq!(patch(json!({})).await["display_name"], "Ada Lovelace");
        assert_eq!(world.get("/me").bearer(&ada).send().await.data()["display_name"], "Ada Lovelace");
    }

    async fn profile_takes_nothing_but_name_and_phone(world) {
        let ada = ada(&world).await;
        for field in ["email", "email_verified", "username", "status", "roles", "permissions", "tenant_id", "id", "password"] {
            let mut body = json!({"display_name": "Eve"});
            body[field] = json!("x");
            let faults = world.patch("/me").bearer(&ada).json(body).send().await.faults();
            assert_eq!(faults, [format!("body.{field} extra_forbidden")]);
        }
        assert_eq!(world.get("/me").bearer(&ada).send().await.data()["display_name"], Value::Null);
    }

    async fn profile_is_visible_through_a_fresh_login_time_and_roles(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let boss = world.login(&boss).await;
        let me = world.get("/me").bearer(&boss).send().await.expect(200);
        assert_eq!(me.json()["meta"]["request_id"], json!(me.header("x-request-id").unwrap()));
        let me = me.data();
        assert!(me["last_login_at"].is_string());
        assert_eq!(me["permissions"], json!(["*:*"]));
        let role = &me["roles"][0];
        assert_eq!((&role["name"], &role["expires_at"]), (&json!("tenant_admin"), &Value::Null));
        assert_eq!(role["anchor"], json!({"level": "tenant", "tenant_id": tenant.id}));
    }

    async fn new_password_replaces_the_old_and_ends_the_other_sessions(world) {
        world.tick();
        let ada = ada(&world).await;
        let other = Signed::of(&world.try_login("acme", "ada", PASSWORD).await.expect(200));
        change(&world, &ada, PASSWORD, NEW).await.expect(204);
        assert_eq!((world.me(&ada).await, world.me(&other).await), (200, 401));
        world.refresh("acme", &other.refresh).await.problem(401, "session_revoked");
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
        world.try_login("acme", "ada", NEW).await.expect(200);
        let ended = world.get("/me/sessions?active_only=false&per_page=2").bearer(&ada).send().await.data();
        assert_eq!(ended[1]["revoke_reason"], "password_change");
    }

    async fn password_change_needs_the_current_password(world) {
        let ada = ada(&world).await;
        let answer = change(&world, &ada, "not the password at all", NEW).await.problem(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(world.me(&ada).await, 200);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn wrong_current_passwords_count_like_failed_logins(world) {
        let ada = ada(&world).await;
        for _ in 0..10 {
            change(&world, &ada, "not the password at all", NEW).await.problem(401, "invalid_credentials");
        }
        let waiting = change(&world, &ada, PASSWORD, NEW).await.problem(429, "rate_limited");
        assert!(waiting.header("retry-after").is_some());
        world.try_login("acme", "ada", PASSWORD).await.problem(429, "rate_limited");
    }

    async fn new_password_obeys_the_rules(world) {
        let ada = ada(&world).await;
        for (new, kind) in [("too short", "password_too_short"), ("passwordpassword", "password_too_weak"), ("ada@acme.example", "password_too_weak")] {
            assert_eq!(change(&world, &ada, PASSWORD, new).await.faults(), [format!("body.new_password {kind}")]);
        }
        let both = world.post("/me/password").bearer(&ada).json(json!({})).send().await.faults();
        assert_eq!(both, ["body.current_password missing", "body.new_password missing"]);
    }

    async fn administrator_neither_sets_nor_sees_a_password(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let admin = world.admin().await;
        let path = format!("/admin/users/{}", ada.id);
        let faults = world.patch(&path).bearer(&admin).json(json!({"password": NEW})).send().await.faults();
        assert_eq!(faults, ["body.password extra_forbidden"]);
        let body = json!({"tenant_id": tenant.id, "username": "bob", "email": "bob@acme.example", "password": NEW});
        assert_eq!(world.post("/admin/users").bearer(&admin).json(body).send().await.faults(), ["body.password extra_forbidden"]);
        assert!(!world.get(&path).bearer(&admin).send().await.expect(200).text.contains("password"));
    }
}
