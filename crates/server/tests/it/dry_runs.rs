//! Asking what a change would end, and hearing what it ended.

use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

/// A tenant with its administrator, signed in once, and Ada, signed in twice.
async fn populated(world: &World) -> (Tenant, Signed, [Signed; 2], String) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let ada = world.person(&tenant, "ada").await;
    let boss = world.login(&boss).await;
    (tenant, boss, [world.login(&ada).await, world.login(&ada).await], ada.id.clone())
}

fn effects(answer: &Answer) -> Value {
    answer.json()["meta"]["effects"].clone()
}

fn of(users: u64, sessions: u64) -> Value {
    json!({"users": users, "sessions": sessions, "refresh_chains": sessions, "applications": 0})
}

api_tests! {
    async fn suspension_that_is_tried_says_what_it_would_end_and_ends_nothing(world) {
        let (tenant, _, [ada, _], id) = populated(&world).await;
        for (what, id, expected) in [
            ("users", &id, of(1, 2)),
            ("tenants", &tenant.id, of(2, 3)),
            ("partners", &tenant.partner_id, of(2, 3)),
        ] {
            let path = format!("/admin/{what}/{id}");
            let admin = world.admin().await;
            let before = world.get(&path).bearer(&admin).send().await.expect(200).data();
            let events = world.number("SELECT COUNT(*) FROM audit_events").await;
            let tried = world.patch(&format!("{path}?dry_run=true")).bearer(&admin).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
            assert_eq!((effects(&tried), &tried.data()["status"]), (expected, &json!("SUSPENDED")), "{what}");
            assert_eq!(world.get(&path).bearer(&admin).send().await.expect(200).data(), before, "{what}");
            assert_eq!(world.number("SELECT COUNT(*) FROM audit_events").await, events, "{what}");
            assert_eq!(world.me(&ada).await, 200, "{what}");
        }
    }

    async fn real_suspension_reports_what_it_ended(world) {
        let (tenant, _, [ada, _], id) = populated(&world).await;
        let suspend = async |path: String| world.patch(&path).bearer(world.admin().await).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
        assert_eq!(effects(&suspend(format!("/admin/users/{id}")).await), of(1, 2));
        assert_eq!(world.me(&ada).await, 401);
        assert_eq!(effects(&suspend(format!("/admin/tenants/{}", tenant.id)).await), of(1, 1));
        assert_eq!(effects(&suspend(format!("/admin/tenants/{}", tenant.id)).await), of(0, 0));
    }

    async fn ending_all_sessions_can_be_tried(world) {
        let (tenant, boss, [ada, _], id) = populated(&world).await;
        let path = format!("/tenants/{}/sessions/revoke-all", tenant.id);
        let tried = world.post(&format!("{path}?dry_run=true")).bearer(&boss).send().await.expect(200);
        assert_eq!((effects(&tried), tried.data()), (of(2, 3), json!({"revoked_count": 0, "session_ids": []})));
        let body = json!({"user_id": id});
        let tried = world.post("/admin/sessions/revoke-all?dry_run=true").bearer(world.admin().await).json(body).send().await.expect(200);
        assert_eq!((effects(&tried), world.me(&ada).await), (of(1, 2), 200));
        let real = world.post(&path).bearer(&boss).send().await.expect(200);
        assert_eq!((effects(&real), &real.data()["revoked_count"]), (of(2, 3), &json!(3)));
        assert_eq!(world.me(&ada).await, 401);
    }

    async fn try_is_refused_as_the_change_would_be(world) {
        let (_, _, _, id) = populated(&world).await;
        let admin = world.admin().await;
        let path = format!("/admin/users/{}?dry_run=true", admin.user());
        world.patch(&path).bearer(&admin).json(json!({"status": "SUSPENDED"})).send().await.problem(409, "conflict");
        let path = format!("/admin/users/{id}?dry_run=true");
        world.patch(&path).bearer(&admin).json(json!({"username": "boss"})).send().await.problem(409, "already_registered");
    }

    async fn settings_that_are_tried_stay_as_they_are(world) {
        let (tenant, boss, _, _) = populated(&world).await;
        let path = format!("/tenants/{}/settings", tenant.id);
        let before = world.get(&path).bearer(&boss).send().await.expect(200).data();
        let tried = world.patch(&format!("{path}?dry_run=true")).bearer(&boss).json(json!({"session_idle_minutes": 5})).send().await.expect(200);
        assert_eq!((effects(&tried), &tried.data()["session_idle_minutes"]), (of(0, 0), &json!(5)));
        assert_eq!(world.get(&path).bearer(&boss).send().await.expect(200).data(), before);
    }

    async fn faults_of_query_and_body_are_reported_together(world) {
        let (tenant, boss, _, _) = populated(&world).await;
        let path = format!("/tenants/{}/settings?dry_run=perhaps&nonsense=1", tenant.id);
        let faults = world.patch(&path).bearer(&boss).json(json!({"session_idle_minutes": 0})).send().await.faults();
        let starts: Vec<_> = faults.iter().map(|fault| fault.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(starts.len(), 3, "{faults:?}");
        for place in ["query.dry_run", "query.nonsense", "body.session_idle_minutes"] {
            assert!(starts.contains(&place), "{faults:?}");
        }
    }
}
