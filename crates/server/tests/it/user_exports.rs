//! The users of a tenant as a file over the network: whole, harmless, without passwords, and only for as long as its reader
//! may see them.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, PermissionSet, Presence, Right, TenantRef, UserActor, authorize},
    id::{PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    job::JobKind,
    role::Anchor,
};
use gatehouse_persistence::ChangeContext;
use gatehouse_server::app::Error;
use serde_json::json;

use crate::{
    harness::api_tests,
    user_imports::{DJANGO, acme, asked, is, many, stands},
};

api_tests! {
    async fn exported_users_have_no_password_are_no_formula_and_come_back(world) {
        let (tenant, boss, token) = acme(&world).await;
        let line = json!({"username": "ada", "email": "ada@mail.example", "display_name": "=1+1", "password_hash": DJANGO});
        asked(&world, &tenant, &token, format!("{line}\n{}", many(1_100))).await;
        world.work(JobKind::UserImport).await;
        let path = format!("/tenants/{}/users/export", tenant.id);
        let export = async |format: &str| world.get(&format!("{path}?format={format}")).bearer(&token).send().await.expect(200);
        let (lines, table) = (export("ndjson").await, export("csv").await);
        assert_eq!(lines.header("content-disposition"), Some("attachment; filename=\"users.ndjson\""));
        assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!((lines.text.lines().count(), table.text.lines().count()), (1_102, 1_103));
        for text in [&lines.text, &table.text] {
            assert!(text.contains("ada@mail.example") && !text.contains("pbkdf2") && !text.contains("argon2") && !text.contains("password"));
        }
        assert!(table.text.contains(",'=1+1,"), "no formula");
        let exported = format!("/tenants/{}/audit-events?action=user.exported&actor_id={}", tenant.id, boss.id);
        assert_eq!(world.get(&exported).bearer(&token).send().await.expect(200).total(), 2);
        let other = world.tenant("beta").await;
        let admin = world.admin().await;
        let call = world.post(&format!("/admin/tenants/{}/user-imports", other.id)).bearer(&admin);
        let answer = call.body("text/csv", table.text).send().await.expect(202);
        world.work(JobKind::UserImport).await;
        let path = format!("/tenants/{}/user-imports/{}", other.id, answer.data()["id"].as_str().unwrap());
        assert_eq!(stands(&world, &admin, &path).await, is("completed", [1_102, 0, 0, 0]));
    }

    async fn export_of_users_ends_when_the_session_of_its_reader_does(world) {
        let (tenant, _, token) = acme(&world).await;
        asked(&world, &tenant, &token, many(600)).await;
        world.work(JobKind::UserImport).await;
        let home = TenantRef { id: TenantId::parse(&tenant.id).unwrap(), partner_id: PartnerId::parse(&tenant.partner_id).unwrap() };
        let right = Right { anchor: Anchor::Tenant(home.id), permissions: PermissionSet::any(), expires_at: None };
        let actor = Arc::new(Actor::User(UserActor {
            user_id: UserId::parse(&token.user()).unwrap(),
            tenant_id: home.id,
            partner_id: home.partner_id,
            session_id: SessionId::parse(&token.session()).unwrap(),
            presence: Presence::SignedIn,
            rights: vec![right],
            scope: None,
        }));
        let grant = authorize(&actor, &Area::Tenant(home)).unwrap();
        let mut export = world.app.exports().begin(&grant, home.id, false, ChangeContext::at(world.app.env().now())).await.unwrap();
        assert_eq!(world.app.exports().next(&mut export).await.unwrap().len(), 500);
        world.logout("acme", &token.refresh).await.expect(200);
        assert!(matches!(world.app.exports().next(&mut export).await, Err(Error::SessionRevoked)));
    }

    async fn who_may_not_see_users_reads_none_out_and_nothing_is_noted(world) {
        let (tenant, _, _) = acme(&world).await;
        let plain = world.login(&world.person(&tenant, "plain").await).await;
        let path = format!("/tenants/{}/users/export", tenant.id);
        world.get(&path).bearer(&plain).send().await.problem(403, "missing_permission");
        assert_eq!(world.get(&format!("{path}?format=xml")).bearer(world.admin().await).send().await.faults(), ["query.format enum"]);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.exported'").await, 0);
    }
}
