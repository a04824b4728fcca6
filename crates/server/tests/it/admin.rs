//! Partners, tenants, users, roles and assignments under `/admin`.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests};

const UNKNOWN_TENANT: &str = "tnt_01h455vb4pex5vsknk084sn02q";

async fn create(world: &World, path: &str, body: Value) -> Value {
    world.post(path).bearer(world.admin().await).json(body).send().await.expect(201).data()
}

async fn patch(world: &World, path: &str, body: Value) -> Value {
    world.patch(path).bearer(world.admin().await).json(body).send().await.expect(200).data()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

api_tests! {
    async fn fresh_installation_has_one_partner_and_one_tenant(world) {
        world.tick();
        let admin = world.admin().await;
        let partners = world.get("/admin/partners").bearer(&admin).send().await.expect(200).data();
        let tenants = world.get("/admin/tenants").bearer(&admin).send().await.expect(200).data();
        assert_eq!((partners.as_array().unwrap().len(), &partners[0]["slug"]), (1, &json!("platform")));
        assert_eq!((tenants.as_array().unwrap().len(), &tenants[0]["slug"]), (1, &json!("default")));
        assert_eq!(tenants[0]["partner_id"], partners[0]["id"]);
    }

    async fn partner_is_made_read_and_changed(world) {
        world.tick();
        let body = json!({"name": "Acme Ltd", "slug": "acme", "contact_email": "ops@acme.example", "max_tenants": 5});
        let partner = create(&world, "/admin/partners", body).await;
        assert_eq!((&partner["status"], &partner["max_tenants"], &partner["max_users_per_tenant"]), (&json!("ACTIVE"), &json!(5), &Value::Null));
        let path = format!("/admin/partners/{}", text(&partner, "id"));
        let changed = patch(&world, &path, json!({"name": "Acme Inc", "max_tenants": null})).await;
        assert_eq!((&changed["name"], &changed["max_tenants"], &changed["contact_email"]), (&json!("Acme Inc"), &Value::Null, &json!("ops@acme.example")));
        assert_eq!(world.get(&path).bearer(world.admin().await).send().await.expect(200).data(), changed);
        assert_eq!(patch(&world, &path, json!({})).await["updated_at"], changed["updated_at"], "nothing changed");
    }

    async fn slug_is_unique_and_of_its_alphabet(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        world.post("/admin/partners").bearer(&admin).json(json!({"name": "x", "slug": "acme"})).send().await.problem(409, "conflict");
        let body = json!({"name": "x", "slug": "acme", "partner_id": tenant.partner_id});
        world.post("/admin/tenants").bearer(&admin).json(body).send().await.problem(409, "conflict");
        for slug in ["", "Acme", "-a", "a-", "a b", "a/b", "é", &"a".repeat(64)] {
            let body = json!({"name": "x", "slug": slug, "partner_id": tenant.partner_id});
            let faults = world.post("/admin/tenants").bearer(&admin).json(body).send().await.faults();
            assert!(faults.len() == 1 && faults[0].starts_with("body.slug "), "{slug}: {faults:?}");
        }
    }

    async fn tenant_of_an_unknown_partner_cannot_be_made(world) {
        world.tick();
        let body = json!({"name": "x", "slug": "x", "partner_id": "prt_01h455vb4pex5vsknk084sn02q"});
        let answer = world.post("/admin/tenants").bearer(world.admin().await).json(body).send().await;
        assert!(matches!(answer.status, 404 | 422), "{}", answer.text);
        let list = world.get("/admin/tenants").bearer(world.admin().await).send().await;
        assert_eq!(list.total(), 1);
    }

    async fn tenant_moves_to_another_partner_with_everything_in_it(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let beta = world.tenant_of(&tenant.partner_id, "beta").await;
        let old = world.partner_admin(&beta, "paula").await;
        let old = world.login(&old).await;
        let target = world.partner("globex").await;
        let path = format!("/admin/tenants/{}", tenant.id);
        assert_eq!(patch(&world, &path, json!({"partner_id": target})).await["partner_id"], json!(target));
        assert_eq!(world.get("/me").bearer(&signed).send().await.expect(200).data()["partner_id"], json!(target));
        let list = world.get(&format!("/admin/sessions?partner_id={target}")).bearer(world.admin().await).send().await;
        assert_eq!(list.total(), 1);
        // The administrator of the old partner has nothing more to do with it.
        world.get(&path).bearer(&old).send().await.problem(404, "not_found");
    }

    async fn partner_administrator_moves_no_tenant_and_makes_no_partner(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let paula = world.partner_admin(&tenant, "paula").await;
        let paula = world.login(&paula).await;
        let other = world.partner("globex").await;
        let path = format!("/admin/tenants/{}", tenant.id);
        let answer = world.patch(&path).bearer(&paula).json(json!({"partner_id": other})).send().await;
        assert!(matches!(answer.status, 403 | 404), "{}", answer.text);
        world.post("/admin/partners").bearer(&paula).json(json!({"name": "x", "slug": "x"})).send().await.expect(403);
        let body = json!({"name": "x", "slug": "x", "partner_id": other});
        let answer = world.post("/admin/tenants").bearer(&paula).json(body).send().await;
        assert!(matches!(answer.status, 403 | 404 | 422), "{}", answer.text);
        let body = json!({"name": "y", "slug": "y", "partner_id": tenant.partner_id});
        world.post("/admin/tenants").bearer(&paula).json(body).send().await.expect(201);
    }

    async fn user_made_by_an_administrator_is_invited_and_cannot_sign_in(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let body = json!({"tenant_id": tenant.id, "username": "ada", "email": "ada@mail.example"});
        let user = create(&world, "/admin/users", body.clone()).await;
        assert_eq!((&user["status"], &user["last_login_at"]), (&json!("INVITED"), &Value::Null));
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
        world.post("/admin/users").bearer(world.admin().await).json(body).send().await.problem(409, "already_registered");
        let body = json!({"tenant_id": UNKNOWN_TENANT, "username": "bob", "email": "bob@mail.example"});
        let answer = world.post("/admin/users").bearer(world.admin().await).json(body).send().await;
        assert!(matches!(answer.status, 404 | 422), "{}", answer.text);
    }

    async fn longest_attributes_fit_into_one_answer_together_with_those_that_they_replace(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let path = format!("/admin/users/{}", ada.id);
        let longest = |letter: &str| -> Value {
            (0..50).map(|n| (format!("{n:02}{}", letter.repeat(62)), letter.repeat(512).into())).collect::<serde_json::Map<_, _>>().into()
        };
        patch(&world, &path, json!({"attributes": longest("a")})).await;
        patch(&world, &path, json!({"attributes": longest("b")})).await;
        let events = world.get("/admin/audit-events?action=user.updated&per_page=1").bearer(world.admin().await).send().await.expect(200).data();
        let path = format!("/admin/audit-events/{}", text(&events[0], "id"));
        let event = world.get(&path).bearer(world.admin().await).send().await.expect(200).data();
        assert_eq!(event["changes"].as_array().unwrap().len(), 100);
    }

    async fn attributes_that_take_more_than_an_answer_has_room_for_are_refused(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let clefs: serde_json::Map<_, _> = (0..30).map(|n| (n.to_string(), "\u{1d11e}".repeat(300).into())).collect();
        let request = world.patch(&format!("/admin/users/{}", ada.id)).bearer(world.admin().await);
        assert_eq!(request.json(json!({"attributes": clefs})).send().await.faults(), ["body.attributes too_long"]);
    }

    async fn user_is_changed_and_a_new_email_counts_as_unverified(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let path = format!("/admin/users/{}", ada.id);
        let user = patch(&world, &path, json!({"email_verified": true, "attributes": {"cost_centre": "42"}})).await;
        assert_eq!((&user["email_verified"], &user["attributes"]), (&json!(true), &json!({"cost_centre": "42"})));
        let user = patch(&world, &path, json!({"email": "countess@mail.example"})).await;
        assert_eq!((&user["email_verified"], &user["email"]), (&json!(false), &json!("countess@mail.example")));
        world.try_login("acme", "countess@mail.example", PASSWORD).await.expect(200);
        world.try_login("acme", "ada@acme.example", PASSWORD).await.problem(401, "invalid_credentials");
        let bob = world.person(&tenant, "bob").await;
        let path = format!("/admin/users/{}", bob.id);
        let taken = world.patch(&path).bearer(world.admin().await).json(json!({"username": "ADA"})).send().await;
        assert_eq!(taken.status, 409, "{}", taken.text);
    }

    async fn users_are_listed_by_tenant_partner_status_and_role(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        world.set_status("users", &ada.id, "SUSPENDED").await;
        let admin = world.admin().await;
        let role = world.builtin("tenant_admin").await;
        let list = async |query: String| {
            let answer = world.get(&format!("/admin/users?{query}")).bearer(&admin).send().await.expect(200);
            assert_eq!(answer.total(), answer.len() as u64);
            answer.ids()
        };
        assert_eq!(list(format!("tenant_id={}", tenant.id)).await, [boss.id.clone(), ada.id.clone()]);
        assert_eq!(list(format!("partner_id={}", tenant.partner_id)).await, [boss.id.clone(), ada.id.clone()]);
        assert_eq!(list(format!("tenant_id={}&status=SUSPENDED", tenant.id)).await, std::slice::from_ref(&ada.id));
        assert_eq!(list(format!("role={role}")).await, std::slice::from_ref(&boss.id));
        assert_eq!(list(format!("tenant_id={UNKNOWN_TENANT}")).await, [""; 0]);
    }

    async fn built_in_roles_are_found_by_name_and_read_only(world) {
        world.tick();
        let admin = world.admin().await;
        for (name, permissions) in [
            ("super_admin", json!(["*:*", "audit:write"])), ("partner_admin", json!(["*:*"])), ("tenant_admin", json!(["*:*"])),
        ] {
            let id = world.builtin(name).await;
            let path = format!("/admin/roles/{id}");
            let role = world.get(&path).bearer(&admin).send().await.expect(200).data();
            assert_eq!((&role["name"], &role["permissions"]), (&json!(name), &permissions));
            let answer = world.patch(&path).bearer(&admin).json(json!({"permissions": ["sessions:read"]})).send().await;
            assert_eq!(answer.status, 409, "{}", answer.text);
        }
    }

    async fn custom_role_gives_what_it_says_in_its_tenant(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let role = world.role(&tenant, "Support", &["sessions:read"]).await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let path = format!("/tenants/{}/sessions", tenant.id);
        world.get(&path).bearer(&signed).send().await.expect(403);
        let given = world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        world.get(&path).bearer(&signed).send().await.expect(200);
        let body = json!({"permissions": ["sessions:delete"]});
        patch(&world, &format!("/admin/roles/{role}"), body).await;
        world.get(&path).bearer(&signed).send().await.problem(403, "missing_permission");
        world.delete(&format!("/admin/role-assignments/{given}")).bearer(world.admin().await).send().await.expect(204);
        world.delete(&format!("/admin/role-assignments/{given}")).bearer(world.admin().await).send().await.expect(204);
        world.post(&format!("{path}/revoke-all")).bearer(&signed).send().await.expect(403);
    }

    async fn role_knows_only_permissions_of_the_catalogue(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        for (permissions, place) in [
            (json!(["sessions:fly"]), "body.permissions.0"), (json!(["sessions"]), "body.permissions.0"), (json!(["sessions:read", "*"]), "body.permissions.1"),
            (json!("sessions:read"), "body.permissions"), (json!([1]), "body.permissions.0"), (json!(["unheard:read"]), "body.permissions.0"),
        ] {
            let body = json!({"name": "x", "tenant_id": tenant.id, "permissions": permissions});
            let faults = world.post("/admin/roles").bearer(&admin).json(body).send().await.faults();
            assert!(faults.len() == 1 && faults[0].starts_with(&format!("{place} ")), "{permissions}: {faults:?}");
        }
        let catalogue = world.get("/admin/permissions?per_page=200").bearer(&admin).send().await.expect(200);
        assert!(catalogue.text.contains("sessions:read") && catalogue.text.contains("sessions:delete"));
    }

    async fn assignment_is_anchored_at_exactly_one_level(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let (admin, role) = (world.admin().await, world.builtin("tenant_admin").await);
        for anchor in [
            json!({}), json!({"level": "galaxy"}), json!({"level": "tenant"}), json!({"level": "partner"}), json!({"level": "platform", "tenant_id": tenant.id}),
            json!({"level": "tenant", "tenant_id": tenant.id, "partner_id": tenant.partner_id}), json!({"level": "tenant", "tenant_id": "x"}),
        ] {
            let body = json!({"user_id": ada.id, "role_id": role, "anchor": anchor});
            let answer = world.post("/admin/role-assignments").bearer(&admin).json(body).send().await;
            assert_eq!(answer.status, 422, "{anchor}: {}", answer.text);
        }
        let body = json!({"user_id": ada.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": UNKNOWN_TENANT}});
        let answer = world.post("/admin/role-assignments").bearer(&admin).json(body).send().await;
        assert!(matches!(answer.status, 404 | 422), "{}", answer.text);
    }

    async fn assignment_ends_when_it_says(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "Support", &["sessions:read"]).await;
        let path = format!("/tenants/{}/sessions", tenant.id);
        let end = world.app.env().now().plus(std::time::Duration::from_secs(300)).to_string();
        let body = json!({"user_id": ada.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": tenant.id}, "expires_at": end});
        create(&world, "/admin/role-assignments", body).await;
        let signed = world.login(&ada).await;
        world.get(&path).bearer(&signed).send().await.expect(200);
        world.clock.advance(std::time::Duration::from_secs(301));
        // Another process has not seen the roles within the last second.
        let later = world.replica(|_| {}).await;
        later.get(&path).bearer(&signed).send().await.problem(403, "missing_permission");
        let refreshed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        assert_eq!(refreshed.claim("scope"), "");
    }

    async fn last_platform_administrator_stays(world) {
        world.tick();
        let admin = world.admin().await;
        let user = admin.user();
        let list = world.get(&format!("/admin/role-assignments?user_id={user}")).bearer(&admin).send().await.expect(200);
        let id = list.ids().remove(0);
        world.delete(&format!("/admin/role-assignments/{id}")).bearer(&admin).send().await.problem(409, "conflict");
        world.patch(&format!("/admin/users/{user}")).bearer(&admin).json(json!({"status": "SUSPENDED"})).send().await.problem(409, "conflict");
        assert_eq!(world.me(&admin).await, 200);
    }

    async fn activating_an_invited_user_gives_no_way_in_without_a_password(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let body = json!({"tenant_id": tenant.id, "username": "ada", "email": "ada@mail.example"});
        let user = create(&world, "/admin/users", body).await;
        world.patch(&format!("/admin/users/{}", text(&user, "id"))).bearer(world.admin().await).json(json!({"status": "ACTIVE"})).send().await;
        for password in ["", " ", "null", PASSWORD] {
            assert!(matches!(world.try_login("acme", "ada", password).await.status, 401 | 422));
        }
    }

    async fn instant_beyond_what_can_be_written_is_refused(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "Support", &["sessions:read"]).await;
        for end in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01", "10000-01-01T00:00:00Z"] {
            let body = json!({"user_id": ada.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": tenant.id}, "expires_at": end});
            let answer = world.post("/admin/role-assignments").bearer(world.admin().await).json(body).send().await;
            assert_eq!(answer.faults(), ["body.expires_at datetime_parsing"], "{end}");
        }
    }

    async fn moved_tenant_lets_people_in_through_a_process_that_has_not_heard_of_it(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let other = world.replica(|_| {}).await;
        other.login(&ada).await;
        let target = world.partner("globex").await;
        patch(&world, &format!("/admin/tenants/{}", tenant.id), json!({"partner_id": target})).await;
        let signed = other.login(&ada).await;
        assert_eq!(signed.claim("partner_id"), target);
        let bob = other.person(&tenant, "bob").await;
        assert_eq!(world.get(&format!("/admin/users/{}", bob.id)).bearer(world.admin().await).send().await.data()["partner_id"], json!(target));
    }

    async fn administrator_for_a_while_widens_no_role_that_stays(world) {
        let tenant = world.tenant("acme").await;
        let eve = world.person(&tenant, "eve").await;
        let role = world.role(&tenant, "Support", &["sessions:read", "sessions:delete"]).await;
        world.give(&eve, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let end = world.app.env().now().plus(std::time::Duration::from_secs(600)).to_string();
        let body = json!({"user_id": eve.id, "role_id": world.builtin("partner_admin").await, "expires_at": end,
            "anchor": {"level": "partner", "partner_id": tenant.partner_id}});
        create(&world, "/admin/role-assignments", body).await;
        let eve = world.login(&eve).await;
        let path = format!("/admin/roles/{role}");
        let patch = async |permissions: Value| world.patch(&path).bearer(&eve).json(json!({"permissions": permissions})).send().await;
        patch(json!(["*:*"])).await.problem(403, "missing_permission");
        patch(json!(["sessions:read", "users:write"])).await.problem(403, "missing_permission");
        patch(json!(["sessions:read"])).await.expect(200);
    }
}
