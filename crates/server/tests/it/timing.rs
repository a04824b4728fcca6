//! Whether the time of an answer tells what an account is. This takes minutes and a machine that does nothing else, so it
//! is asked for: `cargo test -p gatehouse-server --test it timing -- --ignored --nocapture`

use std::time::Instant;

use gatehouse_domain::job::JobKind;
use gatehouse_persistence::testing::Engine;
use gatehouse_server::security::password::Cost;
use serde_json::json;

use crate::harness::{Tenant, World};

/// Of "correct horse", with 2^8 rounds.
const BCRYPT: &str = "$2b$08$abcdefghijklmnopqrstuubAvJmxpQuyV3jn7x.SUSPxe.DearCPe";
const UNKNOWN: &str = "unknown";

/// An account of each kind, but none with a hash of another system.
async fn accounts(world: &World, tenant: &Tenant) -> Vec<&'static str> {
    let names = ["own", "suspended", "locked", "invited"];
    for name in names {
        world.person(tenant, name).await;
    }
    world.execute("UPDATE users SET status = 'SUSPENDED' WHERE username_key = 'suspended'".to_owned()).await;
    world
        .execute("UPDATE users SET status = 'INVITED', password_hash = NULL WHERE username_key = 'invited'".to_owned())
        .await;
    world.try_login("acme", "locked", "wrong horse").await.expect(401);
    let lock = "UPDATE throttles SET failures = 100 WHERE key = (SELECT id FROM users WHERE username_key = 'locked')";
    world.execute(lock.to_owned()).await;
    names.into_iter().chain([UNKNOWN]).collect()
}

/// One more, whose hash another system made.
async fn newcomer(world: &World, tenant: &Tenant) -> &'static str {
    let admin = world.admin().await;
    let line = json!({"username": "foreign", "email": "foreign@mail.example", "password_hash": BCRYPT});
    let import = world.post(&format!("/admin/tenants/{}/user-imports", tenant.id)).bearer(&admin);
    import.body("application/x-ndjson", line.to_string()).send().await.expect(202);
    world.work(JobKind::UserImport).await;
    assert_eq!(world.number("SELECT COUNT(*) FROM users WHERE password_hash_cost > 0").await, 1);
    "foreign"
}

/// How well the times of two kinds are told apart: 0.5 is not at all, 1 is always.
fn auc(a: &[f64], b: &[f64]) -> f64 {
    let above = |x: f64| {
        b.iter()
            .map(|y| {
                if x > *y {
                    1.0
                } else if x < *y {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    let share = a.iter().map(|x| above(*x)).sum::<f64>() / (a.len() * b.len()) as f64;
    f64::max(share, 1.0 - share)
}

/// The times of wrong passwords, by account, in rounds of all accounts in an order that changes.
async fn times(world: &World, names: &[&str]) -> Vec<Vec<f64>> {
    let samples = std::env::var("TIMING_SAMPLES").map_or(1_000, |number| number.parse().unwrap());
    let mut times = vec![Vec::new(); names.len()];
    let mut order: Vec<_> = (0..names.len()).collect();
    for round in 0..samples + 10 {
        world.execute("UPDATE throttles SET failures = 0 WHERE failures < 100".to_owned()).await;
        for last in (1..order.len()).rev() {
            order.swap(last, usize::from(world.app.env().random::<1>()[0]) % (last + 1));
        }
        for at in &order {
            let begun = Instant::now();
            world.try_login("acme", names[*at], "wrong horse").await.expect(401);
            // The first rounds are not warm.
            if round >= 10 {
                times[*at].push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
        }
    }
    times
}

async fn accounts_are_not_told_apart(with_newcomer: bool) {
    let Some(world) = World::new(Engine::Sqlite).await else { return };
    let world = world
        .replica(|config| {
            config.hasher.cost = Cost::OWASP;
            config.limits.attempts.account.free = 99;
            config.limits.attempts.networks.limits = [1_000_000; 3];
            config.limits.attempts.tenant.limit = 1_000_000;
        })
        .await;
    let tenant = world.tenant("acme").await;
    let mut names = accounts(&world, &tenant).await;
    if with_newcomer {
        names.push(newcomer(&world, &tenant).await);
    }
    let times = times(&world, &names).await;
    let mut told = Vec::new();
    for (a, name) in names.iter().enumerate() {
        let mut sorted = times[a].clone();
        sorted.sort_by(f64::total_cmp);
        println!("{name}: median {:.2} ms of {}", sorted[sorted.len() / 2], sorted.len());
        for b in a + 1..names.len() {
            let auc = auc(&times[a], &times[b]);
            println!("{name} and {}: AUC {auc:.3}", names[b]);
            if auc > 0.55 {
                told.push((*name, names[b], auc));
            }
        }
    }
    assert!(told.is_empty(), "{told:?}");
}

#[actix_web::test]
#[ignore = "takes minutes and a machine that does nothing else"]
async fn wrong_passwords_take_as_long_whatever_the_account_is() {
    accounts_are_not_told_apart(false).await;
}

#[actix_web::test]
#[ignore = "takes minutes and a machine that does nothing else"]
async fn wrong_passwords_take_as_long_where_users_brought_their_hashes_along() {
    accounts_are_not_told_apart(true).await;
}
