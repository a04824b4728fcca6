//! Every command of the program, as the help lists them, on both databases.

use std::{collections::BTreeSet, time::Instant};

use gatehouse_persistence::testing::Engine;
use serde_json::{Value, json};

use crate::{
    client::{Client, login, request},
    process::{PASSWORD, PATIENCE, Place, Server},
};

/// What has been run on a place.
struct Runs<'a> {
    place: &'a Place,
    done: BTreeSet<String>,
}

impl Runs<'_> {
    fn run(&mut self, code: i32, command: &str) -> [String; 2] {
        self.done.insert(command.to_owned());
        let mut process = self.place.command();
        process.env("GATEHOUSE_PUBLIC_URL", "https://id.example.com").current_dir(&self.place.folder);
        let output = process.args(command.split(' ')).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(output.status.code(), Some(code), "{command}: {said:?}");
        said
    }

    /// What a command prints that succeeds.
    fn ok(&mut self, command: &str, says: &str) -> String {
        let [out, beside] = self.run(0, command);
        assert!(out.contains(says) || beside.contains(says), "{command}: {out}{beside}");
        out
    }

    fn id(&mut self, command: &str, pointer: &str) -> String {
        let [out, _] = self.run(0, &format!("{command} --json"));
        let json: Value = serde_json::from_str(&out).unwrap();
        json.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
    }

    /// The names of the commands below a word, none if it is one itself.
    fn below(&self, word: Option<&str>) -> Vec<String> {
        let output = self.place.command().args(word).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter_map(|line| line.split_ascii_whitespace().next().filter(|_| !line.starts_with("   ")));
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    }

    fn missing(&self) -> Vec<String> {
        let all = self.below(None).into_iter().flat_map(|word| {
            let below = self.below(Some(&word));
            let whole: Vec<_> = below.iter().map(|verb| format!("{word} {verb}")).collect();
            if whole.is_empty() { vec![word] } else { whole }
        });
        let is_done = |command: &str| {
            let begins = |done: &String| done == command || done.starts_with(&format!("{command} "));
            self.done.iter().any(begins)
        };
        all.filter(|command| !is_done(command)).collect()
    }
}

/// What an operator does with partners, tenants, users and roles.
fn administer(runs: &mut Runs<'_>) {
    runs.ok("partner create --name Acme --slug acme", "Next: gatehouse tenant create --partner acme");
    runs.ok("partner list --search acme", "ID");
    runs.ok("partner show acme", "max_tenants");
    runs.ok("partner update acme --max-tenants 7", "7");
    runs.ok("partner suspend acme", "SUSPENDED");
    runs.ok("partner activate acme", "ACTIVE");
    runs.ok("partner configure acme --session-max-days 20", "20");
    runs.ok("partner settings acme", "20");
    runs.ok("partner effective-settings acme", "session_max_days");
    runs.ok("tenant create --name Shop --slug shop --partner acme", "user create --tenant shop");
    let tenants = runs.ok("tenant list --partner acme", "PARTNER");
    assert!(tenants.lines().any(|line| line.starts_with("shop ") && line.trim_end().ends_with("acme")), "{tenants}");
    runs.ok("tenant show shop", "Shop");
    runs.ok("tenant update shop --name Store", "Store");
    runs.ok("tenant suspend shop", "SUSPENDED");
    runs.ok("tenant activate shop", "ACTIVE");
    runs.ok("tenant configure shop --registration open", "open");
    runs.ok("tenant settings shop", "open");
    runs.ok("tenant effective-settings shop", "registration");
    runs.ok("platform configure --session-max-days 25", "25");
    runs.ok("platform settings", "25");
    runs.ok("platform effective-settings", "session_max_days");
    runs.ok("user create --tenant shop --username ada --email ada@shop.example", "role assign --user shop/ada");
    runs.ok("user show shop/ada", "ada@shop.example");
    runs.ok("user update shop/ada --display-name 株式会社の太郎", "株式会社の太郎");
    let users = runs.ok("user list --tenant shop", "shop/ada");
    assert!(users.lines().all(|line| line.chars().count() <= 100), "{users}");
    runs.ok("user invite shop/ada --delivery link", "https://id.example.com/invitation");
    runs.ok("user invite-all --tenant shop", "ten a second");
    runs.ok("user cancel-invitation shop/ada", "Done");
    runs.ok("user unlock shop/ada", "");
    runs.ok("user suspend shop/ada", "SUSPENDED");
    runs.ok("user activate shop/ada", "INVITED");
    runs.ok(
        "role create --tenant shop --name reader --permissions sessions:read",
        "role assign --user shop/NAME --role shop/reader",
    );
    runs.ok("role list --tenant shop", "shop/reader");
    runs.ok("role show shop/reader", "sessions:read");
    runs.ok("role update shop/reader --permissions users:read", "users:read");
    runs.ok("role permissions", "sessions:read");
    let assignment = runs.id("role assign --user shop/ada --role shop/reader --level tenant --tenant shop", "/data/id");
    let held = runs.ok("role assignments --user shop/ada", "shop/ada");
    assert!(held.contains("shop/reader") && held.contains(&assignment), "{held}");
    runs.ok(&format!("role assignment {assignment}"), "tenant");
    runs.ok(&format!("role extend {assignment} --expires-at 2096-01-01T00:00:00Z"), "2096");
    runs.ok(&format!("role unassign {assignment} --yes"), "Done");
    runs.ok("user list --role tenant_admin", "ID");
    runs.ok("role delete shop/reader --dry-run", "nothing was changed");
    runs.ok("role delete shop/reader", "Done");
}

fn applications(runs: &mut Runs<'_>) {
    let create = "application create --application-type WEB --name Till --redirect-uris";
    for (wrong, says) in [
        ("https://till.example/callback", "--tenant SLUG alone"),
        ("http://till.example/callback --tenant shop", "redirect_uris.0 must be https"),
    ] {
        let [_, beside] = runs.run(2, &format!("{create} {wrong}"));
        assert!(beside.contains(says), "{beside}");
    }
    let made = runs.ok(&format!("{create} https://till.example/callback --tenant shop"), "it is not shown again");
    assert!(made.lines().last().unwrap().starts_with("client_secret  "), "{made}");
    let id = runs.id("application list --tenant shop", "/data/0/id");
    let listed = runs.ok("application list --tenant shop", &id);
    assert!(listed.lines().all(|line| line.chars().count() <= 100), "{listed}");
    runs.ok(&format!("application show {id}"), "https://till.example/callback");
    runs.ok(&format!("application update {id} --name Counter"), "Counter");
    let [shown, beside] = runs.run(0, &format!("application suspend {id} --yes"));
    assert!(shown.contains("SUSPENDED") && beside.contains("Ends: no session\n"), "{beside}");
    assert!(beside.contains("nothing of it works"), "{beside}");
    runs.ok(&format!("application activate {id}"), "ACTIVE");
    assert!(runs.ok(&format!("application rotate-secret {id}"), "it is not shown again").contains("ghk_"));
    runs.ok(&format!("application revoke-tokens {id} --yes"), "issued_before");
    runs.ok(&format!("application delete {id} --yes"), "Done");
}

/// Files of users, in and out; on SQLite no server may run.
fn transfer(runs: &mut Runs<'_>) {
    std::fs::write(runs.place.folder.join("users.csv"), "email\nbob@shop.example\nbroken\n").unwrap();
    let [out, beside] = runs.run(6, "user import --tenant shop users.csv --invite");
    assert!(out.contains("1 created") && out.contains("1 rejected"), "{out}");
    assert!(beside.contains("mailed an invitation"), "{beside}");
    runs.ok("user export --tenant shop --format csv", "bob@shop.example");
    let import = runs.id("user-import list --tenant shop", "/data/0/id");
    runs.ok(&format!("user-import show {import} --tenant shop"), "rejected");
    runs.ok(&format!("user-import rejects {import} --tenant shop"), "email");
    // It is over, and stays what it is.
    runs.ok(&format!("user-import cancel {import} --tenant shop"), "completed");
}

/// Sessions of those who signed in at a running server.
async fn sessions(runs: &mut Runs<'_>) {
    let place = runs.place;
    runs.done.insert("serve".to_owned());
    let mut serve = place.command();
    serve.arg("serve");
    let server = Server::start(serve, place.port, place.folder.join("log"));
    runs.ok("health", "");
    for _ in 0..3 {
        assert_eq!(Client::new(server.port).send(&login("default", "root")).await.unwrap().status, 200);
    }
    let eve = json!({"username": "eve", "email": "eve@shop.example", "password": PASSWORD}).to_string();
    let path = "/api/v1/auth/tenants/shop/register";
    let register = request("POST", path, "Content-Type: application/json\r\n", &eve);
    assert_eq!(Client::new(server.port).send(&register).await.unwrap().status, 201);
    runs.ok("user reset-password shop/eve", "mailed");
    let session = runs.id("session list --user default/root", "/data/0/id");
    let shown = runs.ok("session list --tenant default", "root@example.com");
    assert!(shown.contains(&session) && shown.lines().all(|line| line.len() <= 100), "{shown}");
    runs.ok(&format!("session show {session}"), "active");
    runs.ok(&format!("session revoke {session} --yes"), "Done");
    let began = Instant::now();
    while !runs.ok("audit list --action user.invited --tenant shop", "").contains("shop/bob") {
        assert!(began.elapsed() < PATIENCE, "nobody was invited");
    }
    runs.ok("session revoke-all --user default/root --dry-run", "sessions 2");
    runs.ok("session revoke-all --user default/root", "Ends: ");
    let key = runs.ok("key list --tenant default", "current");
    runs.ok("key list --platform", "current");
    runs.ok("key rotate --tenant default --now", "key_");
    runs.ok(&format!("key withdraw {} --yes", key.split(' ').next().unwrap()), "key_");
}

async fn audit(runs: &mut Runs<'_>) {
    let events = runs.ok("audit list --action user.created --tenant shop", "shop/ada");
    assert!(events.lines().all(|line| line.chars().count() <= 100), "{events}");
    let event = runs.id("audit list --action user.created --tenant shop", "/data/0/id");
    runs.ok(&format!("audit show {event}"), "user.created");
    runs.ok("audit catalogue", "user.created");
    runs.ok("audit export --format csv", "user.created");
    runs.ok("audit verify", "Intact");
    runs.ok("audit accept-damage --by Ada --yes", "There is nothing to accept");
    // Whoever has the database can do that.
    runs.place.execute("UPDATE audit_seals SET sealed_at = sealed_at + 1").await;
    runs.run(5, "audit verify");
    let said = runs.ok("audit accept-damage --by Ada --yes", "seal_changed");
    assert!(said.contains("Damaged") && said.contains("Intact but for what was accepted"), "{said}");
    runs.ok("audit verify", "by Ada, ");
    runs.ok("audit list --action audit_event.damage_accepted", "audit_event.damage_accepted");
}

/// What needs no installation, or makes one.
fn alone(runs: &mut Runs<'_>) {
    runs.ok("version", "gatehouse ");
    runs.ok("openapi", "\"openapi\"");
    for (what, says) in [("unit", "[Service]"), ("dashboard", "panels"), ("alerts", "alert:")] {
        runs.ok(&format!("ops {what}"), says);
    }
    for shell in ["bash", "zsh", "fish"] {
        runs.ok(&format!("completions {shell}"), "reset-password");
    }
    runs.ok("migrate up", "applied");
    runs.ok("migrate status", "applied");
    runs.ok("setup-token", "");
}

fn demo(runs: &mut Runs<'_>) {
    let place = runs.place;
    let mut demo = place.command_at(place.port_beside);
    demo.args(["demo", "--admin-password", PASSWORD]);
    let _server = Server::spawn(demo, place.port_beside, place.folder.join("log-demo"));
    let began = Instant::now();
    while !place.command_at(place.port_beside).arg("health").output().unwrap().status.success() {
        assert!(began.elapsed() < PATIENCE, "the demo does not start");
    }
    runs.done.insert("demo".to_owned());
}

async fn run_every_command(engine: Engine) {
    let Some(place) = Place::new(engine) else { return };
    let mut runs = Runs { place: &place, done: BTreeSet::new() };
    alone(&mut runs);
    administer(&mut runs);
    applications(&mut runs);
    transfer(&mut runs);
    sessions(&mut runs).await;
    audit(&mut runs).await;
    runs.ok("key rotate-master --shared-file", "new master key");
    runs.ok("backup kept", "bytes");
    runs.ok("user delete shop/ada", "Done");
    runs.ok("tenant delete shop", "Done");
    runs.ok("partner delete acme --yes", "Done");
    runs.ok("restore kept", "Restored");
    runs.ok("restored --yes", "What began before is over");
    demo(&mut runs);
    let missing = runs.missing();
    assert!(missing.is_empty(), "no run of {missing:?}");
}

#[tokio::test]
async fn every_command_does_what_its_help_says_on_sqlite() {
    run_every_command(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_command_does_what_its_help_says_on_postgres() {
    run_every_command(Engine::Postgres).await;
}
