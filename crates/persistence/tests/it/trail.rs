//! The audit trail: what an event costs.

use gatehouse_domain::{secret::TokenHash, session::Successor};
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
    let rotated = session.rotate(Successor { hash: TokenHash::new([9; 32]), replay: None }, &policy(), NOW);
    let ctx = gatehouse_persistence::Ctx { ip: Some("203.0.113.7".parse().unwrap()), ..ctx(NOW) };
    db.write(ctx, async move |tx| tx.system(SYSTEM).rotate(presented, rotated.clone()).await).await.unwrap();
    let Target::Sqlite(path) = &fresh.target else { unreachable!("SQLite was asked for") };
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    assert_eq!(entries(&mut connection, "session.refreshed").await, 7);
    // The fixture signs in from nowhere; from an address it is one more.
    assert_eq!(entries(&mut connection, "session.created").await, 10 - 1);
}
