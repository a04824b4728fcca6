//! The audit trail: what an event costs, and that each is sealed once.

use std::sync::Arc;

use gatehouse_domain::{audit::Refused, secret::TokenHash, session::Successor};
use gatehouse_persistence::{
    Target,
    testing::{Engine, Fresh},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::fixture::*;

/// In how many indexes the only event of an action is.
async fn entries(connection: &mut SqliteConnection, action: &str) -> usize {
    let indexes: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_events'")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let mut entries = 0;
    for (name, sql) in indexes {
        // That of the primary key has no text and holds all rows.
        let holds = sql.as_deref().and_then(|sql| sql.split_once(" WHERE ")).map_or("1 = 1", |(_, holds)| holds);
        let count =
            format!("SELECT COUNT(*) FROM audit_events INDEXED BY {name} WHERE {holds} AND action = '{action}'");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *connection).await.unwrap();
        entries += usize::try_from(count).unwrap();
    }
    entries
}

#[tokio::test]
async fn refresh_is_in_seven_indexes_and_sign_in_in_ten() {
    let fresh = Fresh::new(Engine::Sqlite).unwrap();
    let db = fresh.connect().await;
    db.migrate().await.unwrap();
    let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
    let session = session(&db, &user(&db, &tenant, "ada").await, NOW).await;
    let presented = session.chain.current;
    let rotated = session.rotate(Successor { hash: TokenHash::new([9; 32]), replay: None }, &policy(), false, NOW);
    let ctx = gatehouse_persistence::ChangeContext { ip: Some("203.0.113.7".parse().unwrap()), ..ctx(NOW) };
    db.write(ctx, async move |tx| tx.system(SYSTEM).rotate(presented, rotated.clone()).await).await.unwrap();
    let Target::Sqlite(path) = &fresh.target else { unreachable!("SQLite was asked for") };
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    assert_eq!(entries(&mut connection, "session.refreshed").await, 7);
    // The fixture signs in from nowhere; from an address it is one more.
    assert_eq!(entries(&mut connection, "session.created").await, 10 - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_commits_late_is_sealed_late_and_once() {
    let Some(fresh) = Fresh::new(Engine::Postgres) else { return };
    let db = fresh.connect().await;
    db.migrate().await.unwrap();
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
