//! A disk that does not keep what it is given.

use std::{path::Path, process::Command, time::Instant};

use gatehouse_persistence::testing::Engine;
use serde_json::json;

use crate::{
    client::{Client, Reply, json, login},
    process::{PATIENCE, Place, Server},
};

/// Takes the place of what makes files durable: that fails as long as there is a file of a certain name.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(void) {
    const char *file = getenv("DISK_FAILS_WHILE");
    return file && access(file, F_OK) == 0;
}
static int ends(long call, int fd) {
    if (!fails()) return (int)syscall(call, fd);
    errno = EIO;
    return -1;
}
int fsync(int fd) { return ends(SYS_fsync, fd); }
int fdatasync(int fd) { return ends(SYS_fdatasync, fd); }
"#;

fn library(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(made.success());
    library
}

async fn create(server: &Server, token: &str, slug: &str) -> Reply {
    let partner = json!({"name": slug, "slug": slug});
    Client::new(server.port).send(&json("POST", "/admin/partners", token, &partner)).await.unwrap()
}

#[tokio::test]
async fn write_that_the_disk_did_not_keep_is_not_acknowledged() {
    let place = Place::new(Engine::Sqlite).unwrap();
    let fails = place.folder.join("fails");
    let mut command = place.command();
    command.env("LD_PRELOAD", library(&place.folder)).env("DISK_FAILS_WHILE", &fails);
    let server = Server::start(command, place.port, place.folder.join("log"));
    let signed = Client::new(server.port).send(&login("default", "root")).await.unwrap();
    let token = signed.text("/access_token");
    assert_eq!(create(&server, &token, "before").await.status, 201);
    std::fs::write(&fails, "").unwrap();
    for n in 0..5 {
        let reply = create(&server, &token, &format!("during-{n}")).await;
        assert_eq!(reply.status, 503, "{}", reply.body);
    }
    std::fs::remove_file(&fails).unwrap();
    let healed = Instant::now();
    while create(&server, &token, "after").await.status != 201 {
        assert!(healed.elapsed() < PATIENCE, "still no writes");
    }
    server.kill();
    let server = place.start();
    for slug in ["before", "after"] {
        assert_eq!(create(&server, &token, slug).await.status, 409, "{slug} was acknowledged");
    }
    assert_eq!(create(&server, &token, "later").await.status, 201);
    place.assert_sound().await;
}
