//! How long evidence is kept, and who may decide that it is kept for a shorter time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Person, Signed, Tenant, World, api_tests};

const DAY: Duration = Duration::from_secs(86_400);

/// Lets days pass, with the periodic tasks at the end of each.
async fn days(world: &World, n: u32) {
    for _ in 0..n {
        world.clock.advance(DAY);
        world.app.maintenance().sweep().await.unwrap();
        world.app.maintenance().clean_up().await.unwrap();
    }
}

/// How many events there are of a person coming to be.
async fn about(world: &World, person: &Person) -> u64 {
    let path = format!("/admin/audit-events?action=user.registered&resource_id={}", person.id);
    world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).total()
}

async fn decide(world: &World, place: &str, by: impl AsRef<str>, settings: Value) -> Answer {
    world.patch(&format!("{place}/settings")).bearer(by).json(settings).send().await
}

/// A tenant with its administrator, signed in.
async fn young(world: &World) -> (Tenant, Person, Signed) {
    world.tick();
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let signed = world.login(&boss).await;
    (tenant, boss, signed)
}

/// The same, some days old.
async fn settled(world: &World) -> (Tenant, Person, Signed) {
    let (tenant, boss, _) = young(world).await;
    days(world, 2).await;
    let signed = world.login(&boss).await;
    (tenant, boss, signed)
}

api_tests! {
    async fn shorter_retention_of_a_tenant_counts_for_events_to_come(world) {
        let (tenant, boss, _) = settled(&world).await;
        decide(&world, &format!("/admin/tenants/{}", tenant.id), world.fresh_admin().await, json!({"audit_retention_days": 90})).await.expect(200);
        days(&world, 1).await;
        let eve = world.person(&tenant, "eve").await;
        world.clock.advance(DAY * 120);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &boss).await, 1, "it was promised a year");
        world.clock.advance(DAY * 235);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &boss).await, 1);
        world.clock.advance(DAY * 10);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!((about(&world, &boss).await, about(&world, &eve).await), (0, 0));
    }

    async fn tenant_younger_than_any_run_of_the_task_keeps_what_is_there(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let eve = world.person(&tenant, "eve").await;
        world.settings(&tenant, json!({"audit_retention_days": 90})).await;
        world.clock.advance(DAY * 300);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &eve).await, 1);
    }

    async fn shorter_retention_from_above_counts_for_events_to_come(world) {
        let other = world.partner("elsewhere").await;
        let (tenant, boss, _) = settled(&world).await;
        decide(&world, &format!("/admin/partners/{}", tenant.partner_id), world.fresh_admin().await, json!({"audit_retention_days": 700})).await.expect(200);
        days(&world, 1).await;
        let path = format!("/admin/tenants/{}", tenant.id);
        world.patch(&path).bearer(world.fresh_admin().await).json(json!({"partner_id": other})).send().await.expect(200);
        decide(&world, "/admin", world.fresh_admin().await, json!({"audit_retention_days": 90})).await.expect(200);
        world.clock.advance(DAY * 690);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &boss).await, 1);
        world.clock.advance(DAY * 20);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &boss).await, 0);
    }

    async fn shorter_retention_of_sessions_counts_for_sessions_to_come(world) {
        let (tenant, boss, signed) = settled(&world).await;
        world.logout("acme", &signed.refresh).await.expect(200);
        days(&world, 1).await;
        decide(&world, &format!("/admin/tenants/{}", tenant.id), world.fresh_admin().await, json!({"session_retention_days": 7})).await.expect(200);
        let sessions = async || {
            let path = format!("/admin/sessions?active_only=false&user_id={}", boss.id);
            world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).total()
        };
        world.clock.advance(DAY * 60);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(sessions().await, 2, "one that was logged out, one that expired");
        world.clock.advance(DAY * 40);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(sessions().await, 0);
    }

    async fn shorter_retention_needs_a_right_of_its_own(world) {
        let (tenant, boss, signed) = young(&world).await;
        let place = format!("/tenants/{}", tenant.id);
        decide(&world, &place, &signed, json!({"audit_retention_days": 400, "session_retention_days": 100})).await.expect(200);
        for settings in [
            json!({"audit_retention_days": 399}), json!({"audit_retention_days": null}),
            json!({"session_retention_days": 99}), json!({"session_retention_days": null}),
        ] {
            let answer = decide(&world, &place, &signed, settings.clone()).await;
            assert!(answer.text.contains("audit:write"), "{settings}: {}", answer.text);
            answer.problem(403, "missing_permission");
        }
        decide(&world, &place, &signed, json!({"audit_retention_days": 500, "session_max_days": 20})).await.expect(200);
        let role = world.role(&tenant, "archivists", &["audit:write"]).await;
        world.give(&boss, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let signed = world.login(&boss).await;
        decide(&world, &place, &signed, json!({"audit_retention_days": 90})).await.expect(200);
    }

    async fn wildcard_of_a_role_is_no_right_to_shorten_a_retention(world) {
        let (tenant, ..) = young(&world).await;
        let (place, shorter) = (format!("/tenants/{}", tenant.id), json!({"audit_retention_days": 90}));
        for (name, permissions) in [("ada", "*:*"), ("bob", "*:write")] {
            let person = world.person(&tenant, name).await;
            let role = world.role(&tenant, name, &[permissions]).await;
            world.give(&person, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
            let answer = decide(&world, &place, world.login(&person).await, shorter.clone()).await;
            assert!(answer.text.contains("audit:write"), "{permissions}: {}", answer.text);
            answer.problem(403, "missing_permission");
        }
    }

    async fn right_to_shorten_a_retention_is_given_by_those_who_hold_it_only(world) {
        let (tenant, boss, signed) = young(&world).await;
        let roles = format!("/tenants/{}/roles", tenant.id);
        let create = async |by: &Signed, name: &str, permissions: Value| {
            world.post(&roles).bearer(by).json(json!({"name": name, "permissions": permissions})).send().await
        };
        create(&signed, "all", json!(["*:*"])).await.expect(201);
        create(&signed, "more", json!(["audit:write"])).await.problem(403, "missing_permission");
        assert_eq!(create(&signed, "most", json!(["audit:*"])).await.faults(), ["body.permissions.0 unknown_permission"]);
        let role = world.role(&tenant, "archivists", &["audit:write"]).await;
        let body = json!({"user_id": boss.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": tenant.id}});
        let gives = format!("/tenants/{}/role-assignments", tenant.id);
        world.post(&gives).bearer(&signed).json(body.clone()).send().await.problem(403, "missing_permission");
        let carla = world.login(&world.partner_admin(&tenant, "carla").await).await;
        world.post("/admin/role-assignments").bearer(&carla).json(body).send().await.problem(403, "missing_permission");
    }

    async fn partner_needs_that_right_too_for_itself_and_its_tenants(world) {
        let (tenant, ..) = young(&world).await;
        let carla = world.login(&world.partner_admin(&tenant, "carla").await).await;
        let shorter = json!({"audit_retention_days": 90});
        for place in [format!("/admin/partners/{}", tenant.partner_id), format!("/admin/tenants/{}", tenant.id), format!("/tenants/{}", tenant.id)] {
            decide(&world, &place, &carla, shorter.clone()).await.problem(403, "missing_permission");
        }
        let path = format!("/admin/tenants/{}", tenant.id);
        world.patch(&path).bearer(&carla).json(json!({"settings": shorter})).send().await.problem(403, "missing_permission");
    }

    async fn who_may_not_shorten_a_retention_makes_no_tenant_with_a_shorter_one(world) {
        let (tenant, _, _) = young(&world).await;
        let carla = world.login(&world.partner_admin(&tenant, "carla").await).await;
        let make = async |by: &Signed, slug: &str, settings: Value| {
            let body = json!({"name": "N", "slug": slug, "partner_id": tenant.partner_id, "settings": settings});
            world.post("/admin/tenants").bearer(by).json(body).send().await
        };
        for shorter in [json!({"audit_retention_days": 364}), json!({"session_retention_days": 89})] {
            make(&carla, "short", shorter).await.problem(403, "missing_permission");
        }
        make(&carla, "long", json!({"audit_retention_days": 365, "session_retention_days": 90})).await.expect(201);
        make(&world.admin().await, "short", json!({"audit_retention_days": 90})).await.expect(201);
    }

    async fn shorter_retention_of_a_tenant_is_an_event_that_it_does_not_keep_itself(world) {
        let (tenant, ..) = young(&world).await;
        let carla = world.login(&world.partner_admin(&tenant, "carla").await).await;
        world.settings(&tenant, json!({"audit_retention_days": 90})).await;
        let path = format!("/admin/audit-events?action=tenant.retention_shortened&resource_id={}", tenant.id);
        let seen = world.get(&path).bearer(&carla).send().await.expect(200);
        assert_eq!(seen.total(), 1);
        let event = &seen.data()[0];
        assert_eq!((&event["tenant_id"], &event["partner_id"]), (&Value::Null, &json!(tenant.partner_id)));
        assert_eq!(event["changes"], json!([{"field": "audit_retention_days", "old": "365", "new": "90"}]));
    }

    async fn stored_retention_below_the_floor_counts_as_the_floor(world) {
        let (tenant, boss, _) = settled(&world).await;
        world.execute("DELETE FROM retention_promises").await;
        world.execute(r#"UPDATE tenants SET settings = '{"audit_retention_days":1}' WHERE slug = 'acme'"#).await;
        let path = format!("/admin/tenants/{}/settings/effective", tenant.id);
        let held = world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).data();
        assert_eq!(held["audit_retention_days"]["value"], json!(90));
        world.clock.advance(DAY * 80);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&world, &boss).await, 1);
    }
}
