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

/// Files as other systems write them, and what becomes of them.
const FOREIGN: [(&str, &[u8], &str); 7] = [
    (
        "wrapped.ndjson",
        br#"{"username": "padded-char", "email": "padded_char@mail.example", "password_hash": "$2b$08$VjUgluGJDkyjAAPgFBkKe.G4SYrnMY92Zu7znMnht0PNjyrUIC4bW   "}
{"username": "spring", "email": "spring@mail.example", "password_hash": "{bcrypt}$2a$08$VjUgluGJDkyjAAPgFBkKe.G4SYrnMY92Zu7znMnht0PNjyrUIC4bW"}
{"username": "ldapcrypt", "email": "ldapcrypt@mail.example", "password_hash": "{CRYPT}$2y$08$VjUgluGJDkyjAAPgFBkKe.G4SYrnMY92Zu7znMnht0PNjyrUIC4bW"}
{"username": "kc", "email": "kc@mail.example", "password_hash": "$argon2id$v=19$m=7168,t=5,p=1$lTc6iwWRQwtogZ3jTxN9Jw==$k1p7k6aRrP9LsbpRGmTWgnhAi3oKDcNzbvtPHtU8yRY="}
"#,
        "4 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "names.ndjson",
        r#"{"username":"ann1@mail.example","email":"ann1@mail.example"}
{"email":"bob1@mail.example"}
{"username":"José García","email":"jose@mail.example"}
{"username":"SALES\\cy","email":"cy@mail.example"}
{"username":"auth0|5f7c8ec7","email":"dee@mail.example"}
{"username":"_svc","email":"svc@mail.example"}
"#
        .as_bytes(),
        "6 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "empty-rows.csv",
        b"username,email,display_name\r\nann2,ann2@mail.example,Ann\r\n,,\r\n,,\r\n",
        "1 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "semicolons.csv",
        "\u{feff}username;email;display_name\r\nann3;ann3@mail.example;\"Müller; Ann\"\r\n".as_bytes(),
        "1 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "separator-at-the-end.csv",
        b"username;email;\r\nann6;ann6@mail.example;\r\n",
        "1 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "postgresql.csv",
        b"username,email,email_verified,password_hash,created_at\n\
          ann4,ann4@mail.example,t,,2020-02-03 04:05:06.789+00\nbob4,bob4@mail.example,f,,2021-01-01 00:00:00+00\n",
        "2 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
    (
        "python.csv",
        b"username,email,email_verified\nann5,ann5@mail.example,True\nbob5,bob5@mail.example,False\n",
        "2 created, 0 updated, 0 skipped, 0 rejected\n",
    ),
];

#[tokio::test]
async fn files_of_other_systems_come_in_as_they_are() {
    let place = Place::new(Engine::Sqlite).unwrap();
    place.start().kill();
    for (name, bytes, expected) in FOREIGN {
        let file = place.folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        let done = run(&place, &["import", file.to_str().unwrap()]);
        assert_eq!(
            (text(&done.stdout).as_str(), done.status.code()),
            (expected, Some(0)),
            "{name}: {}",
            text(&done.stderr)
        );
    }
    let hashes = place.texts("SELECT password_hash FROM users WHERE password_hash IS NOT NULL").await;
    assert_eq!(hashes.len(), 5, "{hashes:?}");
    assert!(hashes.iter().all(|hash| hash.starts_with('$') && !hash.ends_with([' ', '='])), "{hashes:?}");
    let sheet = run(&place, &["import", "users.xlsx"]);
    assert!(sheet.status.code() == Some(2) && text(&sheet.stderr).contains("CSV"), "{}", text(&sheet.stderr));
}

#[tokio::test]
async fn columns_that_are_not_known_are_named_all_at_once_with_what_mends_them() {
    let place = Place::new(Engine::Sqlite).unwrap();
    place.start().kill();
    let file = place.folder.join("users.csv");
    std::fs::write(&file, "Login;E-Mail;Abteilung;Notiz\r\nann;ann@mail.example;Vertrieb;\r\n").unwrap();
    let file = file.to_str().unwrap();
    let refused = run(&place, &["import", file]);
    let told = text(&refused.stderr);
    for part in ["\"Login\", \"E-Mail\", \"Abteilung\", \"Notiz\"", "--map theirs=ours", "--ignore-column"] {
        assert!(refused.status.code() == Some(2) && told.contains(part), "{told}");
    }
    let maps = ["--map", "Login=username", "--map", "E-Mail=email", "--map", "Abteilung=attributes.department"];
    let done = run(&place, &[&["import", file, "--ignore-column", "Notiz"], &maps[..]].concat());
    assert_eq!(text(&done.stdout), "1 created, 0 updated, 0 skipped, 0 rejected\n", "{}", text(&done.stderr));
    assert!(
        place.texts("SELECT attributes FROM users").await.iter().any(|text| text == "{\"department\":\"Vertrieb\"}")
    );
}
