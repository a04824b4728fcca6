//! The raw limits: a handler that does nothing, and a hash that is nothing but a hash.

use std::{
    io::Write,
    process::Command,
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpServer, get, post,
    web::{Bytes, Json},
};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::Serialize;

use crate::{
    client::{self, closed_loop},
    process::{Process, cpu_of},
};

/// A raw limit.
pub struct Limit {
    pub cpu_micros: f64,
    pub per_second: f64,
}

#[derive(Serialize)]
struct Small {
    ok: bool,
    name: &'static str,
}

#[get("/x")]
async fn small() -> Json<Small> {
    Json(Small { ok: true, name: "hello" })
}

/// The same, once the body of the request has been read.
#[post("/x")]
async fn posted(_: Bytes) -> Json<Small> {
    Json(Small { ok: true, name: "hello" })
}

fn number_argument() -> u16 {
    std::env::args().nth(2).and_then(|port| port.parse().ok()).expect("a number")
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Serves nothing but a small JSON object.
pub fn bare_handler() {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(|| App::new().service(small).service(posted))
            .workers(2)
            .bind(("127.0.0.1", number_argument()))
            .unwrap();
        say("ready");
        server.run().await.unwrap();
    });
}

/// Hashes on two threads for some milliseconds, and says how often and at what cost.
pub fn hash_loop() {
    let time = Duration::from_millis(number_argument().into());
    let barrier = Arc::new(Barrier::new(3));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                let params = Params::new(19_456, 2, 1, None).unwrap();
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut memory = vec![Block::default(); 19_456];
                let mut out = [0; 32];
                let (password, salt) = (b"mountain otter juggles", b"saltsaltsaltsalt");
                let mut hash = || argon2.hash_password_into_with_memory(password, salt, &mut out, &mut memory).unwrap();
                hash();
                barrier.wait();
                let (began, mut n) = (Instant::now(), 0u64);
                while began.elapsed() < time {
                    hash();
                    n += 1;
                }
                barrier.wait();
                // A thread that has ended is no longer counted.
                barrier.wait();
                n
            })
        })
        .collect();
    barrier.wait();
    let before = cpu_of("self");
    barrier.wait();
    let cpu = cpu_of("self") - before;
    barrier.wait();
    let n: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    say(&format!("{n} {}", cpu.as_micros()));
}

/// What the requests are like that the bare handler answers.
#[derive(Clone, Copy)]
pub enum Unit {
    /// A GET.
    Get,
    /// A POST with a small form.
    Post,
}

impl Unit {
    fn request(self) -> Vec<u8> {
        match self {
            Self::Get => client::request("GET", "/x", None, "", ""),
            Self::Post => {
                client::post_form("/x", "", &[("grant_type", "refresh_token"), ("refresh_token", "0123456789")])
            }
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The bare handler, running beside.
pub struct Bare(Process);

impl Bare {
    /// Starts it, and warms it up.
    pub async fn start() -> Self {
        let bare = Self(Process::own("bare-handler"));
        bare.measure(Unit::Get, Duration::from_secs(1)).await;
        bare
    }

    /// What a request costs it now.
    pub async fn measure(&self, unit: Unit, time: Duration) -> Limit {
        let request = unit.request();
        let before = self.0.cpu();
        let load = closed_loop(self.0.port, vec![(); 16], time, move |(), _| request.clone()).await;
        let requests = load.latencies.len() as f64;
        Limit {
            cpu_micros: (self.0.cpu() - before).as_micros() as f64 / requests,
            per_second: requests / load.elapsed.as_secs_f64(),
        }
    }
}

/// What a signature with RSA of 2,048 bits takes, in microseconds of CPU.
pub fn measure_rsa(time: Duration) -> f64 {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (random, mut signature) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
    let (began, before, mut n) = (Instant::now(), cpu_of("self"), 0.0);
    while began.elapsed() < time {
        key.sign(&RSA_PKCS1_SHA256, &random, b"a token", &mut signature).unwrap();
        n += 1.0;
    }
    (cpu_of("self") - before).as_micros() as f64 / n
}

pub fn measure_hash(time: Duration) -> Limit {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["hash-loop", &time.as_millis().to_string()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_ascii_whitespace().map(|word| word.parse::<f64>().unwrap());
    let (hashes, cpu) = (words.next().unwrap(), words.next().unwrap());
    Limit { cpu_micros: cpu / hashes, per_second: hashes / time.as_secs_f64() }
}
