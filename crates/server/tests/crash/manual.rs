//! Every shell block of the README and of the manual runs, from top to bottom of its page, as somebody who pastes it.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use gatehouse_persistence::testing::Engine;

use crate::process::Place;

/// In the place of `gatehouse`: what serves goes on in the background once it is ready, and whoever served at the same
/// address before is stopped.
const GATEHOUSE: &str = r#"#!/bin/bash
export GATEHOUSE_BIND=${GATEHOUSE_BIND:-127.0.0.1:$PORT}
case "${1-}" in
'' | serve | demo | -*)
    pid=$WORK/pid-${GATEHOUSE_BIND##*:}
    if [[ -f $pid ]]; then kill "$(<"$pid")"; while kill -0 "$(<"$pid")" 2>/dev/null; do sleep 0.02; done; fi
    "$PROGRAM" "$@" >>"$WORK/server.log" 2>&1 </dev/null &
    echo $! >"$pid"
    for _ in {1..1500}; do
        if "$PROGRAM" health >/dev/null 2>&1; then exit 0; fi
        sleep 0.02
    done
    cat "$WORK/server.log" >&2
    exit 1
    ;;
*) exec "$PROGRAM" "$@" ;;
esac
"#;

/// In the place of `cargo`: the program is built, and so are the tests, one of which this is.
const CARGO: &str = r#"#!/bin/bash
[[ $1 == run ]] || exit 0
shift 2
if [[ ${1-} == -- ]]; then shift; fi
exec gatehouse "$@"
"#;

/// The shell blocks of a page, without those that need a container engine.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```sh" {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks.retain(|block| !block.contains("docker compose"));
    blocks
}

/// Runs blocks one after the other in one shell, and returns what they print.
fn run(place: &Place, blocks: &[String]) -> String {
    let bin = place.folder.join("bin");
    let work = place.folder.join("work");
    let release = work.join("target/release");
    for folder in [&bin, &release] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for (name, text) in [("gatehouse", GATEHOUSE), ("cargo", CARGO)] {
        executable(&bin.join(name), text);
    }
    executable(&release.join("gatehouse"), GATEHOUSE);
    let script =
        format!("set -e -o pipefail\ntrap 'kill $(cat pid-* 2>/dev/null) 2>/dev/null' EXIT\n{}\n", blocks.join("\n"));
    let script = script
        .replace("127.0.0.1:8000", &format!("127.0.0.1:{}", place.port))
        .replace("127.0.0.1:8001", &format!("127.0.0.1:{}", place.port_beside));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .env_clear()
        .envs([("PATH", path), ("PORT", place.port.to_string()), ("WORK", work.display().to_string())])
        .env("PROGRAM", env!("CARGO_BIN_EXE_gatehouse"))
        .current_dir(&work)
        .output()
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{errors}\n{script}");
    out.into_owned()
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a page, with something between its blocks: before the block with that number, counted from 0.
fn page(place: &Place, text: &str, between: &[(usize, &str)]) -> String {
    let mut all = Vec::new();
    let blocks = blocks(text);
    assert!(!blocks.is_empty(), "the page has no shell block");
    for (number, block) in blocks.into_iter().enumerate() {
        all.extend(between.iter().filter(|(before, _)| *before == number).map(|(_, text)| (*text).to_owned()));
        all.push(block);
    }
    all.extend(between.iter().filter(|(before, _)| *before == usize::MAX).map(|(_, text)| (*text).to_owned()));
    run(place, &all)
}

fn says(printed: &str, all: &[&str]) {
    for text in all {
        assert!(printed.contains(text), "{text} is not in {printed}");
    }
}

const README: &str = include_str!("../../../../README.md");
const FIRST_STEPS: &str = include_str!("../../docs/first-steps.md");

/// The first administrator, with the setup token in a file, and an access token.
const SIGN_IN: &str = r#"PASSWORD='quarter-moon-over-fjord'
curl -sS "$API/setup" -H 'Content-Type: application/json' -d "{\"token\":\"$(cat token)\",\"email\":\"you@example.com\",\"username\":\"admin\",\"password\":\"$PASSWORD\"}" >/dev/null
TOKEN=$(login default admin "$PASSWORD"); TENANT_ID=$(as "$TOKEN" "$API/me" | field tenant_id)"#;

fn on_sqlite() -> Place {
    Place::new(Engine::Sqlite).unwrap()
}

#[test]
fn tour_of_the_readme_and_the_page_of_settings_run() {
    let all = [README, include_str!("../../docs/settings.md")].join("\n");
    let printed = page(&on_sqlite(), &all, &[]);
    says(
        &printed,
        &[
            "\"username\":\"ada\"",
            "\"status\":403",
            "\"status\":401",
            "session.revoked_all",
            "\"app_count\":2",
            "\"client_id_metadata_documents\":\"any\"",
            "\"open_resource\":true",
            "\"session_idle_minutes\":{\"value\":30",
        ],
    );
}

#[test]
fn page_of_first_steps_runs_and_so_does_that_of_mail() {
    let all = [FIRST_STEPS, include_str!("../../docs/mail.md")].join("\n");
    let printed = page(&on_sqlite(), &all, &[(1, "cargo run --release")]);
    says(&printed, &["Safari on iOS", "200", "401", "403", "/password-reset#default/"]);
    let link = printed.lines().find(|line| line.contains("/password-reset#default/")).unwrap();
    assert!(!link.ends_with('='), "the link is cut: {link}");
}

#[test]
fn page_of_configuration_runs() {
    page(&on_sqlite(), include_str!("../../docs/configuration.md"), &[(usize::MAX, "gatehouse health")]);
}

#[test]
fn page_of_moving_runs() {
    let file = r#"gatehouse setup-token >token
printf '{"username":"ada","email":"ada@example.com","status":"ACTIVE"}\n' > users.ndjson"#;
    let serve = format!("{}\ncargo run --release\n", blocks(FIRST_STEPS)[0]);
    let printed = page(&on_sqlite(), include_str!("../../docs/moving.md"), &[(0, file), (1, &serve), (1, SIGN_IN)]);
    says(&printed, &["\"state\":"]);
}

#[test]
fn page_of_applications_runs() {
    let serve = format!("gatehouse setup-token >token\n{}\ncargo run --release\n", blocks(FIRST_STEPS)[0]);
    let printed = page(&on_sqlite(), include_str!("../../docs/applications.md"), &[(0, &serve), (0, SIGN_IN)]);
    says(&printed, &["SUSPENDED", "\"client_secret\":\"ghk_", "\"token_lifetime\":300", "stock:read"]);
}

#[test]
fn page_of_signing_in_runs() {
    let serve = format!("gatehouse setup-token >token\n{}\ncargo run --release\n", blocks(FIRST_STEPS)[0]);
    let printed = page(&on_sqlite(), include_str!("../../docs/sign-in.md"), &[(0, &serve), (0, SIGN_IN)]);
    says(&printed, &["\"user_code\":\"", "/device?user_code=", "\"username\":\"admin\""]);
}

#[test]
fn page_of_operations_makes_a_backup_that_can_be_put_back() {
    let stop = "kill $(cat pid-*); rm -f pid-*; gatehouse audit verify >/dev/null; mv data lost";
    let printed = page(
        &on_sqlite(),
        include_str!("../../docs/operations.md"),
        &[
            (0, "cargo run --release"),
            (1, stop),
            (usize::MAX, "cargo run --release\ngatehouse health\ngatehouse tenant list"),
        ],
    );
    says(&printed, &["default"]);
}

#[test]
fn page_of_postgresql_runs_two_replicas() {
    let Some(place) = Place::new(Engine::Postgres) else { return };
    let url = place.url();
    let text = include_str!("../../docs/postgresql.md").replace("postgres://user:password@localhost/gatehouse", &url);
    let health = "gatehouse health; GATEHOUSE_BIND=127.0.0.1:8001 gatehouse health";
    page(&place, &text, &[(usize::MAX, health)]);
}
