//! Whoever makes a change is looked at once more in its transaction, whatever it has waited for and whatever was remembered.

use std::time::Duration;

use futures_util::FutureExt;
use gatehouse_persistence::Target;
use gatehouse_server::security::password::Cost;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, postgres::PgConnectOptions};

use crate::harness::{PASSWORD, Signed, Victim, World, api_tests};

/// How long something may take that is not held up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transaction of somebody else, which holds locks until it is told to end.
async fn elsewhere(world: &World, sql: String) -> Option<PgConnection> {
    let Target::Postgres(url) = world.target() else { return None };
    let options: PgConnectOptions = url.expose().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    connection.execute(AssertSqlSafe(format!("BEGIN; {sql}"))).await.unwrap();
    Some(connection)
}

/// Waits until so many statements wait for a lock.
async fn until_waiting(world: &World, count: i64) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let all = async {
        while world.number(sql).await < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

fn rename(world: &World, signed: &Signed) -> tokio::task::JoinHandle<u16> {
    let call = world.patch("/me").bearer(signed).json(json!({"display_name": "Ada"}));
    actix_web::rt::spawn(async move { call.send().await.status })
}

async fn is_renamed(world: &World, victim: &Victim) -> bool {
    let id = world.literal(&victim.user.id);
    world.number(format!("SELECT COUNT(*) FROM users WHERE id = {id} AND display_name = 'Ada'")).await == 1
}

api_tests! {
    async fn change_is_refused_when_its_caller_has_ended_behind_every_cache(world) {
        let victim = Victim::new(&world, "acme").await;
        let (user, tenant, partner) =
            (world.literal(&victim.user.id), world.literal(&victim.tenant.id), world.literal(&victim.tenant.partner_id));
        for (table, id) in [("users", user), ("tenants", tenant), ("partners", partner)] {
            let signed = victim.sign_in(&world).await;
            let session = world.literal(&signed.session());
            let status = |status: &str| format!("UPDATE {table} SET status = '{status}' WHERE id = {id}");
            let ended = format!("UPDATE sessions SET ended_at = 1, end_reason = 'admin' WHERE id = {session}");
            for (change, back) in [(status("SUSPENDED"), status("ACTIVE")), (ended, String::new())] {
                // Remembered, and so not asked for again.
                assert_eq!(world.me(&signed).await, 200);
                world.execute(change).await;
                let call = world.patch("/me").bearer(&signed).json(json!({"display_name": "Ada"}));
                call.send().await.problem(401, "session_revoked");
                assert!(!is_renamed(&world, &victim).await, "{table}");
                if !back.is_empty() {
                    world.execute(back).await;
                }
            }
        }
    }

    async fn change_is_refused_when_its_right_has_ended_behind_every_cache(world) {
        let victim = Victim::new(&world, "acme").await;
        let boss = world.login(&victim.manager).await;
        let role = world.role(&victim.tenant, "maker", &["users:write", "users:read"]).await;
        let anchor = json!({"level": "tenant", "tenant_id": victim.tenant.id});
        let assignment = world.give(&victim.user, &role, anchor).await;
        let signed = victim.sign_in(&world).await;
        let path = format!("/tenants/{}/users/{}", victim.tenant.id, world.person(&victim.tenant, "bob").await.id);
        let (assignment, role) = (world.literal(&assignment), world.literal(&role));
        for (change, back) in [
            (format!("UPDATE role_assignments SET deleted_at = 1 WHERE id = {assignment}"), format!("UPDATE role_assignments SET deleted_at = NULL WHERE id = {assignment}")),
            (format!("UPDATE role_assignments SET expires_at = 1 WHERE id = {assignment}"), format!("UPDATE role_assignments SET expires_at = NULL WHERE id = {assignment}")),
            (format!("UPDATE roles SET permissions = 'users:read' WHERE id = {role}"), format!("UPDATE roles SET permissions = 'users:read users:write' WHERE id = {role}")),
        ] {
            let call = |name: &str| world.patch(&path).bearer(&signed).json(json!({"display_name": name}));
            call("before").send().await.expect(200);
            assert_eq!(world.get(&path).bearer(&signed).send().await.status, 200);
            world.execute(change).await;
            call("after").send().await.problem(403, "missing_permission");
            world.execute(back).await;
        }
        assert_eq!(world.me(&boss).await, 200);
    }

    async fn change_that_waits_for_an_ending_is_refused(world) {
        let victim = Victim::new(&world, "acme").await;
        let signed = victim.sign_in(&world).await;
        assert_eq!(world.me(&signed).await, 200);
        let session = world.literal(&signed.session());
        let ending = format!("UPDATE sessions SET ended_at = 1, end_reason = 'admin' WHERE id = {session}");
        let Some(mut ending) = elsewhere(&world, ending).await else { return };
        let request = rename(&world, &signed);
        until_waiting(&world, 1).await;
        ending.execute("COMMIT").await.unwrap();
        assert_eq!(request.await.unwrap(), 401);
        assert!(!is_renamed(&world, &victim).await);
    }

    async fn ending_is_not_answered_before_a_change_that_came_first_is_there(world) {
        let victim = Victim::new(&world, "acme").await;
        let (admin, signed) = (world.admin().await, victim.sign_in(&world).await);
        assert_eq!(world.me(&signed).await, 200);
        let user = world.literal(&victim.user.id);
        let Some(mut slow) = elsewhere(&world, format!("SELECT 1 FROM users WHERE id = {user} FOR UPDATE")).await else { return };
        let request = rename(&world, &signed);
        until_waiting(&world, 1).await;
        let end = world.delete(&format!("/admin/sessions/{}", signed.session())).bearer(&admin);
        let mut ending = actix_web::rt::spawn(async move { end.send().await.status });
        until_waiting(&world, 2).await;
        assert!((&mut ending).now_or_never().is_none());
        slow.execute("COMMIT").await.unwrap();
        assert_eq!(ending.await.unwrap(), 204);
        assert!(is_renamed(&world, &victim).await);
        assert_eq!(request.await.unwrap(), 200);
        assert_eq!(world.me(&signed).await, 401);
    }

    async fn password_is_not_changed_by_a_session_that_ended_while_it_was_hashed(world) {
        let victim = Victim::new(&world, "acme").await;
        let slow = world.replica(|config| {
            config.hasher.permits = 1;
            config.hasher.cost = Cost { memory_kib: 64 * 1024, passes: 3 };
        }).await;
        let signed = victim.sign_in(&world).await;
        assert_eq!(slow.me(&signed).await, 200);
        let body = json!({"current_password": PASSWORD, "new_password": PASSWORD.replace("42", "43")});
        let call = slow.post("/me/password").bearer(&signed).json(body);
        let request = actix_web::rt::spawn(async move { call.send().await.status });
        let waits = async {
            // The old one is verified, the new one is being hashed.
            while slow.app.hashing().0 < 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        let path = format!("/admin/sessions/{}", signed.session());
        world.delete(&path).bearer(world.admin().await).send().await.expect(204);
        assert_eq!(request.await.unwrap(), 401);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }
}
