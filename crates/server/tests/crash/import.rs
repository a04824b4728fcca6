//! Importing users by the command line: stopped at any point, told apart by its exit status, and never twice.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Instant,
};

use gatehouse_persistence::testing::Engine;

use crate::process::{PATIENCE, Place};

fn line(i: usize) -> String {
    format!("{{\"username\":\"user{i}\",\"email\":\"user{i}@mail.example\"}}\n")
}

async fn users(place: &Place) -> usize {
    place.texts("SELECT username FROM users WHERE email LIKE '%@mail.example'").await.len()
}

/// `gatehouse user …` for the default tenant.
fn user(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command();
    command.arg("user").args(arguments).args(["--tenant", "default"]);
    command
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    user(place, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn import_that_was_killed_goes_on_and_brings_nobody_twice() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(place) = Place::new(engine) else { continue };
        place.start().kill();
        let (file, rejects) = (place.folder.join("users.ndjson"), place.folder.join("rejected.ndjson"));
        let all: String = (0..1_700).map(|i| if i == 3 { "broken\n".to_owned() } else { line(i) }).collect();
        std::fs::write(&file, &all).unwrap();
        // What comes after the second batch never comes, so it is killed while it waits for that.
        let part: String = all.split_inclusive('\n').take(1_200).collect();
        let mut child = user(&place, &["import", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(part.as_bytes()).unwrap();
        let began = Instant::now();
        while users(&place).await < 999 {
            assert!(began.elapsed() < PATIENCE, "{} users", users(&place).await);
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (file, path) = (file.to_str().unwrap(), rejects.to_str().unwrap());
        let other = place.folder.join("other.ndjson");
        std::fs::write(&other, (1_000_000..1_002_000).map(line).collect::<String>()).unwrap();
        let refused = run(&place, &["import", other.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "another file: {}", text(&refused.stderr));
        let done = run(&place, &["import", file, "--reject-file", path]);
        assert_eq!(done.status.code(), Some(6), "{}", text(&done.stderr));
        assert_eq!(text(&done.stdout), "1699 created, 0 updated, 0 skipped, 1 rejected\n");
        assert_eq!(users(&place).await, 1_699);
        let rejected = std::fs::read_to_string(&rejects).unwrap();
        assert_eq!(rejected.lines().count(), 1);
        assert!(rejected.contains("\"line\":4") && rejected.contains("\"text\":\"broken\""), "{rejected}");
        place.assert_sound().await;
    }
}

#[tokio::test]
async fn rejected_lines_can_be_mended_and_imported() {
    let place = Place::new(Engine::Sqlite).unwrap();
    place.start().kill();
    let (file, rejects) = (place.folder.join("users.csv"), place.folder.join("rejected.csv"));
    std::fs::write(
        &file,
        "username,email,phone\r\nada,ada@mail.example,'+34 600\r\nbob,nonsense,\r\neve,eve@mail.example,\r\n",
    )
    .unwrap();
    let paths = [file.to_str().unwrap(), rejects.to_str().unwrap()];
    let first = run(&place, &["import", paths[0], "--reject-file", paths[1]]);
    assert_eq!(
        (first.status.code(), text(&first.stdout)),
        (Some(6), "2 created, 0 updated, 0 skipped, 1 rejected\n".to_owned())
    );
    let rejected = std::fs::read_to_string(&rejects).unwrap();
    assert!(rejected.contains("line 3: email: email_parsing"), "{rejected}");
    std::fs::write(&rejects, rejected.replacen("nonsense", "bob@mail.example", 1)).unwrap();
    let second = run(&place, &["import", paths[1]]);
    assert_eq!(
        (second.status.code(), text(&second.stdout)),
        (Some(0), "1 created, 0 updated, 0 skipped, 0 rejected\n".to_owned())
    );
    let exported = run(&place, &["export", "--format", "csv"]);
    assert!(text(&exported.stdout).contains("\r\nbob,bob@mail.example,false,"), "{}", text(&exported.stdout));
}

#[tokio::test]
async fn import_beside_a_server_on_the_same_file_is_refused() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let server = place.start();
    let file = place.folder.join("users.ndjson");
    std::fs::write(&file, line(1)).unwrap();
    let refused = run(&place, &["import", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert_eq!(users(&place).await, 0);
    drop(server);
}
