//! The writer after a transaction that ended otherwise than it should.

use gatehouse_domain::time::Timestamp;
use sea_orm::ConnectionTrait;
use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::db::{Db, Options, Target};

/// Runs statements in a transaction of their own.
async fn run(db: &Db, sql: &'static str) -> Result<()> {
    db.write(ChangeContext::at(Timestamp::default()), async move |tx: &WriteTx<'_>| {
        tx.writing().execute_unprepared(sql).await?;
        Ok::<_, Error>(())
    })
    .await
}

#[tokio::test]
async fn transaction_that_the_database_ended_by_itself_does_not_swallow_the_next() {
    let folder = std::env::temp_dir().join(format!("gh-writer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("test.db");
    let options = Options { target: Target::Sqlite(path.clone()), connections: 1, on_change: Arc::new(|_: Change| {}) };
    let db = Db::connect(options).await.unwrap();
    run(&db, "CREATE TABLE seen (n integer)").await.unwrap();
    for n in 1..4 {
        // As SQLite does when the disk is full: the transaction is over before the commit comes.
        assert!(run(&db, "INSERT INTO seen VALUES (0); ROLLBACK").await.is_err(), "round {n}");
        let refused = async |tx: &WriteTx<'_>| {
            tx.writing().execute_unprepared("INSERT INTO seen VALUES (0)").await?;
            Err::<(), _>(Error::Stale)
        };
        assert!(db.write(ChangeContext::at(Timestamp::default()), refused).await.is_err());
        run(&db, "INSERT INTO seen VALUES (1)").await.unwrap();
        let mut other = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        let rows: Vec<i64> = sqlx::query_scalar("SELECT n FROM seen").fetch_all(&mut other).await.unwrap();
        assert_eq!(rows, vec![1; n], "what was acknowledged is there for everybody");
    }
    db.close().await;
    drop(std::fs::remove_dir_all(&folder));
}

#[tokio::test]
async fn patient_transactions_are_committed_alone_in_company_and_with_one_in_a_hurry() {
    let folder = std::env::temp_dir().join(format!("gh-patient-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("test.db");
    let options = Options { target: Target::Sqlite(path), connections: 1, on_change: Arc::new(|_: Change| {}) };
    let db = Db::connect(options).await.unwrap();
    run(&db, "CREATE TABLE seen (n integer)").await.unwrap();
    let patient = || {
        db.write_in_company(ChangeContext::at(Timestamp::default()), true, async |tx: &WriteTx<'_>| {
            tx.writing().execute_unprepared("INSERT INTO seen VALUES (1)").await?;
            Ok::<_, Error>(())
        })
    };
    patient().await.unwrap();
    futures_util::future::try_join_all((0..COMPANIONS + 1).map(|_| patient())).await.unwrap();
    let (waited, hurried) = futures_util::future::join(patient(), run(&db, "INSERT INTO seen VALUES (1)")).await;
    waited.unwrap();
    hurried.unwrap();
    let count = sea_orm::Statement::from_string(db.backend(), "SELECT COUNT(*) FROM seen");
    let row = db.reader().query_one_raw(count).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 8);
    db.close().await;
    drop(std::fs::remove_dir_all(&folder));
}

/// A database in a folder of its own, and the way there.
async fn open_database(name: &str) -> (PathBuf, PathBuf, Db) {
    let folder = std::env::temp_dir().join(format!("gh-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("test.db");
    let options = Options { target: Target::Sqlite(path.clone()), connections: 2, on_change: Arc::new(|_: Change| {}) };
    let db = Db::connect(options).await.unwrap();
    db.migrate().await.unwrap();
    run(&db, "CREATE TABLE seen (n integer)").await.unwrap();
    (folder, path, db)
}

async fn count(db: &Db) -> i64 {
    let count = sea_orm::Statement::from_string(db.backend(), "SELECT COUNT(*) FROM seen");
    let row = db.reader().query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn nobody_waits_longer_for_a_file_that_is_held_than_for_a_server_and_what_was_refused_never_happens() {
    let (folder, path, db) = open_database("held").await;
    assert!(db.is_ready([7; 16]).await);
    let mut holder = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let write = || crate::deadline::request(run(&db, "INSERT INTO seen VALUES (1)"));
    let late = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        (write().await.is_err(), began.elapsed())
    };
    let all = futures_util::future::join_all((0..8).map(|_| write()));
    let (all, (is_late_refused, late_waited), is_ready) =
        futures_util::future::join3(all, late, db.is_ready([7; 16])).await;
    assert!(all.iter().all(|result| matches!(result, Err(Error::Unavailable(_)))) && is_late_refused && !is_ready);
    assert!(began.elapsed() < Duration::from_secs(7) && late_waited < Duration::from_secs(5), "{late_waited:?}");
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    run(&db, "INSERT INTO seen VALUES (2)").await.unwrap();
    assert_eq!(count(&db).await, 1);
    let free = Instant::now();
    while !db.is_ready([7; 16]).await {
        assert!(free.elapsed() < Duration::from_secs(5), "it is not ready again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    db.close().await;
    drop(std::fs::remove_dir_all(&folder));
}

#[tokio::test]
async fn statement_that_does_not_end_is_ended_and_costs_nobody_else_anything() {
    let (folder, _, db) = open_database("endless").await;
    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    assert_eq!(count(&db).await, 0);
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let (before, began) = (threads(), Instant::now());
    let endless = crate::deadline::request(async {
        let statement = sea_orm::Statement::from_string(db.backend(), ENDLESS);
        db.reader().query_one_raw(statement).await.is_err()
    });
    let (has_ended, written) = futures_util::future::join(endless, crate::deadline::request(run(&db, ENDLESS))).await;
    assert!(has_ended && matches!(written, Err(Error::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    run(&db, "INSERT INTO seen VALUES (1)").await.unwrap();
    assert_eq!(count(&db).await, 1);
    let began = Instant::now();
    while threads() > before {
        assert!(began.elapsed() < Duration::from_secs(5), "what ran them goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    db.close().await;
    drop(std::fs::remove_dir_all(&folder));
}
