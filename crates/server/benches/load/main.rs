//! What requests cost, measured on the real server process from outside, beside the raw limit of the same machine in
//! the same minute.
//!
//! `cargo bench -p gatehouse-server --bench load` runs everything on SQLite and, where it is installed, on PostgreSQL;
//! `-- sqlite`, `-- postgres` choose one, `-- --rows 100000` chooses how many sessions the large tenant has (a million
//! unless told), `-- --only refresh` runs what has that word in its name. The server is told about huge pages as in the
//! image; `-- --no-tunables` measures a program that was told nothing.
//!
//! The figure to look at is CPU time of the server process per request, divided by that of a bare actix handler that
//! answers a small JSON object: steadier than throughput where others use the machine, too.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has nothing to report")]

mod client;
mod flood;
mod limits;
mod oauth;
mod process;
mod raw;
mod scenarios;
mod statements;

use gatehouse_persistence::testing::{Durability, Engine, Fresh};

/// The word that leaves the allocator as it is.
const NO_TUNABLES: &str = "--no-tunables";

/// What the command line asks for.
struct Options {
    engines: Vec<Engine>,
    rows: u64,
    only: Option<String>,
}

fn options() -> Options {
    let mut options = Options { engines: vec![], rows: 1_000_000, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "sqlite" => options.engines.push(Engine::Sqlite),
            "postgres" => options.engines.push(Engine::Postgres),
            "--rows" => options.rows = words.next().and_then(|n| n.parse().ok()).expect("--rows takes a number"),
            "--only" => options.only = words.next(),
            // What cargo itself passes, and what is read where a server is started.
            "--bench" | NO_TUNABLES => {}
            other => {
                eprintln!("unknown word {other}");
                std::process::exit(2);
            }
        }
    }
    if options.engines.is_empty() {
        options.engines = vec![Engine::Sqlite, Engine::Postgres];
    }
    options
}

fn main() {
    // The same program is the bare handler and the hashing loop that the server is compared with.
    match std::env::args().nth(1).as_deref() {
        Some("bare-handler") => return raw::bare_handler(),
        Some("hash-loop") => return raw::hash_loop(),
        _ => {}
    }
    let options = options();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let handler = raw::Bare::start().await;
        let bare = handler.measure(raw::Unit::Get, std::time::Duration::from_secs(3)).await;
        let hash = raw::measure_hash(std::time::Duration::from_secs(3));
        println!("bare actix JSON handler, 16 connections: {:.2} µs CPU, {:.0}/s", bare.cpu_micros, bare.per_second);
        println!(
            "argon2id 19 MiB, 2 passes, memory reused, two threads: {:.2} ms CPU each, {:.0}/s together",
            hash.cpu_micros / 1e3,
            hash.per_second
        );
        for engine in &options.engines {
            match Fresh::with(*engine, Durability::Full) {
                Some(fresh) => scenarios::run(*engine, &fresh, &options, &handler).await,
                None => println!("{engine:?}: not installed"),
            }
        }
    });
}
