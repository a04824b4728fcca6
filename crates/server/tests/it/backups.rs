//! Backups and what holds after one was restored.

use std::{path::PathBuf, sync::Arc};

use gatehouse_domain::authz::SystemReason;
use gatehouse_persistence::{
    ChangeContext, Db, Options, Target, WriteTx,
    testing::{Engine, Fresh},
};
use gatehouse_server::{
    app::platform::backup::{BackupError, back_up},
    config::Database,
    security::{
        archive::{Archive, ArchiveWriter},
        keyring::Keyring,
        master_key::MasterKey,
    },
};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, World, api_tests};

const NEW: &str = "nineteen lanterns under the pier";

fn keyring(world: &World) -> Keyring {
    Keyring::new(&MasterKey::load_or_create(&world.config.data_dir.join("master.key"), world.app.env()).unwrap())
}

fn path(world: &World, name: &str) -> PathBuf {
    world.config.data_dir.join(name)
}

async fn backup(world: &World) -> Archive {
    let (path, keyring) = (path(world, "backup"), keyring(world));
    back_up(world.app.db(), &keyring, &path, world.app.env().now()).await.unwrap();
    Archive::open(&path, &keyring).unwrap()
}

async fn assert_sound(world: &World) {
    world.app.trail().seal().await.unwrap();
    let report = world.app.trail().verify(None, None, SystemReason::Cli).await.unwrap();
    assert_eq!((report.damages, report.unsealed), (0, 0), "{report:?}");
}

/// How the tables are made, and what acts when a row changes.
async fn schema(world: &World) -> Vec<String> {
    let sql = if world.app.db().is_sqlite() {
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
    } else {
        "SELECT tgname || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    };
    world.text(sql).await
}

/// The lines of a backup without columns, perhaps of one table, and without tables that an earlier release had not, or had
/// otherwise.
fn without<'t>(
    lines: impl Iterator<Item = std::io::Result<String>> + 't,
    left_out: &'t [&'t str],
    tables: &'t [&'t str],
) -> impl Iterator<Item = std::io::Result<String>> + 't {
    let (mut places, mut is_left_out, mut name) = (Vec::new(), false, String::new());
    lines.filter_map(move |line| {
        let mut line: Value = match line {
            Ok(line) => serde_json::from_str(&line).unwrap(),
            Err(error) => return Some(Err(error)),
        };
        if let Some(table) = line["table"].as_str() {
            (is_left_out, name) = (tables.contains(&table), table.to_owned());
        }
        if let Some(columns) = line.get_mut("columns").and_then(Value::as_array_mut) {
            let is_new = |place: &usize| {
                let column = columns[*place].as_str().unwrap();
                left_out.iter().any(|left| *left == column || *left == format!("{name}.{column}"))
            };
            places = (0..columns.len()).rev().filter(is_new).collect();
            places.iter().for_each(|place| drop(columns.remove(*place)));
        } else if let Some(row) = line.as_array_mut() {
            places.iter().for_each(|place| drop(row.remove(*place)));
        }
        (!is_left_out).then(|| Ok(line.to_string()))
    })
}

api_tests! {
    async fn what_was_revoked_after_a_backup_stays_so_after_it_is_restored(world) {
        world.tick();
        let (acme, other) = (world.tenant("acme").await, world.tenant("other").await);
        let reseller = world.tenant("reseller").await;
        let [ada, bob, eve, max] = ["ada", "bob", "eve", "max"].map(|name| world.person(&acme, name));
        let (ada, bob, eve, max) = (ada.await, bob.await, eve.await, max.await);
        let [of_other, of_reseller] = [&other, &reseller].map(|tenant| world.person(tenant, "someone"));
        let (of_other, of_reseller) = (of_other.await, of_reseller.await);
        let role = world.role(&acme, "reader", &["users:read", "sessions:read"]).await;
        let anchor = json!({"level": "tenant", "tenant_id": acme.id});
        let taken = world.give(&max, &role, anchor.clone()).await;
        world.give(&bob, &role, anchor).await;
        let thief = world.login(&bob).await;
        let applications = format!("/tenants/{}/applications", acme.id);
        let mut registered = Vec::new();
        for name in ["leaks", "suspended", "deleted"] {
            let body = json!({"name": name, "application_type": "SERVICE"});
            let made = world.post(&applications).bearer(world.admin().await).json(body).send().await.expect(201).data();
            registered.push(format!("{applications}/{}", made["id"].as_str().unwrap()));
        }
        let archive = backup(&world).await;

        world.set_status("users", &ada.id, "SUSPENDED").await;
        world.set_status("tenants", &other.id, "SUSPENDED").await;
        world.set_status("partners", &reseller.partner_id, "SUSPENDED").await;
        let admin = world.admin().await;
        world.delete(&format!("/admin/users/{}", eve.id)).bearer(&admin).send().await.expect(204);
        world.delete(&format!("/admin/role-assignments/{taken}")).bearer(&admin).send().await.expect(204);
        let narrowed = json!({"permissions": ["users:read"]});
        world.patch(&format!("/admin/roles/{role}")).bearer(&admin).json(narrowed).send().await.expect(200);
        world.post(&format!("{}/rotate-secret", registered[0])).bearer(&admin).json(json!({"expire_previous_in": 0})).send().await.expect(200);
        world.patch(&registered[1]).bearer(&admin).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
        world.delete(&registered[2]).bearer(&admin).send().await.expect(204);
        let secrets = "SELECT secrets FROM applications WHERE name = 'leaks'";
        let rotated = world.text(secrets).await;
        let changed = json!({"current_password": PASSWORD, "new_password": NEW});
        world.post("/me/password").bearer(&thief).json(changed).send().await.expect(204);
        let spent = Signed::of(&world.try_login("acme", "bob", NEW).await.expect(200));

        let restored = world.app.restores().restore(archive).await.unwrap();
        let kept = restored.kept;
        assert_eq!(
            (kept.users, kept.tenants, kept.partners, kept.passwords, kept.assignments, kept.roles),
            (2, 1, 1, 1, 1, 1)
        );
        assert_eq!((kept.applications, kept.secrets, world.text(secrets).await), (2, 2, rotated));
        assert_eq!(world.number("SELECT COUNT(*) FROM applications WHERE status = 'SUSPENDED'").await, 2);
        for (what, pair) in [("of the backup", &thief), ("after it", &spent), ("administrator", &admin)] {
            assert_eq!(world.me(pair).await, 401, "{what}");
        }
        assert_eq!(world.refresh("acme", &thief.refresh).await.status, 401);
        for person in [&ada, &eve, &of_other, &of_reseller] {
            let answer = world.try_login(&person.slug, &person.name, PASSWORD).await;
            assert!([401, 403, 404].contains(&answer.status), "{}: {}", person.name, answer.text);
        }
        world.try_login("acme", "bob", PASSWORD).await.problem(401, "invalid_credentials");
        let bob = Signed::of(&world.try_login("acme", "bob", NEW).await.expect(200));
        let users = world.get(&format!("/tenants/{}/users", acme.id)).bearer(&bob).send().await;
        let sessions = world.get(&format!("/tenants/{}/sessions", acme.id)).bearer(&bob).send().await;
        assert_eq!((users.status, sessions.status), (200, 403));
        let max = world.login(&max).await;
        assert_ne!(world.get(&format!("/tenants/{}/users", acme.id)).bearer(&max).send().await.status, 200);
        assert_sound(&world).await;
    }

    async fn restored_database_is_that_of_the_backup_and_goes_on(world) {
        world.tick();
        let acme = world.tenant("acme").await;
        let ada = world.person(&acme, "ada").await;
        world.login(&ada).await;
        let (before, archive) = (schema(&world).await, backup(&world).await);
        let head: Vec<_> = archive.lines().unwrap().map(Result::unwrap).take(2_000).collect();
        assert!(head.iter().any(|line| line.contains("ada@acme.example")));
        world.person(&acme, "bob").await;
        world.app.restores().restore(archive).await.unwrap();
        assert_eq!(schema(&world).await, before);
        assert_eq!(world.number("SELECT COUNT(*) FROM users WHERE username = 'bob'").await, 0);
        // What is counted by triggers is counted on.
        world.person(&acme, "carl").await;
        world.login(&ada).await;
        world.app.maintenance().sweep().await.unwrap();
        assert_eq!(world.number("SELECT users FROM tenants WHERE slug = 'acme'").await, 2);
        assert_eq!(world.number("SELECT active_sessions FROM users WHERE username = 'ada'").await, 1);
        let counted = "SELECT SUM(active) - (SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL) FROM session_counts";
        let counted = if world.app.db().is_sqlite() { counted.to_owned() } else { format!("SELECT ({counted})::bigint") };
        assert_eq!(world.number(counted).await, 0);
        assert_sound(&world).await;
    }

    async fn restore_that_fails_changes_nothing(world) {
        let acme = world.tenant("acme").await;
        let ada = world.person(&acme, "ada").await;
        let signed = world.login(&ada).await;
        let (path, keyring) = (path(&world, "broken"), keyring(&world));
        let archive = backup(&world).await;
        let head = &archive.head;
        let mut file = ArchiveWriter::create(&path, head.schema.clone(), head.made_at(), &keyring).unwrap();
        // Half of what there is, and a row that is none.
        let lines: Vec<_> = archive.lines().unwrap().map(Result::unwrap).collect();
        lines.iter().take(lines.len() / 2).for_each(|line| file.line(line).unwrap());
        file.line("[1]").unwrap();
        file.finish().unwrap();
        let before = schema(&world).await;
        assert!(world.app.restores().restore(Archive::open(&path, &keyring).unwrap()).await.is_err());
        assert_eq!((schema(&world).await, world.me(&signed).await), (before, 200));
        assert_sound(&world).await;
    }

    async fn backup_of_an_earlier_release_is_brought_up_to_date(world) {
        const EARLIER: &str = "m20261130_000112_key_names";
        let acme = world.tenant("acme").await;
        let ada = world.person(&acme, "ada").await;
        world.execute("DELETE FROM signing_keys WHERE tenant_id IS NULL").await;
        let (keyring, target) = (keyring(&world), Target::Sqlite(path(&world, "earlier.db")));
        let archive = backup(&world).await;
        let earlier = Db::connect(Options { target, connections: 1, on_change: Arc::new(|_| {}) }).await.unwrap();
        earlier.migrate_until(EARLIER).await.unwrap();
        let tables = [
            "applications", "application_origins", "application_resources", "application_terms", "assertion_ids", "audit_acceptances", "authorization_codes",
            "consents", "device_requests", "logout_deliveries", "pushed_requests", "revoked_tokens", "session_applications", "token_families",
        ];
        let columns = ["public_url", "sessions.application_id", "activated_at", "owner_id", "sessions.kind", "cookie_digest", "authenticated_at", "asked_application", "tokens_revoked_at", "asked_permissions", "accepted_mac", "idempotency_keys.application_id"];
        let lines = without(archive.lines().unwrap(), &columns, &tables);
        let take_in = async |tx: &WriteTx<'_>| tx.take_in(EARLIER, lines).await;
        earlier.write_alone(ChangeContext::at(world.app.env().now()), take_in).await.unwrap();
        back_up(&earlier, &keyring, &path(&world, "earlier"), world.app.env().now()).await.unwrap();
        let archive = Archive::open(&path(&world, "earlier"), &keyring).unwrap();
        assert_eq!(archive.head.schema, EARLIER);
        world.app.restores().restore(archive).await.unwrap();
        assert_eq!(world.me(&world.login(&ada).await).await, 200);
        assert!(!path(&world, "restore").exists(), "something is left behind");
        assert_sound(&world).await;
    }

    async fn backup_of_a_database_with_another_key_is_refused(world) {
        let other = Keyring::new(&MasterKey::new([7; 32]));
        let refused = back_up(world.app.db(), &other, &path(&world, "backup"), world.app.env().now()).await;
        assert!(matches!(refused, Err(BackupError::Start(_))));
        assert!(!path(&world, "backup").exists());
    }
}

#[actix_web::test]
async fn backup_of_either_database_is_restored_into_the_other() {
    let (Some(world), Some(fresh)) = (World::new(Engine::Sqlite).await, Fresh::new(Engine::Postgres)) else { return };
    world.tick();
    let acme = world.tenant("acme").await;
    let ada = world.person(&acme, "ada").await;
    world.login(&ada).await;
    let Target::Postgres(url) = &fresh.target else { unreachable!("it was asked for") };
    let url = gatehouse_domain::secret::Secret::new(url.expose().clone());
    let moved = world.replica(|config| config.database = Database::Postgres(url)).await;
    moved.app.restores().restore(backup(&world).await).await.unwrap();
    assert_eq!(moved.me(&moved.login(&ada).await).await, 200);
    assert_sound(&moved).await;
    std::fs::remove_file(path(&world, "backup")).unwrap();
    world.app.restores().restore(backup(&moved).await).await.unwrap();
    assert_eq!(world.me(&world.login(&ada).await).await, 200);
    assert_sound(&world).await;
}
