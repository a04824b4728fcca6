//! A database of an earlier release is brought up to date, however often that is cut short, and by however many at once.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use gatehouse_persistence::testing::Engine;

use crate::{
    process::{PATIENCE, Place, Server},
    restore::{BOTH, run},
};

/// How often the upgrade is killed on each database.
const KILLS: u32 = 20;
/// The last migration of the release that left the database.
const BEFORE: &str = "m20261121_000009_create_audit_events";
/// What it left, so that there is something to migrate.
const ROWS: &str = "
INSERT INTO partners (id, name, slug, status, created_at, updated_at, version) VALUES (NEW_ID, 'Acme', 'acme', 'ACTIVE', 1, 1, 1);
INSERT INTO tenants (id, partner_id, name, slug, status, settings, branding, created_at, updated_at, version)
    SELECT NEW_ID, id, 'Acme', 'acme', 'ACTIVE', '{}', '{}', 1, 1, 1 FROM partners WHERE slug = 'acme';
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO users (id, tenant_id, partner_id, username, username_key, email, email_key, email_verified, status, attributes, created_at, updated_at, version)
    SELECT NEW_ID, t.id, t.partner_id, 'user' || i, 'user' || i, 'user' || i || '@acme.example', 'user' || i || '@acme.example', true, 'ACTIVE', '{}', i, i, 1
    FROM tenants t, n WHERE t.slug = 'acme';
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
INSERT INTO sessions (id, tenant_id, partner_id, user_id, device_type, auth_methods, created_at, last_activity_at, expires_at, max_expires_at, ends_at,
    refresh_generation, refresh_hash, refreshed_at)
    SELECT NEW_ID, u.tenant_id, u.partner_id, u.id, 'desktop', 'pwd', 1700000000000000 + i, 1700000000000000, 4000000000000000, 4000000000000000,
    4000000000000000, 0, HASH, 1700000000000000 FROM users u, n;
";
const SQLITE: &str = "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1";
const POSTGRES: &str = "
SELECT concat_ws(' ', 'column', table_name, ordinal_position, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = current_schema()
UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()
UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
ORDER BY 1";

/// A place with the database of an earlier release; none where the engine is not to be had.
async fn before(engine: Engine) -> Option<Place> {
    let place = Place::new(engine)?;
    let db = place.connect().await;
    db.migrate_until(BEFORE).await.unwrap();
    db.close().await;
    if place.is_sqlite() {
        std::fs::set_permissions(place.file(), Permissions::from_mode(0o600)).unwrap();
    }
    let [id, hash] = if place.is_sqlite() { ["randomblob(16)", "x'00'"] } else { ["gen_random_uuid()", "'\\x00'"] };
    place.execute(&ROWS.replace("NEW_ID", id).replace("HASH", hash)).await;
    Some(place)
}

async fn applied(place: &Place) -> Vec<String> {
    place.texts("SELECT version FROM seaql_migrations ORDER BY version").await
}

async fn schema(place: &Place) -> Vec<String> {
    place.texts(if place.is_sqlite() { SQLITE } else { POSTGRES }).await
}

fn spawn(place: &Place) -> Server {
    let mut command = place.command();
    command.args(["migrate", "up"]).stdout(Stdio::null());
    Server::spawn(command, place.port, place.folder.join("log"))
}

/// Starts upgrading, and kills that soon after one more migration was applied; false if it came to its end before.
async fn is_cut_short(place: &Place, until: usize, n: u32) -> bool {
    let (mut upgrade, before, began) = (spawn(place), applied(place).await.len(), Instant::now());
    while applied(place).await.len() == before {
        if upgrade.has_ended() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nothing is migrated");
    }
    tokio::time::sleep(Duration::from_millis(u64::from(n % 4))).await;
    upgrade.kill();
    applied(place).await.len() < until
}

async fn assert_is_whole(place: &Place, fresh: &[String]) {
    assert_eq!(schema(place).await, fresh);
    for (table, rows) in [("users", "300"), ("sessions", "3000")] {
        assert_eq!(place.texts(&format!("SELECT CAST(COUNT(*) AS text) FROM {table}")).await, [rows], "{table}");
    }
    place.assert_sound().await;
    place.start().kill();
}

#[tokio::test]
async fn upgrade_that_is_killed_again_and_again_comes_to_its_end() {
    for engine in BOTH {
        let Some(fresh) = Place::new(engine) else { continue };
        assert_eq!(run(&fresh, &["migrate", "up"]).0, Some(0));
        let (all, whole) = (applied(&fresh).await, schema(&fresh).await);
        let mut kills = 0;
        while kills < KILLS {
            let place = before(engine).await.unwrap();
            while kills < KILLS && is_cut_short(&place, all.len(), kills).await {
                kills += 1;
            }
            let (code, said) = run(&place, &["migrate", "up"]);
            assert_eq!((code, applied(&place).await), (Some(0), all.clone()), "{said}");
            assert_is_whole(&place, &whole).await;
        }
    }
}

#[tokio::test]
async fn of_two_that_upgrade_at_once_one_does_and_both_go_on() {
    for engine in BOTH {
        let Some(fresh) = Place::new(engine) else { continue };
        assert_eq!(run(&fresh, &["migrate", "up"]).0, Some(0));
        let place = before(engine).await.unwrap();
        for mut upgrade in [spawn(&place), spawn(&place)] {
            assert_eq!(upgrade.end(PATIENCE).code(), Some(0), "{}", std::fs::read_to_string(&upgrade.log).unwrap());
        }
        assert_eq!(applied(&place).await, applied(&fresh).await);
        assert_is_whole(&place, &schema(&fresh).await).await;
        if engine == Engine::Postgres {
            let place = before(engine).await.unwrap();
            let at = |port, log: &str| Server::spawn(place.command_at(port), port, place.folder.join(log));
            let both = [at(place.port, "log"), at(place.port_beside, "log-beside")].map(Server::become_ready);
            assert_eq!(applied(&place).await, applied(&fresh).await);
            both.into_iter().for_each(Server::kill);
        }
    }
}
