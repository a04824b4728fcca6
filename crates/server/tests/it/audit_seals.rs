//! The audit trail is sealed: whatever somebody does to the database, it shows.

use std::time::Duration;

use gatehouse_domain::{
    audit::{Damage, Verification},
    authz::{Actor, Area, DeleteUsers, SystemReason, authorize},
    id::{TenantId, UserId},
    issue::Parse,
};
use gatehouse_server::app::request::client::{ChangeContext, RequestMeta};
use serde_json::json;

use crate::harness::{Person, Signed, Tenant, World, api_tests};

async fn seal(world: &World) -> usize {
    world.app.trail().seal().await.unwrap()
}

async fn verify(world: &World) -> Verification {
    world.app.trail().verify(None, None, SystemReason::Cli).await.unwrap()
}

async fn damages(world: &World) -> Vec<Damage> {
    let mut all: Vec<_> = verify(world).await.findings.into_iter().map(|finding| finding.damage).collect();
    all.dedup();
    all
}

/// A tenant in which things happened, sealed in a few steps.
async fn busy(world: &World) -> (Tenant, Person, Signed) {
    world.tick();
    let tenant = world.tenant("acme").await;
    world.tenant("other").await;
    let ada = world.person(&tenant, "ada").await;
    seal(world).await;
    for _ in 0..3 {
        let signed = world.login(&ada).await;
        world.refresh("acme", &signed.refresh).await.expect(200);
        world.try_login("acme", "ada", "wrong wrong wrong wrong").await.expect(401);
        seal(world).await;
    }
    let signed = world.login(&ada).await;
    world
        .patch("/me")
        .bearer(&signed)
        .json(json!({"display_name": "Ada", "phone": "+34 600 000 000"}))
        .send()
        .await
        .expect(200);
    seal(world).await;
    assert_eq!(damages(world).await, []);
    (tenant, ada, signed)
}

/// Runs statements past what keeps our own from harm, and leaves no trace of that, as somebody who means it would.
async fn tamper(world: &World, sql: impl AsRef<str>) {
    let (guards, sql) = (["kept", "sealed"].map(|name| format!("tg_audit_events_{name}")), sql.as_ref());
    if world.app.db().is_sqlite() {
        let texts =
            world.text(format!("SELECT sql FROM sqlite_master WHERE name IN ('{}')", guards.join("', '"))).await;
        let dropped = guards.map(|guard| format!("DROP TRIGGER {guard}; ")).concat();
        world.execute(format!("{dropped}{sql}; {}", texts.join("; "))).await;
    } else {
        let all =
            |what| guards.each_ref().map(|guard| format!("ALTER TABLE audit_events {what} TRIGGER {guard}; ")).concat();
        world.execute(format!("{}{sql}; {}", all("DISABLE"), all("ENABLE"))).await;
    }
}

fn id(world: &World, uuid: uuid::Uuid) -> String {
    if world.app.db().is_sqlite() { format!("x'{}'", uuid.simple()) } else { format!("'{uuid}'") }
}

fn chain(world: &World, tenant: &Tenant) -> String {
    id(world, TenantId::parse(&tenant.id).unwrap().uuid())
}

fn event() -> &'static str {
    "id = (SELECT id FROM audit_events WHERE action = 'user.updated' LIMIT 1)"
}

api_tests! {
    async fn trail_that_nobody_touched_is_intact(world) {
        let (tenant, _, signed) = busy(&world).await;
        let all = verify(&world).await;
        assert_eq!((all.chains, all.unsealed, all.redacted, all.adopted), (4, 0, 0, 0));
        assert_eq!(all.events, world.number("SELECT COUNT(*) FROM audit_events").await.cast_unsigned());
        world.logout("acme", &signed.refresh).await.expect(200);
        let more = verify(&world).await;
        assert_eq!((more.events, more.unsealed, more.damages), (all.events, 1, 0));
        let one = world.app.trail().verify(Some(TenantId::parse(&tenant.id).unwrap()), all.root, SystemReason::Cli).await.unwrap();
        assert_eq!((one.chains, one.damages), (1, 0));
        assert!(one.events < all.events && one.events > 5);
    }

    async fn change_of_any_column_of_an_event_shows(world) {
        busy(&world).await;
        let nothing = id(&world, uuid::Uuid::from_u128(7));
        for (column, value) in [
            ("occurred_at", "occurred_at + 1".to_owned()), ("partner_id", nothing.clone()), ("actor_type", "'system'".into()),
            ("actor_id", nothing.clone()), ("actor_session_id", "NULL".into()), ("acting_as", "'platform'".into()), ("action", "'user.created'".into()),
            ("resource_type", "'tenant'".into()), ("resource_id", "NULL".into()), ("result", "'failure'".into()), ("failure", "'x'".into()), ("reason", "'x'".into()),
            ("changes", "NULL".into()), ("changes", "'{\"display_name\":{},\"phone\":{}}'".into()), ("ip_address", "'203.0.113.1'".into()), ("ip_address", "NULL".into()),
            ("user_agent", "'x'".into()), ("request_id", "'x'".into()), ("tag", "NULL".into()), ("origin_digest", "tag".into()), ("changes_digest", "tag".into()),
        ] {
            tamper(&world, format!("CREATE TABLE kept AS SELECT * FROM audit_events WHERE {}", event())).await;
            tamper(&world, format!("UPDATE audit_events SET {column} = {value} WHERE id = (SELECT id FROM kept)")).await;
            let report = verify(&world).await;
            assert_eq!(report.findings.iter().filter(|it| it.damage == Damage::EventChanged).count(), 1, "{column} = {value}: {report:?}");
            tamper(&world, format!("UPDATE audit_events SET {column} = (SELECT {column} FROM kept) WHERE id = (SELECT id FROM kept)")).await;
            tamper(&world, "DROP TABLE kept").await;
            assert_eq!(damages(&world).await, []);
        }
    }

    async fn event_that_is_gone_or_moved_to_another_tenant_shows(world) {
        let (tenant, ..) = busy(&world).await;
        let other = format!("(SELECT tenant_id FROM audit_events WHERE tenant_id <> {} AND action = 'tenant.created' LIMIT 1)", chain(&world, &tenant));
        tamper(&world, "CREATE TABLE kept AS SELECT * FROM audit_events WHERE action = 'user.updated'").await;
        tamper(&world, format!("UPDATE audit_events SET tenant_id = {other} WHERE id = (SELECT id FROM kept)")).await;
        assert!(damages(&world).await.contains(&Damage::EventMissing));
        tamper(&world, "DELETE FROM audit_events WHERE id = (SELECT id FROM kept)").await;
        let report = verify(&world).await;
        assert_eq!((report.damages, report.findings[0].damage), (1, Damage::EventMissing));
        assert!(report.findings[0].event_id.is_some() && report.findings[0].tenant_id == Some(TenantId::parse(&tenant.id).unwrap()));
    }

    async fn event_that_gatehouse_did_not_record_shows_sealed_or_not(world) {
        busy(&world).await;
        let columns = "occurred_at, tenant_id, partner_id, actor_type, actor_id, actor_session_id, acting_as, action, resource_type, resource_id, result, changes";
        for (n, tag) in [(1, "tag"), (2, "NULL")] {
            let forged = id(&world, uuid::Uuid::from_u128(n << 100));
            tamper(&world, format!("INSERT INTO audit_events (id, {columns}, tag) SELECT {forged}, {columns}, {tag} FROM audit_events WHERE action = 'user.updated' LIMIT 1")).await;
            assert!(damages(&world).await.contains(&Damage::EventChanged), "{tag}");
            tamper(&world, format!("DELETE FROM audit_unsealed WHERE event_id = {forged}")).await;
            assert!(damages(&world).await.contains(&Damage::EventUnsealed), "{tag}");
            // Whoever knows how it works queues it and lets the server seal it.
            tamper(&world, format!("INSERT INTO audit_unsealed (event_id, tenant_id) SELECT id, tenant_id FROM audit_events WHERE id = {forged}")).await;
            assert_eq!(seal(&world).await, 1);
            let report = verify(&world).await;
            assert_eq!(report.findings.iter().filter(|it| it.damage == Damage::EventChanged).count() as u128, n, "{tag}: {report:?}");
        }
    }

    async fn seal_that_is_changed_gone_or_elsewhere_shows(world) {
        let (tenant, ..) = busy(&world).await;
        let chain = chain(&world, &tenant);
        for (harm, shows) in [
            (format!("UPDATE audit_seals SET sealed_at = sealed_at + 1 WHERE tenant_id = {chain} AND seq = 2"), vec![Damage::SealChanged]),
            (format!("UPDATE audit_seals SET event_ids = (SELECT event_ids FROM audit_seals o WHERE o.tenant_id = audit_seals.tenant_id AND o.seq = 2) WHERE tenant_id = {chain} AND seq = 3"), vec![Damage::SealChanged]),
            (format!("DELETE FROM audit_seals WHERE tenant_id = {chain} AND seq = 2"), vec![Damage::SealMissing, Damage::EventUnsealed]),
            (format!("DELETE FROM audit_seals WHERE tenant_id = {chain} AND seq >= 4"), vec![Damage::SealMissing, Damage::EventUnsealed]),
            (format!("UPDATE audit_seals SET seq = 5 - seq + 1000 WHERE tenant_id = {chain} AND seq IN (2, 3)"), vec![Damage::SealMissing]),
            (format!("UPDATE audit_chains SET seq = seq - 1 WHERE tenant_id = {chain}"), vec![Damage::RootChanged, Damage::ChainChanged]),
            (format!("DELETE FROM audit_chains WHERE tenant_id = {chain}"), vec![Damage::RootChanged]),
            ("UPDATE audit_root SET version = version + 1".to_owned(), vec![Damage::RootChanged]),
            ("DELETE FROM audit_root".to_owned(), vec![Damage::RootChanged]),
        ] {
            for table in ["seals", "chains", "root"] {
                tamper(&world, format!("CREATE TABLE kept_{table} AS SELECT * FROM audit_{table}")).await;
            }
            tamper(&world, &harm).await;
            let found = damages(&world).await;
            assert!(shows.iter().all(|damage| found.contains(damage)), "{harm}: {found:?}");
            for table in ["seals", "chains", "root"] {
                tamper(&world, format!("DELETE FROM audit_{table}; INSERT INTO audit_{table} SELECT * FROM kept_{table}; DROP TABLE kept_{table}")).await;
            }
            assert_eq!(damages(&world).await, [], "{harm}");
        }
    }

    async fn chain_that_is_turned_back_with_all_that_belongs_to_it_shows(world) {
        let (tenant, ada, _) = busy(&world).await;
        let chain = chain(&world, &tenant);
        tamper(&world, "CREATE TABLE kept AS SELECT * FROM audit_chains").await;
        tamper(&world, "CREATE TABLE kept_root AS SELECT * FROM audit_root").await;
        world.login(&ada).await;
        seal(&world).await;
        let noted = verify(&world).await.root;
        let seals = world.number(format!("SELECT COUNT(*) FROM audit_seals WHERE tenant_id = {chain}")).await;
        tamper(&world, format!("DELETE FROM audit_events WHERE tenant_id = {chain} AND occurred_at = (SELECT MAX(occurred_at) FROM audit_events)")).await;
        tamper(&world, format!("DELETE FROM audit_seals WHERE tenant_id = {chain} AND seq = {seals}; DELETE FROM audit_chains WHERE tenant_id = {chain}")).await;
        tamper(&world, format!("INSERT INTO audit_chains SELECT * FROM kept WHERE tenant_id = {chain}")).await;
        assert_eq!(damages(&world).await, [Damage::RootChanged]);
        // Everything turned back looks as it did then. Only whoever knows that there was more can tell.
        tamper(&world, "DELETE FROM audit_root; INSERT INTO audit_root SELECT * FROM kept_root").await;
        tamper(&world, "DELETE FROM audit_roots WHERE version > (SELECT version FROM audit_root)").await;
        assert_eq!(damages(&world).await, []);
        let report = world.app.trail().verify(None, noted, SystemReason::Cli).await.unwrap();
        assert_eq!(report.findings.iter().map(|it| it.damage).collect::<Vec<_>>(), [Damage::TurnedBack]);
    }

    async fn trail_is_intact_after_retention_has_cut_it(world) {
        let (tenant, ada, _) = busy(&world).await;
        let before = verify(&world).await;
        world.clock.advance(Duration::from_secs(86_400 * 366));
        world.login(&ada).await;
        world.app.maintenance().clean_up().await.unwrap();
        seal(&world).await;
        let after = verify(&world).await;
        assert_eq!(after.damages, 0, "{after:?}");
        assert!(after.events < before.events);
        assert!(world.number(format!("SELECT cut_seq FROM audit_chains WHERE tenant_id = {}", chain(&world, &tenant))).await >= 5);
    }

    async fn replicas_that_seal_at_once_seal_every_event_once(world) {
        let (_, ada, _) = busy(&world).await;
        let other = world.replica(|_| {}).await;
        for _ in 0..5 {
            for _ in 0..3 {
                world.login(&ada).await;
            }
            let (one, two) = (world.app.trail(), other.app.trail());
            let (a, b) = tokio::join!(one.seal(), two.seal());
            a.unwrap();
            b.unwrap();
        }
        seal(&world).await;
        let report = verify(&other).await;
        assert_eq!((report.damages, report.unsealed), (0, 0), "{report:?}");
        assert_eq!(report.events, world.number("SELECT COUNT(*) FROM audit_events").await.cast_unsigned());
    }

    async fn event_without_a_tag_is_not_taken_as_it_is(world) {
        world.tick();
        world.tenant("acme").await;
        tamper(&world, "UPDATE audit_events SET tag = NULL").await;
        assert!(seal(&world).await > 0);
        let report = verify(&world).await;
        assert_eq!((report.damages, report.adopted), (report.events, 0), "{report:?}");
    }

    async fn our_own_statements_change_and_remove_no_event(world) {
        world.tick();
        world.tenant("acme").await;
        let refused = async |sql: &str| world.try_execute(sql).await.unwrap_err();
        assert!(refused("UPDATE audit_events SET action = 'x'").await.contains("do not change"));
        assert!(refused("UPDATE audit_events SET ip_address = 'x'").await.contains("do not change"));
        assert!(refused("DELETE FROM audit_events").await.contains("before they are sealed"));
    }

    async fn erased_user_leaves_no_personal_data_and_an_intact_trail(world) {
        let (tenant, ada, signed) = busy(&world).await;
        let eve = world.person(&tenant, "eve").await;
        world.login(&eve).await;
        world.refresh("acme", &signed.refresh).await.expect(200);
        world.set_status("users", &ada.id, "SUSPENDED").await;
        let admin_ip = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.suspended' AND ip_address IS NOT NULL";
        let grant = authorize::<DeleteUsers>(&std::sync::Arc::new(Actor::System(SystemReason::Cli)), &Area::Directory).unwrap();
        let facts = world.app.session_states().tenant_by_slug(&gatehouse_domain::text::Slug::parse("acme").unwrap()).await.unwrap().unwrap();
        let origin = RequestMeta { ctx: ChangeContext::at(world.app.env().now()), declared_device: None, store_response: None, base_url: "".into() };
        let user = UserId::parse(&ada.id).unwrap();
        let count = world.app.trail().redact_user(&grant, facts.reference(), user, grant.by(), &origin.ctx).await.unwrap();
        assert!(count > 10, "{count}");
        assert_eq!(world.app.trail().redact_user(&grant, facts.reference(), user, grant.by(), &origin.ctx).await.unwrap(), 0);
        let it = id(&world, user.uuid());
        let left = format!(
            "SELECT COUNT(*) FROM audit_events WHERE actor_id = {it} AND (ip_address IS NOT NULL OR user_agent IS NOT NULL) \
             OR resource_id = {it} AND (changes LIKE '%Ada%' OR changes LIKE '%600%' OR changes LIKE '%ada@%') OR actor_id IS NULL AND resource_id = {it} AND ip_address IS NOT NULL"
        );
        assert_eq!(world.number(left).await, 0);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'audit_event.redacted'").await, 1);
        assert_eq!(world.number(admin_ip).await, 1, "what belongs to others stays");
        let path = format!("/tenants/{}/audit-events?action=user.updated", tenant.id);
        let event = world.get(&path).bearer(world.admin().await).send().await.expect(200).data()[0].clone();
        assert_eq!(event["changes"][0], json!({"field": "display_name", "old": null, "new": null}));
        seal(&world).await;
        let report = verify(&world).await;
        assert_eq!((report.damages, report.redacted), (0, count as u64), "{report:?}");
        // Nobody else can erase: what is put in its place must be what Gatehouse puts there.
        tamper(&world, "UPDATE audit_events SET ip_address = NULL, user_agent = NULL, origin_digest = tag WHERE action = 'user.suspended'").await;
        assert_eq!(damages(&world).await, [Damage::EventChanged]);
    }
}
