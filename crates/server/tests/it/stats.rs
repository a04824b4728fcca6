//! Figures about a tenant's sessions: `GET /tenants/{tenant_id}/sessions/stats`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, Tenant, World, api_tests};

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
const HOUR: Duration = Duration::from_secs(3_600);

/// The figures as an operator sees them, who is of another tenant.
async fn stats(world: &World, tenant: &Tenant) -> Value {
    let admin = world.fresh_admin().await;
    let path = format!("/tenants/{}/sessions/stats", tenant.id);
    world.get(&path).bearer(&admin).send().await.expect(200).data()
}

/// The counts of the last hours of a series, oldest first.
fn last(stats: &Value, series: &str, hours: usize) -> Vec<u64> {
    let points = stats["series"][series].as_array().unwrap();
    assert_eq!(points.len(), 168);
    points[168 - hours..].iter().map(|point| point["count"].as_u64().unwrap()).collect()
}

api_tests! {
    async fn figures_count_sessions_users_devices_and_ends(world) {
        let tenant = world.tenant("acme").await;
        let (ada, bob) = (world.person(&tenant, "ada").await, world.person(&tenant, "bob").await);
        world.login(&ada).await;
        world.login(&bob).await;
        let form = [("username", "ada"), ("password", PASSWORD)];
        let call = world.post("/auth/tenants/acme/login").header("user-agent", IPHONE).form(&form);
        call.send().await.expect(200);
        let gone = world.login(&bob).await;
        world.logout("acme", &gone.refresh).await.expect(200);
        let stats = stats(&world, &tenant).await;
        let mut keys: Vec<_> = stats.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = ["active_sessions", "active_users", "by_application", "by_device_type", "created_last_24h", "ended_last_24h", "series"];
        assert_eq!(keys, expected);
        assert_eq!((&stats["active_sessions"], &stats["active_users"], &stats["created_last_24h"]), (&json!(3), &json!(2), &json!(4)));
        assert_eq!(stats["ended_last_24h"], json!([{"reason": "logout", "count": 1}]));
        assert_eq!(stats["by_device_type"], json!([{"device_type": "unknown", "count": 2}, {"device_type": "mobile", "count": 1}]));
        assert_eq!(stats["by_application"], json!([]));
        assert!(stats["series"]["logins"][167]["hour"].as_str().unwrap().ends_with(":00:00.000000Z"));
    }

    async fn series_follow_the_hours_and_empty_ones_are_there(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let first = world.login(&ada).await;
        world.login(&ada).await;
        world.clock.advance(2 * HOUR);
        world.login(&ada).await;
        world.clock.advance(HOUR);
        world.logout("acme", &first.refresh).await.expect(200);
        let now = stats(&world, &tenant).await;
        assert_eq!(last(&now, "logins", 5), [0, 2, 0, 1, 0]);
        assert_eq!(last(&now, "active_sessions", 5), [0, 2, 2, 3, 2]);
        assert_eq!(last(&now, "logins", 168)[..163], [0; 163]);
    }

    async fn last_24_hours_are_exact_to_the_instant(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let early = world.login(&ada).await;
        world.clock.advance(HOUR / 2);
        world.login(&ada).await;
        world.logout("acme", &early.refresh).await.expect(200);
        // The first login is 24 hours and a second ago, the second one and the logout are not.
        world.clock.advance(24 * HOUR - HOUR / 2 + Duration::from_secs(1));
        let now = stats(&world, &tenant).await;
        assert_eq!((&now["created_last_24h"], &now["active_sessions"]), (&json!(1), &json!(1)));
        assert_eq!(now["ended_last_24h"], json!([{"reason": "logout", "count": 1}]));
        world.clock.advance(HOUR / 2);
        let now = stats(&world, &tenant).await;
        assert_eq!((&now["created_last_24h"], &now["ended_last_24h"]), (&json!(0), &json!([])));
    }

    async fn sessions_that_ran_out_count_as_ended_before_and_after_the_sweep(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"session_max_days": 1})).await;
        let ada = world.person(&tenant, "ada").await;
        world.login(&ada).await;
        world.clock.advance(24 * HOUR + HOUR / 2);
        let before = stats(&world, &tenant).await;
        assert_eq!((&before["active_sessions"], &before["active_users"]), (&json!(0), &json!(0)));
        assert_eq!(before["ended_last_24h"], json!([{"reason": "expired", "count": 1}]));
        assert!(world.app.maintenance().sweep().await.unwrap() >= 1);
        let mut after = stats(&world, &tenant).await;
        // Nobody but the operator signed in in between, in another tenant.
        for field in ["active_sessions", "active_users", "created_last_24h", "ended_last_24h", "series", "by_device_type"] {
            assert_eq!(after[field].take(), before[field], "{field}");
        }
    }

    async fn figures_of_one_tenant_know_nothing_of_another(world) {
        let (acme, globex) = (world.tenant("acme").await, world.tenant("globex").await);
        let ada = world.person(&acme, "ada").await;
        world.login(&ada).await;
        let other = stats(&world, &globex).await;
        assert_eq!((&other["active_sessions"], &other["created_last_24h"]), (&json!(0), &json!(0)));
        assert_eq!(last(&other, "logins", 168), [0; 168]);
        let boss = world.tenant_admin(&globex, "boss").await;
        let boss: Signed = world.login(&boss).await;
        world.get(&format!("/tenants/{}/sessions/stats", acme.id)).bearer(&boss).send().await.problem(404, "not_found");
    }
}
