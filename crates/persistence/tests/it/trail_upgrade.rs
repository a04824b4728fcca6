//! The trail of a release that did not sign its root from the beginning goes on, and only from what that release left.

use gatehouse_persistence::{
    Db, Error, Target,
    testing::{Engine, Fresh},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use gatehouse_domain::time::DAY;

use crate::fixture::*;

/// What such a release stored on both databases: chains that are sealed and purged, and an event that waits.
const SQLITE: &str = include_str!("fixtures/trail_of_unchained_roots.sqlite.sql");
const POSTGRES: &str = include_str!("fixtures/trail_of_unchained_roots.postgres.sql");
/// What makes it one that has sealed nothing, with events from before there were tags.
const NEVER_SEALED: &str = "DELETE FROM audit_seals; DELETE FROM audit_chains; DELETE FROM audit_unsealed; \
    UPDATE audit_root SET version = 0, sum = '', mac = ''; INSERT INTO audit_unsealed (event_id, tenant_id) SELECT id, tenant_id FROM audit_events";

async fn execute(fresh: &Fresh, sql: &str) {
    match &fresh.target {
        Target::Sqlite(path) => {
            let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        Target::Postgres(url) => {
            PgConnection::connect(url.expose()).await.unwrap().execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }
}

/// A database with the rows of that release; its migrations have only added columns to them.
async fn before(engine: Engine, change: &str) -> Option<(Fresh, Db)> {
    let fresh = Fresh::new(engine)?;
    let db = fresh.connect().await;
    db.migrate().await.unwrap();
    execute(&fresh, if db.is_sqlite() { SQLITE } else { POSTGRES }).await;
    execute(&fresh, change).await;
    Some((fresh, db))
}

async fn upgrade(db: &Db) -> Result<usize, Error> {
    let step = async || {
        write(db, NOW.plus(DAY * 5), async |tx| tx.system(SYSTEM).upgrade_trail(b"another sixteen!").await).await
    };
    let mut steps = 1;
    while step().await? {
        steps += 1;
    }
    Ok(steps)
}

async fn seal(db: &Db) -> Result<usize, Error> {
    write(db, NOW.plus(DAY * 5), async |tx| tx.system(SYSTEM).seal_events().await).await
}

async fn trail_that_was_sealed_and_purged_goes_on(engine: Engine) {
    let Some((_fresh, db)) = before(engine, "SELECT 1").await else { return };
    assert!(matches!(seal(&db).await, Err(Error::Tampered(_))), "not before it is upgraded");
    assert_eq!(upgrade(&db).await.unwrap(), 1);
    let installation = db.system(SYSTEM).installation().await.unwrap().unwrap();
    assert_eq!(installation.key_check, b"another sixteen!");
    let verify = async || db.verify_audit(SYSTEM, None, None, NOW.plus(DAY * 5)).await.unwrap();
    let report = verify().await;
    assert_eq!((report.findings.as_slice(), report.unsealed, report.chains), ([].as_slice(), 1, 3));
    assert_eq!(seal(&db).await.unwrap(), 1);
    let report = verify().await;
    assert_eq!((report.findings.as_slice(), report.unsealed), ([].as_slice(), 0));
}

async fn events_from_before_there_were_tags_are_taken_as_they_are_once(engine: Engine) {
    let Some((fresh, db)) = before(engine, NEVER_SEALED).await else { return };
    // The trigger against changes stands in the way, as that release had written no tags.
    let [disarm, arm] = match db.is_sqlite() {
        true => ["DROP TRIGGER tg_audit_events_kept".to_owned(), migration_trigger()],
        false => {
            ["DISABLE", "ENABLE"].map(|what| format!("ALTER TABLE audit_events {what} TRIGGER tg_audit_events_kept"))
        }
    };
    execute(&fresh, &format!("{disarm}; UPDATE audit_events SET tag = NULL; {arm}")).await;
    assert_eq!(upgrade(&db).await.unwrap(), 2);
    let report = db.verify_audit(SYSTEM, None, None, NOW.plus(DAY * 5)).await.unwrap();
    assert_eq!((report.findings.as_slice(), report.adopted), ([].as_slice(), report.events));
    assert!(report.events > 3);
}

fn migration_trigger() -> String {
    gatehouse_persistence::testing::audit_trigger("tg_audit_events_kept")
}

async fn trail_that_was_tampered_with_is_not_signed(engine: Engine) {
    for harm in [
        "UPDATE audit_chains SET seq = seq + 1",
        "UPDATE audit_root SET version = version + 1",
        "DELETE FROM audit_chains",
        "UPDATE audit_root SET version = 0, sum = '', mac = ''; DELETE FROM audit_chains",
    ] {
        let Some((_fresh, db)) = before(engine, harm).await else { return };
        assert!(matches!(upgrade(&db).await, Err(Error::Tampered(_))), "{harm}");
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Engine::Postgres).await;
            }
        }
    )*};
}

on_both! {
    trail_that_was_sealed_and_purged_goes_on
    events_from_before_there_were_tags_are_taken_as_they_are_once
    trail_that_was_tampered_with_is_not_signed
}
