//! Connections that are lost, refused, silent, or left in another state than they were taken in.

use std::time::Instant;

use sea_orm::{ConnectionTrait as _, Statement};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
};

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

fn url(fresh: &Fresh) -> &str {
    let Target::Postgres(url) = &fresh.target else { unreachable!("asked for PostgreSQL") };
    url.expose()
}

async fn run(db: &Db, sql: &'static str) -> Result<()> {
    let work = async move |tx: &WriteTx<'_>| {
        tx.writing().execute_unprepared(sql).await?;
        Ok::<_, Error>(())
    };
    db.write(ChangeContext::at(Timestamp::default()), work).await
}

#[tokio::test]
async fn transaction_that_nobody_waits_for_holds_nothing() {
    let Some((_fresh, db)) = with_a_row().await else { return };
    let reached = Arc::new(Notify::new());
    let abandoned = db.write(ChangeContext::at(Timestamp::default()), {
        let reached = Arc::clone(&reached);
        async move |tx: &WriteTx<'_>| {
            tx.writing().execute_unprepared("UPDATE seen SET n = 1").await?;
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
async fn loss_of_all_connections_costs_no_request() {
    let Some((fresh, db)) = with_a_row().await else { return };
    let url = url(&fresh);
    let mut other = PgConnection::connect(url).await.unwrap();
    let count = || Statement::from_string(db.backend(), "SELECT n FROM seen");
    for round in 0..4 {
        let busy = || run(&db, "SELECT pg_sleep(0.05)");
        futures_util::future::try_join_all([busy(), busy(), busy(), busy()]).await.unwrap();
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert_eq!(other.execute(all).await.unwrap().rows_affected(), 4);
        if round % 2 == 0 {
            let write = || run(&db, "UPDATE seen SET n = n + 1");
            futures_util::future::try_join_all([write(), write(), write(), write(), write()]).await.unwrap();
        } else {
            let reader = db.reader();
            let read = || reader.query_one_raw(count());
            futures_util::future::try_join_all([read(), read(), read(), read(), read()]).await.unwrap();
        }
    }
    let row = db.reader().query_one_raw(count()).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), 10, "nothing happened twice");
}

#[tokio::test]
async fn connection_that_the_server_refuses_is_waited_for_among_those_that_there_are() {
    let Some((fresh, _)) = with_a_row().await else { return };
    let url = url(&fresh);
    let mut server = PgConnection::connect(url).await.unwrap();
    let role = format!("few_{}", url.rsplit_once('/').unwrap().1);
    server.execute(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 2"))).await.unwrap();
    let target = Target::Postgres(Secret::new(url.replacen("gatehouse@", &format!("{role}@"), 1)));
    let options = Options { target, connections: 16, on_change: Arc::new(|_| {}) };
    let db = Db::connect(options).await.unwrap();
    for _ in 0..3 {
        let all = (0..16).map(|_| run(&db, "SELECT pg_sleep(0.02)"));
        futures_util::future::try_join_all(all).await.unwrap();
    }
    // Where the server allows more, more are used again.
    server.execute(AssertSqlSafe(format!("ALTER ROLE {role} CONNECTION LIMIT -1"))).await.unwrap();
    let began = Instant::now();
    loop {
        futures_util::future::try_join_all((0..4).map(|_| run(&db, "SELECT pg_sleep(0.02)"))).await.unwrap();
        let count = format!("SELECT COUNT(*) FROM pg_stat_activity WHERE usename = '{role}'");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut server).await.unwrap();
        if count > 2 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it goes on with two");
    }
    db.close().await;
    server.execute(AssertSqlSafe(format!("DROP ROLE {role}"))).await.unwrap();
}

#[tokio::test]
async fn statement_that_nobody_waits_for_any_more_ends_in_the_server() {
    let Some((fresh, db)) = with_a_row().await else { return };
    let began = Instant::now();
    let result = deadline::request(async {
        run(&db, "SELECT pg_sleep(2)").await?;
        run(&db, "SELECT pg_sleep(60)").await
    });
    assert!(matches!(result.await, Err(Error::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(5), "both together took {:?}", began.elapsed());
    let mut other = PgConnection::connect(url(&fresh)).await.unwrap();
    let left = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%sleep(60)%' AND pid <> pg_backend_pid()";
    let gave_up = Instant::now();
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&mut other).await.unwrap() > 0 {
        assert!(gave_up.elapsed() < Duration::from_secs(4), "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run(&db, "UPDATE seen SET n = 1").await.unwrap();
}

#[tokio::test]
async fn lock_that_is_not_to_be_had_in_time_is_no_fault() {
    let Some((fresh, db)) = with_a_row().await else { return };
    let mut other = PgConnection::connect(url(&fresh)).await.unwrap();
    other.execute("BEGIN; LOCK TABLE seen").await.unwrap();
    let refused = deadline::request(run(&db, "UPDATE seen SET n = 1")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn connection_asks_the_server_for_nothing_that_a_pooler_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://someone@{}/some", listener.local_addr().unwrap());
    let options = Options { target: Target::Postgres(Secret::new(url)), connections: 1, on_change: Arc::new(|_| {}) };
    let hear = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut message = Vec::new();
        while !message.windows(4).any(|w| w == b"user") {
            assert!(stream.read_buf(&mut message).await.unwrap() > 0);
            if message.len() == 8 {
                // It was asked for TLS; there is none.
                stream.write_all(b"N").await.unwrap();
            }
        }
        String::from_utf8_lossy(&message).into_owned()
    };
    let (refused, message) = futures_util::future::join(Db::connect(options), hear).await;
    assert!(refused.is_err());
    assert!(!message.contains("options") && !message.contains("extra_float_digits"), "{message:?}");
}

#[tokio::test]
async fn database_is_ready_while_it_takes_writes_and_is_asked_once_in_a_second() {
    let Some((fresh, db)) = with_a_row().await else { return };
    db.migrate().await.unwrap();
    let (before, _) = db.statements();
    let all = futures_util::future::join_all((0..8).map(|_| db.is_ready([7; 16]))).await;
    assert_eq!(all, [true; 8]);
    assert_eq!(db.statements().0 - before, 3);
    let mut other = PgConnection::connect(url(&fresh)).await.unwrap();
    let name = url(&fresh).rsplit_once('/').unwrap().1;
    for (takes_writes, is_ready) in [("on", false), ("off", true)] {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {takes_writes}");
        other.execute(AssertSqlSafe(format!("BEGIN READ WRITE; {sql}; COMMIT"))).await.unwrap();
        // A setting of the database is for new connections.
        let db = fresh.connect().await;
        assert_eq!(db.is_ready([7; 16]).await, is_ready);
    }
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM throttles").fetch_one(&mut other).await.unwrap();
    assert_eq!(left, 0, "a probe leaves nothing behind");
}

#[tokio::test]
async fn connection_to_a_server_that_takes_no_writes_is_not_kept() {
    let Some((_fresh, db)) = with_a_row().await else { return };
    run(&db, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await.unwrap();
    assert!(matches!(run(&db, "UPDATE seen SET n = 1").await, Err(Error::Unavailable(_))));
    run(&db, "UPDATE seen SET n = 1").await.unwrap();
}
