//! Registering, signing in, signing out: `POST /auth/tenants/{tenant_slug}/…`.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests, claims};

const REGISTER: &str = "/auth/tenants/acme/register";
const LOGIN: &str = "/auth/tenants/acme/login";

async fn register(world: &World, name: &str, password: &str) -> crate::harness::Answer {
    let body = json!({"username": name, "email": format!("{name}@mail.example"), "password": password});
    world.post(REGISTER).json(body).send().await
}

api_tests! {
    async fn registered_person_signs_in_with_user_name_or_email(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        for name in ["ada", "ADA", "ada@acme.example", "ADA@ACME.example"] {
            let signed = Signed::of(&world.try_login("acme", name, PASSWORD).await.expect(200));
            let me = world.get("/me").bearer(&signed).send().await.expect(200).data();
            assert_eq!(me["id"], Value::String(ada.id.clone()));
        }
    }

    async fn registration_answers_the_whole_user(world) {
        let tenant = world.tenant("acme").await;
        let body = json!({"username": "ada", "email": "ada@mail.example", "password": PASSWORD, "display_name": "Ada L.", "phone": "+34 600 000 000"});
        let user = world.post(REGISTER).json(body).send().await.expect(201).data();
        let mut keys: Vec<_> = user.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, [
            "created_at", "display_name", "email", "email_verified", "id", "last_login_at", "partner_id", "permissions",
            "phone", "roles", "status", "tenant_id", "updated_at", "username",
        ]);
        assert_eq!(user["tenant_id"], Value::String(tenant.id));
        assert_eq!(user["partner_id"], Value::String(tenant.partner_id));
        assert_eq!((&user["email_verified"], &user["last_login_at"]), (&json!(false), &Value::Null));
        assert_eq!((&user["roles"], &user["permissions"]), (&json!([]), &json!([])));
        assert_eq!((&user["display_name"], &user["phone"]), (&json!("Ada L."), &json!("+34 600 000 000")));
    }

    async fn registration_is_closed_unless_the_tenant_opens_it(world) {
        world.admin().await;
        let body = json!({"username": "eve", "email": "eve@mail.example", "password": PASSWORD});
        world.post("/auth/tenants/default/register").json(body).send().await.problem(403, "registration_closed");
    }

    async fn register_takes_no_role_and_no_other_privilege(world) {
        world.tenant("acme").await;
        for (field, value) in [
            ("rol_id", json!(1)), ("role", json!("super_admin")), ("roles", json!(["super_admin"])), ("tenant_id", json!("x")),
            ("email_verified", json!(true)), ("status", json!("ACTIVE")), ("id", json!("x")), ("is_admin", json!(true)),
        ] {
            let mut body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
            body[field] = value;
            let answer = world.post(REGISTER).json(body).send().await;
            assert_eq!(answer.faults(), [format!("body.{field} extra_forbidden")]);
        }
        world.try_login("acme", "eve", PASSWORD).await.problem(401, "invalid_credentials");
    }

    async fn taken_name_and_taken_email_are_one_conflict(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        for (username, email) in [("ADA", "new@mail.example"), ("new", "Ada@Acme.Example")] {
            let body = json!({"username": username, "email": email, "password": PASSWORD});
            world.post(REGISTER).json(body).send().await.problem(409, "already_registered");
        }
    }

    async fn same_email_in_two_tenants_is_two_unrelated_users(world) {
        for slug in ["acme", "globex"] {
            world.tenant(slug).await;
        }
        let other = "seventeen quiet harbour cranes";
        let body = |password: &str| json!({"username": "ada", "email": "ada@mail.example", "password": password});
        let in_acme = world.post(REGISTER).json(body(PASSWORD)).send().await.expect(201).data();
        let in_globex = world.post("/auth/tenants/globex/register").json(body(other)).send().await.expect(201).data();
        assert_ne!(in_acme["id"], in_globex["id"]);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
        world.try_login("globex", "ada@mail.example", other).await.expect(200);
        world.try_login("acme", "ada", other).await.problem(401, "invalid_credentials");
        world.try_login("globex", "ada", PASSWORD).await.problem(401, "invalid_credentials");
    }

    async fn every_fault_of_a_registration_is_named_at_once(world) {
        world.tenant("acme").await;
        let body = json!({"username": "-", "email": "nobody", "phone": "x", "display_name": "a\nb", "extra": 1});
        let mut faults = world.post(REGISTER).json(body).send().await.faults();
        faults.sort();
        assert_eq!(faults, [
            "body.display_name string_control_characters", "body.email email_parsing", "body.extra extra_forbidden",
            "body.password missing", "body.phone phone_characters", "body.username username_characters",
        ]);
        let longest = "a".repeat(50);
        register(&world, &longest, PASSWORD).await.expect(201);
        assert_eq!(register(&world, &"a".repeat(51), PASSWORD).await.faults(), ["body.username string_too_long"]);
    }

    async fn weak_password_is_refused_with_the_reason(world) {
        world.tenant("acme").await;
        for (password, kind) in [
            ("short but fine", "password_too_short"),
            ("passwordpassword", "password_too_weak"),
            ("aaaaaaaaaaaaaaaaaaaa", "password_too_weak"),
            ("123456789012345678", "password_too_weak"),
            ("eve@mail.example", "password_too_weak"),
            ("acmeacmeacmeacme", "password_too_weak"),
            ("gatehousegatehouse", "password_too_weak"),
        ] {
            assert_eq!(register(&world, "eve", password).await.faults(), [format!("body.password {kind}")], "{password}");
        }
    }

    async fn password_may_be_long_spaced_and_of_any_script(world) {
        world.tenant("acme").await;
        let long = format!("{}z", "many words make it long 7 ".repeat(5)).chars().take(128).collect::<String>();
        for (name, password) in [("ada", long.as_str()), ("bo", "🦀 カニは横に歩く 蟹 long enough"), ("cy", " leading and trailing kept 9 ")] {
            register(&world, name, password).await.expect(201);
            world.try_login("acme", name, password).await.expect(200);
        }
        // Nothing was cut: the last character counts.
        let mut changed = long.clone();
        changed.pop();
        changed.push('y');
        world.try_login("acme", "ada", &changed).await.problem(401, "invalid_credentials");
        world.try_login("acme", "cy", "leading and trailing kept 9").await.problem(401, "invalid_credentials");
    }

    async fn composed_and_decomposed_password_sign_in_alike(world) {
        world.tenant("acme").await;
        register(&world, "ada", "contrase\u{f1}a larga 17 gaviotas").await.expect(201);
        world.try_login("acme", "ada", "contrasen\u{303}a larga 17 gaviotas").await.expect(200);
    }

    async fn login_answers_a_bare_token_pair(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let answer = world.try_login("acme", "ada", PASSWORD).await.expect(200);
        let pair = answer.json();
        let mut keys: Vec<_> = pair.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]);
        assert_eq!(pair["refresh_expires_in"], 7 * 86_400);
        assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("bearer"), &json!(900)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn access_token_has_the_claims_of_rfc_9068(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.tenant_admin(&tenant, "ada").await;
        let signed = world.login(&admin).await;
        let claims = claims(&signed.access);
        let mut keys: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["aud", "client_id", "exp", "iat", "iss", "jti", "partner_id", "roles", "scope", "sid", "sub", "tenant_id"]);
        assert!(claims["iss"].as_str().unwrap().ends_with("/api/v1/auth/tenants/acme"), "{claims}");
        assert_eq!(claims["aud"], claims["iss"]);
        assert_eq!((&claims["sub"], &claims["tenant_id"]), (&json!(admin.id), &json!(tenant.id)));
        assert_eq!((&claims["roles"], &claims["scope"]), (&json!(["tenant_admin"]), &json!("*:*")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        assert_eq!(claims["client_id"], "gatehouse");
    }

    async fn token_is_short_however_many_roles_its_user_holds(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "Reviewer", &["sessions:read"]).await;
        world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let id = if world.app.db().is_sqlite() { "randomblob(16)" } else { "gen_random_uuid()" };
        world.execute(format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
             INSERT INTO roles (id, tenant_id, partner_id, name, name_key, permissions, created_at, updated_at, version) \
             SELECT {id}, tenant_id, partner_id, name || ' of documents that every office of the company keeps for years ' || i, name_key || i, permissions, created_at, \
             updated_at, 1 FROM roles, n WHERE name = 'Reviewer'"
        ))
        .await;
        let columns = "tenant_id, partner_id, user_id, role_id, role_tenant_id, anchor_level, anchor_tenant_id, anchor_key, \
                       created_at, updated_at, version";
        let given = columns.replace("role_id, role_tenant_id", "r.id, r.tenant_id").replace(", ", ", a.");
        let given = given.replace("a.r.", "r.");
        world.execute(format!(
            "INSERT INTO role_assignments (id, {columns}) SELECT {id}, a.{given} \
             FROM role_assignments a JOIN roles r ON r.tenant_id = a.tenant_id AND r.id <> a.role_id"
        ))
        .await;
        let signed = world.login(&ada).await;
        assert!(signed.access.len() <= 3 * 1024, "{}", signed.access.len());
        let claims = claims(&signed.access);
        assert_eq!((claims.get("roles"), &claims["scope"]), (None, &json!("sessions:read")));
        world.get("/me/sessions").bearer(&signed).send().await.expect(200);
        let next = world.refresh("acme", &signed.refresh).await.expect(200).json();
        world.get("/me/sessions").bearer(next["access_token"].as_str().unwrap()).send().await.expect(200);
    }

    async fn login_takes_multipart_forms_too(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nada\r\n--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{PASSWORD}\r\n--b--\r\n"
        );
        world.post(LOGIN).body("multipart/form-data; boundary=b", body).send().await.expect(200);
    }

    async fn login_ignores_the_fields_of_oauth_clients_and_refuses_others(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let mut fields = vec![("username", "ada"), ("password", PASSWORD), ("grant_type", "password"), ("scope", ""), ("client_id", "x"), ("client_secret", "y")];
        world.post(LOGIN).form(&fields).send().await.expect(200);
        fields.push(("otp", "1"));
        assert_eq!(world.post(LOGIN).form(&fields).send().await.faults(), ["body.otp extra_forbidden"]);
    }

    async fn login_by_json_or_without_fields_is_invalid_input(world) {
        world.tenant("acme").await;
        let answer = world.post(LOGIN).json(json!({"username": "ada", "password": PASSWORD})).send().await;
        assert!(answer.faults()[0].starts_with("body"));
        assert_eq!(world.post(LOGIN).form(&[]).send().await.faults(), ["body.username missing", "body.password missing"]);
        assert_eq!(world.post(LOGIN).send().await.faults(), ["body missing"]);
        let twice = [("username", "ada"), ("username", "bob"), ("password", PASSWORD)];
        assert_eq!(world.post(LOGIN).form(&twice).send().await.faults().len(), 1);
    }

    async fn failed_login_names_no_reason_and_asks_for_a_bearer(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let answer = world.try_login("acme", "ada", "wrong wrong wrong wrong").await.problem(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }

    async fn unknown_tenant_is_not_found_and_suspended_tenant_says_so(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        world.try_login("nowhere", "ada", PASSWORD).await.problem(404, "not_found");
        world.try_login("No%20Where", "ada", PASSWORD).await.problem(404, "not_found");
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        world.try_login("acme", "ada", PASSWORD).await.problem(403, "tenant_suspended");
        register(&world, "bo", PASSWORD).await.problem(403, "tenant_suspended");
        world.set_status("tenants", &tenant.id, "ACTIVE").await;
        world.set_status("partners", &tenant.partner_id, "SUSPENDED").await;
        world.try_login("acme", "ada", PASSWORD).await.problem(403, "tenant_suspended");
    }

    async fn tenant_may_ask_for_a_verified_email(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.settings(&tenant, json!({"require_verified_email": true})).await;
        world.try_login("acme", "ada", PASSWORD).await.problem(403, "email_not_verified");
        // Only whoever knows the password learns that.
        world.try_login("acme", "ada", "wrong wrong wrong wrong").await.problem(401, "invalid_credentials");
        let path = format!("/admin/users/{}", ada.id);
        world.patch(&path).bearer(world.admin().await).json(json!({"email_verified": true})).send().await.expect(200);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn logout_ends_the_session_and_its_access_token(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        assert_eq!(world.me(&signed).await, 200);
        let answer = world.logout("acme", &signed.refresh).await.expect(200);
        assert!(answer.json()["message"].is_string());
        assert_eq!(world.me(&signed).await, 401);
        world.refresh("acme", &signed.refresh).await.problem(401, "session_revoked");
    }

    async fn logout_knows_no_failure(world) {
        let tenant = world.tenant("acme").await;
        world.tenant("globex").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        world.logout("acme", "nothing").await.expect(200);
        // Another tenant's token is unknown there, and stays good here.
        world.logout("globex", &signed.refresh).await.expect(200);
        assert_eq!(world.me(&signed).await, 200);
        let next = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        // A spent token still names its session.
        world.logout("acme", &signed.refresh).await.expect(200);
        world.logout("acme", &signed.refresh).await.expect(200);
        assert_eq!(world.me(&next).await, 401);
    }

    async fn refresh_slides_the_end_up_to_the_absolute_limit(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"session_max_days": 10})).await;
        let ada = world.person(&tenant, "ada").await;
        let mut signed = world.login(&ada).await;
        let session = signed.session();
        let mut ends = Vec::new();
        for _ in 0..3 {
            let list = world.get("/me/sessions").bearer(&signed).send().await.expect(200).data();
            ends.push(list[0]["expires_at"].as_str().unwrap()[..10].to_owned());
            assert_eq!(list[0]["id"], json!(session), "the session is the same after a rotation");
            world.clock.advance(std::time::Duration::from_secs(4 * 86_400));
            let answer = world.refresh("acme", &signed.refresh).await;
            if ends.len() == 3 {
                answer.problem(401, "refresh_token_invalid");
                break;
            }
            signed = Signed::of(&answer.expect(200));
        }
        // Sign-in + 7 days, + 4 + 7 = 11 but at most 10, and no more after that.
        assert!(ends[0] < ends[1] && ends[1] == ends[2], "{ends:?}");
    }

    async fn raised_cost_rehashes_at_the_next_login(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let hash = "SELECT password_hash FROM users WHERE username_key = 'ada'";
        assert!(world.text(hash).await[0].starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let dearer = world.replica(|config| config.hasher.cost.passes = 2).await;
        dearer.login(&ada).await;
        assert!(world.text(hash).await[0].starts_with("$argon2id$v=19$m=8,t=2,p=1$"));
        dearer.login(&ada).await;
        world.login(&ada).await;
    }
}
