//! Changed rights: they hold within a second on every replica, for sessions that go on.

use std::time::{Duration, Instant};

use gatehouse_domain::time::Timestamp;
use serde_json::json;

use crate::harness::{Person, Signed, Tenant, World, api_tests};

/// What every API of ours is promised.
const PROMISE: Duration = Duration::from_secs(1);

/// Before the access token expires.
const SOON: Duration = Duration::from_secs(300);

/// Somebody in a tenant whose right to list its sessions is about to change, and two replicas.
struct Stage {
    world: World,
    replica: World,
    tenant: Tenant,
    person: Person,
    signed: Signed,
    role: String,
}

impl Stage {
    async fn new(world: World) -> Self {
        let tenant = world.tenant("acme").await;
        let person = world.person(&tenant, "ada").await;
        let signed = world.login(&person).await;
        let role = world.role(&tenant, "reader", &["sessions:read"]).await;
        let replica = world.replica(|_| {}).await;
        Self { world, replica, tenant, person, signed, role }
    }

    async fn give(&self) -> String {
        self.world.give(&self.person, &self.role, json!({"level": "tenant", "tenant_id": self.tenant.id})).await
    }

    async fn status(&self, on: &World) -> u16 {
        on.get(&format!("/tenants/{}/sessions", self.tenant.id)).bearer(&self.signed).send().await.status
    }

    /// Warms both caches with what holds before the change.
    async fn holds(&self, status: u16) {
        assert_eq!((self.status(&self.world).await, self.status(&self.replica).await), (status, status));
    }

    /// After the change: here at once, on the replica within a second.
    async fn becomes(&self, status: u16) {
        let since = Instant::now();
        assert_eq!(self.status(&self.world).await, status);
        loop {
            let asked = since.elapsed();
            let got = self.status(&self.replica).await;
            if got == status {
                return;
            }
            assert!(asked <= PROMISE, "still {got} instead of {status} after {asked:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn permissions(&self, permissions: &[&str]) {
        let (path, admin) = (format!("/admin/roles/{}", self.role), self.world.admin().await);
        self.world.patch(&path).bearer(admin).json(json!({"permissions": permissions})).send().await.expect(200);
    }
}

api_tests! {
    async fn given_role_holds_within_a_second(world) {
        let stage = Stage::new(world).await;
        stage.holds(403).await;
        stage.give().await;
        stage.becomes(200).await;
    }

    async fn taken_role_is_gone_within_a_second(world) {
        let stage = Stage::new(world).await;
        let assignment = stage.give().await;
        stage.becomes(200).await;
        stage.holds(200).await;
        let (path, admin) = (format!("/admin/role-assignments/{assignment}"), stage.world.admin().await);
        stage.world.delete(&path).bearer(admin).send().await.expect(204);
        stage.becomes(403).await;
    }

    async fn changed_permissions_of_a_role_hold_within_a_second(world) {
        let stage = Stage::new(world).await;
        stage.give().await;
        stage.becomes(200).await;
        stage.holds(200).await;
        stage.permissions(&["users:read"]).await;
        stage.becomes(403).await;
        stage.permissions(&["sessions:read", "users:read"]).await;
        stage.becomes(200).await;
    }

    async fn role_that_expires_is_gone_within_a_second(world) {
        let stage = Stage::new(world).await;
        let end = stage.world.app.env().now().plus(SOON);
        let body = json!({
            "user_id": stage.person.id,
            "role_id": stage.role,
            "anchor": {"level": "tenant", "tenant_id": stage.tenant.id},
            "expires_at": text(end),
        });
        stage.world.post("/admin/role-assignments").bearer(stage.world.admin().await).json(body).send().await.expect(201);
        stage.becomes(200).await;
        stage.holds(200).await;
        stage.world.clock.advance(SOON);
        // Nothing was committed that a cache could follow: both may lag, for a second.
        let since = Instant::now();
        for on in [&stage.world, &stage.replica] {
            loop {
                let asked = since.elapsed();
                let got = stage.status(on).await;
                if got == 403 {
                    break;
                }
                assert!(asked <= PROMISE, "still {got} after {asked:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// As JSON has it.
fn text(at: Timestamp) -> serde_json::Value {
    serde_json::to_value(at).unwrap()
}
