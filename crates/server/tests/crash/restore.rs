//! Backups, restores, and a database that is put back to an earlier state by other means.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use gatehouse_persistence::testing::Engine;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    client::{Client, get, login, request, with_refresh_token},
    process::{PASSWORD, PATIENCE, Place, Server},
};

/// Both engines.
pub const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// Runs a command; returns how it ended, and what it said.
pub fn run(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.command().args(arguments).output().unwrap();
    (
        output.status.code(),
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat(),
    )
}

/// An access token and a refresh token.
pub async fn pair(server: &Server, slug: &str, name: &str) -> [String; 2] {
    let answer = Client::new(server.port).send(&login(slug, name)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    ["/access_token", "/refresh_token"].map(|pointer| answer.text(pointer))
}

/// What a pair is answered.
pub async fn answers(server: &Server, slug: &str, [access, refresh]: &[String; 2]) -> [u16; 2] {
    let mut client = Client::new(server.port);
    let me = client.send(&get("/me", access)).await.unwrap().status;
    [me, client.send(&with_refresh_token(slug, "refresh", refresh)).await.unwrap().status]
}

pub fn stop(mut server: Server) {
    server.terminate();
    assert_eq!(server.end(PATIENCE).code(), Some(0));
}

/// Keeps the database of a place that nobody serves beside it, or puts what was kept in its place: by other means than ours.
async fn copy(place: &Place, back: bool) {
    if place.is_sqlite() {
        let (file, kept) = (place.file(), place.file().with_extension("kept"));
        for journal in ["db-wal", "db-shm"] {
            drop(std::fs::remove_file(file.with_extension(journal)));
        }
        match back {
            true => std::fs::rename(kept, file).unwrap(),
            false => assert!(std::fs::copy(file, kept).unwrap() > 0),
        }
        return;
    }
    let url = place.url();
    let (server, name) = url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    let sql: &[String] = if back {
        &[format!("DROP DATABASE {name} WITH (FORCE)"), format!("ALTER DATABASE {name}_kept RENAME TO {name}")]
    } else {
        let backends = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
        &[backends, format!("CREATE DATABASE {name}_kept TEMPLATE {name}")]
    };
    for sql in sql {
        admin.execute(AssertSqlSafe(sql.clone())).await.unwrap();
    }
}

/// Ends a start that is to fail; returns its exit status, and what it said.
fn refused(place: &Place) -> (Option<i32>, String) {
    let log = place.folder.join("refused");
    let status = Server::spawn(place.command(), place.port, log.clone()).end(PATIENCE);
    (status.code(), std::fs::read_to_string(log).unwrap())
}

#[tokio::test]
async fn database_that_was_put_back_is_not_served_until_that_is_said() {
    for engine in BOTH {
        let Some(place) = Place::new(engine) else { continue };
        let server = place.start();
        let before = pair(&server, "default", "root").await;
        stop(server);
        copy(&place, false).await;
        let server = place.start();
        assert_eq!(answers(&server, "default", &before).await, [200, 200], "a restart is no restore");
        pair(&server, "default", "root").await;
        stop(server);
        copy(&place, true).await;
        let (code, said) = refused(&place);
        assert!(code == Some(2) && said.contains("`gatehouse restored`"), "{said}");
        let (code, said) = run(&place, &["restored"]);
        assert!(code == Some(0) && said.contains("session_count "), "{said}");
        let server = place.start();
        assert_eq!(answers(&server, "default", &before).await, [401, 401]);
        let after = pair(&server, "default", "root").await;
        server.kill();
        assert_eq!(answers(&place.start(), "default", &after).await, [200, 200], "a crash is no restore");
        place.assert_sound().await;
    }
}

#[tokio::test]
async fn restore_beside_a_server_is_refused() {
    for engine in BOTH {
        let Some(place) = Place::new(engine) else { continue };
        let server = place.start();
        let pair = pair(&server, "default", "root").await;
        let (code, said) = run(&place, &["restored"]);
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(answers(&server, "default", &pair).await, [200, 200]);
    }
}

#[tokio::test]
async fn no_server_starts_while_postgres_is_restored() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let server = place.start();
    let file = backup(&place, "backup");
    stop(server);
    // Nobody can empty a table that somebody looks at: the restore waits in its transaction.
    let mut reader = place.postgres().await;
    reader.execute("BEGIN; LOCK TABLE audit_unsealed IN SHARE MODE").await.unwrap();
    let mut restore = Server::spawn(
        {
            let mut command = place.command();
            command.args(["restore", &file]);
            command
        },
        place.port,
        place.folder.join("restore-log"),
    );
    let waits = "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND locktype = 'relation'";
    let began = std::time::Instant::now();
    while place.texts(waits).await != ["1"] {
        assert!(began.elapsed() < PATIENCE, "the restore does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (code, said) = refused(&place);
    assert!(code == Some(3) && said.contains("another process restores this database"), "{said}");
    let (code, said) = run(&place, &["restored"]);
    assert!(code == Some(3) && said.contains("another process restores this database"), "{said}");
    reader.execute("ROLLBACK").await.unwrap();
    assert_eq!(restore.end(PATIENCE).code(), Some(0));
    place.start().kill();
}

/// The file of a backup.
fn backup(place: &Place, name: &str) -> String {
    let file = place.folder.join(name).display().to_string();
    let (code, said) = run(place, &["backup", &file]);
    assert_eq!(code, Some(0), "{said}");
    file
}

/// A user of the tenant `acme`, which is made for the first one.
async fn register(place: &Place, server: &Server, name: &str) {
    let (code, _) = run(place, &["partner", "create", "--name", "Acme", "--slug", "acme"]);
    if code == Some(0) {
        let tenant =
            ["tenant", "create", "--name", "Acme", "--slug", "acme", "--registration", "open", "--partner", "acme"];
        let (code, said) = run(place, &tenant);
        assert_eq!(code, Some(0), "{said}");
    }
    let body = serde_json::json!({"username": name, "email": format!("{name}@acme.example"), "password": PASSWORD});
    let path = "/api/v1/auth/tenants/acme/register";
    let register = request("POST", path, "Content-Type: application/json\r\n", &body.to_string());
    let answer = Client::new(server.port).send(&register).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn everything_revoked_spent_or_suspended_after_a_backup_stays_so() {
    for engine in BOTH {
        let Some(place) = Place::new(engine) else { continue };
        let server = place.start();
        register(&place, &server, "ada").await;
        register(&place, &server, "bob").await;
        let [ended, spent] = [pair(&server, "acme", "bob").await, pair(&server, "acme", "bob").await];
        let ada = pair(&server, "acme", "ada").await;
        let file = backup(&place, "backup");
        assert_eq!(answers(&server, "acme", &spent).await, [200, 200], "spends the refresh token");
        let mut client = Client::new(server.port);
        assert_eq!(client.send(&with_refresh_token("acme", "logout", &ended[1])).await.unwrap().status, 200);
        assert_eq!(run(&place, &["user", "suspend", "acme/ada"]).0, Some(0));
        let (code, said) = run(&place, &["restore", &file]);
        assert_eq!(code, Some(3), "beside a server: {said}");
        stop(server);
        let (code, said) = run(&place, &["restore", &file]);
        assert!(code == Some(0) && said.contains("suspended_user_count 1"), "{said}");
        let server = place.start();
        for (what, pair) in [("ended", &ended), ("spent", &spent), ("suspended", &ada)] {
            assert_eq!(answers(&server, "acme", pair).await, [401, 401], "{what}");
        }
        let refused = Client::new(server.port).send(&login("acme", "ada")).await.unwrap();
        assert!([401, 403].contains(&refused.status), "{}", refused.body);
        assert_eq!(answers(&server, "acme", &pair(&server, "acme", "bob").await).await, [200, 200]);
        assert_eq!(run(&place, &["audit", "verify"]).0, Some(0));
        place.assert_sound().await;
    }
}

#[tokio::test]
async fn lost_database_comes_back_with_its_backup_and_its_key_alone() {
    for engine in BOTH {
        let (Some(place), Some(elsewhere)) = (Place::new(engine), Place::new(engine)) else { continue };
        let server = place.start();
        register(&place, &server, "ada").await;
        let file = backup(&place, "backup");
        let before = std::fs::read(&file).unwrap();
        let (code, said) = run(&place, &["backup", &file]);
        assert!(code == Some(2) && std::fs::read(&file).unwrap() == before, "{said}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let key = std::fs::read(place.folder.join("data/master.key")).unwrap();
        let text = String::from_utf8(key.clone()).unwrap();
        assert!(!before.windows(text.trim().len()).any(|part| part == text.trim().as_bytes()));
        let (code, said) = run(&elsewhere, &["restore", &file]);
        assert!(code == Some(2) && said.contains("master.key"), "{said}");
        std::fs::create_dir(elsewhere.folder.join("data")).unwrap();
        std::fs::set_permissions(elsewhere.folder.join("data"), Permissions::from_mode(0o700)).unwrap();
        std::fs::write(elsewhere.folder.join("data/master.key"), key).unwrap();
        std::fs::set_permissions(elsewhere.folder.join("data/master.key"), Permissions::from_mode(0o600)).unwrap();
        // A byte of it is another.
        let (broken, mut bytes) = (elsewhere.folder.join("broken").display().to_string(), before);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&broken, bytes).unwrap();
        let (code, said) = run(&elsewhere, &["restore", &broken]);
        assert!(code == Some(5) && said.contains("damaged"), "{said}");
        assert_eq!(elsewhere.texts("SELECT slug FROM tenants").await, [""; 0], "nothing was made");
        let (code, said) = run(&elsewhere, &["restore", &file]);
        assert!(code == Some(0) && said.contains("There was no database"), "{said}");
        let server = elsewhere.start();
        assert_eq!(answers(&server, "acme", &pair(&server, "acme", "ada").await).await, [200, 200]);
        elsewhere.assert_sound().await;
    }
}

#[tokio::test]
async fn restore_that_is_killed_leaves_the_old_database_or_the_new_one() {
    for engine in BOTH {
        let Some(place) = Place::new(engine) else { continue };
        let server = place.start();
        register(&place, &server, "ada").await;
        let file = backup(&place, "backup");
        register(&place, &server, "bob").await;
        stop(server);
        for patience in [20, 60, 120, 200, 300] {
            let mut restore = place.command().args(["restore", &file]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(patience));
            drop(restore.kill());
            let is_done = restore.wait().unwrap().success();
            let users = place.texts("SELECT username FROM users WHERE username <> 'root' ORDER BY 1").await;
            assert!(users == ["ada"] || !is_done && users == ["ada", "bob"], "{patience}: {users:?}");
            place.assert_sound().await;
        }
        let (code, said) = run(&place, &["restore", &file]);
        assert_eq!(code, Some(0), "{said}");
        let server = place.start();
        assert_eq!(answers(&server, "acme", &pair(&server, "acme", "ada").await).await, [200, 200]);
    }
}
