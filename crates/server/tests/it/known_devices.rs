//! Devices that somebody signed in from before: failures of strangers do not shut them out, and a device token alone
//! lets nobody in.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Signed, World, api_tests};

const WRONG: &str = "mountain otter juggles 43 lamps";
const DAY: Duration = Duration::from_secs(86_400);

/// A sign-in with a device token, or with none yet, from an address that the number stands for.
async fn attempt(world: &World, slug: &str, name: &str, password: &str, token: &str, address: u32) -> Answer {
    let [_, b, c, d] = address.to_be_bytes();
    let fields = [("username", name), ("password", password), ("device_token", token)];
    world.post(&format!("/auth/tenants/{slug}/login")).from([12, b, c, d]).form(&fields).send().await
}

/// Signs in from a device that is not known yet; returns its token.
async fn begin(world: &World, slug: &str, name: &str) -> String {
    let answer = attempt(world, slug, name, PASSWORD, "", 1).await.expect(200);
    answer.json()["device_token"].as_str().unwrap().to_owned()
}

async fn ada(world: &World) -> Person {
    let tenant = world.tenant("acme").await;
    world.person(&tenant, "ada").await
}

/// Failures of strangers, each from an address of its own.
async fn strangers(world: &World, name: &str, times: u32) {
    for i in 0..times {
        attempt(world, "acme", name, WRONG, "", 1_000 + i).await.problem(401, "invalid_credentials");
    }
}

async fn rows(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM known_devices").await
}

api_tests! {
    async fn ten_failures_of_strangers_do_not_delay_a_known_device(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        strangers(&world, "ada", 10).await;
        attempt(&world, "acme", "ada", PASSWORD, "", 2).await.problem(429, "rate_limited");
        let answer = attempt(&world, "acme", "ada@acme.example", PASSWORD, &token, 3).await.expect(200);
        assert_eq!(answer.json().get("device_token"), None, "it has one");
    }

    async fn account_that_strangers_locked_is_open_to_its_known_device_and_stays_locked(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        for i in 0..100 {
            world.clock.advance(Duration::from_secs(901));
            attempt(&world, "acme", "ada", WRONG, "", 1_000 + i).await.problem(401, "invalid_credentials");
        }
        attempt(&world, "acme", "ada", PASSWORD, "", 2).await.problem(401, "invalid_credentials");
        for _ in 0..2 {
            attempt(&world, "acme", "ada", PASSWORD, &token, 3).await.expect(200);
        }
        attempt(&world, "acme", "ada", PASSWORD, "", 2).await.problem(401, "invalid_credentials");
    }

    async fn failures_of_strangers_at_its_own_address_do_not_shut_out_a_known_device(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        for i in 0..100 {
            attempt(&world, "acme", &format!("nobody{i}"), WRONG, "", 2).await.problem(401, "invalid_credentials");
        }
        attempt(&world, "acme", "ada", PASSWORD, "", 2).await.problem(429, "rate_limited");
        attempt(&world, "acme", "ada", WRONG, &token, 2).await.problem(401, "invalid_credentials");
        let answer = attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.expect(200);
        assert_eq!(answer.header("ratelimit"), Some("\"login\";r=99;t=600"));
    }

    async fn stolen_device_token_gives_no_more_guesses_than_its_own_counter(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        let mut guesses = 0;
        for i in 0..120 {
            world.clock.advance(Duration::from_secs(901));
            world.app.maintenance().clean_up().await.unwrap();
            let before = world.number("SELECT MAX(failures) FROM throttles").await;
            attempt(&world, "acme", "ada", WRONG, &token, 1_000 + i).await.problem(401, "invalid_credentials");
            guesses += i64::from(world.number("SELECT MAX(failures) FROM throttles").await > before);
        }
        assert!(guesses <= 100, "{guesses}");
        // No password is right there any more, nor does another network change that.
        for address in [2, 3] {
            attempt(&world, "acme", "ada", PASSWORD, &token, address).await.problem(401, "invalid_credentials");
        }
        world.app.maintenance().clean_up().await.unwrap();
        attempt(&world, "acme", "ada", PASSWORD, &token, 4).await.problem(401, "invalid_credentials");
    }

    async fn unlocking_an_account_unlocks_its_devices(world) {
        let ada = ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        for i in 0..100 {
            world.clock.advance(Duration::from_secs(901));
            attempt(&world, "acme", "ada", WRONG, &token, 1_000 + i).await.problem(401, "invalid_credentials");
        }
        attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.problem(401, "invalid_credentials");
        let admin = world.fresh_admin().await;
        world.post(&format!("/admin/users/{}/unlock", ada.id)).bearer(&admin).send().await.expect(200);
        attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.expect(200);
    }

    async fn trail_tells_when_a_device_gets_known(world) {
        let ada = ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.expect(200);
        let admin = world.fresh_admin().await;
        let events = world.get("/admin/audit-events?action=trusted_device.added").bearer(&admin).send().await.expect(200).data();
        assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
        assert_eq!((&events[0]["actor"]["id"], &events[0]["resource"]["type"]), (&json!(ada.id), &json!("trusted_device")));
        assert!(!events.to_string().contains("ghd_"));
    }

    async fn device_has_a_counter_of_its_own_that_is_exact(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        let world = world.replica(|config| config.hasher.queue = 1_024).await;
        let answers = join_all((0..64).map(|i| attempt(&world, "acme", "ada", WRONG, &token, 100 + i))).await;
        let answered = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!((answered, answers.iter().filter(|answer| answer.status == 429).count()), (10, 54));
        attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.problem(429, "rate_limited");
        // All of them count for the account too.
        assert_eq!(world.number("SELECT COUNT(*) FROM throttles WHERE failures = 10").await, 3, "account, device, tenant");
        attempt(&world, "acme", "ada", PASSWORD, "", 3).await.problem(429, "rate_limited");
        world.clock.advance(Duration::from_secs(1));
        attempt(&world, "acme", "ada", PASSWORD, &token, 2).await.expect(200);
        assert_eq!(world.number("SELECT COUNT(*) FROM throttles WHERE failures = 10").await, 1, "the tenant's");
    }

    async fn device_token_alone_gives_nothing(world) {
        ada(&world).await;
        let token = begin(&world, "acme", "ada").await;
        let with = attempt(&world, "acme", "ada", WRONG, &token, 2).await.problem(401, "invalid_credentials");
        let without = attempt(&world, "acme", "ada", WRONG, "", 3).await.problem(401, "invalid_credentials");
        let told = |answer: &Answer| {
            let mut told = answer.json();
            for name in ["request_id", "instance"] {
                told[name] = Value::Null;
            }
            told
        };
        assert_eq!(told(&with), told(&without));
        let refreshed = world.refresh("acme", &token).await;
        refreshed.problem(401, "refresh_token_invalid");
        assert_eq!(world.get("/me").bearer(&token).send().await.status, 401);
        let stored = world.number("SELECT COUNT(*) FROM known_devices WHERE length(token_hash) = 32").await;
        assert_eq!(stored, 1);
    }

    async fn device_token_of_another_user_or_tenant_or_none_at_all_counts_as_none(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        world.person(&tenant, "bob").await;
        let other = world.tenant("other").await;
        world.person(&other, "ada").await;
        let foreign = [begin(&world, "acme", "bob").await, begin(&world, "other", "ada").await];
        strangers(&world, "ada", 10).await;
        for token in foreign.iter().map(String::as_str).chain(["", "ghd_", "\u{1F600}", "ghd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]) {
            attempt(&world, "acme", "ada", PASSWORD, token, 2).await.problem(429, "rate_limited");
        }
        world.clock.advance(Duration::from_secs(1));
        for token in &foreign {
            let answer = attempt(&world, "acme", "ada", PASSWORD, token, 2).await.expect(200);
            let given = answer.json()["device_token"].as_str().unwrap().to_owned();
            assert!(given.starts_with("ghd_") && given.len() == 47 && given != *token, "{given}");
        }
        attempt(&world, "acme", "ada", PASSWORD, &"x".repeat(257), 2).await.expect(422);
    }

    async fn client_that_sends_no_device_token_gets_none(world) {
        let ada = ada(&world).await;
        let answer = world.try_login("acme", &ada.name, PASSWORD).await.expect(200);
        assert_eq!(answer.json().get("device_token"), None);
        let signed = Signed::of(&answer);
        let refreshed = world.refresh("acme", &signed.refresh).await.expect(200);
        assert_eq!(refreshed.json().get("device_token"), None);
        assert_eq!(rows(&world).await, 0);
    }

    async fn ten_devices_of_a_user_are_known_for_ninety_days(world) {
        ada(&world).await;
        let first = begin(&world, "acme", "ada").await;
        for _ in 0..12 {
            world.clock.advance(Duration::from_secs(1));
            begin(&world, "acme", "ada").await;
        }
        assert_eq!(rows(&world).await, 10);
        let answer = attempt(&world, "acme", "ada", PASSWORD, &first, 2).await.expect(200);
        let last = answer.json()["device_token"].as_str().unwrap().to_owned();
        world.clock.advance(DAY * 90);
        let answer = attempt(&world, "acme", "ada", PASSWORD, &last, 2).await.expect(200);
        assert!(answer.json()["device_token"].is_string());
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(rows(&world).await, 1);
    }

    async fn devices_end_with_the_password_with_suspension_and_with_deletion(world) {
        let tenant = world.tenant("acme").await;
        let (ada, bob, eve) = (world.person(&tenant, "ada").await, world.person(&tenant, "bob").await, world.person(&tenant, "eve").await);
        for name in ["ada", "bob", "eve"] {
            begin(&world, "acme", name).await;
        }
        let signed = world.login(&ada).await;
        let body = json!({"current_password": PASSWORD, "new_password": PASSWORD.replace("42", "77")});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        assert_eq!(rows(&world).await, 2);
        let admin = world.fresh_admin().await;
        let path = format!("/admin/users/{}", bob.id);
        world.patch(&path).bearer(&admin).json(json!({"display_name": "Bob"})).send().await.expect(200);
        assert_eq!(rows(&world).await, 2);
        world.patch(&path).bearer(&admin).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
        assert_eq!(rows(&world).await, 1);
        world.delete(&format!("/admin/users/{}", eve.id)).bearer(&admin).send().await.expect(204);
        assert_eq!(rows(&world).await, 0);
        let (one, two) = (world.tenant("one").await, world.tenant("two").await);
        for tenant in [&one, &two] {
            world.person(tenant, "ada").await;
            begin(&world, &tenant.slug, "ada").await;
        }
        world.delete(&format!("/admin/tenants/{}", one.id)).bearer(&admin).send().await.expect(204);
        assert_eq!(rows(&world).await, 1);
    }

    async fn failures_of_strangers_do_not_keep_who_is_signed_in_from_another_password(world) {
        let ada = ada(&world).await;
        let signed = world.login(&ada).await;
        strangers(&world, "ada", 10).await;
        let change = async |current: &str| {
            let body = json!({"current_password": current, "new_password": PASSWORD.replace("42", "77")});
            world.post("/me/password").bearer(&signed).json(body).send().await
        };
        for _ in 0..10 {
            change(WRONG).await.problem(401, "invalid_credentials");
        }
        change(PASSWORD).await.problem(429, "rate_limited");
        world.clock.advance(Duration::from_secs(1));
        change(PASSWORD).await.expect(204);
        world.try_login("acme", "ada", &PASSWORD.replace("42", "77")).await.expect(200);
    }
}
