//! The scenarios.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use gatehouse_domain::{
    authz::SystemReason,
    id::{TenantId, UserId},
    issue::Parse,
};
use gatehouse_persistence::{
    Db,
    testing::{Engine, Fresh, analyze, fill_sessions},
};
use gatehouse_server::env::Env;

use crate::{
    Options,
    client::{Answer, Connection, Load, closed_loop, field, get, login, optional_field, post_json, request},
    flood, limits, oauth,
    process::Process,
    raw::{Bare, Unit, measure_hash},
    statements,
};

pub const PASSWORD: &str = "mountain otter juggles 42 lamps";
/// What is compared is measured in turns, and the median counts: other users of the machine change what a request costs
/// from second to second.
const TURNS: usize = 5;
pub const TURN: Duration = Duration::from_millis(800);
const BARE_TURN: Duration = Duration::from_millis(400);

/// Everything a scenario needs.
pub struct Bench<'a> {
    pub server: Process,
    pub db: Db,
    pub admin: String,
    pub bare: &'a Bare,
    only: Option<&'a str>,
}

/// What a request costs the server.
pub struct Cost {
    /// Its CPU time in units of the bare handler's.
    pub ratio: f64,
    /// Its CPU time in microseconds.
    pub micros: f64,
    /// What 99 of 100 requests did not wait longer for, in milliseconds.
    pub p99: f64,
}

impl Bench<'_> {
    pub fn wanted(&self, name: &str) -> bool {
        self.only.is_none_or(|word| name.contains(word))
    }

    /// Runs a load in turns between those of the bare handler, after one to warm up, and prints what it cost.
    pub async fn measure<S: Clone + Send + 'static>(
        &self,
        name: &str,
        states: Vec<S>,
        next: impl Fn(&mut S, Option<&Answer>) -> Vec<u8> + Clone + Send + 'static,
    ) -> Option<Cost> {
        self.measure_as(Unit::Get, name, states, async || {}, next).await
    }

    /// The same beside another kind of request; `prepare` comes before each turn, and is not measured.
    pub async fn measure_as<S: Clone + Send + 'static>(
        &self,
        unit: Unit,
        name: &str,
        states: Vec<S>,
        prepare: impl AsyncFn(),
        next: impl Fn(&mut S, Option<&Answer>) -> Vec<u8> + Clone + Send + 'static,
    ) -> Option<Cost> {
        if !self.wanted(name) {
            return None;
        }
        let connections = states.len();
        prepare().await;
        closed_loop(self.server.port, states.clone(), TURN, next.clone()).await;
        let (mut load, mut cpu, mut ratios) = (Load::default(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            prepare().await;
            let bare_before = self.bare.measure(unit, BARE_TURN).await.cpu_micros;
            let before = self.server.cpu();
            let turn = closed_loop(self.server.port, states.clone(), TURN, next.clone()).await;
            let cpu_of_turn = (self.server.cpu() - before).as_micros() as f64 / turn.latencies.len() as f64;
            let bare_after = self.bare.measure(unit, BARE_TURN).await.cpu_micros;
            ratios.push(2.0 * cpu_of_turn / (bare_before + bare_after));
            cpu.push(cpu_of_turn);
            load.follow(turn);
        }
        let [[_, micros, _], [_, ratio, _]] = [cpu, ratios].map(|mut values| quartiles(&mut values));
        let (median, tail) = (load.percentile(0.5), load.percentile(0.99));
        println!(
            "  {name:<44} {connections:>3} conn {:>8.0}/s  {micros:>9.1} µs CPU = {:>7.2} × bare {}  p50 {:>8.2} ms  p99 {:>8.2} ms  {:?}",
            load.latencies.len() as f64 / load.elapsed.as_secs_f64(),
            ratio,
            unit.name(),
            median.as_secs_f64() * 1e3,
            tail.as_secs_f64() * 1e3,
            load.statuses
        );
        Some(Cost { ratio, micros, p99: tail.as_secs_f64() * 1e3 })
    }

    /// One request, timed.
    pub async fn once(&self, name: &str, request: &[u8]) -> Answer {
        let mut connection = Connection::open(self.server.port).await;
        let began = Instant::now();
        let answer = connection.send(request).await;
        println!("  {name:<44} {:>8.2} ms  status {}", began.elapsed().as_secs_f64() * 1e3, answer.status);
        answer
    }

    pub async fn call(&self, request: &[u8]) -> Answer {
        Connection::open(self.server.port).await.send(request).await
    }

    /// Signs somebody in.
    pub async fn sign_in(&self, tenant: &str, username: &str) -> (String, String) {
        let answer = self.call(&login(tenant, username, PASSWORD)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (field(&answer.body, "access_token"), field(&answer.body, "refresh_token"))
    }

    /// Makes a tenant with one user, and fills it with sessions.
    pub async fn tenant(&self, slug: &str, sessions: u64) -> TenantId {
        let partner = self.call(&get("/api/v1/admin/partners", &self.admin)).await;
        let partner = field(&partner.body, "id");
        // Settings that let a single user have them all.
        let body = format!(
            r#"{{"name":"{slug}","slug":"{slug}","partner_id":"{partner}","settings":{{"registration":"open","max_sessions_per_user":10000}}}}"#
        );
        let tenant = self.call(&post_json("/api/v1/admin/tenants", Some(&self.admin), &body)).await;
        assert_eq!(tenant.status, 201, "{}", tenant.body);
        let tenant = TenantId::parse(&field(&tenant.body, "id")).unwrap();
        let owner = self.register(slug, "owner").await;
        if sessions > 0 {
            let user = self.db.system(SystemReason::Cli).user(owner).await.unwrap().unwrap();
            fill_sessions(&self.db, &user, sessions, Env::system().now()).await.unwrap();
        }
        tenant
    }

    pub async fn register(&self, tenant: &str, username: &str) -> UserId {
        let body = format!(r#"{{"username":"{username}","email":"{username}@example.com","password":"{PASSWORD}"}}"#);
        let answer = self.call(&post_json(&format!("/api/v1/auth/tenants/{tenant}/register"), None, &body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        UserId::parse(&field(&answer.body, "id")).unwrap()
    }
}

/// Runs everything on one database.
pub async fn run(engine: Engine, fresh: &Fresh, options: &Options, bare: &Bare) {
    println!("\n{engine:?}");
    let folder = std::env::temp_dir().join(format!("gatehouse-bench-{}-{engine:?}", std::process::id()));
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&folder).unwrap();
    let server = Process::server(&fresh.target, &folder);
    println!("  ready after {} ms, {:.1} MiB resident", server.ready.as_millis(), server.rss_mib());
    let db = fresh.connect().await;
    let mut bench = Bench { server, db, admin: String::new(), bare, only: options.only.as_deref() };
    bench.admin = bench.sign_in("default", "admin").await.0;
    hot(&bench, fresh, &folder).await;
    sign_ins(&bench, fresh).await;
    if bench.only.is_none_or(|word| word.starts_with("oauth")) {
        oauth::run(&mut bench, fresh, &folder).await;
    }
    if bench.wanted("list") || bench.wanted("stats") || bench.wanted("revoke") {
        lists(&mut bench, options.rows, fresh, &folder).await;
    }
    if bench.wanted("flood") {
        flood::run(&bench).await;
    }
    if bench.wanted("limits") {
        limits::run(&mut bench, fresh, &folder).await;
    }
    println!("  {:.1} MiB resident at the end", bench.server.rss_mib());
    drop(bench);
    drop(std::fs::remove_dir_all(&folder));
}

/// What warm requests cost.
async fn hot(bench: &Bench<'_>, fresh: &Fresh, folder: &std::path::Path) {
    bench.tenant("hot", 0).await;
    let mut token = String::new();
    for _ in 0..10 {
        token = bench.sign_in("hot", "owner").await.0;
    }
    let me = get("/api/v1/me", &token);
    bench.measure("me", vec![(); 16], move |(), _| me.clone()).await;
    let sessions = get("/api/v1/me/sessions", &token);
    let name = "me/sessions, 10 of them";
    if bench.measure(name, vec![(); 16], move |(), _| sessions.clone()).await.is_some() {
        let heard = statements::of_request(&fresh.target, folder, "/api/v1/me/sessions", &token).await;
        statements::measure(&fresh.target, name, heard).await;
    }
}

async fn sign_ins(bench: &Bench<'_>, fresh: &Fresh) {
    if bench.wanted("refresh") {
        statements::measure_durable_write(&fresh.target).await;
    }
    for connections in [16, 64] {
        if !bench.wanted("refresh") {
            break;
        }
        let mut tokens = Vec::new();
        for _ in 0..connections {
            tokens.push(bench.sign_in("hot", "owner").await.1);
        }
        // Every connection goes on with the chain of its own session; each turn must hand the last token on.
        let chains: Vec<_> = tokens.into_iter().map(|token| Arc::new(std::sync::Mutex::new(token))).collect();
        bench
            .measure("refresh, durable", chains, |chain, answer| {
                let mut token = chain.lock().unwrap();
                if let Some(answer) = answer {
                    *token = field(&answer.body, "refresh_token");
                }
                post_json("/api/v1/auth/tenants/hot/refresh", None, &format!(r#"{{"refresh_token":"{token}"}}"#))
            })
            .await;
    }
    if !bench.wanted("login") {
        return;
    }
    bench.measure("login", vec![(); 8], sign_in).await;
    beside_hash(bench, "login CPU", vec![(); 8], sign_in).await;
}

/// Measures what hashes a password in turns with the bare hash, and prints the one in units of the other.
///
/// The hash lives on memory bandwidth, and what the machine's other users leave of that changes by more than what is to
/// be measured. A short turn between two of the bare hash sees the same of it, and the median of many turns leaves out
/// those in which it changed.
pub async fn beside_hash<S: Clone + Send + 'static>(
    bench: &Bench<'_>,
    name: &str,
    states: Vec<S>,
    next: impl Fn(&mut S, Option<&Answer>) -> Vec<u8> + Clone + Send + 'static,
) {
    const TURNS: usize = 24;
    let mut hash_before = measure_hash(TURN).cpu_micros;
    let (mut cpu, mut hash_cpu, mut ratios) = (Vec::new(), vec![hash_before], Vec::new());
    let mut statuses = BTreeMap::new();
    for _ in 0..TURNS {
        let before = bench.server.cpu();
        let load = closed_loop(bench.server.port, states.clone(), TURN, next.clone()).await;
        let micros = (bench.server.cpu() - before).as_micros() as f64 / load.latencies.len() as f64;
        let hash_after = measure_hash(TURN).cpu_micros;
        ratios.push(2.0 * micros / (hash_before + hash_after));
        cpu.push(micros);
        hash_cpu.push(hash_after);
        hash_before = hash_after;
        for (status, n) in load.statuses {
            *statuses.entry(status).or_insert(0) += n;
        }
    }
    let [low, middle, high] = quartiles(&mut ratios);
    println!(
        "  {name:<44} {:.0} µs = {middle:.3} × the bare hash of {:.0} µs; half of {TURNS} turns from {low:.3} to {high:.3}  {statuses:?}",
        quartiles(&mut cpu)[1],
        quartiles(&mut hash_cpu)[1],
    );
}

pub fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn sign_in((): &mut (), _: Option<&Answer>) -> Vec<u8> {
    login("hot", "owner", PASSWORD)
}

async fn lists(bench: &mut Bench<'_>, rows: u64, fresh: &Fresh, folder: &std::path::Path) {
    let began = Instant::now();
    let small = bench.tenant("small", 1_000).await;
    let large = bench.tenant("large", rows).await;
    // PostgreSQL looks at what is there by itself, after a while; SQLite does not.
    if !bench.db.is_sqlite() {
        analyze(&bench.db).await.unwrap();
    }
    println!("  {rows} sessions made in {:.0} s", began.elapsed().as_secs_f64());

    let last = rows / 50 / 2;
    let mut first = 0.0;
    for (name, tenant, query) in [
        ("list of 50 of 1,000, first page".to_owned(), small, String::new()),
        (format!("list of 50 of {rows}, first page"), large, String::new()),
        (format!("list of 50 of {rows}, page {last}"), large, format!("?page={last}")),
    ] {
        let request = get(&format!("/api/v1/tenants/{tenant}/sessions{query}"), &bench.admin);
        if let Some(cost) = bench.measure(&name, vec![(); 16], move |(), _| request.clone()).await {
            if first == 0.0 {
                first = cost.ratio;
            }
            println!("  {:<44} {:.2} × the first page of 1,000", "", cost.ratio / first);
            let path = format!("/api/v1/tenants/{tenant}/sessions{query}");
            let heard = statements::of_request(&fresh.target, folder, &path, &bench.admin).await;
            statements::measure(&fresh.target, &name, heard).await;
        }
    }
    let walk = get(&format!("/api/v1/tenants/{large}/sessions"), &bench.admin);
    let (path, token) = (format!("/api/v1/tenants/{large}/sessions"), bench.admin.clone());
    bench
        .measure(&format!("list of 50 of {rows}, by cursor"), vec![(); 16], move |(), answer| {
            match answer.and_then(|answer| optional_field(&answer.body, "next_cursor")) {
                Some(cursor) => get(&format!("{path}?cursor={cursor}"), &token),
                None => walk.clone(),
            }
        })
        .await;
    let filtered = get(&format!("/api/v1/tenants/{large}/sessions?device_type=mobile"), &bench.admin);
    bench.measure(&format!("list of 50 of {rows}, by device"), vec![(); 16], move |(), _| filtered.clone()).await;
    let stats = get(&format!("/api/v1/tenants/{large}/sessions/stats"), &bench.admin);
    bench.measure(&format!("stats of {rows}"), vec![(); 2], move |(), _| stats.clone()).await;
    if bench.wanted("revoke") {
        let tenant = bench.tenant("revoked", 10_000).await;
        let all = request("POST", &format!("/api/v1/tenants/{tenant}/sessions/revoke-all"), Some(&bench.admin), "", "");
        let answer = bench.once("revoke 10,000 sessions of a tenant", &all).await;
        assert!(
            answer.body.contains("\"revoked_count\":10001") || answer.body.contains("\"revoked_count\":10000"),
            "{:.200}",
            answer.body
        );
    }
    if bench.only.is_none() {
        // Memory and start with everything in place.
        bench.server = restart(bench, fresh, folder);
        println!(
            "  ready after {} ms with {rows} sessions, {:.1} MiB resident",
            bench.server.ready.as_millis(),
            bench.server.rss_mib()
        );
        bench.admin = bench.sign_in("default", "admin").await.0;
    }
}

pub fn restart(bench: &mut Bench<'_>, fresh: &Fresh, folder: &std::path::Path) -> Process {
    bench.server.stop();
    Process::server(&fresh.target, folder)
}
