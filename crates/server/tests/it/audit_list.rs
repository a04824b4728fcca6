//! The audit trail as its readers see it: who sees how much, in which order, by which filter.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Person, Signed, Tenant, World, api_tests};

/// A tenant with its administrator, signed in, and a person in it.
async fn acme(world: &World) -> (Tenant, Signed, Person) {
    world.tick();
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let ada = world.person(&tenant, "ada").await;
    (tenant, world.login(&boss).await, ada)
}

/// The actions of a list, in its order.
async fn actions(world: &World, token: &Signed, path: &str) -> Vec<String> {
    let answer = world.get(path).bearer(token).send().await.expect(200);
    let data = answer.data();
    let actions: Vec<_> =
        data.as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(answer.total(), actions.len() as u64, "{path} fits a page");
    actions
}

api_tests! {
    async fn event_shows_who_did_what_to_what_and_what_changed(world) {
        let (tenant, boss, ada) = acme(&world).await;
        let signed = world.login(&ada).await;
        let call = world.patch("/me").bearer(&signed).header("x-request-id", "trace-me").header("user-agent", "probe/1").from([203, 0, 113, 77]);
        call.json(json!({"display_name": "Ada"})).send().await.expect(200);
        let list = world.get(&format!("/tenants/{}/audit-events", tenant.id)).bearer(&boss).send().await.expect(200);
        let event = list.data()[0].clone();
        assert_eq!(event, json!({
            "id": event["id"], "created_at": event["created_at"], "tenant_id": tenant.id, "partner_id": tenant.partner_id,
            "actor": {"type": "user", "id": ada.id, "session_id": signed.session(), "acting_as": "own"},
            "action": "user.updated", "resource": {"type": "user", "id": ada.id}, "result": "success", "failure": null, "reason": null,
            "changes": [{"field": "display_name", "old": null, "new": "Ada"}],
            "ip_address": "203.0.113.77", "user_agent": "probe/1", "request_id": "trace-me",
        }));
        let id = event["id"].as_str().unwrap();
        for path in [format!("/tenants/{}/audit-events/{id}", tenant.id), format!("/admin/audit-events/{id}")] {
            let token = if path.starts_with("/admin") { world.admin().await } else { boss.clone() };
            assert_eq!(world.get(&path).bearer(&token).send().await.expect(200).data(), event);
        }
    }

    async fn event_of_what_was_made_has_every_field_that_was_given(world) {
        let admin = world.admin().await;
        let make = async |path: &str, body: Value| world.post(path).bearer(&admin).json(body).send().await.expect(201).data()["id"].clone();
        let contact = "office@mail.example";
        let partner = make("/admin/partners", json!({"name": "Acme", "slug": "acme", "contact_email": contact})).await;
        let body = json!({"name": "Acme", "slug": "acme", "partner_id": partner, "contact_email": contact, "branding": {"primary_color": "#00aaff"}});
        let tenant = make("/admin/tenants", body).await;
        let body = json!({"tenant_id": tenant, "username": "ada", "email": "ada@mail.example", "display_name": "Ada", "phone": "+49301234567"});
        let user = make("/admin/users", body).await;
        let changes = async |id: &Value, action: &str| {
            let path = format!("/admin/audit-events?resource_id={}&action={action}", id.as_str().unwrap());
            let event = world.get(&path).bearer(&admin).send().await.expect(200).data()[0].clone();
            event["changes"].as_array().unwrap().iter().map(|change| (change["field"].clone(), change["new"].clone())).collect::<Vec<_>>()
        };
        for (id, action, field, value) in [
            (&partner, "partner.created", "contact_email", contact), (&tenant, "tenant.created", "contact_email", contact),
            (&user, "user.created", "display_name", "Ada"), (&user, "user.created", "phone", "+49301234567"),
        ] {
            let changes = changes(id, action).await;
            assert!(changes.contains(&(json!(field), json!(value))), "{action}: {changes:?}");
        }
    }

    async fn wrong_current_password_is_an_event_of_the_user_who_gave_it(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let body = json!({"current_password": "wrong horse battery", "new_password": crate::harness::PASSWORD});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(401);
        let path = "/admin/audit-events?action=user.password_change_failed";
        let event = world.get(path).bearer(world.admin().await).send().await.expect(200).data()[0].clone();
        assert_eq!((&event["actor"]["id"], &event["actor"]["session_id"]), (&json!(ada.id), &json!(signed.session())), "{event}");
    }

    async fn change_of_a_setting_names_the_setting_alone(world) {
        let (tenant, boss, _) = acme(&world).await;
        world.settings(&tenant, json!({"session_idle_minutes": 30})).await;
        let path = format!("/tenants/{}/audit-events?action=tenant.updated", tenant.id);
        let event = world.get(&path).bearer(&boss).send().await.expect(200).data()[0].clone();
        assert_eq!(event["changes"], json!([{"field": "settings.session_idle_minutes", "old": null, "new": "30"}]));
        assert_eq!(event["actor"]["acting_as"], "platform");
    }

    async fn everybody_sees_what_happened_below_them_and_nothing_else(world) {
        let (tenant, boss, _) = acme(&world).await;
        let other = world.tenant("other").await;
        let partner = world.login(&world.partner_admin(&tenant, "paula").await).await;
        let admin = world.admin().await;
        let seen = async |token: &Signed, path: &str| {
            let answer = world.get(&format!("{path}?per_page=200")).bearer(token).send().await.expect(200);
            let data = answer.data().as_array().unwrap().clone();
            assert_eq!(answer.total(), data.len() as u64);
            data
        };
        let path = format!("/tenants/{}/audit-events", tenant.id);
        for (token, path) in [(&boss, &*path), (&partner, &*path), (&admin, &*path)] {
            let events = seen(token, path).await;
            assert!(events.len() > 4 && events.iter().all(|event| event["tenant_id"] == json!(tenant.id)), "{events:?}");
        }
        let events = seen(&partner, "/admin/audit-events").await;
        assert!(events.iter().all(|event| event["partner_id"] == json!(tenant.partner_id)), "{events:?}");
        assert!(events.iter().any(|event| event["tenant_id"].is_null()), "what happened to the partner itself");
        let events = seen(&admin, "/admin/audit-events").await;
        assert!(events.iter().any(|event| event["partner_id"] == json!(other.partner_id)));
        world.get("/admin/audit-events").bearer(&boss).send().await.problem(403, "missing_permission");
        world.get(&format!("/tenants/{}/audit-events", other.id)).bearer(&boss).send().await.problem(404, "not_found");
    }

    async fn every_filter_finds_what_it_names(world) {
        let (tenant, boss, ada) = acme(&world).await;
        world.clock.advance(Duration::from_millis(1));
        let before = world.app.env().now();
        let signed = world.login(&ada).await;
        world.try_login("acme", "ada", "wrong wrong wrong wrong").await.expect(401);
        world.patch("/me").bearer(&signed).from([203, 0, 113, 77]).json(json!({"display_name": "Ada"})).send().await.expect(200);
        let path = format!("/tenants/{}/audit-events", tenant.id);
        let found = async |filter: String| actions(&world, &boss, &format!("{path}?{filter}")).await;
        let of_ada = ["user.updated", "session.created"];
        assert_eq!(found(format!("actor_id={}&created_after={before}", ada.id)).await, of_ada);
        assert_eq!(found("action=user.updated".into()).await, ["user.updated"]);
        assert_eq!(found("action=user.updated&action=session.login_failed".into()).await, ["user.updated", "session.login_failed"]);
        assert_eq!(found("resource_type=role_assignment".into()).await, ["role_assignment.created"]);
        assert_eq!(found(format!("resource_id={}", signed.session())).await, ["session.created"]);
        assert_eq!(found(format!("resource_id={}", ada.id)).await, ["user.updated", "session.login_failed", "user.email_verification_requested", "user.registered"]);
        assert_eq!(found("result=failure".into()).await, ["session.login_failed"]);
        assert_eq!(found(format!("result=success&created_after={before}")).await, of_ada);
        assert_eq!(found(format!("result=success&result=failure&created_after={before}")).await.len(), 3);
        assert_eq!(found("ip_address=203.0.113.77".into()).await, ["user.updated"]);
        assert_eq!(found(format!("created_before={before}&action=session.login_failed")).await, [""; 0]);
        assert_eq!(found("resource_type=partner".into()).await, [""; 0]);
        let admin = world.admin().await;
        for filter in [format!("tenant_id={}", tenant.id), format!("partner_id={}", tenant.partner_id), format!("tenant_id={}&partner_id={}", tenant.id, tenant.partner_id)] {
            let all = format!("/admin/audit-events?{filter}&created_after={before}");
            assert_eq!(actions(&world, &admin, &all).await, ["user.updated", "session.login_failed", "session.created"], "{filter}");
        }
    }

    async fn filter_that_cannot_name_anything_is_a_fault(world) {
        let (tenant, boss, _) = acme(&world).await;
        for (query, fault) in [
            ("action=user.flew", "query.action enum"), ("resource_type=toaster", "query.resource_type enum"), ("result=maybe", "query.result enum"),
            ("resource_id=whk_01h455vb4pex5vsknk084sn02q", "query.resource_id id_parsing"), ("actor_id=system", "query.actor_id id_parsing"),
            ("ip_address=here", "query.ip_address ip_parsing"), ("tenant_id=tnt_01h455vb4pex5vsknk084sn02q", "query.tenant_id extra_forbidden"),
            ("created_after=yesterday", "query.created_after datetime_parsing"), ("sort=action", "query.sort enum"),
        ] {
            let path = format!("/tenants/{}/audit-events?{query}", tenant.id);
            assert_eq!(world.get(&path).bearer(&boss).send().await.faults(), [fault]);
        }
    }

    async fn pages_and_cursors_give_every_event_once_and_in_order(world) {
        let (tenant, boss, ada) = acme(&world).await;
        for name in ["a", "b", "c"] {
            world.role(&tenant, name, &["sessions:read"]).await;
        }
        world.set_status("users", &ada.id, "SUSPENDED").await;
        let path = format!("/tenants/{}/audit-events", tenant.id);
        let all = world.get(&format!("{path}?per_page=200")).bearer(&boss).send().await.expect(200).ids();
        for sort in ["-created_at", "created_at"] {
            let mut expected = all.clone();
            if sort == "created_at" {
                expected.reverse();
            }
            let (mut by_number, mut by_cursor, mut cursor) = (Vec::new(), Vec::new(), String::new());
            for number in 1..=all.len().div_ceil(3) {
                let query = format!("{path}?per_page=3&sort={sort}");
                let page = world.get(&format!("{query}&page={number}")).bearer(&boss).send().await.expect(200);
                by_number.extend(page.ids());
                let page = world.get(&format!("{query}{cursor}")).bearer(&boss).send().await.expect(200);
                assert_eq!(page.total(), all.len() as u64);
                by_cursor.extend(page.ids());
                cursor = match &page.json()["pagination"]["next_cursor"] {
                    Value::String(next) => format!("&cursor={next}"),
                    _ => String::new(),
                };
            }
            assert_eq!((&by_number, &by_cursor), (&expected, &expected));
        }
        let past = world.get(&format!("{path}?page=1000")).bearer(&boss).send().await.expect(200);
        assert_eq!((past.total(), past.len()), (all.len() as u64, 0));
    }

    async fn partner_sees_of_a_tenant_what_happened_while_it_has_it_and_that_it_came_or_went(world) {
        let (tenant, boss, ada) = acme(&world).await;
        let old = world.login(&world.partner_admin(&world.tenant_of(&tenant.partner_id, "rest").await, "paula").await).await;
        let target = world.tenant("globex").await;
        let new = world.login(&world.partner_admin(&target, "nora").await).await;
        let moved = json!({"partner_id": target.partner_id});
        world.patch(&format!("/admin/tenants/{}", tenant.id)).bearer(world.admin().await).json(moved).send().await.expect(200);
        world.set_status("users", &ada.id, "SUSPENDED").await;
        let path = format!("/admin/audit-events?tenant_id={}", tenant.id);
        assert_eq!(actions(&world, &old, &path).await, [""; 0]);
        assert_eq!(actions(&world, &new, &path).await, ["user.suspended", "tenant.transferred"]);
        let about = format!("/admin/audit-events?resource_id={}", tenant.id);
        let event = world.get(&about).bearer(&old).send().await.expect(200).data();
        assert_eq!(event.as_array().unwrap().len(), 1);
        assert_eq!((&event[0]["action"], &event[0]["tenant_id"], &event[0]["partner_id"]), (&json!("tenant.transferred"), &Value::Null, &json!(tenant.partner_id)));
        assert_eq!(event[0]["changes"], json!([{"field": "partner_id", "old": tenant.partner_id, "new": null}]), "not where it went");
        let export = world.get("/admin/audit-events/export").bearer(&old).send().await.expect(200);
        assert!(export.text.contains(&tenant.partner_id) && !export.text.contains(&format!("\"tenant_id\":\"{}\"", tenant.id)), "{}", export.text);
        let before = world.get("/admin/audit-events?action=tenant.created").bearer(world.admin().await).send().await.expect(200);
        let id = before.data().as_array().unwrap().iter().find(|event| event["tenant_id"] == json!(tenant.id)).unwrap()["id"].clone();
        world.get(&format!("/admin/audit-events/{}", id.as_str().unwrap())).bearer(&old).send().await.problem(404, "not_found");
        let whole = actions(&world, &new, &format!("/tenants/{}/audit-events", tenant.id)).await;
        assert!(whole.contains(&"tenant.created".to_owned()) && whole.contains(&"user.suspended".to_owned()), "{whole:?}");
        world.get(&format!("/tenants/{}/audit-events", tenant.id)).bearer(&old).send().await.problem(404, "not_found");
        assert_eq!(world.me(&boss).await, 200);
    }
}
