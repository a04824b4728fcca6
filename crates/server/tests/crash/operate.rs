//! What an operator does from the command line.

use std::process::Output;

use gatehouse_persistence::testing::Engine;
use serde_json::Value;

use crate::process::{Place, Server};

fn run(place: &Place, command: &str) -> Output {
    // No server has run here: without it nobody knows where links lead.
    let mut with_address = place.command();
    with_address.env("GATEHOUSE_PUBLIC_URL", "https://id.example.com");
    with_address.args(command.split(' ')).output().unwrap()
}

fn json(place: &Place, command: &str) -> Value {
    let output = run(place, &format!("{command} --json"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn id(answer: &Value) -> String {
    answer["data"]["id"].as_str().unwrap().to_owned()
}

fn on_both(test: impl Fn(&Place)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if let Some(place) = Place::new(engine) {
            test(&place);
        }
    }
}

/// A partner with the tenant `shop` and the user `ada` in it.
fn populated(place: &Place) -> [String; 3] {
    // Makes the installation, where there is none yet.
    run(place, "setup-token");
    let partner = id(&json(place, "partner create --name Acme --slug acme --max-tenants 3"));
    let tenant = "tenant create --name Shop --slug shop --partner acme --session-idle-minutes 30";
    let tenant = id(&json(place, tenant));
    let user = id(&json(place, "user create --tenant shop --username ada --email ada@shop.example"));
    [partner, tenant, user]
}

#[test]
fn links_of_commands_lead_to_the_server_that_ran_last() {
    let place = Place::new(Engine::Sqlite).unwrap();
    assert!(place.command().arg("setup-token").output().unwrap().status.success());
    let create = |name: &str| {
        let email = format!("{name}@mail.example");
        let words = ["user", "create", "--tenant", "default", "--delivery", "link", "--json"];
        place.command().args(words).args(["--username", name, "--email", &email]).output().unwrap()
    };
    let refused = create("ada");
    let says = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && says.contains("GATEHOUSE_PUBLIC_URL"), "{says}");
    let mut command = place.command();
    command.env("GATEHOUSE_PUBLIC_URL", "https://id.example.com/");
    Server::start(command, place.port, place.folder.join("log")).kill();
    let made = String::from_utf8(create("bob").stdout).unwrap();
    assert!(made.contains("\"https://id.example.com/invitation#default/ghi_"), "{made}");
}

#[test]
fn operator_does_from_the_command_line_what_the_api_does_and_the_trail_says_so() {
    on_both(|place| {
        let [partner, tenant, user] = populated(place);
        let shown = json(place, "tenant show shop");
        assert_eq!(
            (&shown["data"]["settings"]["session_idle_minutes"], &shown["data"]["usage"]["users"]),
            (&30.into(), &1.into())
        );
        let role = id(&json(
            place,
            "role create --tenant shop --name reader --permissions sessions:read --permissions users:read",
        ));
        let assign = "role assign --user shop/ada --role shop/reader --level tenant --tenant shop";
        let assignment = id(&json(place, assign));
        assert_eq!(json(place, "session list")["data"].as_array().unwrap().len(), 0);
        let output = run(place, "session show ses_01h455vb4pex5vsknk084sn02q");
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && !says.contains("Authentication"), "{says}");
        assert_eq!(json(place, "user suspend shop/ada")["data"]["status"], "SUSPENDED");
        assert!(run(place, &format!("role unassign {assignment}")).status.success());
        assert!(run(place, "user delete shop/ada --erase").status.success());
        assert!(run(place, &format!("tenant delete {tenant}")).status.success());
        assert!(run(place, &format!("partner delete {partner}")).status.success());
        for (action, resource) in [
            ("partner.created", &partner),
            ("tenant.created", &tenant),
            ("user.created", &user),
            ("role.created", &role),
            ("role_assignment.created", &assignment),
            ("user.suspended", &user),
            ("role_assignment.deleted", &assignment),
            ("user.deleted", &user),
            ("user.erased", &user),
            ("tenant.deleted", &tenant),
            ("partner.deleted", &partner),
        ] {
            let events = json(place, &format!("audit list --action {action} --resource-id {resource}"));
            let events = events["data"].as_array().unwrap();
            assert_eq!(events.len(), 1, "{action}");
            let actor = &events[0]["actor"];
            assert_eq!(
                (&actor["type"], &actor["acting_as"], &events[0]["reason"]),
                (&"system".into(), &"cli".into(), &"cli".into()),
                "{action}"
            );
        }
    });
}

#[test]
fn list_is_a_table_for_people() {
    on_both(|place| {
        populated(place);
        let text = String::from_utf8(run(place, "user list --tenant shop").stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("ID ") && lines[1].contains("ada@shop.example"), "{text}");
    });
}

#[test]
fn wrong_words_end_with_2_and_refusals_with_1() {
    on_both(|place| {
        populated(place);
        for (command, code, says) in [
            ("tenant show nowhere", 2, "no tenant nowhere"),
            ("user show shop/nobody", 2, "no such user"),
            ("tenant update shop --max-sessions-per-user many", 2, "--max-sessions-per-user"),
            ("tenant update shop --max-sessions-per-user 0", 2, "max_sessions_per_user"),
            ("tenant update shop --colour red", 2, "--colour"),
            ("user show usr_x?y", 2, "no user_id"),
            ("user create --tenant shop --username ada --email eve@shop.example", 1, ""),
            ("user show usr_01h455vb4pex5vsknk084sn02q", 1, ""),
        ] {
            let output = run(place, command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{command}: {said}");
            assert!(said.contains(says) && output.stdout.is_empty(), "{command}: {said}");
        }
    });
}

#[test]
fn command_that_is_tried_changes_nothing() {
    on_both(|place| {
        populated(place);
        let tried = json(place, "tenant delete shop --dry-run");
        assert_eq!(tried["meta"]["effects"]["sessions"], 0);
        assert_eq!(json(place, "tenant show shop")["data"]["status"], "ACTIVE");
    });
}

#[test]
fn operator_works_beside_a_running_server() {
    on_both(|place| {
        let server = place.start();
        populated(place);
        assert_eq!(json(place, "user list --tenant shop")["pagination"]["total_items"], 1);
        drop(server);
    });
}
