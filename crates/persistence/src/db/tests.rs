//! Connections that were left in another state than they were taken in.

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::Notify;

use super::*;
use crate::testing::{Engine, Fresh};

/// A database of its own with one row, or none where PostgreSQL is not to be had.
async fn with_a_row() -> Option<(Fresh, Db)> {
    let fresh = Fresh::new(Engine::Postgres)?;
    let db = fresh.connect().await;
    let made = run(&db, "CREATE TABLE seen (n integer); INSERT INTO seen VALUES (0)").await;
    assert!(made.is_ok(), "{made:?}");
    Some((fresh, db))
}

async fn run(db: &Db, sql: &'static str) -> Result<()> {
    let work = async move |tx: &WriteTx<'_>| {
        tx.check(tx.writing().execute_unprepared(sql).await)?;
        Ok::<_, Error>(())
    };
    db.write(Ctx::at(Timestamp::default()), work).await
}

#[tokio::test]
async fn transaction_that_nobody_waits_for_holds_nothing() {
    let Some((_fresh, db)) = with_a_row().await else { return };
    let reached = Arc::new(Notify::new());
    let abandoned = db.write(Ctx::at(Timestamp::default()), {
        let reached = Arc::clone(&reached);
        async move |tx: &WriteTx<'_>| {
            tx.check(tx.writing().execute_unprepared("UPDATE seen SET n = 1").await)?;
            reached.notify_one();
            std::future::pending::<Result<()>>().await
        }
    });
    tokio::select! {
        _ = abandoned => unreachable!("it waits for ever"),
        () = reached.notified() => {}
    }
    run(&db, "SET LOCAL lock_timeout = '1s'; UPDATE seen SET n = n + 2").await.unwrap();
    let rows = db.reader().query_all_raw(Statement::from_string(db.backend(), "SELECT n FROM seen")).await.unwrap();
    assert_eq!(rows[0].try_get_by_index::<i32>(0).unwrap(), 2, "what was abandoned did not happen");
}

#[tokio::test]
async fn loss_of_all_connections_costs_one_request() {
    let Some((fresh, db)) = with_a_row().await else { return };
    let busy = || run(&db, "SELECT pg_sleep(0.05)");
    futures_util::future::try_join_all([busy(), busy(), busy(), busy()]).await.unwrap();
    let Target::Postgres(url) = &fresh.target else { unreachable!("asked for PostgreSQL") };
    let mut other = PgConnection::connect(url.expose()).await.unwrap();
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(other.execute(all).await.unwrap().rows_affected(), 4);
    assert!(matches!(run(&db, "SELECT 1").await, Err(Error::Unavailable(_))));
    for _ in 0..4 {
        run(&db, "SELECT 1").await.unwrap();
    }
}

#[tokio::test]
async fn connection_to_a_server_that_takes_no_writes_is_not_kept() {
    let Some((_fresh, db)) = with_a_row().await else { return };
    run(&db, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await.unwrap();
    assert!(matches!(run(&db, "UPDATE seen SET n = 1").await, Err(Error::Unavailable(_))));
    run(&db, "UPDATE seen SET n = 1").await.unwrap();
}
