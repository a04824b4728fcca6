//! What strangers learn and cost: failed attempts all look alike, and hashing has bounds.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gatehouse_server::security::password::Cost;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, Signed, World, api_tests};

const WRONG: &str = "mountain otter juggles 43 lamps";

async fn attempt(world: &World, name: &str, password: &str, address: u8) -> Answer {
    let form = [("username", name), ("password", password)];
    world.post("/auth/tenants/acme/login").from([12, 0, 0, address]).form(&form).send().await
}

/// A password of so many bytes.
fn long(bytes: usize) -> String {
    "abcdefghij klmnopqrst uvwxyz 0123456789 ".chars().cycle().take(bytes).collect()
}

api_tests! {
    async fn failed_sign_ins_look_and_cost_the_same_whatever_the_reason(world) {
        let tenant = world.tenant("acme").await;
        let other = world.tenant("other").await;
        for (home, name) in [(&tenant, "ada"), (&tenant, "locked"), (&other, "stranger")] {
            world.person(home, name).await;
        }
        let suspended = world.person(&tenant, "suspended").await;
        world.set_status("users", &suspended.id, "SUSPENDED").await;
        // An account that an administrator made has no password before its owner chose one.
        let invited = json!({"username": "invited", "email": "invited@acme.example", "tenant_id": tenant.id});
        world.post("/admin/users").bearer(world.admin().await).json(invited).send().await.expect(201);
        for i in 0..100 {
            let answer = attempt(&world, "locked", WRONG, i).await;
            if answer.status == 429 {
                world.clock.advance(Duration::from_secs(900));
                attempt(&world, "locked", WRONG, i).await.expect(401);
            }
        }
        let attempts = [
            ("ada", WRONG),
            ("ada@acme.example", WRONG),
            ("nobody", PASSWORD),
            ("nobody@acme.example", PASSWORD),
            ("suspended", PASSWORD),
            ("suspended", WRONG),
            ("locked", PASSWORD),
            ("locked", WRONG),
            ("invited", PASSWORD),
            ("stranger", PASSWORD),
            ("stranger@other.example", PASSWORD),
        ];
        let mut seen = Vec::new();
        for (i, (name, password)) in attempts.into_iter().enumerate() {
            let mut cheapest = u64::MAX;
            let mut answer = None;
            // Facts about the tenant are read anew every second, by whoever comes first then: the cheapest of three
            // attempts met nobody's second.
            for round in 0..3 {
                let (hashes, statements) = (world.app.hashing().0, world.app.db().statements().0);
                // An address of its own each time: what is left of its limit is no news about the account.
                let got = attempt(&world, name, password, 100 + (i * 3 + round) as u8).await;
                assert_eq!(world.app.hashing().0 - hashes, 1, "{name}: hashes");
                cheapest = cheapest.min(world.app.db().statements().0 - statements);
                answer = Some(got.problem(401, "invalid_credentials").anonymised());
            }
            seen.push((name, answer.unwrap(), cheapest));
        }
        for (name, answer, statements) in &seen[1..] {
            assert_eq!((answer, statements), (&seen[0].1, &seen[0].2), "{name} differs");
        }
    }

    async fn overlong_password_costs_no_hash(world) {
        // Before there is an administrator, because the setup works only then.
        let token = world.app.setup().new_token().await.unwrap();
        let before = world.app.hashing().0;
        for bytes in [1_025, 8 * 1_024, 60 * 1_024, 64 * 1_024, 1_024 * 1_024] {
            let wanted = if bytes < 64 * 1_024 { 422 } else { 413 };
            let body = json!({"token": token.expose(), "email": "a@example.com", "username": "root", "password": long(bytes)});
            world.post("/setup").json(body).send().await.expect(wanted);
        }
        assert_eq!(world.app.hashing().0, before);
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let before = world.app.hashing().0;
        for bytes in [1_025, 8 * 1_024, 60 * 1_024, 64 * 1_024, 1_024 * 1_024] {
            let wanted = if bytes < 64 * 1_024 { 422 } else { 413 };
            let password = long(bytes);
            let multipart = format!(
                "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nada\r\n\
                 --b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{password}\r\n--b--\r\n"
            );
            let change = |current: &str, new: &str| {
                let body = json!({"current_password": current, "new_password": new});
                world.post("/me/password").bearer(&signed).json(body).send()
            };
            let new = json!({"username": "eve", "email": "eve@acme.example", "password": password});
            for answer in [
                attempt(&world, "ada", &password, 1).await,
                world.post("/auth/tenants/acme/login").body("multipart/form-data; boundary=b", multipart).send().await,
                world.post("/auth/tenants/acme/register").json(new).send().await,
                change(&password, WRONG).await,
                change(PASSWORD, &password).await,
            ] {
                assert_eq!(answer.status, wanted, "{bytes}: {:.200}", answer.text);
            }
        }
        assert_eq!(world.app.hashing().0, before);
        // The longest that is accepted is hashed whole.
        let longest = long(1_024);
        let body = json!({"current_password": PASSWORD, "new_password": longest});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        attempt(&world, "ada", &long(1_023), 2).await.expect(401);
        attempt(&world, "ada", &longest, 3).await.expect(200);
    }

    async fn surplus_of_a_login_flood_is_refused_at_once_and_leaves_other_tenants_their_share(world) {
        world.tenant("acme").await;
        let other = world.tenant("other").await;
        let ada = world.person(&other, "ada").await;
        let narrow = world.replica(|config| {
            (config.hasher.permits, config.hasher.queue) = (1, 4);
            // Names that nobody has are checked at this cost: slow enough for a queue to form.
            config.hasher.cost = Cost { memory_kib: 32 * 1_024, passes: 4 };
        }).await;
        let before = narrow.app.hashing().0;
        let names: Vec<_> = (0..32).map(|i| format!("nobody{i}")).collect();
        let mut deepest = 0;
        let flood = async { join_all(names.iter().enumerate().map(|(i, name)| attempt(&narrow, name, WRONG, i as u8))).await };
        let neighbour = async {
            // Signs in while the flood waits.
            let began = Instant::now();
            while narrow.app.hashing().1 == 0 {
                assert!(began.elapsed() < Duration::from_secs(30), "no queue forms");
                tokio::task::yield_now().await;
            }
            deepest = narrow.app.hashing().1;
            narrow.try_login("other", "ada", PASSWORD).await
        };
        let (answers, signed) = futures_util::join!(flood, neighbour);
        assert_eq!(narrow.me(Signed::of(&signed.expect(200))).await, 200);
        assert!((1..=4).contains(&deepest));
        let (checked, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 401);
        assert!(!checked.is_empty() && !refused.is_empty(), "{} checked", checked.len());
        for answer in refused {
            let answer = answer.problem(503, "overloaded");
            assert!(answer.header("retry-after").is_some());
        }
        // One thread, two places in the queue: what was refused was never hashed. The neighbour's takes two, because
        // its stored hash is cheaper than new ones are.
        assert_eq!(narrow.app.hashing().0 - before, checked.len() as u64 + 2);
        assert_eq!(narrow.app.hashing().1, 0);
        assert!(narrow.login(&ada).await.access.len() > 100);
    }

    async fn refused_attempt_counts_against_nobody(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let narrow = world.replica(|config| {
            (config.hasher.permits, config.hasher.queue) = (1, 2);
            config.hasher.cost = Cost { memory_kib: 32 * 1_024, passes: 4 };
        }).await;
        let answers = join_all((0..64).map(|i| attempt(&narrow, "nobody", WRONG, i))).await;
        let checked = answers.iter().filter(|answer| answer.status == 401).count() as i64;
        assert!(checked < 10, "the flood was no flood");
        assert_eq!(world.number("SELECT COALESCE(MAX(failures), 0) FROM throttles").await, checked);
    }
}
