//! The master key is replaced by the command line, beside a running server.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use gatehouse_persistence::testing::Engine;

use crate::{
    process::{Place, Server},
    restore::{answers, pair, run, stop},
};

#[tokio::test]
async fn master_key_of_a_file_is_replaced_beside_a_server_also_if_that_is_killed_on_the_way() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let file = place.folder.join("data/master.key");
    let old = std::fs::read_to_string(&file).ok();
    assert_eq!(old, None);
    let server = place.start();
    let old = std::fs::read_to_string(&file).unwrap();
    let signed = pair(&server, "default", "root").await;
    let mut first = place.command().args(["key", "rotate-master"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("rows sealed anew")));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().ends_with(&format!(",{old}")));
    let (code, said) = run(&place, &["key", "rotate-master"]);
    assert!(code == Some(0) && said.contains("master.key"), "{said}");
    let new = std::fs::read_to_string(&file).unwrap();
    assert!(new.ends_with(&format!(".{old}")) && !new.contains(','));
    assert_eq!(answers(&server, "default", &signed).await, [200, 200]);
    pair(&server, "default", "root").await;
    stop(server);
    let server = place.start();
    let signed = pair(&server, "default", "root").await;
    assert_eq!(answers(&server, "default", &signed).await, [200, 200]);
    place.assert_sound().await;
    stop(server);
    std::fs::write(&file, old).unwrap();
    let refused = place.command().arg("setup-token").output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "the old key alone is not the key");
}

#[tokio::test]
async fn master_key_of_a_setting_is_replaced_by_two_runs_and_what_they_print() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let started = |key: &str| {
        let mut command = place.command();
        command.env("GATEHOUSE_MASTER_KEY", key.trim());
        Server::start(command, place.port, place.folder.join("log"))
    };
    let rotate = |key: &str| {
        let mut command = place.command();
        let output = command.env("GATEHOUSE_MASTER_KEY", key.trim()).args(["key", "rotate-master"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
    };
    let old = "5a".repeat(32);
    let server = started(&old);
    let signed = pair(&server, "default", "root").await;
    let both = rotate(&old);
    stop(server);
    let server = started(&both);
    let settled = rotate(&both);
    assert_eq!(settled, both.replace(',', "."));
    assert_eq!(answers(&server, "default", &signed).await, [200, 200]);
    stop(server);
    let server = started(&settled);
    let signed = pair(&server, "default", "root").await;
    assert_eq!(answers(&server, "default", &signed).await, [200, 200]);
}
