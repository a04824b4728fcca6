//! The audit trail as a file: whole, in order, harmless, and only for as long as its reader may see it.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Actor, Area, PermissionSet, Presence, ReadAudit, Right, TenantRef, UserActor, authorize},
    id::{PartnerId, SessionId, TenantId, UserId},
    issue::Parse,
    role::Anchor,
};
use gatehouse_server::app::{
    Error,
    audit::read::{AuditExport, AuditFilter},
};
use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

/// A tenant with its administrator, signed in.
async fn acme(world: &World) -> (Tenant, Signed) {
    world.tick();
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    (tenant, world.login(&boss).await)
}

/// Adds as many events as take several batches, three at an instant each, and one that has not happened yet.
async fn fill(world: &World) {
    let random = if world.app.db().is_sqlite() { "randomblob(16)" } else { "gen_random_uuid()" };
    let add = |action: &str, many: u32, at: &str| {
        format!(
            "INSERT INTO audit_events (id, occurred_at, tenant_id, partner_id, actor_type, acting_as, action, resource_type, result) \
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {many}) \
             SELECT {random}, e.occurred_at {at}, e.tenant_id, e.partner_id, 'system', 'system', '{action}', 'session', 'success' \
             FROM n, (SELECT * FROM audit_events WHERE action = 'tenant.created' ORDER BY occurred_at DESC LIMIT 1) e"
        )
    };
    world.execute(add("session.expired", 450, "- i / 3")).await;
    world.execute(add("session.purged", 1, "+ 3600000000")).await;
}

async fn export(world: &World, tenant: &Tenant, token: &Signed, query: &str) -> Answer {
    let path = format!("/tenants/{}/audit-events/export?{query}", tenant.id);
    world.get(&path).bearer(token).send().await.expect(200)
}

fn lines(answer: &Answer) -> Vec<Value> {
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

api_tests! {
    async fn export_has_every_event_once_and_oldest_first(world) {
        let (tenant, boss) = acme(&world).await;
        fill(&world).await;
        let answer = export(&world, &tenant, &boss, "").await;
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"audit-events.ndjson\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let (mut listed, mut number) = (Vec::new(), 1);
        while listed.len() < lines(&answer).len() {
            let path = format!("/tenants/{}/audit-events?sort=created_at&per_page=200&page={number}", tenant.id);
            listed.extend(world.get(&path).bearer(&boss).send().await.expect(200).data().as_array().unwrap().clone());
            number += 1;
        }
        // The last of the list is what has not happened yet.
        assert_eq!(listed.pop().unwrap()["action"], "session.purged");
        assert!(listed.len() > 450);
        assert_eq!(lines(&answer), listed);
    }

    async fn export_has_what_the_filters_find_and_its_reader_may_see(world) {
        let (tenant, boss) = acme(&world).await;
        fill(&world).await;
        let partner = world.login(&world.partner_admin(&tenant, "paula").await).await;
        world.tenant("other").await;
        assert_eq!(lines(&export(&world, &tenant, &boss, "action=session.expired&format=ndjson").await).len(), 450);
        assert_eq!(lines(&export(&world, &tenant, &boss, "result=failure").await).len(), 0);
        let events = lines(&world.get("/admin/audit-events/export").bearer(&partner).send().await.expect(200));
        assert!(events.len() > 450 && events.iter().all(|event| event["partner_id"] == json!(tenant.partner_id)));
        let one = format!("/admin/audit-events/export?tenant_id={}&action=tenant.created", tenant.id);
        assert_eq!(lines(&world.get(&one).bearer(world.admin().await).send().await.expect(200)).len(), 1);
        for (query, fault) in [("format=xml", "query.format enum"), ("page=1", "query.page extra_forbidden"), ("action=x", "query.action enum")] {
            let path = format!("/tenants/{}/audit-events/export?{query}", tenant.id);
            assert_eq!(world.get(&path).bearer(&boss).send().await.faults(), [fault]);
        }
    }

    async fn table_is_quoted_and_has_no_formula(world) {
        let (tenant, boss) = acme(&world).await;
        let call = world.patch("/me").bearer(&boss).header("user-agent", "=HYPERLINK(\"http://evil.example\",\"x\")").header("x-request-id", "-1");
        call.json(json!({"display_name": "=1+1"})).send().await.expect(200);
        let answer = export(&world, &tenant, &boss, "format=csv&action=user.updated").await;
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"audit-events.csv\""));
        let rows: Vec<_> = answer.text.split_terminator("\r\n").collect();
        assert_eq!(rows.len(), 2, "{}", answer.text);
        assert!(rows[0].starts_with("id,created_at,tenant_id,partner_id,actor_type,"), "{}", rows[0]);
        let changes = "\"[{\"\"field\"\":\"\"display_name\"\",\"\"old\"\":null,\"\"new\"\":\"\"=1+1\"\"}]\"";
        let agent = "\"'=HYPERLINK(\"\"http://evil.example\"\",\"\"x\"\")\"";
        assert!(rows[1].ends_with(&format!(",user.updated,user,{},success,,,{changes},192.0.2.1,{agent},'-1", boss.user())), "{}", rows[1]);
        let nothing = export(&world, &tenant, &boss, "format=csv&result=failure").await;
        assert_eq!(nothing.text.split_terminator("\r\n").count(), 1, "the head alone");
    }

    async fn event_is_one_line_whatever_is_in_it(world) {
        let (tenant, boss) = acme(&world).await;
        let role = "a\u{2028}b\u{2029}c";
        world.role(&tenant, "plain", &["sessions:read"]).await;
        let patch = json!({"attributes": {"note": role}});
        world.patch(&format!("/admin/users/{}", boss.user())).bearer(world.admin().await).json(patch).send().await.expect(200);
        let answer = export(&world, &tenant, &boss, "action=user.updated").await;
        assert!(!answer.text.contains(['\u{2028}', '\u{2029}']), "{}", answer.text);
        assert_eq!(lines(&answer)[0]["changes"], json!([{"field": "attributes.note", "old": null, "new": role}]));
    }

    async fn export_ends_when_the_session_of_its_reader_does(world) {
        let (tenant, boss) = acme(&world).await;
        fill(&world).await;
        let home = TenantRef { id: TenantId::parse(&tenant.id).unwrap(), partner_id: PartnerId::parse(&tenant.partner_id).unwrap() };
        let right = Right { anchor: Anchor::Tenant(home.id), permissions: PermissionSet::any(), expires_at: None };
        let actor = Arc::new(Actor::User(UserActor {
            user_id: UserId::parse(&boss.user()).unwrap(),
            tenant_id: home.id,
            partner_id: home.partner_id,
            session_id: SessionId::parse(&boss.session()).unwrap(),
            presence: Presence::SignedIn,
            rights: vec![right],
            scope: None,
        }));
        let grant = authorize::<ReadAudit>(&actor, &Area::Tenant(home)).unwrap();
        let mut export = AuditExport::new(&grant, Area::Tenant(home), AuditFilter::default(), world.app.env().now());
        for _ in 0..2 {
            assert_eq!(world.app.trail().next(&mut export).await.unwrap().len(), 200);
        }
        world.logout("acme", &boss.refresh).await.expect(200);
        assert!(matches!(world.app.trail().next(&mut export).await, Err(Error::SessionRevoked)));
    }

    async fn catalogue_explains_every_action_and_kind_that_can_be_asked_for(world) {
        let (tenant, boss) = acme(&world).await;
        let path = format!("/tenants/{}/audit-events", tenant.id);
        let catalogue = world.get(&format!("{path}/catalogue")).bearer(&boss).send().await.expect(200).data();
        let admin = world.get("/admin/audit-events/catalogue").bearer(world.admin().await).send().await.expect(200).data();
        assert_eq!(catalogue, admin);
        for (list, filter) in [("actions", "action"), ("resource_types", "resource_type")] {
            let words = catalogue[list].as_array().unwrap();
            assert!(words.len() > 7);
            for word in words {
                assert!(word["description"].as_str().unwrap().ends_with('.'), "{word}");
                let name = word["name"].as_str().unwrap();
                world.get(&format!("{path}?{filter}={name}&per_page=1")).bearer(&boss).send().await.expect(200);
            }
        }
    }
}
