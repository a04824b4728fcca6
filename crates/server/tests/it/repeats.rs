//! What costs its author nothing does not fill the trail, and is in it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, Tenant, World, api_tests};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Somebody asks to delete themselves, which takes a permission.
async fn refused(world: &World, tenant: &Tenant, token: &Signed, times: u64) {
    for _ in 0..times {
        let path = format!("/tenants/{}/users/{}", tenant.id, token.user());
        world.delete(&path).bearer(token).send().await.problem(403, "missing_permission");
    }
}

/// What the trail has of an action, oldest first: of each event how many it stands for besides itself.
async fn counts(world: &World, action: &str) -> Vec<u64> {
    let path = format!("/admin/audit-events?action={action}&sort=created_at");
    let events = world.get(&path).bearer(world.admin().await).send().await.expect(200).data();
    let count = |event: &Value| {
        let changes = event["changes"].as_array().cloned().unwrap_or_default();
        changes
            .iter()
            .find(|change| change["field"] == "unrecorded_count")
            .map_or(0, |change| change["new"].as_str().unwrap().parse().unwrap())
    };
    events.as_array().unwrap().iter().map(count).collect()
}

api_tests! {
    async fn the_same_refusal_is_recorded_at_once_and_then_counted_for_a_minute(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        refused(&world, &tenant, &ada, 1).await;
        assert_eq!(counts(&world, "access.denied").await, [0]);
        refused(&world, &tenant, &ada, 50).await;
        assert_eq!(counts(&world, "access.denied").await, [0]);
        world.clock.advance(MINUTE);
        refused(&world, &tenant, &ada, 1).await;
        assert_eq!(counts(&world, "access.denied").await, [0, 50]);
    }

    async fn refusals_of_others_and_of_other_things_are_recorded_at_once(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        let bob = world.login(&world.person(&tenant, "bob").await).await;
        for _ in 0..3 {
            refused(&world, &tenant, &ada, 1).await;
            refused(&world, &tenant, &bob, 1).await;
            let path = format!("/tenants/{}/sessions/users/{}/revoke", tenant.id, bob.user());
            world.post(&path).bearer(&ada).json(json!({"all": true})).send().await.problem(403, "missing_permission");
        }
        assert_eq!(counts(&world, "access.denied").await, [0, 0, 0]);
    }

    async fn what_was_left_out_is_recorded_when_its_minute_is_over_and_when_the_process_ends(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        refused(&world, &tenant, &ada, 5).await;
        let now = || world.app.env().now();
        assert_eq!(world.app.refusals().record_left_out(now().minus(MINUTE)).await.unwrap(), 0);
        world.clock.advance(MINUTE);
        assert_eq!(world.app.refusals().record_left_out(now().minus(MINUTE)).await.unwrap(), 1);
        // One is the event itself.
        assert_eq!(counts(&world, "access.denied").await, [0, 3]);
        assert_eq!(world.app.refusals().record_left_out(now()).await.unwrap(), 0);
        refused(&world, &tenant, &ada, 3).await;
        assert_eq!(world.app.refusals().record_left_out(now()).await.unwrap(), 1);
        assert_eq!(counts(&world, "access.denied").await, [0, 3, 0, 1]);
        world.app.trail().seal().await.unwrap();
        let verified = world.app.trail().verify(None, None, gatehouse_domain::authz::SystemReason::Cli).await.unwrap();
        assert_eq!(verified.damages, 0);
    }

    async fn bad_header_hides_no_refusal(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        for (name, value) in [("if-match", "nonsense"), ("idempotency-key", "")] {
            let path = format!("/tenants/{}/users/{}", tenant.id, ada.user());
            world.delete(&path).bearer(&ada).header(name, value).send().await.problem(403, "missing_permission");
            assert_eq!(counts(&world, "access.denied").await, [0], "{name}");
        }
    }

    async fn refreshes_are_recorded_once_a_minute_with_how_many_there_were(world) {
        let tenant = world.tenant("acme").await;
        let mut signed = world.login(&world.person(&tenant, "ada").await).await;
        let session = signed.session();
        for _ in 0..30 {
            signed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        }
        assert_eq!(counts(&world, "session.refreshed").await, [0]);
        world.clock.advance(MINUTE);
        // Another process goes on counting where this one was.
        let other = world.replica(|_| {}).await;
        signed = Signed::of(&other.refresh("acme", &signed.refresh).await.expect(200));
        assert_eq!(counts(&world, "session.refreshed").await, [0, 29]);
        world.clock.advance(MINUTE);
        world.refresh("acme", &signed.refresh).await.expect(200);
        assert_eq!(counts(&world, "session.refreshed").await, [0, 29, 0]);
        assert_eq!(world.happened("session.refreshed", &session).await, world.generation(&session).await);
    }

    async fn ends_and_sign_ins_are_recorded_one_by_one(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"max_sessions_per_user": 1, "session_limit_action": "end_oldest"})).await;
        let ada = world.person(&tenant, "ada").await;
        for n in 1..=20 {
            let signed = world.login(&ada).await;
            assert_eq!(world.events("session.created", &signed.session()).await, 1, "{n}");
            world.delete(&format!("/me/sessions/{}", signed.session())).bearer(&signed).send().await.expect(200);
            assert_eq!(world.events("session.revoked", &signed.session()).await, 1, "{n}");
        }
    }

    async fn user_at_full_speed_for_a_minute_leaves_little_in_the_trail(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"max_sessions_per_user": 3, "session_limit_action": "end_oldest"})).await;
        world.person(&tenant, "ada").await;
        // As it is when nothing is set.
        let defaults = gatehouse_server::config::Config::defaults(world.config.data_dir.clone()).unwrap().limits;
        let server = world.replica(|config| config.limits = defaults).await;
        let rows = async || world.number("SELECT COUNT(*) FROM audit_events").await;
        let bytes = async || world.number("SELECT COALESCE(SUM(LENGTH(COALESCE(changes, '')) + LENGTH(COALESCE(user_agent, '')) + 400), 0) FROM audit_events").await;
        let (rows_before, bytes_before) = (rows().await, bytes().await);
        let mut signed = Signed::of(&server.try_login("acme", "ada", PASSWORD).await.expect(200));
        let (mut waited, mut asked) = (0_u32, 0_u32);
        let mut ask = |status: u16| {
            asked += 1;
            waited += u32::from(status == 429);
        };
        // A hundred steps a second would be 6,000 of each; fewer, that ask for more at once, are as much.
        for step in 0..240 {
            for _ in 0..10 {
                let path = format!("/tenants/{}/users/{}", tenant.id, signed.user());
                ask(server.delete(&path).bearer(&signed).send().await.status);
            }
            for _ in 0..3 {
                let answer = server.refresh("acme", &signed.refresh).await;
                ask(answer.status);
                if answer.status == 200 {
                    signed = Signed::of(&answer);
                }
            }
            let change = json!({"current_password": "not the right password", "new_password": "seventeen quiet harbour cranes"});
            ask(server.post("/me/password").bearer(&signed).json(change).send().await.status);
            ask(server.patch("/me").bearer(&signed).json(json!({"display_name": format!("Ada {step}")})).send().await.status);
            if let Some(other) = Some(server.try_login("acme", "ada", PASSWORD).await).filter(|answer| answer.status == 200) {
                let other = Signed::of(&other);
                ask(server.delete(&format!("/me/sessions/{}", signed.session())).bearer(&other).send().await.status);
                signed = other;
            }
            world.clock.advance(SECOND / 4);
        }
        server.app.refusals().record_left_out(server.app.env().now()).await.unwrap();
        let (added, grown) = (rows().await - rows_before, bytes().await - bytes_before);
        assert!(waited > asked / 3, "{waited} of {asked} had to wait");
        assert!(added <= 5_000, "{added} rows of {asked} requests");
        assert!(grown <= 10_000_000, "{grown} bytes of {asked} requests");
    }
}
