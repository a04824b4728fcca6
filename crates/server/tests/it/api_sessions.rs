//! Sessions: one's own, a tenant's, everybody's.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Person, Signed, Tenant, World, api_tests};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";

async fn login_with(world: &World, person: &Person, headers: &[(&str, &str)]) -> Signed {
    let mut call = world.post(&format!("/auth/tenants/{}/login", person.slug));
    for (name, value) in headers {
        call = call.header(name, value);
    }
    Signed::of(&call.form(&[("username", &person.name), ("password", PASSWORD)]).send().await.expect(200))
}

/// A tenant with its administrator and a user, both signed in.
async fn office(world: &World) -> (Tenant, Signed, Person, Signed) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let ada = world.person(&tenant, "ada").await;
    let (boss, signed) = (world.login(&boss).await, world.login(&ada).await);
    (tenant, boss, ada, signed)
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

const LIST_KEYS: [&str; 17] = [
    "app_count",
    "application_id",
    "created_at",
    "device_name",
    "device_type",
    "expires_at",
    "id",
    "ip_address",
    "is_current",
    "kind",
    "last_activity_at",
    "revoke_reason",
    "revoked_at",
    "status",
    "user_agent",
    "user_email",
    "user_id",
];

api_tests! {
    async fn own_list_shows_every_device_and_marks_the_current(world) {
        world.tick();
        let ada = world.person(&world.tenant("acme").await, "ada").await;
        let laptop = login_with(&world, &ada, &[("user-agent", FIREFOX)]).await;
        let phone = login_with(&world, &ada, &[("user-agent", IPHONE)]).await;
        let answer = world.get("/me/sessions").bearer(&phone).send().await.expect(200);
        assert_eq!(answer.ids(), [phone.session(), laptop.session()], "newest first");
        let list = answer.data();
        assert_eq!(keys(&list[0]), LIST_KEYS);
        assert_eq!((&list[0]["is_current"], &list[1]["is_current"]), (&json!(true), &json!(false)));
        assert_eq!((&list[1]["device_type"], &list[1]["device_name"]), (&json!("desktop"), &json!("Firefox on Linux")));
        assert_eq!(list[0]["device_type"], "mobile");
        assert_eq!((&list[1]["ip_address"], &list[1]["user_agent"]), (&json!("192.0.2.1"), &json!(FIREFOX)));
        assert_eq!((&list[0]["status"], &list[0]["user_email"]), (&json!("active"), &json!("ada@acme.example")));
    }

    async fn native_client_declares_itself_and_other_declarations_are_ignored(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        for (headers, kind, name) in [
            (vec![("x-device", "app"), ("user-agent", "AcmeApp/3.1 (iPhone)")], json!("app"), None),
            (vec![("x-device", "toaster"), ("user-agent", FIREFOX)], json!("desktop"), None),
            (vec![("user-agent", "curl/8.5.0")], json!("bot"), Some(json!("curl"))),
            (vec![("user-agent", "nobody knows this")], json!("unknown"), Some(Value::Null)),
            (vec![], json!("unknown"), Some(Value::Null)),
            (vec![("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")], json!("bot"), None),
        ] {
            let signed = login_with(&world, &ada, &headers).await;
            let first = world.get("/me/sessions?per_page=1").bearer(&signed).send().await.expect(200).data()[0].clone();
            assert_eq!(first["device_type"], kind, "{headers:?}: {first}");
            if let Some(name) = name {
                assert_eq!(first["device_name"], name, "{headers:?}");
            }
        }
    }

    async fn session_in_full_says_how_and_by_whom_it_ended(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let path = format!("/tenants/{}/sessions/{}", tenant.id, signed.session());
        let session = world.get(&path).bearer(&boss).send().await.expect(200).data();
        let mut expected: Vec<_> = LIST_KEYS.to_vec();
        expected.extend(["user_display_name", "location", "sso_apps", "auth_methods", "revoked_by"]);
        expected.sort_unstable();
        assert_eq!(keys(&session), expected);
        assert_eq!((&session["auth_methods"], &session["sso_apps"]), (&json!(["pwd"]), &json!([])));
        assert_eq!((&session["location"], &session["revoked_by"]), (&Value::Null, &Value::Null));
        assert_eq!(session["user_id"], json!(ada.id));
        world.delete(&path).bearer(&boss).send().await.expect(204);
        let session = world.get(&path).bearer(&boss).send().await.expect(200).data();
        assert_eq!((&session["status"], &session["revoke_reason"]), (&json!("revoked"), &json!("admin")));
        assert_eq!(session["revoked_by"], json!(boss.user()));
        assert!(session["revoked_at"].is_string());
    }

    async fn one_own_session_is_shown_also_when_it_has_ended_and_nobody_elses(world) {
        world.tick();
        let (_, boss, ada, signed) = office(&world).await;
        let second = world.login(&ada).await;
        let get = async |id: String| world.get(&format!("/me/sessions/{id}")).bearer(&signed).send().await;
        let shown = get(signed.session()).await.expect(200).data();
        assert_eq!((&shown["id"], &shown["is_current"], &shown["status"]), (&json!(signed.session()), &json!(true), &json!("active")));
        world.delete(&format!("/me/sessions/{}", second.session())).bearer(&signed).send().await.expect(200);
        let shown = get(second.session()).await.expect(200).data();
        assert_eq!((&shown["is_current"], &shown["status"]), (&json!(false), &json!("revoked")));
        for id in [boss.session(), "ses_01h455vb4pex5vsknk084sn02q".into()] {
            get(id).await.problem(404, "not_found");
        }
    }

    async fn ending_one_own_session_is_idempotent(world) {
        world.tick();
        let (_, _, ada, signed) = office(&world).await;
        let second = world.login(&ada).await;
        let path = format!("/me/sessions/{}", second.session());
        let ended = world.delete(&path).bearer(&signed).send().await.expect(200).data();
        assert_eq!(ended, json!({"revoked_count": 1, "session_ids": [second.session()]}));
        assert_eq!(world.me(&second).await, 401);
        let again = world.delete(&path).bearer(&signed).send().await.expect(200).data();
        assert_eq!(again, json!({"revoked_count": 0, "session_ids": []}));
    }

    async fn ending_the_current_session_is_a_logout(world) {
        world.tick();
        let (tenant, boss, _, signed) = office(&world).await;
        let path = format!("/me/sessions/{}", signed.session());
        world.delete(&path).bearer(&signed).send().await.expect(200);
        assert_eq!(world.me(&signed).await, 401);
        let path = format!("/tenants/{}/sessions/{}", tenant.id, signed.session());
        let session = world.get(&path).bearer(&boss).send().await.expect(200).data();
        assert_eq!((&session["revoke_reason"], &session["revoked_by"]), (&json!("logout"), &json!(signed.user())));
    }

    async fn ending_ones_other_sessions_spares_the_current(world) {
        world.tick();
        let (_, _, ada, signed) = office(&world).await;
        let others = [world.login(&ada).await, world.login(&ada).await];
        let ended = world.post("/me/sessions/revoke-all").bearer(&signed).send().await.expect(200).data();
        assert_eq!(ended["revoked_count"], 2);
        let mut ids: Vec<_> = ended["session_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        let mut expected: Vec<_> = others.iter().map(Signed::session).collect();
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected);
        assert_eq!((world.me(&signed).await, world.me(&others[0]).await, world.me(&others[1]).await), (200, 401, 401));
        let again = world.post("/me/sessions/revoke-all").bearer(&signed).send().await.expect(200).data();
        assert_eq!(again, json!({"revoked_count": 0, "session_ids": []}));
    }

    async fn ended_sessions_show_only_when_asked_for(world) {
        world.tick();
        let (_, _, ada, signed) = office(&world).await;
        let second = world.login(&ada).await;
        world.logout("acme", &second.refresh).await.expect(200);
        assert_eq!(world.get("/me/sessions").bearer(&signed).send().await.expect(200).ids(), [signed.session()]);
        let all = world.get("/me/sessions?active_only=false").bearer(&signed).send().await.expect(200);
        assert_eq!((all.ids(), all.total()), (vec![second.session(), signed.session()], 2));
        assert_eq!(all.data()[0]["revoke_reason"], "logout");
    }

    async fn own_session_of_another_person_is_not_found(world) {
        world.tick();
        let (_, boss, _, signed) = office(&world).await;
        let foreign = world.delete(&format!("/me/sessions/{}", boss.session())).bearer(&signed).send().await;
        let unknown = world.delete("/me/sessions/ses_01h455vb4pex5vsknk084sn02q").bearer(&signed).send().await;
        assert_eq!(foreign.status, 404);
        assert_eq!(foreign.anonymised(), unknown.anonymised());
        assert_eq!(world.me(&boss).await, 200);
    }

    async fn own_sessions_need_no_permission_through_the_tenant_paths(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let base = format!("/tenants/{}/sessions", tenant.id);
        assert_eq!(world.get(&format!("{base}/users/{}", ada.id)).bearer(&signed).send().await.expect(200).total(), 1);
        world.get(&format!("{base}/{}", signed.session())).bearer(&signed).send().await.expect(200);
        let second = world.login(&ada).await;
        world.delete(&format!("{base}/{}", second.session())).bearer(&signed).send().await.expect(204);
        let third = world.login(&ada).await;
        let body = json!({"revoke_all": true});
        let ended = world.post(&format!("{base}/users/{}/revoke", ada.id)).bearer(&signed).json(body).send().await.expect(200);
        assert_eq!(ended.data(), json!({"revoked_count": 1, "session_ids": [third.session()]}));
        // What is not one's own is refused, alike for real and unknown ids.
        for (real, unknown) in [
            (format!("{base}/{}", boss.session()), format!("{base}/ses_01h455vb4pex5vsknk084sn02q")),
            (format!("{base}/users/{}", boss.user()), format!("{base}/users/usr_01h455vb4pex5vsknk084sn02q")),
        ] {
            let real = world.get(&real).bearer(&signed).send().await.problem(403, "missing_permission");
            assert_eq!(real.json()["detail"], "Missing permission sessions:read");
            assert_eq!(real.anonymised(), world.get(&unknown).bearer(&signed).send().await.anonymised());
        }
        let refused = world.delete(&format!("{base}/{}", boss.session())).bearer(&signed).send().await.expect(403);
        assert_eq!(refused.json()["detail"], "Missing permission sessions:delete");
    }

    async fn tenant_list_filters_by_every_field(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        world.clock.advance(std::time::Duration::from_secs(60));
        let bob = world.person(&tenant, "bob").await;
        let login = format!("/auth/tenants/{}/login", tenant.slug);
        let form = [("username", "bob"), ("password", PASSWORD)];
        let bobs = Signed::of(&world.post(&login).from([198, 51, 100, 7]).header("user-agent", IPHONE).form(&form).send().await.expect(200));
        let created = world.get("/me/sessions").bearer(&bobs).send().await.data()[0]["created_at"].as_str().unwrap().to_owned();
        let list = async |query: &str| {
            let path = format!("/tenants/{}/sessions?{query}", tenant.id);
            let answer = world.get(&path).bearer(&boss).send().await.expect(200);
            assert_eq!(answer.total(), answer.ids().len() as u64, "{query}");
            answer.ids()
        };
        let all = vec![bobs.session(), signed.session(), boss.session()];
        assert_eq!(list("").await, all);
        for query in [format!("user_id={}", bob.id), "device_type=mobile".into(), "ip_address=198.51.100.7".into(), "ip_address=::ffff:198.51.100.7".into(), format!("created_after={created}")] {
            assert_eq!(list(&query).await, [bobs.session()], "{query}");
        }
        assert_eq!(list(&format!("created_before={created}")).await, all[1..]);
        assert_eq!(list(&format!("last_activity_before={created}")).await, all[1..]);
        assert_eq!(list(&format!("user_id={}&user_id={}", bob.id, ada.id)).await, all[..2], "repeated means any");
        assert_eq!(list("device_type=&user_id=").await, all, "empty means unset");
        assert_eq!(list("device_type=toaster").await, [""; 0]);
        assert_eq!(list("application_id=app_01h455vb4pex5vsknk084sn02q").await, [""; 0]);
        assert_eq!(list("sort=created_at").await, all.iter().rev().cloned().collect::<Vec<_>>());
    }

    async fn filter_that_names_a_foreign_user_gives_an_empty_list(world) {
        world.tick();
        let (tenant, boss, ..) = office(&world).await;
        let other = world.tenant("globex").await;
        let foreign = world.person(&other, "eve").await;
        world.login(&foreign).await;
        let path = format!("/tenants/{}/sessions?user_id={}", tenant.id, foreign.id);
        let answer = world.get(&path).bearer(&boss).send().await.expect(200);
        assert_eq!((answer.total(), answer.ids().len()), (0, 0));
        assert_eq!(answer.json()["pagination"]["total_pages"], 0);
    }

    async fn revoke_request_is_either_ids_or_all(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let path = format!("/tenants/{}/sessions/users/{}/revoke", tenant.id, ada.id);
        let id = signed.session();
        for body in [
            json!({}), json!({"session_ids": []}), json!({"revoke_all": false}), json!({"session_ids": [id], "revoke_all": true}),
            json!({"session_ids": [], "revoke_all": true}), json!({"session_ids": null}), json!(null), json!([]),
            json!({"session_ids": ["nonsense"]}), json!({"session_ids": vec![id.clone(); 201]}), json!({"revoke_all": "yes"}),
            json!({"all": true}),
        ] {
            let answer = world.post(&path).bearer(&boss).json(body.clone()).send().await;
            assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        }
        world.post(&path).bearer(&boss).send().await.expect(422);
        assert_eq!(world.me(&signed).await, 200, "nothing ended");
        let twice = json!({"session_ids": [id, id]});
        let ended = world.post(&path).bearer(&boss).json(twice).send().await.expect(200).data();
        assert_eq!(ended, json!({"revoked_count": 1, "session_ids": [id]}));
    }

    async fn except_current_protects_from_all_but_not_from_being_named(world) {
        world.tick();
        let (tenant, _, ada, signed) = office(&world).await;
        let path = format!("/tenants/{}/sessions/users/{}/revoke", tenant.id, ada.id);
        let revoke = async |body: Value| {
            world.post(&path).bearer(&signed).json(body).send().await.expect(200).data()["revoked_count"].clone()
        };
        assert_eq!(revoke(json!({"revoke_all": true})).await, 0);
        assert_eq!(revoke(json!({"revoke_all": true, "except_current": true})).await, 0);
        world.login(&ada).await;
        assert_eq!(revoke(json!({"session_ids": [signed.session()], "except_current": true})).await, 1);
        assert_eq!(world.me(&signed).await, 401);
        let signed = world.login(&ada).await;
        let body = json!({"revoke_all": true, "except_current": false});
        let ended = world.post(&path).bearer(&signed).json(body).send().await.expect(200).data();
        assert_eq!(ended["revoked_count"], 2);
        assert_eq!(world.me(&signed).await, 401);
    }

    async fn foreign_id_among_the_named_ones_ends_nothing(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let path = format!("/tenants/{}/sessions/users/{}/revoke", tenant.id, ada.id);
        for foreign in [boss.session(), "ses_01h455vb4pex5vsknk084sn02q".to_owned()] {
            let body = json!({"session_ids": [signed.session(), foreign]});
            world.post(&path).bearer(&boss).json(body).send().await.problem(404, "not_found");
        }
        assert_eq!((world.me(&signed).await, world.me(&boss).await), (200, 200));
    }

    async fn ending_all_of_a_tenant_ends_the_caller_too_and_nobody_elsewhere(world) {
        world.tick();
        let (tenant, boss, _, signed) = office(&world).await;
        let other = world.tenant("globex").await;
        let eve = world.person(&other, "eve").await;
        let eve = world.login(&eve).await;
        let path = format!("/tenants/{}/sessions/revoke-all", tenant.id);
        let ended = world.post(&path).bearer(&boss).send().await.expect(200).data();
        assert_eq!(ended["revoked_count"], 2);
        assert_eq!((world.me(&boss).await, world.me(&signed).await, world.me(&eve).await), (401, 401, 200));
    }

    async fn operator_ends_sessions_of_a_user_or_of_a_tenant(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let admin = world.admin().await;
        let path = "/admin/sessions/revoke-all";
        for body in [json!({}), json!({"user_id": ada.id, "tenant_id": tenant.id}), json!({"except_current": true}), json!(null), json!({"user_id": null})] {
            world.post(path).bearer(&admin).json(body).send().await.expect(422);
        }
        world.post(path).bearer(&admin).send().await.expect(422);
        assert_eq!(world.me(&signed).await, 200);
        let ended = world.post(path).bearer(&admin).json(json!({"user_id": ada.id})).send().await.expect(200).data();
        assert_eq!(ended, json!({"revoked_count": 1, "session_ids": [signed.session()]}));
        let ended = world.post(path).bearer(&admin).json(json!({"tenant_id": tenant.id})).send().await.expect(200).data();
        assert_eq!(ended, json!({"revoked_count": 1, "session_ids": [boss.session()]}));
        let unknown = json!({"user_id": "usr_01h455vb4pex5vsknk084sn02q"});
        world.post(path).bearer(&admin).json(unknown).send().await.problem(404, "not_found");
    }

    async fn operator_spares_the_current_session_unless_told_otherwise(world) {
        world.tick();
        let admin = world.admin().await;
        let user = admin.user();
        let second = Signed::of(&world.try_login("default", "root", PASSWORD).await.expect(200));
        let path = "/admin/sessions/revoke-all";
        let ended = world.post(path).bearer(&admin).json(json!({"user_id": user})).send().await.expect(200).data();
        assert_eq!(ended, json!({"revoked_count": 1, "session_ids": [second.session()]}));
        let body = json!({"user_id": user, "except_current": false});
        world.post(path).bearer(&admin).json(body).send().await.expect(200);
        assert_eq!(world.me(&admin).await, 401);
    }

    async fn operator_lists_by_user_tenant_and_partner(world) {
        world.tick();
        let (tenant, boss, ada, signed) = office(&world).await;
        let admin = world.admin().await;
        let list = async |query: String| {
            world.get(&format!("/admin/sessions?{query}")).bearer(&admin).send().await.expect(200).ids()
        };
        assert_eq!(list(String::new()).await, [signed.session(), boss.session(), admin.session()]);
        assert_eq!(list(format!("user_id={}", ada.id)).await, [signed.session()]);
        assert_eq!(list(format!("tenant_id={}", tenant.id)).await, [signed.session(), boss.session()]);
        assert_eq!(list(format!("partner_id={}", tenant.partner_id)).await, [signed.session(), boss.session()]);
        // Both spellings are served, without a redirect.
        assert_eq!(world.get("/admin/sessions/").bearer(&admin).send().await.expect(200).total(), 3);
        let path = format!("/admin/sessions/{}", signed.session());
        world.get(&path).bearer(&admin).send().await.expect(200);
        world.delete(&path).bearer(&admin).send().await.expect(204);
        world.delete(&path).bearer(&admin).send().await.expect(204);
        assert_eq!(world.me(&signed).await, 401);
    }

    async fn partner_administrator_reaches_the_tenants_of_the_partner_only(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let sibling = world.tenant_of(&tenant.partner_id, "acme-two").await;
        let stranger = world.tenant("globex").await;
        let paula = world.partner_admin(&tenant, "paula").await;
        let paula = world.login(&paula).await;
        let mut signed = Vec::new();
        for home in [&sibling, &stranger] {
            let person = world.person(home, "ada").await;
            signed.push(world.login(&person).await);
        }
        let list = world.get("/admin/sessions").bearer(&paula).send().await.expect(200);
        assert_eq!((list.ids(), list.total()), (vec![signed[0].session(), paula.session()], 2));
        let filtered = world.get(&format!("/admin/sessions?tenant_id={}", stranger.id)).bearer(&paula).send().await.expect(200);
        assert_eq!(filtered.total(), 0);
        let path = format!("/admin/sessions/{}", signed[1].session());
        world.get(&path).bearer(&paula).send().await.problem(404, "not_found");
        world.delete(&path).bearer(&paula).send().await.problem(404, "not_found");
        let body = json!({"tenant_id": stranger.id});
        world.post("/admin/sessions/revoke-all").bearer(&paula).json(body).send().await.problem(404, "not_found");
        assert_eq!((world.me(&signed[0]).await, world.me(&signed[1]).await), (200, 200));
    }

    async fn fixed_segments_win_over_session_ids(world) {
        world.tick();
        let (tenant, boss, ..) = office(&world).await;
        let base = format!("/tenants/{}/sessions", tenant.id);
        world.get(&format!("{base}/stats")).bearer(&boss).send().await.expect(200);
        world.delete(&format!("{base}/stats")).bearer(&boss).send().await.problem(405, "method_not_allowed");
        world.get(&format!("{base}/revoke-all")).bearer(&boss).send().await.problem(405, "method_not_allowed");
        for id in ["users", "nonsense", "ses_1", "usr_01h455vb4pex5vsknk084sn02q", "SES_01H455VB4PEX5VSKNK084SN02Q"] {
            world.get(&format!("{base}/{id}")).bearer(&boss).send().await.problem(404, "not_found");
        }
    }
}
