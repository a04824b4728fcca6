//! Users who are imported over the network: in the background, once whatever happens meanwhile, and only for as long as
//! whoever asked may.

use std::time::Duration;

use futures_util::future::join;
use gatehouse_domain::{
    authz::{SystemReason, TenantRef},
    id::{PartnerId, TenantId},
    import::OnConflict,
    issue::Parse,
    job::JobKind,
};
use gatehouse_persistence::Target;
use gatehouse_server::app::{Error, effects::Mode, transfer::import_jobs::ImportJob};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Signed, Tenant, World, api_tests};

const NDJSON: &str = "application/x-ndjson";
pub const DJANGO: &str = "pbkdf2_sha256$1000$NaClSalt$1Aq0hLa8l35XikIQ7eNc9xzo+EiW2MAOyMtZ4Qh+haA=";
/// Longer than an import waits for whoever has taken it up.
const LONG: Duration = Duration::from_secs(61);

pub fn many(n: usize) -> String {
    (0..n).map(|i| format!("{{\"username\":\"user{i}\",\"email\":\"user{i}@mail.example\"}}\n")).collect()
}

/// A tenant with its administrator, signed in.
pub async fn acme(world: &World) -> (Tenant, Person, Signed) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    let token = world.login(&boss).await;
    (tenant, boss, token)
}

async fn ask(world: &World, tenant: &Tenant, token: &Signed, query: &str, file: impl Into<Vec<u8>>) -> Answer {
    let path = format!("/tenants/{}/user-imports{query}", tenant.id);
    world.post(&path).bearer(token).body(NDJSON, file).send().await
}

/// Asks for an import; returns its path.
pub async fn asked(world: &World, tenant: &Tenant, token: &Signed, file: impl Into<Vec<u8>>) -> String {
    let answer = ask(world, tenant, token, "", file).await.expect(202);
    let path = format!("/tenants/{}/user-imports/{}", tenant.id, answer.data()["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(format!("/api/v1{path}").as_str()));
    path
}

pub async fn shown(world: &World, token: &Signed, path: &str) -> Value {
    world.get(path).bearer(token).send().await.expect(200).data()
}

/// State and counts of an import.
pub async fn stands(world: &World, token: &Signed, path: &str) -> (String, [u64; 4]) {
    let import = shown(world, token, path).await;
    let counts = ["created", "updated", "skipped", "rejected"].map(|name| import[name].as_u64().unwrap());
    (import["state"].as_str().unwrap().to_owned(), counts)
}

pub fn is(state: &str, counts: [u64; 4]) -> (String, [u64; 4]) {
    (state.to_owned(), counts)
}

async fn users(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM users WHERE email LIKE '%@mail.example'").await
}

pub async fn pieces(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM user_import_pieces").await
}

fn reference(tenant: &Tenant) -> TenantRef {
    TenantRef { id: TenantId::parse(&tenant.id).unwrap(), partner_id: PartnerId::parse(&tenant.partner_id).unwrap() }
}

/// The import that is due, taken up.
pub async fn taken_up(world: &World) -> ImportJob {
    let claims = world.app.worker().claim(JobKind::UserImport).await.unwrap();
    world.app.imports().take_up(&claims[0]).await.unwrap().unwrap()
}

/// Another process on the same database, where that can be.
async fn neighbour(world: &World) -> World {
    match world.target() {
        Target::Postgres(_) => world.replica(|_| {}).await,
        Target::Sqlite(_) => world.clone(),
    }
}

api_tests! {
    async fn users_of_a_file_come_in_the_background_in_the_name_of_who_asked(world) {
        let (tenant, boss, token) = acme(&world).await;
        let ada = json!({"username": "ada", "email": "ada@mail.example", "password_hash": DJANGO});
        let path = asked(&world, &tenant, &token, format!("{ada}\nnot json\n{}", many(600))).await;
        let queued = shown(&world, &token, &path).await;
        assert_eq!((&queued["state"], &queued["created_by"], &queued["format"]), (&json!("queued"), &json!(boss.id), &json!("ndjson")));
        assert_eq!((users(&world).await, pieces(&world).await), (0, 1));
        assert_eq!(world.work(JobKind::UserImport).await, 1);
        assert_eq!(stands(&world, &token, &path).await, is("completed", [601, 0, 0, 1]));
        assert_eq!((users(&world).await, pieces(&world).await), (601, 0));
        world.try_login("acme", "ada", "correct horse").await.expect(200);
        let events = format!("/tenants/{}/audit-events?per_page=200&actor_id={}&action=", tenant.id, boss.id);
        for (action, n) in [("user_import.started", 1), ("user.imported", 601), ("user_import.completed", 1)] {
            let list = world.get(&format!("{events}{action}")).bearer(&token).send().await.expect(200);
            assert_eq!(list.total(), n, "{action}");
        }
        assert_eq!(world.work(JobKind::UserImport).await, 0);
    }

    async fn table_comes_in_by_the_other_door_too(world) {
        let ((tenant, ..), admin) = (acme(&world).await, world.admin().await);
        let base = format!("/admin/tenants/{}", tenant.id);
        let call = world.post(&format!("{base}/user-imports?on_conflict=skip")).bearer(&admin);
        let table = "email,username\r\nada@mail.example,ada\r\nboss@mail.example,boss\r\n";
        let answer = call.body("text/csv; charset=utf-8", table).send().await.expect(202);
        world.work(JobKind::UserImport).await;
        let path = format!("{base}/user-imports/{}", answer.data()["id"].as_str().unwrap());
        assert_eq!(stands(&world, &admin, &path).await, is("completed", [1, 0, 1, 0]));
        let list = world.get(&format!("{base}/user-imports")).bearer(&admin).send().await.expect(200);
        assert_eq!((list.total(), list.data()[0]["on_conflict"].clone()), (1, json!("skip")));
    }

    async fn rejected_lines_are_listed_with_what_is_wrong_for_a_week(world) {
        let (tenant, _, token) = acme(&world).await;
        let keys: String = (0..5_000).map(|i| format!(",\"k{i}\":1")).collect();
        let file = format!("{}not json\n{{\"username\":\"a b\"}}\n{{\"username\":\"many\"{keys}}}\n{}", many(1), many(5));
        let path = asked(&world, &tenant, &token, file).await;
        world.work(JobKind::UserImport).await;
        assert_eq!(stands(&world, &token, &path).await, is("completed", [5, 0, 0, 4]));
        let rejects = format!("{path}/rejects");
        let all = world.get(&rejects).bearer(&token).send().await.expect(200);
        let lines: Vec<_> = all.data().as_array().unwrap().iter().map(|reject| reject["line"].as_u64().unwrap()).collect();
        assert_eq!((all.total(), lines), (4, vec![2, 3, 4, 5]));
        assert_eq!(all.data()[0]["faults"], json!([{"field": "", "code": "json_invalid", "message": "must be JSON in UTF-8, one object in a line"}]));
        assert_eq!(all.data()[1]["faults"].as_array().unwrap().len(), 2);
        assert_eq!(all.data()[2]["faults"].as_array().unwrap().len(), 20, "of thousands");
        assert_eq!(all.data()[3]["faults"][0]["code"], "already_registered");
        let first = world.get(&format!("{rejects}?per_page=3")).bearer(&token).send().await.expect(200);
        let cursor = first.json()["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        let second = world.get(&format!("{rejects}?per_page=3&cursor={cursor}")).bearer(&token).send().await.expect(200);
        assert_eq!((second.data().as_array().unwrap().len(), &second.data()[0]["line"], second.total()), (1, &json!(5), 4));
        let back = world.get(&format!("{rejects}?sort=-line&per_page=1&page=2")).bearer(&token).send().await.expect(200);
        assert_eq!(back.data()[0]["line"], 4);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM user_import_rejects").await, 4);
        world.clock.advance(Duration::from_secs(7 * 86_400 + 1));
        world.app.maintenance().clean_up().await.unwrap();
        let left = "SELECT (SELECT COUNT(*) FROM user_import_rejects) + (SELECT COUNT(*) FROM user_imports WHERE forget_at IS NOT NULL)";
        assert_eq!(world.number(left).await, 0);
    }

    async fn import_whose_process_was_killed_goes_on_behind_the_last_batch(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, format!("not json\n{}", many(1_700))).await;
        let mut killed = taken_up(&world).await;
        for _ in 0..2 {
            assert!(world.app.imports().step(&mut killed).await.unwrap());
        }
        assert_eq!(stands(&world, &token, &path).await, is("running", [999, 0, 0, 1]));
        let other = neighbour(&world).await;
        assert_eq!(other.work(JobKind::UserImport).await, 0, "it may only be slow");
        world.clock.advance(LONG);
        assert_eq!(other.work(JobKind::UserImport).await, 1);
        assert_eq!(stands(&world, &token, &path).await, is("completed", [1_700, 0, 0, 1]));
        assert!(!world.app.imports().step(&mut killed).await.unwrap(), "whoever was thought to be dead comes too late");
        assert_eq!((users(&world).await, pieces(&world).await), (1_700, 0));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.imported'").await, 1_700);
        assert_eq!(world.number("SELECT COUNT(*) FROM user_import_rejects").await, 1);
    }

    async fn of_two_processes_one_runs_an_import(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(1_200)).await;
        let other = neighbour(&world).await;
        let (here, there) = join(Box::pin(world.app.worker().run_due(JobKind::UserImport)), Box::pin(other.app.worker().run_due(JobKind::UserImport))).await;
        assert_eq!(here.unwrap() + there.unwrap(), 1);
        assert_eq!(stands(&world, &token, &path).await, is("completed", [1_200, 0, 0, 0]));
    }

    async fn whoever_is_slow_and_not_dead_changes_nothing_beside_the_next(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(1_200)).await;
        let mut slow = taken_up(&world).await;
        assert!(world.app.imports().step(&mut slow).await.unwrap());
        world.clock.advance(LONG);
        let mut next = taken_up(&world).await;
        assert!(!world.app.imports().step(&mut slow).await.unwrap());
        assert_eq!(users(&world).await, 500);
        while world.app.imports().step(&mut next).await.unwrap() {}
        assert_eq!(stands(&world, &token, &path).await, is("completed", [1_200, 0, 0, 0]));
    }

    async fn import_that_is_cancelled_brings_nobody_more_and_its_file_goes(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(1_200)).await;
        let mut job = taken_up(&world).await;
        assert!(world.app.imports().step(&mut job).await.unwrap());
        for _ in 0..2 {
            let answer = world.post(&format!("{path}/cancel")).bearer(&token).send().await.expect(200);
            assert_eq!((&answer.data()["state"], &answer.data()["created"]), (&json!("cancelled"), &json!(500)));
        }
        assert!(!world.app.imports().step(&mut job).await.unwrap());
        world.clock.advance(LONG);
        assert_eq!(world.work(JobKind::UserImport).await, 0);
        assert_eq!((users(&world).await, pieces(&world).await), (500, 0));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user_import.cancelled'").await, 1);
        let other = asked(&world, &tenant, &token, many(501)).await;
        world.work(JobKind::UserImport).await;
        world.post(&format!("{other}/cancel")).bearer(&token).send().await.expect(200);
        assert_eq!(stands(&world, &token, &other).await, is("completed", [1, 0, 0, 500]), "what has ended stays as it is");
    }

    async fn import_stops_when_who_asked_may_not_any_more(world) {
        let tenant = world.tenant("acme").await;
        let admin = world.admin().await;
        let writer = world.role(&tenant, "writer", &["users:write", "users:read"]).await;
        for (name, ends) in [("suspended", 0), ("deprived", 1), ("deleted", 2)] {
            let person = world.person(&tenant, name).await;
            let held = world.give(&person, &writer, json!({"level": "tenant", "tenant_id": tenant.id})).await;
            let token = world.login(&person).await;
            let line = |i| format!("{{\"username\":\"{name}{i}\",\"email\":\"{name}{i}@mail.example\"}}\n");
            let file: String = (0..1_200).map(line).collect();
            let path = asked(&world, &tenant, &token, file).await;
            let mut job = taken_up(&world).await;
            assert!(world.app.imports().step(&mut job).await.unwrap());
            match ends {
                0 => world.set_status("users", &person.id, "SUSPENDED").await,
                1 => drop(world.delete(&format!("/admin/role-assignments/{held}")).bearer(&admin).send().await.expect(204)),
                _ => drop(world.delete(&format!("/admin/users/{}", person.id)).bearer(&admin).send().await.expect(204)),
            }
            assert!(!world.app.imports().step(&mut job).await.unwrap());
            assert_eq!(stands(&world, &admin, &path).await, is("failed", [500, 0, 0, 0]), "{name}");
            assert_eq!(shown(&world, &admin, &path).await["failure"], "not_allowed");
        }
        assert_eq!(pieces(&world).await, 0);
        let why = "SELECT COUNT(*) FROM audit_events WHERE action = 'user_import.failed' AND reason = 'not_allowed' AND actor_type = 'system'";
        assert_eq!(world.number(why).await, 3);
    }

    async fn import_goes_on_after_who_asked_has_signed_out(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(2)).await;
        world.logout("acme", &token.refresh).await.expect(200);
        world.work(JobKind::UserImport).await;
        assert_eq!(stands(&world, &world.admin().await, &path).await, is("completed", [2, 0, 0, 0]));
    }

    async fn deleting_the_tenant_ends_its_imports(world) {
        let (tenant, _, _) = acme(&world).await;
        let admin = world.admin().await;
        asked(&world, &tenant, &admin, many(1_200)).await;
        let mut job = taken_up(&world).await;
        assert!(world.app.imports().step(&mut job).await.unwrap());
        world.delete(&format!("/admin/tenants/{}", tenant.id)).bearer(&admin).send().await.expect(204);
        assert!(!world.app.imports().step(&mut job).await.unwrap());
        assert_eq!(world.number("SELECT COUNT(*) FROM user_imports WHERE state = 'cancelled'").await, 1);
        assert_eq!((users(&world).await, pieces(&world).await), (500, 0));
    }

    async fn tenant_has_one_import_at_a_time_whoever_asks(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(2)).await;
        let refused = ask(&world, &tenant, &token, "", many(1)).await.problem(409, "conflict");
        assert!(refused.text.contains(path.rsplit('/').next().unwrap()), "{}", refused.text);
        assert_eq!(pieces(&world).await, 1, "what is not needed is not kept");
        let (own, cli) = (reference(&tenant), SystemReason::Cli);
        let begin = async |anew| world.app.imports().begin(own, OnConflict::Fail, Mode::Real, anew, cli).await;
        for anew in [false, true] {
            assert!(matches!(begin(anew).await, Err(Error::Conflict(_))), "the command line: {anew}");
        }
        world.work(JobKind::UserImport).await;
        let command = begin(false).await.unwrap();
        let refused = ask(&world, &tenant, &token, "", many(1)).await.problem(409, "conflict");
        assert!(refused.text.contains(&command.import().id.to_string()), "{}", refused.text);
        world.clock.advance(LONG);
        assert_eq!(world.work(JobKind::UserImport).await, 0, "what a command runs is taken up by nobody");
        let running = format!("/tenants/{}/user-imports/{}", tenant.id, command.import().id);
        assert_eq!(shown(&world, &token, &running).await["created_by"], Value::Null);
        world.post(&format!("{running}/cancel")).bearer(&token).send().await.expect(200);
        asked(&world, &tenant, &token, many(1)).await;
    }

    async fn dry_run_says_what_would_come_and_leaves_nobody(world) {
        let (tenant, _, token) = acme(&world).await;
        let file = format!("{}not json\n{}", many(1_100), many(1));
        let answer = ask(&world, &tenant, &token, "?dry_run=true", file).await.expect(202);
        let path = format!("/tenants/{}/user-imports/{}", tenant.id, answer.data()["id"].as_str().unwrap());
        // One that was killed forgets which names it tried, and so begins anew.
        let mut killed = taken_up(&world).await;
        for _ in 0..3 {
            assert!(world.app.imports().step(&mut killed).await.unwrap());
        }
        assert_eq!(stands(&world, &token, &path).await, is("running", [1_100, 0, 0, 2]));
        world.clock.advance(LONG);
        assert_eq!(world.work(JobKind::UserImport).await, 1);
        assert_eq!(stands(&world, &token, &path).await, is("completed", [1_100, 0, 0, 2]));
        assert_eq!(world.get(&format!("{path}/rejects")).bearer(&token).send().await.expect(200).total(), 2);
        assert_eq!((users(&world).await, pieces(&world).await), (0, 0));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.imported'").await, 0);
    }

    async fn file_is_bounded_of_a_known_type_and_not_empty(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = format!("/tenants/{}/user-imports", tenant.id);
        let large = vec![b'\n'; (16 << 20) + 1];
        ask(&world, &tenant, &token, "", large.clone()).await.problem(413, "payload_too_large");
        for wrong in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
            world.post(&path).bearer(&token).body(wrong, "{}").send().await.problem(415, "unsupported_media_type");
        }
        let packed = world.post(&path).bearer(&token).header("content-encoding", "gzip").body(NDJSON, "x");
        packed.send().await.problem(415, "unsupported_media_type");
        assert_eq!(ask(&world, &tenant, &token, "", "").await.faults(), ["body missing"]);
        assert_eq!(world.post(&path).bearer(&token).send().await.faults(), ["body missing"]);
        for (query, fault) in [("?on_conflict=update", "query.on_conflict enum"), ("?format=csv", "query.format media_type_mismatch")] {
            assert_eq!(ask(&world, &tenant, &token, query, "\n").await.faults(), [fault]);
        }
        assert_eq!((pieces(&world).await, world.number("SELECT COUNT(*) FROM user_imports").await), (0, 0));
        ask(&world, &tenant, &token, "", &large[1..]).await.expect(202);
        assert_eq!(pieces(&world).await, 64);
        world.work(JobKind::UserImport).await;
        assert_eq!(pieces(&world).await, 0);
    }

    async fn file_that_cannot_be_read_ends_the_import_with_the_reason(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = format!("/tenants/{}/user-imports", tenant.id);
        let endless = format!("username,email\nada,\"{}", "x".repeat(2 << 20));
        for (table, why) in [("email,username,roles\n".to_owned(), "column_unknown"), (endless, "row_unending")] {
            let answer = world.post(&path).bearer(&token).body("text/csv", table).send().await.expect(202);
            world.work(JobKind::UserImport).await;
            let import = shown(&world, &token, &format!("{path}/{}", answer.data()["id"].as_str().unwrap())).await;
            assert_eq!((&import["state"], &import["failure"]), (&json!("failed"), &json!(why)));
        }
        // Whoever can write to the database cannot leave anything out.
        let path = asked(&world, &tenant, &token, many(20_000)).await;
        assert!(pieces(&world).await > 2);
        world.execute("DELETE FROM user_import_pieces WHERE number = (SELECT MAX(number) FROM user_import_pieces)").await;
        world.work(JobKind::UserImport).await;
        assert_eq!(shown(&world, &token, &path).await["failure"], "file_unreadable");
        assert_eq!(pieces(&world).await, 0);
    }

    async fn file_waits_sealed_and_one_that_nobody_asks_with_is_removed(world) {
        let (tenant, _, token) = acme(&world).await;
        asked(&world, &tenant, &token, many(3)).await;
        let hex = match world.target() {
            Target::Sqlite(_) => world.text("SELECT hex(sealed) FROM user_import_pieces").await,
            Target::Postgres(_) => world.text("SELECT upper(encode(sealed, 'hex')) FROM user_import_pieces").await,
        };
        let secret: String = "mail.example".bytes().map(|b| format!("{b:02X}")).collect();
        assert!(hex.len() == 1 && !hex[0].contains(&secret));
        let unused = "INSERT INTO user_import_pieces SELECT tenant_id, tenant_id, number, sealed, created_at FROM user_import_pieces";
        world.execute(unused).await;
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(pieces(&world).await, 2, "it may still be coming");
        world.clock.advance(Duration::from_secs(3_601));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(pieces(&world).await, 1, "the other one waits for its import");
    }

    async fn file_that_is_sent_again_under_its_key_is_imported_once(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = format!("/tenants/{}/user-imports", tenant.id);
        let send = async |media: &'static str, file: String| {
            world.post(&path).bearer(&token).header("idempotency-key", "k").body(media, file).send().await
        };
        let first = send(NDJSON, many(2)).await.expect(202);
        let again = send(NDJSON, many(2)).await.expect(202);
        assert_eq!((again.header("idempotency-replayed"), &again.text), (Some("true"), &first.text));
        assert_eq!((again.header("location"), pieces(&world).await), (first.header("location"), 1));
        let reused = ["header.Idempotency-Key idempotency_key_reused"];
        assert_eq!(send(NDJSON, many(3)).await.faults(), reused);
        assert_eq!(send("text/csv", many(2)).await.faults(), reused);
        assert_eq!(pieces(&world).await, 1);
    }

    async fn who_may_not_make_users_imports_none_and_strangers_see_no_import(world) {
        let (tenant, _, token) = acme(&world).await;
        let path = asked(&world, &tenant, &token, many(2)).await;
        let reader = world.person(&tenant, "reader").await;
        let role = world.role(&tenant, "reader", &["users:read"]).await;
        world.give(&reader, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let reader = world.login(&reader).await;
        assert_eq!(stands(&world, &reader, &path).await.0, "queued");
        ask(&world, &tenant, &reader, "", many(1)).await.problem(403, "missing_permission");
        world.post(&format!("{path}/cancel")).bearer(&reader).send().await.problem(403, "missing_permission");
        let other = world.tenant("beta").await;
        let stranger = world.login(&world.tenant_admin(&other, "stranger").await).await;
        let id = path.rsplit('/').next().unwrap();
        for path in [path.clone(), format!("{path}/rejects"), format!("/tenants/{}/user-imports/{id}", other.id)] {
            world.get(&path).bearer(&stranger).send().await.problem(404, "not_found");
        }
        ask(&world, &tenant, &stranger, "", many(1)).await.problem(404, "not_found");
        let users = format!("/tenants/{}/users/export", tenant.id);
        world.get(&users).bearer(&stranger).send().await.problem(404, "not_found");
        let mine = world.get(&format!("/tenants/{}/user-imports", other.id)).bearer(&stranger).send().await.expect(200);
        assert_eq!(mine.total(), 0);
    }
}
