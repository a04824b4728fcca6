//! The writer after a transaction that ended otherwise than it should.

use gatehouse_domain::time::Timestamp;
use sea_orm::ConnectionTrait;
use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::db::{Db, Options, Target};

/// Runs statements in a transaction of their own.
async fn run(db: &Db, sql: &'static str) -> Result<()> {
    db.write(Ctx::at(Timestamp::default()), async move |tx: &WriteTx<'_>| {
        tx.check(tx.writing().execute_unprepared(sql).await)?;
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
            tx.check(tx.writing().execute_unprepared("INSERT INTO seen VALUES (0)").await)?;
            Err::<(), _>(Error::Stale)
        };
        assert!(db.write(Ctx::at(Timestamp::default()), refused).await.is_err());
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
        db.write_in_company(Ctx::at(Timestamp::default()), true, async |tx: &WriteTx<'_>| {
            tx.check(tx.writing().execute_unprepared("INSERT INTO seen VALUES (1)").await)?;
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
