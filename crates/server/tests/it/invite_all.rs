//! Invitations to many: to all of a tenant who wait for one, or to those of them whom an import has brought.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, SystemReason, authorize},
    job::JobKind,
};
use gatehouse_server::app::request::client::{ChangeContext, RequestMeta};
use serde_json::json;

use crate::{
    harness::{Answer, Signed, Tenant, World, api_tests},
    invitations::{accept, administered, invited, token},
    transfers::ACME,
};

/// So many users come without a password.
async fn bring(world: &World, tenant: &Tenant, boss: &Signed, n: usize) {
    let file: String = (0..n).map(|i| format!("{{\"email\":\"user{i}@mail.example\"}}\n")).collect();
    let import = world.post(&format!("/tenants/{}/user-imports", tenant.id)).bearer(boss);
    import.body("application/x-ndjson", file).send().await.expect(202);
    world.work(JobKind::UserImport).await;
}

async fn invite_all(world: &World, tenant: &Tenant, boss: &Signed) -> Answer {
    world.post(&format!("/tenants/{}/users/invite-all", tenant.id)).bearer(boss).send().await
}

async fn links(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM user_tokens WHERE purpose = 'invitation'").await
}

const STEP: std::time::Duration = std::time::Duration::from_secs(5);

api_tests! {
    async fn import_invites_whom_it_has_brought_and_nobody_who_came_earlier_or_later(world) {
        administered(&world).await;
        let mut imports = Vec::new();
        for name in ["earlier", "ada", "later"] {
            world.clock.advance(STEP);
            imports.push(ACME.bring(&world, &format!("{{\"email\":\"{name}@mail.example\"}}\n")).await.0);
        }
        world.mails().await;
        let import = &imports[1];
        let grant = authorize(&Arc::new(Actor::System(SystemReason::Cli)), &Area::Tenant(import.tenant)).unwrap();
        let meta = RequestMeta { ctx: ChangeContext::at(world.app.env().now()), declared_device: None, store_response: None, base_url: "".into() };
        world.app.invitations().invite_all(&grant, import.tenant.id, Some(import), &meta).await.unwrap();
        world.work(JobKind::Invitations).await;
        let mailed: Vec<_> = world.mails().await.into_iter().map(|mail| mail.to).collect();
        assert_eq!(mailed, ["ada@mail.example"]);
    }

    async fn all_who_wait_are_invited_once_and_so_many_at_a_time(world) {
        let (tenant, boss) = administered(&world).await;
        bring(&world, &tenant, &boss, 70).await;
        let has_link = invited(&world, &tenant, &boss, "linked").await;
        for _ in 0..3 {
            invite_all(&world, &tenant, &boss).await.expect(204);
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM jobs WHERE kind = 'invitations'").await, 1);
        for _ in 0..2 {
            world.work(JobKind::Invitations).await;
            assert_eq!(links(&world).await, 51, "nothing is due before its time");
        }
        world.clock.advance(STEP);
        world.work(JobKind::Invitations).await;
        assert_eq!(links(&world).await, 71);
        assert_eq!(world.number("SELECT COUNT(*) FROM jobs WHERE kind = 'invitations'").await, 0);
        let mails = world.mails().await;
        assert_eq!(mails.iter().filter(|mail| mail.to.contains("user")).count(), 70);
        let events = world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.invited'").await;
        assert_eq!(events, 71, "one for each invitation");
        // Whoever has a link keeps it.
        invite_all(&world, &tenant, &boss).await.expect(204);
        world.work(JobKind::Invitations).await;
        assert_eq!(world.mails().await.len(), 0);
        accept(&world, &token(&has_link["invitation"]), json!({})).await.expect(200);
    }

    async fn nobody_is_invited_to_a_tenant_that_is_suspended_or_deleted_meanwhile(world) {
        for ending in ["suspended", "deleted"] {
            let tenant = world.tenant(ending).await;
            let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
            bring(&world, &tenant, &boss, 3).await;
            invite_all(&world, &tenant, &boss).await.expect(204);
            let path = format!("/admin/tenants/{}", tenant.id);
            let suspended = json!({"status": "SUSPENDED"});
            let call = if ending == "deleted" { world.delete(&path) } else { world.patch(&path).json(suspended) };
            assert!(call.bearer(world.admin().await).send().await.status < 300);
            world.work(JobKind::Invitations).await;
            assert_eq!(links(&world).await, 0, "{ending}");
            assert_eq!(world.number("SELECT COUNT(*) FROM jobs WHERE kind = 'invitations'").await, 0, "{ending}");
        }
    }

    async fn whoever_holds_a_role_is_invited_alone(world) {
        let (tenant, boss) = administered(&world).await;
        let body = json!({"username": "ada", "email": "ada@mail.example", "delivery": "none"});
        let path = format!("/tenants/{}/users", tenant.id);
        let ada = world.post(&path).bearer(&boss).json(body).send().await.expect(201).data();
        let role = world.role(&tenant, "reader", &["users:read"]).await;
        let anchor = json!({"level": "tenant", "tenant_id": tenant.id});
        let given = json!({"user_id": ada["id"], "role_id": role, "anchor": anchor});
        world.post("/admin/role-assignments").bearer(world.admin().await).json(given).send().await.expect(201);
        invite_all(&world, &tenant, &boss).await.expect(204);
        world.work(JobKind::Invitations).await;
        assert_eq!(links(&world).await, 0);
    }

    async fn nobody_is_invited_while_many_mails_of_the_tenant_wait(world) {
        let (tenant, boss) = administered(&world).await;
        bring(&world, &tenant, &boss, 230).await;
        invite_all(&world, &tenant, &boss).await.expect(204);
        for most in [50, 100, 150, 200, 200] {
            world.work(JobKind::Invitations).await;
            assert_eq!(links(&world).await, most);
            world.clock.advance(STEP);
        }
        world.mails().await;
        world.work(JobKind::Invitations).await;
        assert_eq!(links(&world).await, 230);
    }
}
