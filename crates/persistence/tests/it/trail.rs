//! The audit trail: what an event costs, and that each is sealed once.

use std::sync::Arc;

use gatehouse_domain::audit::Refused;
use gatehouse_persistence::{
    Target,
    testing::{Engine, Fresh},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::fixture::*;

#[tokio::test]
async fn what_most_events_are_is_in_few_indexes() {
    let fresh = Fresh::migrated(Engine::Sqlite).unwrap();
    let Target::Sqlite(path) = &fresh.target else { unreachable!("SQLite was asked for") };
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let sql = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_events'";
    let indexes: Vec<Option<String>> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    let mut found = Vec::new();
    for (action, kind) in [
        ("user.created", "user"),
        ("session.created", "session"),
        ("session.refreshed", "session"),
        ("token_family.created", "token_family"),
        ("token_family.refreshed", "token_family"),
    ] {
        let mut entries = 0;
        for index in &indexes {
            // That of the primary key has no text and holds all rows.
            let holds = index.as_deref().and_then(|sql| sql.split_once(" WHERE ")).map_or("TRUE", |(_, holds)| holds);
            let event = "SELECT $1 AS action, $2 AS resource_type, 'success' AS result, 1 AS actor_id, \
                         2 AS resource_id, '203.0.113.7' AS ip_address";
            let holds = AssertSqlSafe(format!("SELECT {holds} FROM ({event})"));
            let holds: bool =
                sqlx::query_scalar(holds).bind(action).bind(kind).fetch_one(&mut connection).await.unwrap();
            entries += usize::from(holds);
        }
        found.push((action, entries));
    }
    assert_eq!(
        found,
        [
            ("user.created", 13),
            ("session.created", 10),
            ("session.refreshed", 7),
            ("token_family.created", 7),
            ("token_family.refreshed", 7)
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_commits_late_is_sealed_late_and_once() {
    let Some(fresh) = Fresh::migrated(Engine::Postgres) else { return };
    let db = fresh.connect().await;
    write(&db, NOW, async |tx| tx.system(SYSTEM).begin_trail().await).await.unwrap();
    let tenant = tenant(&db, &partner(&db, "p").await, "t").await.reference();
    let seal = async || write(&db, NOW, async |tx| tx.system(SYSTEM).seal_events().await).await.unwrap();
    let refused = || Refused::login(tenant, None, "invalid_credentials");
    let (reached, released) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let late = tokio::spawn({
        let (db, reached, released, refused) = (db.clone(), Arc::clone(&reached), Arc::clone(&released), refused());
        async move {
            write(&db, NOW, async move |tx| {
                tx.system(SYSTEM).refused(refused.clone()).await?;
                reached.notify_one();
                released.notified().await;
                Ok(())
            })
            .await
        }
    });
    reached.notified().await;
    let now = refused();
    write(&db, NOW.plus(SECOND), async move |tx| tx.system(SYSTEM).refused(now.clone()).await).await.unwrap();
    // Partner, tenant, and the event that came later and is there.
    assert_eq!((seal().await, seal().await), (3, 0));
    assert_eq!(db.verify_audit(SYSTEM, None, None, NOW).await.unwrap().damages, 0);
    released.notify_one();
    late.await.unwrap().unwrap();
    assert_eq!((seal().await, seal().await), (1, 0));
    let report = db.verify_audit(SYSTEM, None, None, NOW).await.unwrap();
    assert_eq!((report.events, report.unsealed, report.damages), (4, 0, 0));
}
