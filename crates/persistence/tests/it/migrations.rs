//! The schema.

use gatehouse_persistence::{
    db_tests,
    testing::{Engine, Fresh},
};

async fn two_processes_migrate_at_once(engine: Engine) {
    let Some(fresh) = Fresh::new(engine) else { return };
    let (a, b) = (fresh.connect().await, fresh.connect().await);
    let (first, second) = tokio::join!(a.migrate(), b.migrate());
    assert!(first.unwrap().pending.is_empty() && second.unwrap().pending.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_postgres_once() {
    two_processes_migrate_at_once(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_together_migrate_sqlite_once() {
    two_processes_migrate_at_once(Engine::Sqlite).await;
}

db_tests! {
    async fn migrating_again_changes_nothing(db) {
        let before = db.migration_status().await.unwrap();
        assert_eq!(db.migrate().await.unwrap(), before);
        assert!(before.pending.is_empty() && !before.applied.is_empty());
    }
}

#[tokio::test]
async fn fresh_database_has_everything_pending() {
    let fresh = Fresh::new(Engine::Sqlite).unwrap();
    let db = fresh.connect().await;
    let status = db.migration_status().await.unwrap();
    assert!(status.applied.is_empty() && !status.pending.is_empty());
}
