//! Users who come from another system in a file, and users who are read out into one.

use std::{io::Cursor, sync::Arc};

use gatehouse_domain::{
    authz::{Actor, Area, SystemReason, TenantRef, authorize},
    import::{Counts, OnConflict},
    issue::Parse,
    text::Slug,
};
use gatehouse_persistence::ChangeContext;
use gatehouse_server::{
    app::{
        effects::Mode,
        transfer::imports::{BATCH, Importing, Rejected},
    },
    transfer::{Format, Line, Lines, UserFile},
};
use serde_json::{Value, json};

use crate::harness::{Signed, Tenant, World, api_tests};

pub const DJANGO: &str = "pbkdf2_sha256$1000$NaClSalt$1Aq0hLa8l35XikIQ7eNc9xzo+EiW2MAOyMtZ4Qh+haA=";

async fn reference(world: &World, slug: &str) -> TenantRef {
    world.app.session_states().tenant_by_slug(&Slug::parse(slug).unwrap()).await.unwrap().unwrap().reference()
}

fn lines(text: &str, format: Format) -> Lines {
    Lines::open(Box::new(Cursor::new(text.to_owned().into_bytes())), format).unwrap()
}

async fn begin(world: &World, slug: &str, on_conflict: OnConflict, mode: Mode) -> Importing {
    let tenant = reference(world, slug).await;
    world.app.imports().begin(tenant, on_conflict, mode, false, SystemReason::Cli).await.unwrap()
}

/// Takes one batch in, if there is one.
async fn step(world: &World, importing: &mut Importing, lines: &mut Lines) -> Option<Vec<Rejected>> {
    let raw: Vec<Line> = (0..BATCH).map_while(|_| lines.next_line().unwrap()).collect();
    let read: Vec<_> = raw.iter().map(|line| lines.read(line)).collect();
    if read.is_empty() {
        return None;
    }
    Some(world.app.imports().take_batch(importing, read, lines.digest()).await.unwrap())
}

pub struct Import<'a> {
    pub slug: &'a str,
    pub format: Format,
    pub on_conflict: OnConflict,
    pub mode: Mode,
}

pub const ACME: Import<'static> =
    Import { slug: "acme", format: Format::Ndjson, on_conflict: OnConflict::Fail, mode: Mode::Real };

impl Import<'_> {
    pub async fn run(&self, world: &World, text: &str) -> (Counts, Vec<Rejected>) {
        let (import, rejected) = self.bring(world, text).await;
        (import.counts, rejected)
    }

    pub async fn bring(&self, world: &World, text: &str) -> (gatehouse_domain::import::Import, Vec<Rejected>) {
        let mut lines = lines(text, self.format);
        let mut importing = begin(world, self.slug, self.on_conflict, self.mode).await;
        let mut rejected = Vec::new();
        while let Some(more) = step(world, &mut importing, &mut lines).await {
            rejected.extend(more);
        }
        (world.app.imports().finish(importing).await.unwrap(), rejected)
    }
}

async fn export(world: &World, slug: &str, format: Format, password_hashes: bool) -> String {
    let tenant = reference(world, slug).await;
    let file = UserFile { format, password_hashes };
    let grant = authorize(&Arc::new(Actor::System(SystemReason::Cli)), &Area::Tenant(tenant)).unwrap();
    let mut export = world
        .app
        .exports()
        .begin(&grant, tenant.id, password_hashes, ChangeContext::at(world.app.env().now()))
        .await
        .unwrap();
    let mut text = file.head();
    loop {
        let users = world.app.exports().next(&mut export).await.unwrap();
        if users.is_empty() {
            return text;
        }
        text.extend(users.iter().map(|user| file.line(user)));
    }
}

pub fn counts(created: u64, updated: u64, skipped: u64, rejected: u64) -> Counts {
    Counts { created, updated, skipped, rejected }
}

/// So many users, a line for each.
pub fn many(n: usize) -> String {
    (0..n).map(|i| format!("{{\"username\":\"user{i}\",\"email\":\"user{i}@mail.example\"}}\n")).collect()
}

/// Line and `field: code` of every fault.
pub fn why(rejected: &[Rejected]) -> Vec<(u64, Vec<String>)> {
    let fault = |line: &Rejected| line.faults.iter().map(|f| format!("{}: {}", f.field, f.code)).collect();
    rejected.iter().map(|line| (line.line, fault(line))).collect()
}

async fn users(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM users WHERE email LIKE '%@mail.example'").await
}

pub async fn user(world: &World, boss: &Signed, tenant: &Tenant, name: &str) -> Value {
    let list = world.get(&format!("/tenants/{}/users?per_page=200", tenant.id)).bearer(boss).send().await.expect(200);
    let all = list.json()["data"].as_array().unwrap().clone();
    all.into_iter().find(|user| user["username"] == json!(name)).unwrap()
}

api_tests! {
    async fn users_come_with_their_passwords_and_sign_in(world) {
        world.tenant("acme").await;
        let ada = json!({"username": "ada", "email": "ada@mail.example", "password_hash": DJANGO});
        let eve = json!({"username": "eve", "email": "eve@mail.example", "password_hash": DJANGO, "status": "SUSPENDED"});
        let bob = json!({"username": "bob", "email": "bob@mail.example"});
        let done = ACME.run(&world, &format!("{ada}\n\n{eve}\n{bob}")).await;
        assert_eq!(done, (counts(3, 0, 0, 0), vec![]));
        world.try_login("acme", "ada", "correct horse").await.expect(200);
        world.try_login("acme", "eve", "correct horse").await.expect(401);
        world.try_login("acme", "bob", "correct horse").await.expect(401);
    }

    async fn user_who_came_in_a_file_is_found_by_the_name_of_now(world) {
        let tenant = world.tenant("acme").await;
        let find = async |word: &str| {
            let path = format!("/tenants/{}/users?search={word}", tenant.id);
            world.get(&path).bearer(world.admin().await).send().await.expect(200).total()
        };
        let line = |name: &str| json!({"username": "ada", "email": "ada@acme.example", "display_name": name}).to_string();
        ACME.run(&world, &line("Countess Lovelace")).await;
        assert_eq!((find("ada").await, find("lovel").await), (1, 1));
        Import { on_conflict: OnConflict::Update, ..ACME }.run(&world, &line("Countess King")).await;
        assert_eq!((find("king").await, find("lovel").await), (1, 0));
    }

    async fn user_is_what_the_line_says(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let boss = world.login(&boss).await;
        let line = json!({
            "username": "ada", "email": "Ada@mail.example", "email_verified": true, "display_name": "Ada", "phone": "+34 600 000",
            "attributes": {"department": "sales"}, "created_at": "2020-02-03T04:05:06Z",
        });
        ACME.run(&world, &line.to_string()).await;
        let ada = user(&world, &boss, &tenant, "ada").await;
        for (field, value) in line.as_object().unwrap().iter().filter(|(name, _)| *name != "created_at") {
            assert_eq!(&ada[field], value, "{field}");
        }
        assert_eq!((&ada["status"], &ada["created_at"]), (&json!("INVITED"), &json!("2020-02-03T04:05:06.000000Z")));
    }

    async fn faulty_lines_are_rejected_with_every_fault_and_the_others_come(world) {
        world.tenant("acme").await;
        let text = [
            json!({"username": "ada", "email": "ada@mail.example"}).to_string(),
            json!({"username": "a b", "email": "nonsense", "password_hash": "secret", "status": "GONE"}).to_string(),
            "not json".to_owned(),
            json!({"username": "eve", "role": "super_admin", "created_at": "3000-01-01T00:00:00Z"}).to_string(),
            json!({"username": "eve", "email": "eve@mail.example", "created_at": "3000-01-01T00:00:00Z"}).to_string(),
            format!("{{\"username\": \"{}\"}}", "x".repeat(70_000)),
            json!({"username": "bob", "email": "bob@mail.example", "attributes": {"a": [1]}}).to_string(),
            "{\"username\":\"twice\",\"username\":\"twice\",\"email\":\"twice@mail.example\"}".to_owned(),
            json!({"username": "zoe", "email": "zoe@mail.example"}).to_string(),
        ];
        let (done, rejected) = ACME.run(&world, &text.join("\n")).await;
        assert_eq!(done, counts(2, 0, 0, 7));
        let expected: [(u64, &[&str]); 7] = [
            (2, &["username: username_characters", "email: email_parsing", "status: enum", "password_hash: password_hash_format"]),
            (3, &[": json_invalid"]),
            (4, &["email: missing", "role: extra_forbidden"]),
            (5, &["created_at: date_in_future"]),
            (6, &[": line_too_long"]),
            (7, &["attributes: string_type"]),
            (8, &["username: duplicate_key"]),
        ];
        assert_eq!(why(&rejected), expected.map(|(line, faults)| (line, faults.iter().map(ToString::to_string).collect::<Vec<_>>())));
        assert_eq!(users(&world).await, 2);
    }

    async fn taken_names_are_rejected_passed_over_or_changed(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        ACME.run(&world, &many(2)).await;
        let text = json!({"username": "USER0", "email": "new@mail.example", "display_name": "New"}).to_string();
        let (done, rejected) = ACME.run(&world, &text).await;
        assert_eq!((done, why(&rejected)), (counts(0, 0, 0, 1), vec![(1, vec!["username: already_registered".to_owned()])]));
        let skip = Import { on_conflict: OnConflict::Skip, ..ACME };
        assert_eq!(skip.run(&world, &text).await.0, counts(0, 0, 1, 0));
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        assert_eq!(update.run(&world, &text).await.0, counts(0, 1, 0, 0));
        assert_eq!(update.run(&world, &text).await.0, counts(0, 0, 1, 0), "it is so already");
        let changed = user(&world, &boss, &tenant, "USER0").await;
        assert_eq!((&changed["email"], &changed["display_name"]), (&json!("new@mail.example"), &json!("New")));
        let both = json!({"username": "user0", "email": "user1@mail.example"}).to_string();
        assert_eq!(update.run(&world, &both).await.0, counts(0, 0, 0, 1), "two users at once");
    }

    async fn name_that_comes_twice_in_a_file_is_taken_the_second_time(world) {
        world.tenant("acme").await;
        let text = format!("{}{}", many(1), json!({"username": "other", "email": "USER0@mail.example", "phone": "12345"}));
        for (on_conflict, expected) in [
            (OnConflict::Fail, counts(1, 0, 0, 1)),
            (OnConflict::Skip, counts(0, 0, 2, 0)),
            (OnConflict::Update, counts(0, 1, 1, 0)),
        ] {
            assert_eq!(Import { on_conflict, ..ACME }.run(&world, &text).await.0, expected, "{on_conflict}");
        }
    }

    async fn who_administers_is_not_changed_by_a_file(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let text = json!({"username": "boss", "email": "thief@mail.example", "password_hash": DJANGO}).to_string();
        let (done, rejected) = Import { on_conflict: OnConflict::Update, ..ACME }.run(&world, &text).await;
        assert_eq!((done.rejected, why(&rejected)), (1, vec![(1, vec!["username: administers".to_owned()])]));
        world.login(&boss).await;
    }

    async fn password_of_somebody_who_has_signed_in_here_is_not_replaced(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.login(&ada).await;
        let text = json!({"username": "ada", "email": "ada@acme.example", "password_hash": DJANGO}).to_string();
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        assert_eq!(update.run(&world, &text).await.0, counts(0, 0, 1, 0));
        world.login(&ada).await;
    }

    async fn suspending_by_a_file_ends_sessions(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        let text = json!({"username": "ada", "email": "ada@acme.example", "status": "SUSPENDED"}).to_string();
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        assert_eq!(update.run(&world, &text).await.0, counts(0, 1, 0, 0));
        assert_eq!(world.me(&ada).await, 401);
    }

    async fn limit_of_the_tenant_lets_exactly_as_many_in(world) {
        let tenant = world.tenant("acme").await;
        let path = format!("/admin/partners/{}", tenant.partner_id);
        world.patch(&path).bearer(world.admin().await).json(json!({"max_users_per_tenant": 700})).send().await.expect(200);
        for mode in [Mode::DryRun, Mode::Real] {
            let (done, rejected) = Import { mode, ..ACME }.run(&world, &many(1_200)).await;
            assert_eq!(done, counts(700, 0, 0, 500), "{mode:?}");
            assert!(why(&rejected).iter().all(|(_, faults)| faults == &[": limit_reached"]));
        }
        assert_eq!(users(&world).await, 700);
    }

    async fn dry_run_says_what_would_come_of_it_and_leaves_nothing(world) {
        world.tenant("acme").await;
        let text = format!("{}not json\n{}", many(600), many(1));
        let dry = Import { mode: Mode::DryRun, ..ACME }.run(&world, &text).await;
        let left = world.number("SELECT COUNT(*) FROM audit_events WHERE action LIKE 'user%imp%'").await;
        assert_eq!((users(&world).await, left), (0, 0));
        assert_eq!(world.number("SELECT COUNT(*) FROM user_imports").await, 0);
        assert_eq!(dry, ACME.run(&world, &text).await);
        assert_eq!(dry.0, counts(600, 0, 0, 2));
    }

    async fn import_that_was_stopped_goes_on_behind_the_last_batch(world) {
        world.tenant("acme").await;
        let text = format!("not json\n{}", many(1_200));
        let mut input = lines(&text, Format::Ndjson);
        let mut stopped = begin(&world, "acme", OnConflict::Fail, Mode::Real).await;
        for _ in 0..2 {
            step(&world, &mut stopped, &mut input).await.unwrap();
        }
        let mut on = begin(&world, "acme", OnConflict::Fail, Mode::Real).await;
        assert_eq!(on.import(), stopped.import());
        assert_eq!(on.import().digest, input.digest());
        assert_eq!(why(&world.app.imports().rejected_lines(&on, 0).await.unwrap()), [(1, vec![": json_invalid".to_owned()])]);
        while step(&world, &mut on, &mut input).await.is_some() {}
        assert_eq!(world.app.imports().finish(on).await.unwrap().counts, counts(1_200, 0, 0, 1));
        assert_eq!(users(&world).await, 1_200);
        assert_eq!(world.number("SELECT COUNT(*) FROM user_import_rejects").await, 1, "for a week");
        // Whoever was thought to be dead comes too late.
        let late = world.app.imports().take_batch(&mut stopped, vec![], vec![]).await;
        assert!(matches!(late, Err(gatehouse_server::app::Error::Stale)), "{late:?}");
    }

    async fn import_that_was_stopped_is_given_up_only_when_that_is_said(world) {
        world.tenant("acme").await;
        let tenant = reference(&world, "acme").await;
        let first = begin(&world, "acme", OnConflict::Fail, Mode::Real).await;
        let imports = world.app.imports();
        let begin = |on_conflict, anew| imports.begin(tenant, on_conflict, Mode::Real, anew, SystemReason::Cli);
        let other = begin(OnConflict::Skip, false).await;
        assert!(matches!(other, Err(gatehouse_server::app::Error::Conflict(_))), "{other:?}");
        let anew = begin(OnConflict::Skip, true).await.unwrap();
        assert_ne!(anew.import().id, first.import().id);
        let events = world.text("SELECT action FROM audit_events WHERE action LIKE 'user_import.%' ORDER BY id").await;
        assert_eq!(events, ["user_import.started", "user_import.cancelled", "user_import.started"]);
    }

    async fn trail_has_every_user_who_came_and_the_import_itself(world) {
        world.tenant("acme").await;
        ACME.run(&world, &many(3)).await;
        let count = async |action: &str| {
            world.number(format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}' AND reason = 'cli'")).await
        };
        for (action, n) in [("user.imported", 3), ("user_import.started", 1), ("user_import.completed", 1)] {
            assert_eq!(count(action).await, n, "{action}");
        }
        export(&world, "acme", Format::Csv, true).await;
        assert_eq!(count("user.exported").await, 1);
        let secrets = "SELECT COUNT(*) FROM audit_events WHERE changes LIKE '%$argon2%' OR changes LIKE '%pbkdf2%'";
        assert_eq!(world.number(secrets).await, 0);
    }

    async fn what_is_exported_comes_back_as_it_was(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "registered").await;
        let ada = json!({
            "username": "ada", "email": "ada@mail.example", "email_verified": true, "display_name": "=1+1, \"Ada\"", "phone": "+34 600 000",
            "attributes": {"department": "sales, \"north\""}, "created_at": "2020-02-03T04:05:06Z", "password_hash": DJANGO,
        });
        let bob = json!({"username": "bob", "email": "bob@mail.example", "display_name": "'+x", "status": "SUSPENDED"});
        ACME.run(&world, &format!("{ada}\n{bob}\n{}", many(600))).await;
        for (slug, format) in [("beta", Format::Ndjson), ("gamma", Format::Csv)] {
            world.tenant(slug).await;
            let text = export(&world, "acme", format, true).await;
            let (done, rejected) = Import { slug, format, ..ACME }.run(&world, &text).await;
            assert_eq!((done, why(&rejected)), (counts(603, 0, 0, 0), vec![]), "{slug}");
            let but_ids = |text: String| -> Vec<Value> {
                let line = |line: &str| -> Value {
                    let mut line: Value = serde_json::from_str(line).unwrap();
                    for name in ["id", "updated_at", "last_login_at"] {
                        line.as_object_mut().unwrap().remove(name);
                    }
                    line
                };
                let mut all: Vec<_> = text.lines().map(line).collect();
                all.sort_by_key(|user| user["username"].to_string());
                all
            };
            let [here, there] = [export(&world, "acme", Format::Ndjson, true).await, export(&world, slug, Format::Ndjson, true).await];
            assert_eq!(but_ids(here), but_ids(there), "{slug}");
            world.try_login(slug, "registered", crate::harness::PASSWORD).await.expect(200);
            world.try_login(slug, "ada", "correct horse").await.expect(200);
        }
    }

    async fn export_has_no_password_unless_it_is_asked_for(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        for format in [Format::Ndjson, Format::Csv] {
            let text = export(&world, "acme", format, false).await;
            assert!(text.contains("ada@acme.example") && !text.contains("argon2") && !text.contains("password"), "{text}");
            assert!(export(&world, "acme", format, true).await.contains("$argon2id$"));
        }
    }

    async fn batch_of_five_hundred_costs_a_dozen_statements(world) {
        world.tenant("acme").await;
        let mut input = lines(&many(BATCH), Format::Ndjson);
        let mut importing = begin(&world, "acme", OnConflict::Fail, Mode::Real).await;
        let before = world.app.db().statements().0;
        step(&world, &mut importing, &mut input).await.unwrap();
        let statements = world.app.db().statements().0 - before;
        assert!(statements <= 12, "{statements}");
    }

    async fn deleted_user_is_not_exported_and_leaves_the_name(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        world.delete(&format!("/admin/users/{}", ada.id)).bearer(world.admin().await).send().await.expect(204);
        assert_eq!(export(&world, "acme", Format::Ndjson, true).await, "");
        let text = json!({"username": "ada", "email": "ada@acme.example"}).to_string();
        assert_eq!(ACME.run(&world, &text).await.0, counts(1, 0, 0, 0));
    }

    async fn tenant_keeps_its_users_to_itself(world) {
        world.tenant("acme").await;
        world.tenant("beta").await;
        ACME.run(&world, &many(2)).await;
        assert_eq!(export(&world, "beta", Format::Ndjson, true).await, "");
        let update = Import { slug: "beta", on_conflict: OnConflict::Update, ..ACME };
        assert_eq!(update.run(&world, &many(2)).await.0, counts(2, 0, 0, 0), "the names are free there");
    }
}
