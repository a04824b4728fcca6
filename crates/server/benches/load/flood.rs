//! A flood of sign-ins beside ordinary traffic: how much of it the others feel.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    client::{Connection, Load, get, login_from, post_json},
    raw::measure_hash,
    scenarios::{Bench, PASSWORD},
};

const TIME: Duration = Duration::from_secs(15);
const HASHING: Duration = Duration::from_secs(4);
/// Sign-ins offered, whether or not earlier ones have been answered.
const LOGINS_PER_SECOND: u32 = 200;
const OTHERS_PER_SECOND: u32 = 20;
/// Accounts that wrong passwords are tried on: so many that none of them is throttled.
const VICTIMS: u64 = 150;

/// Sends requests at fixed instants, each on a connection that is free.
pub async fn open_loop(
    port: u16,
    per_second: u32,
    time: Duration,
    request: impl Fn(u64) -> Vec<u8> + Send + 'static,
) -> Load {
    let pool = Arc::new(tokio::sync::Mutex::new(Vec::<Connection>::new()));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (began, mut tasks) = (Instant::now(), Vec::new());
    let mut serial = 0;
    while began.elapsed() < time {
        ticks.tick().await;
        serial += 1;
        let (bytes, pool) = (request(serial), Arc::clone(&pool));
        tasks.push(tokio::spawn(async move {
            let sent = Instant::now();
            let free = pool.lock().await.pop();
            let mut connection = match free {
                Some(connection) => connection,
                None => Connection::open(port).await,
            };
            let answer = connection.send(&bytes).await;
            let latency = sent.elapsed();
            pool.lock().await.push(connection);
            (answer.status, latency)
        }));
    }
    let mut load = Load { elapsed: began.elapsed(), ..Load::default() };
    for task in tasks {
        let (status, latency) = task.await.unwrap();
        load.latencies.push(latency);
        *load.statuses.entry(status).or_default() += 1;
    }
    load
}

type Request = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// The ordinary traffic. Every refresh is of a session of its own, so that each token is used once.
async fn others(bench: &Bench<'_>, token: &str) -> Vec<(&'static str, Request)> {
    let mut chains = Vec::new();
    for _ in 0..TIME.as_secs() * u64::from(OTHERS_PER_SECOND) + 2 {
        chains.push(bench.sign_in("calm", "owner").await.1);
    }
    let fixed = |path: &str, token: &str| -> Request {
        let request = get(path, token);
        Box::new(move |_| request.clone())
    };
    let refresh = move |n: u64| {
        let token = &chains[usize::try_from(n).unwrap() % chains.len()];
        post_json("/api/v1/auth/tenants/calm/refresh", None, &format!(r#"{{"refresh_token":"{token}"}}"#))
    };
    vec![
        ("healthz", fixed("/healthz", token)),
        ("me", fixed("/api/v1/me", token)),
        ("me/sessions", fixed("/api/v1/me/sessions", token)),
        ("admin/sessions", fixed("/api/v1/admin/sessions", &bench.admin)),
        ("refresh", Box::new(refresh)),
    ]
}

async fn beside(port: u16, others: Vec<(&'static str, Request)>) -> Vec<(&'static str, Load)> {
    let tasks: Vec<_> = others
        .into_iter()
        .map(|(name, request)| (name, tokio::spawn(open_loop(port, OTHERS_PER_SECOND, TIME, request))))
        .collect();
    let mut loads = Vec::new();
    for (name, task) in tasks {
        loads.push((name, task.await.unwrap()));
    }
    loads
}

/// Runs the flood and prints how the others fared with it and without.
pub async fn run(bench: &Bench<'_>) {
    bench.tenant("flood", 0).await;
    for n in 0..VICTIMS {
        bench.register("flood", &format!("victim{n}")).await;
    }
    bench.tenant("calm", 0).await;
    let token = bench.sign_in("calm", "owner").await.0;
    println!(
        "  flood: {LOGINS_PER_SECOND} sign-ins/s offered for {} s beside {OTHERS_PER_SECOND}/s of each other request",
        TIME.as_secs()
    );
    let calm = beside(bench.server.port, others(bench, &token).await).await;
    let ordinary = others(bench, &token).await;
    // How fast this machine hashes changes from minute to minute, so it is measured on both sides of the flood.
    let hashes_before = measure_hash(HASHING).per_second;
    let peak = Arc::new(AtomicU64::new(0));
    let before = bench.server.rss_mib();
    let flood = {
        let port = bench.server.port;
        tokio::spawn(open_loop(port, LOGINS_PER_SECOND, TIME, |n| match n % 3 {
            // From an address of its own each, or the limit per address would end the flood at once.
            0 => login_from(n, "flood", &format!("victim{}", n % VICTIMS), "not the right password"),
            1 => login_from(n, "flood", &format!("nobody{n}"), PASSWORD),
            _ => login_from(n, "flood", "owner", PASSWORD),
        }))
    };
    let watched = async {
        while !flood.is_finished() {
            peak.fetch_max(bench.server.rss_mib() as u64, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (stormy, ()) = tokio::join!(beside(bench.server.port, ordinary), watched);
    let mut logins = flood.await.unwrap();
    let hashes = (hashes_before + measure_hash(HASHING).per_second) / 2.0;
    for ((name, mut calm), (_, mut stormy)) in calm.into_iter().zip(stormy) {
        let (p, q) = (calm.percentile(0.99).as_secs_f64() * 1e3, stormy.percentile(0.99).as_secs_f64() * 1e3);
        println!(
            "    {name:<16} p99 {p:>7.2} ms calm, {q:>7.2} ms in the flood = {:>6.2} ×  {:?}",
            q / p,
            stormy.statuses
        );
    }
    let answered = logins.statuses.get(&200).unwrap_or(&0) + logins.statuses.get(&401).unwrap_or(&0);
    let (tail, slowest) = (logins.percentile(0.99), logins.percentile(1.0));
    println!(
        "    sign-ins         {:?}, {:.0}/s answered with a hash = {:.2} × the hash rate of {hashes:.0}/s, p99 {:.0} ms, slowest {:.0} ms",
        logins.statuses,
        answered as f64 / logins.elapsed.as_secs_f64(),
        answered as f64 / logins.elapsed.as_secs_f64() / hashes,
        tail.as_secs_f64() * 1e3,
        slowest.as_secs_f64() * 1e3
    );
    println!("    resident memory  {before:.0} MiB before, {} MiB at most", peak.load(Ordering::Relaxed));
}
