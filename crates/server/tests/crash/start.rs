//! What a start refuses, waits for, and says.

use std::{
    fs::Permissions,
    io,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
    time::Duration,
};

use gatehouse_persistence::testing::Engine;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::process::{PATIENCE, Place, Server};

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn ends(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = place.command().args(arguments).output().unwrap();
    (status.code(), [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat())
}

#[tokio::test]
async fn files_that_others_can_read_are_refused_with_the_command_that_mends_it() {
    let place = Place::new(Engine::Sqlite).unwrap();
    place.start().kill();
    let data = place.folder.join("data");
    for (path, wrong, right) in
        [(data.clone(), 0o755, 0o700), (data.join("master.key"), 0o640, 0o600), (place.file(), 0o604, 0o600)]
    {
        chmod(&path, wrong);
        let (code, said) = ends(&place, &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("chmod {right:o} {}", path.display())), "{said}");
        let mut command = place.command();
        command.env("GATEHOUSE_ALLOW_OPEN_FILES", "true");
        Server::spawn(command, place.port, place.folder.join("log")).become_ready().kill();
        chmod(&path, right);
    }
    place.start().kill();
}

#[tokio::test]
async fn command_beside_the_server_never_makes_an_installation() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::new(engine) else { continue };
        for command in [
            "audit verify",
            "user list",
            "key list --tenant default",
            "user import --tenant default /dev/null",
            "tenant list",
        ] {
            let (code, said) = ends(&place, &command.split(' ').collect::<Vec<_>>());
            assert!(code == Some(2) && said.contains("there is no installation"), "{command}: {said}");
        }
        assert!(!place.folder.join("data/master.key").exists());
        if place.is_sqlite() {
            let (code, said) = ends(&place, &["migrate", "status"]);
            assert!(code == Some(2) && said.contains("there is no installation"), "{said}");
            assert!(!place.folder.join("data").exists(), "a folder was made");
            assert!(!place.file().exists() && !place.file().with_extension("db.lock").exists(), "a file was made");
        }
        assert_eq!(place.texts("SELECT slug FROM tenants").await, [""; 0]);
    }
}

#[tokio::test]
async fn database_that_is_about_to_come_is_waited_for() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let url = url::Url::parse(&place.url()).unwrap();
    let to = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    let mut through = url.clone();
    through.set_port(Some(place.port_beside)).unwrap();
    let mut command = place.command();
    place.start().kill();
    // However the schema is brought up to date.
    command.env("DATABASE_URL", through.as_str()).env("GATEHOUSE_MIGRATE", "false");
    let log = place.folder.join("log");
    let server = Server::spawn(command, place.port, log.clone());
    let waits = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("waiting for it"));
    let began = std::time::Instant::now();
    while !waits() {
        assert!(began.elapsed() < PATIENCE, "it does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listener = TcpListener::bind(("127.0.0.1", place.port_beside)).unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(&to).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                std::thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    server.become_ready();
}

#[tokio::test]
async fn database_that_refuses_whoever_asks_is_not_waited_for() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let mut url = url::Url::parse(&place.url()).unwrap();
    url.set_path("/there-is-no-such-database");
    let mut command = place.command();
    command.env("DATABASE_URL", url.as_str());
    let mut server = Server::spawn(command, place.port, place.folder.join("log"));
    assert_eq!(server.end(Duration::from_secs(15)).code(), Some(4));
}

#[tokio::test]
async fn setup_token_is_in_a_file_of_its_owner_and_not_in_a_log() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let mut command = place.command();
    command
        .env_remove("GATEHOUSE_ADMIN_EMAIL")
        .env_remove("GATEHOUSE_ADMIN_PASSWORD")
        .env_remove("GATEHOUSE_ADMIN_USERNAME");
    let log = place.folder.join("log");
    let server = Server::spawn(command, place.port, log.clone()).become_ready();
    let file = place.folder.join("data/setup-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(token.starts_with("ghi_") || token.len() > 40, "{token}");
    let said = std::fs::read_to_string(&log).unwrap() + &server.said();
    assert!(!said.contains(token.trim()) && said.contains("setup-token"), "{said}");
    server.kill();
    // What is there is replaced and not written into.
    let victim = place.folder.join("victim");
    std::fs::write(&victim, "another file").unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    let mut command = place.command();
    for name in ["GATEHOUSE_ADMIN_EMAIL", "GATEHOUSE_ADMIN_PASSWORD", "GATEHOUSE_ADMIN_USERNAME"] {
        command.env_remove(name);
    }
    Server::spawn(command, place.port, log).become_ready().kill();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "another file");
    assert!(std::fs::symlink_metadata(&file).unwrap().is_file());
    // Where there is an administrator, nobody needs it any more.
    place.start().kill();
    assert!(!file.exists());
}

#[tokio::test]
async fn database_that_is_set_otherwise_is_refused_with_the_statement_that_mends_it() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let name = place.texts("SELECT current_database()::text").await.remove(0);
    let set = async |level: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'");
        place.postgres().await.execute(AssertSqlSafe(sql.clone())).await.unwrap();
        sql
    };
    set("serializable").await;
    let (code, said) = ends(&place, &[]);
    let mends = set("read committed").await;
    assert!(code == Some(2) && said.contains(&mends), "{said}");
    place.start().kill();
}
