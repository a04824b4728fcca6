//! The same statements without the server: what a request's SQL costs through sqlx alone.

use std::{path::Path, sync::Arc, time::Instant};

use actix_web::{
    test::{TestRequest, init_service, try_call_service},
    web::Data,
};
use gatehouse_domain::secret::Secret;
use gatehouse_persistence::Target;
use gatehouse_server::{
    app::App,
    config::{Config, Database},
    env::Env,
    http::{self, Site},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Database as Engine, Executor, IntoArguments,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::process::cpu_of;

const TIME: std::time::Duration = std::time::Duration::from_secs(2);

/// The statements that a warm request runs, with their values.
pub async fn of_request(target: &Target, folder: &Path, path: &str, token: &str) -> Vec<String> {
    let mut config = Config::defaults(folder.to_owned()).unwrap();
    config.database = match target {
        Target::Sqlite(path) => Database::Sqlite(path.clone()),
        Target::Postgres(url) => Database::Postgres(Secret::new(url.expose().clone())),
    };
    let env = Env::system();
    let app = Data::new(App::open(&config, env.clone()).await.unwrap());
    let site = Arc::new(Site::new(&config, &env));
    let service = init_service(http::service(Data::clone(&app), site)).await;
    let ask = async || {
        let request = TestRequest::with_uri(path).insert_header(("authorization", format!("Bearer {token}")));
        assert!(try_call_service(&service, request.to_request()).await.unwrap().status().is_success());
    };
    ask().await;
    app.db().overhear(ask()).await.1
}

/// Runs the statements for a while, one after the other, and prints what a round takes of this process.
pub async fn measure(target: &Target, name: &str, statements: Vec<String>) {
    let (rounds, cpu, elapsed) = match target {
        Target::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            rounds(&mut options.connect().await.unwrap(), &statements).await
        }
        Target::Postgres(url) => {
            let options: PgConnectOptions = url.expose().parse().unwrap();
            rounds(&mut options.connect().await.unwrap(), &statements).await
        }
    };
    println!(
        "  {:<44} {} statements through sqlx, one connection: {:.1} µs CPU of the client, {:.1} µs in all",
        format!("  limit of {name}"),
        statements.len(),
        cpu / rounds,
        elapsed / rounds
    );
}

async fn rounds<C>(connection: &mut C, statements: &[String]) -> (f64, f64, f64)
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    for<'q> <C::Database as Engine>::Arguments: IntoArguments<C::Database>,
{
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.clone())).fetch_all(&mut *connection).await.unwrap();
    }
    let (began, before, mut n) = (Instant::now(), cpu_of("self"), 0.0);
    while began.elapsed() < TIME {
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement.clone())).fetch_all(&mut *connection).await.unwrap();
        }
        n += 1.0;
    }
    (n, (cpu_of("self") - before).as_micros() as f64, began.elapsed().as_micros() as f64)
}

/// A transaction of one small update and one insert, durable: the least that a rotation can cost.
pub async fn measure_durable_write(target: &Target) {
    let per_second = match target {
        Target::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path.with_extension("writes"));
            let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
            writes(&mut options.synchronous(SqliteSynchronous::Full).connect().await.unwrap()).await
        }
        Target::Postgres(url) => {
            let options: PgConnectOptions = url.expose().parse().unwrap();
            writes(&mut options.connect().await.unwrap()).await
        }
    };
    println!(
        "  {:<44} an update and an insert in a durable transaction through sqlx, one connection: {per_second:.0}/s",
        "  limit of refresh"
    );
}

async fn writes<C>(connection: &mut C) -> f64
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    for setup in [
        "CREATE TABLE bench_writes (id integer PRIMARY KEY, n integer NOT NULL)",
        "INSERT INTO bench_writes VALUES (1, 0)",
    ] {
        connection.execute(setup).await.unwrap();
    }
    let (began, mut n) = (Instant::now(), 0.0);
    while began.elapsed() < TIME {
        for statement in [
            "BEGIN",
            "UPDATE bench_writes SET n = n + 1 WHERE id = 1",
            "INSERT INTO bench_writes SELECT MAX(id) + 1, 0 FROM bench_writes",
            "COMMIT",
        ] {
            connection.execute(statement).await.unwrap();
        }
        n += 1.0;
    }
    n / began.elapsed().as_secs_f64()
}
