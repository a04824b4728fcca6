//! When something breaks: a handler that panics, a database that is gone. Nobody gets in that must not, nobody is
//! told to sign in anew, nothing is confirmed that did not happen, and nothing of the inside shows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpServer,
    web::{self, Data},
};
use futures_util::future::{LocalBoxFuture, join_all};
use gatehouse_persistence::{ChangeContext, Target};
use gatehouse_server::{
    app::{self, App},
    config::Database,
    http::{self, Site},
};
use serde_json::json;
use sqlx::{ConnectOptions, Executor, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Answer, Ending, PASSWORD, Person, Proxy, Signed, Victim, World, api_tests};

/// How soon everything works again once the database does.
pub const RECOVERY: Duration = Duration::from_secs(5);
/// How long anybody waits for the database: five seconds, and one for a machine that does other things, too.
pub const LONGEST: Duration = Duration::from_secs(6);
/// What no answer may show of the inside.
const INSIDE: &[&str] = &[
    "select",
    "update ",
    "insert",
    "sqlx",
    "sqlite",
    "postgres",
    "sea_orm",
    "relation",
    "no such table",
    "127.0.0.1",
    "/tmp",
    ".db",
    "pool",
    "panick",
    ".rs:",
    "gatehouse@",
    "gh_",
];

async fn panics(app: Data<App>, how: web::Path<String>) -> &'static str {
    let write = async |fails: bool| {
        let work = async move |_: &gatehouse_persistence::WriteTx<'_>| {
            assert!(!fails, "on purpose");
            Ok::<_, app::Error>(())
        };
        app.db().write(ChangeContext::at(app.env().now()), work).await.unwrap();
    };
    match how.as_str() {
        "never" => write(false).await,
        "in-a-transaction" => write(true).await,
        "at-once" => unreachable!("on purpose"),
        _ => {
            tokio::task::yield_now().await;
            unreachable!("on purpose")
        }
    }
    "fine"
}

/// The whole application with a handler that panics, behind a real socket and one worker.
fn serve_panics(world: &World) -> (actix_web::dev::ServerHandle, u16) {
    let (app, site) = (world.app.clone(), Arc::new(Site::new(&world.config, world.app.env())));
    let factory = move || http::service(app.clone(), Arc::clone(&site)).route("/panics/{how}", web::get().to(panics));
    let server = HttpServer::new(factory).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let port = server.addrs()[0].port();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (handle, port)
}

async fn fetch(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let n = stream.read(&mut bytes).await.unwrap();
        assert!(n > 0, "the connection ended: {text}");
        text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

#[track_caller]
fn assert_shows_nothing(text: &str) {
    let lower = text.to_lowercase();
    for word in INSIDE {
        assert!(!lower.contains(word), "{word} shows: {text}");
    }
}

/// Everything that needs the database, with a credential that is good.
pub struct Needs {
    victim: Victim,
    pub signed: Signed,
    /// Another session of the same user.
    beside: Signed,
    admin: Signed,
    other: Person,
}

impl Needs {
    pub async fn new(world: &World) -> Self {
        let victim = Victim::new(world, "acme").await;
        let other = world.person(&victim.tenant, "bob").await;
        let (signed, beside) = (victim.sign_in(world).await, victim.sign_in(world).await);
        Self { victim, signed, beside, admin: world.admin().await, other }
    }

    pub fn reads<'w>(&'w self, world: &'w World) -> Vec<(&'static str, LocalBoxFuture<'w, Answer>)> {
        let get =
            |path: &str, who: &Signed| -> LocalBoxFuture<'w, Answer> { Box::pin(world.get(path).bearer(who).send()) };
        let sessions = format!("/tenants/{}/sessions", self.victim.tenant.id);
        vec![
            ("GET /me", get("/me", &self.signed)),
            ("GET /me/sessions", get("/me/sessions", &self.signed)),
            ("GET /admin/sessions", get("/admin/sessions", &self.admin)),
            ("GET /tenants/…/sessions", get(&sessions, &self.admin)),
            ("GET /tenants/…/stats", get(&format!("{sessions}/stats"), &self.admin)),
            // Signed by nobody: whether it is one of ours cannot be said without the tenant's keys.
            ("GET /admin/users", get("/admin/users", &self.admin)),
        ]
    }

    pub fn writes<'w>(&'w self, world: &'w World) -> Vec<(&'static str, LocalBoxFuture<'w, Answer>)> {
        let id = self.signed.session();
        let json = |method: &str, path: &str, who: &Signed, body| -> LocalBoxFuture<'w, Answer> {
            let call = world.call(method.parse().unwrap(), path).bearer(who);
            Box::pin(call.json(body).send())
        };
        let register = json!({"username": "new", "email": "new@acme.example", "password": PASSWORD});
        vec![
            ("login", Box::pin(world.try_login("acme", "ada", PASSWORD))),
            ("wrong password", Box::pin(world.try_login("acme", "ada", "mountain otter juggles 43 lamps"))),
            ("refresh", Box::pin(world.refresh("acme", &self.signed.refresh))),
            ("logout", Box::pin(world.logout("acme", &self.signed.refresh))),
            ("register", json("POST", "/auth/tenants/acme/register", &self.admin, register)),
            ("own delete", Box::pin(world.delete(&format!("/me/sessions/{id}")).bearer(&self.signed).send())),
            ("own revoke all", Box::pin(world.post("/me/sessions/revoke-all").bearer(&self.signed).send())),
            ("admin delete", Box::pin(world.delete(&format!("/admin/sessions/{id}")).bearer(&self.admin).send())),
            (
                "suspend",
                json("PATCH", &format!("/admin/users/{}", self.other.id), &self.admin, json!({"status": "SUSPENDED"})),
            ),
            ("profile", json("PATCH", "/me", &self.signed, json!({"display_name": "Ada"}))),
        ]
    }

    /// Waits until nothing is answered from memory any more, which is what may happen for a second.
    pub async fn wait_until_forgotten(&self, world: &World) {
        let began = Instant::now();
        loop {
            let asked = began.elapsed();
            match world.me(&self.signed).await {
                503 => return,
                200 => assert!(asked <= Duration::from_secs(1), "let in from memory after {asked:?}"),
                other => unreachable!("{other}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Nothing was ended, spent or changed by what was refused.
    pub async fn assert_nothing_happened(&self, world: &World) {
        let began = Instant::now();
        let next = loop {
            let answer = world.refresh("acme", &self.signed.refresh).await;
            if answer.status == 200 {
                break Signed::of(&answer);
            }
            assert_eq!(answer.status, 503, "{}", answer.text);
            assert!(began.elapsed() < RECOVERY, "still unavailable");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        // Each connection of a pool may have to find out for itself.
        while world.me(&next).await == 503 {
            assert!(began.elapsed() < RECOVERY, "still unavailable");
        }
        world.refresh("acme", &self.beside.refresh).await.expect(200);
        let me = world.get("/me").bearer(&next).send().await.expect(200).data();
        assert_eq!(me["display_name"], json!(null));
        assert_eq!(world.me(&world.login(&self.other).await).await, 200);
        // And now it can be ended.
        let doomed = self.victim.doom(world, Ending::Logout).await;
        self.victim.end(world, Ending::Logout, &doomed).await;
        assert_eq!(world.me(&doomed.signed).await, 401);
    }
}

/// What a probe of readiness is told; in time, too.
pub async fn readiness(world: &World) -> u16 {
    let began = Instant::now();
    let status = world.get("//readyz").send().await.status;
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    status
}

/// Each is told to come again, and in time.
pub async fn assert_unavailable(calls: Vec<(&'static str, LocalBoxFuture<'_, Answer>)>) {
    // All at once: each may wait for a connection as long as requests may.
    let (names, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    let began = Instant::now();
    for (name, answer) in names.into_iter().zip(join_all(calls).await) {
        assert_eq!(answer.status, 503, "{name}: {}", answer.text);
        let answer = answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"), "{name}");
        assert_eq!(answer.header("www-authenticate"), None, "{name}");
        assert_shows_nothing(&answer.text);
    }
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
}

api_tests! {
    async fn handler_that_panics_costs_its_own_request_only(world) {
        let (handle, port) = serve_panics(&world);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        for how in ["at-once", "later", "in-a-transaction"] {
            // More often than there are workers or connections to a database.
            for _ in 0..10 {
                let answer = fetch(&mut stream, &format!("/panics/{how}")).await;
                assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
                assert!(answer.contains("application/problem+json") && answer.contains("\"code\":\"internal\""), "{answer}");
                assert!(answer.to_lowercase().contains("urn:gatehouse:request:"), "{answer}");
                assert!(!answer.contains("on purpose"), "{answer}");
                let next = fetch(&mut stream, "/panics/never").await;
                assert!(next.starts_with("HTTP/1.1 200"), "{next}");
            }
        }
        handle.stop(true).await;
    }

    async fn panic_in_a_transaction_costs_none_of_those_that_share_its_commit(world) {
        let write = async |fails: bool| {
            let work = async move |_: &gatehouse_persistence::WriteTx<'_>| {
                assert!(!fails, "on purpose");
                Ok::<_, app::Error>(())
            };
            world.app.db().write(ChangeContext::at(world.app.env().now()), work).await.is_ok()
        };
        let tasks = (0..40).map(|i| {
            let write = &write;
            async move {
                let fails = i % 4 == 0;
                let result = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(write(fails))).await;
                (fails, result.unwrap_or(false))
            }
        });
        for (fails, done) in join_all(tasks).await {
            assert_eq!(done, !fails);
        }
    }

    async fn database_that_is_gone_lets_nobody_in_signs_nobody_out_and_confirms_nothing(world) {
        let needs = Needs::new(&world).await;
        let proxied = match world.target() {
            Target::Sqlite(_) => None,
            Target::Postgres(url) => Some(Proxy::to(url.expose()).await),
        };
        let (mut proxy, url) = proxied.unzip();
        let on = world.replica(|config| {
            if let Some(url) = url {
                config.database = Database::Postgres(gatehouse_domain::secret::Secret::new(url));
            }
        }).await;
        assert_eq!((on.me(&needs.signed).await, on.me(&needs.admin).await), (200, 200));
        match &mut proxy {
            Some(proxy) => proxy.cut().await,
            None => on.app.db().close().await,
        }
        assert_eq!(on.get("//healthz").send().await.status, 200);
        assert_eq!(readiness(&on).await, 503);
        needs.wait_until_forgotten(&on).await;
        assert_unavailable(needs.reads(&on)).await;
        assert_unavailable(needs.writes(&on)).await;
        // A forged token is no better known than a good one: it is not let in, and that is all that can be said.
        let forged = on.get("/me").bearer("eyJhbGciOiJub25lIn0.e30.").send().await;
        assert!([401, 503].contains(&forged.status));
        if let Some(mut proxy) = proxy {
            proxy.mend().await;
            needs.assert_nothing_happened(&on).await;
        } else {
            needs.assert_nothing_happened(&world).await;
        }
    }

    async fn database_that_was_dropped_is_unavailable(world) {
        if world.app.db().is_sqlite() {
            return; // A file that is open cannot be taken away.
        }
        let needs = Needs::new(&world).await;
        assert_eq!(world.me(&needs.signed).await, 200);
        world.execute_on_server(format!("DROP DATABASE {} WITH (FORCE)", world.database_name())).await;
        needs.wait_until_forgotten(&world).await;
        assert_unavailable(needs.reads(&world)).await;
        assert_unavailable(needs.writes(&world)).await;
    }

    async fn database_that_takes_no_writes_confirms_none_and_goes_on_reading(world) {
        let needs = Needs::new(&world).await;
        if let Target::Sqlite(path) = world.target() {
            // Another program holds the file's one write lock for longer than anybody waits.
            let mut holder = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            holder.execute("BEGIN IMMEDIATE").await.unwrap();
            assert_eq!(world.me(&needs.signed).await, 200);
            assert_unavailable(needs.writes(&world)).await;
            assert_eq!(readiness(&world).await, 503);
            assert_eq!(world.get("/me/sessions").bearer(&needs.signed).send().await.status, 200);
            holder.execute("ROLLBACK").await.unwrap();
        } else {
            // As after a failover to a standby.
            let alter = format!("ALTER DATABASE {}", world.database_name());
            world.execute(format!("{alter} SET default_transaction_read_only = on")).await;
            let on = world.replica(|config| config.migrate = false).await;
            assert_eq!(on.me(&needs.signed).await, 200);
            assert_unavailable(needs.writes(&on)).await;
            assert_eq!(readiness(&on).await, 503);
            assert_eq!(on.get("/me/sessions").bearer(&needs.signed).send().await.status, 200);
            world.execute(format!("{alter} RESET default_transaction_read_only")).await;
        }
        needs.assert_nothing_happened(&world).await;
    }

    async fn damaged_schema_lets_nobody_in_and_signs_nobody_out(world) {
        let needs = Needs::new(&world).await;
        world.execute("ALTER TABLE sessions RENAME TO sessions_gone").await;
        let on = world.replica(|_| {}).await;
        for (name, call) in needs.reads(&on).into_iter().chain(needs.writes(&on)) {
            let answer = call.await;
            // Neither needs the table.
            if !matches!(name, "wrong password" | "register") {
                assert!(answer.status >= 500, "{name}: {} {}", answer.status, answer.text);
            }
            assert_shows_nothing(&answer.text);
        }
        world.execute("ALTER TABLE sessions_gone RENAME TO sessions").await;
    }

    async fn change_whose_event_cannot_be_written_does_not_happen(world) {
        let needs = Needs::new(&world).await;
        let sessions = world.number("SELECT COUNT(*) FROM sessions").await;
        world.execute("ALTER TABLE audit_events RENAME TO audit_events_gone").await;
        for (name, call) in needs.writes(&world) {
            let answer = call.await;
            assert!(answer.status >= 500, "{name}: {} {}", answer.status, answer.text);
            assert_shows_nothing(&answer.text);
        }
        // Reading goes on.
        for (name, call) in needs.reads(&world) {
            assert_eq!(call.await.status, 200, "{name}");
        }
        world.execute("ALTER TABLE audit_events_gone RENAME TO audit_events").await;
        assert_eq!(world.number("SELECT COUNT(*) FROM sessions").await, sessions);
        assert_eq!(world.number("SELECT COUNT(*) FROM users WHERE username = 'new'").await, 0);
        needs.assert_nothing_happened(&world).await;
    }
}
