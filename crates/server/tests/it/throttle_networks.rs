//! Failures of networks and tenants: whoever has many addresses has no more guesses, and one tenant's flood is its own.

use std::{net::IpAddr, time::Duration};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, World, api_tests};

const WRONG: &str = "mountain otter juggles 43 lamps";
const WINDOW: Duration = Duration::from_secs(600);

async fn attempt(world: &World, slug: &str, name: &str, password: &str, ip: impl Into<IpAddr>) -> Answer {
    let path = format!("/auth/tenants/{slug}/login");
    world.post(&path).from(ip).form(&[("username", name), ("password", password)]).send().await
}

/// The nth address of a /48: each in a /64 of its own, 256 to a /56.
fn v6(site: u16, n: u16) -> [u16; 8] {
    [0x2001, 0xdb8, site, n, 0, 0, 0, 1]
}

/// A world in which a tenant may have five failures.
async fn small(world: &World) -> World {
    world.replica(|config| (config.limits.attempts.tenant.limit, config.hasher.queue) = (5, 1_024)).await
}

/// Failures in a tenant, each under another name from an address of its own.
async fn flood(world: &World, slug: &str) {
    for i in 0..5 {
        attempt(world, slug, &format!("nobody{i}"), WRONG, [13, 0, 0, i]).await.problem(401, "invalid_credentials");
    }
}

api_tests! {
    async fn network_of_many_ipv6_subnets_is_let_through_three_hundred_failures(world) {
        world.tenant("acme").await;
        for i in 0..300 {
            attempt(&world, "acme", &format!("nobody{i}"), WRONG, v6(1, 0x100 + i % 256)).await.problem(401, "invalid_credentials");
        }
        let answer = attempt(&world, "acme", "nobody", WRONG, v6(1, 0x1ff)).await.problem(429, "rate_limited");
        assert_eq!(answer.header("ratelimit"), Some("\"login\";r=0;t=600"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"login\";q=300;w=600"));
        attempt(&world, "acme", "nobody", WRONG, v6(1, 0x2ff)).await.problem(401, "invalid_credentials");
        world.clock.advance(WINDOW);
        attempt(&world, "acme", "nobody", WRONG, v6(1, 0x1ff)).await.problem(401, "invalid_credentials");
    }

    async fn of_failures_spread_over_a_site_only_as_many_as_it_may_have_get_an_answer(world) {
        world.tenant("acme").await;
        let world = world
            .replica(|config| (config.limits.attempts.networks.limits, config.hasher.queue) = ([3, 9, 30], 1_024))
            .await;
        let names: Vec<_> = (0..64).map(|i| format!("nobody{i}")).collect();
        let attempts = names.iter().zip(0..).map(|(name, i)| attempt(&world, "acme", name, WRONG, v6(1, 256 * i)));
        let answers = join_all(attempts).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 30);
        assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 34);
        attempt(&world, "acme", "nobody", WRONG, v6(2, 0)).await.problem(401, "invalid_credentials");
    }

    async fn registrations_and_mail_are_limited_by_site_too(world) {
        world.tenant("acme").await;
        let world = world
            .replica(|config| {
                config.limits.registrations.limits = [1, 2, 3];
                config.limits.mail_requests.limits = [1, 2, 3];
            })
            .await;
        for i in 0..5 {
            let name = format!("user{i}");
            let body = json!({"username": name, "email": format!("{name}@acme.example"), "password": PASSWORD});
            let registered = world.post("/auth/tenants/acme/register").from(v6(1, 256 * i)).json(body).send().await;
            assert_eq!(registered.status, if i < 3 { 201 } else { 429 });
            let body = json!({"email": format!("{name}@acme.example")});
            let asked = world.post("/auth/tenants/acme/password/forgot").from(v6(1, 256 * i)).json(body).send().await;
            assert_eq!(asked.status, if i < 3 { 202 } else { 429 }, "{}", asked.text);
        }
    }

    async fn beyond_the_limit_of_a_tenant_only_addresses_that_failed_wait(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let world = small(&world).await;
        flood(&world, "acme").await;
        // Whoever has not failed is let in.
        attempt(&world, "acme", "ada", PASSWORD, [14, 0, 0, 1]).await.expect(200);
        world.clock.advance(Duration::from_secs(60));
        // Whoever has not failed may fail once.
        attempt(&world, "acme", "ada", WRONG, [14, 0, 0, 1]).await.problem(401, "invalid_credentials");
        for ip in [[14, 0, 0, 1], [13, 0, 0, 1]] {
            let answer = attempt(&world, "acme", "ada", PASSWORD, ip).await.problem(429, "rate_limited");
            assert_eq!(answer.header("retry-after"), Some("540"));
        }
        world.clock.advance(Duration::from_secs(540));
        attempt(&world, "acme", "ada", PASSWORD, [14, 0, 0, 1]).await.expect(200);
    }

    async fn flood_of_one_tenant_is_not_another_ones(world) {
        world.tenant("acme").await;
        let other = world.tenant("other").await;
        world.person(&other, "ada").await;
        let world = small(&world).await;
        flood(&world, "acme").await;
        attempt(&world, "acme", "nobody", WRONG, [13, 0, 0, 1]).await.problem(429, "rate_limited");
        attempt(&world, "other", "ada", WRONG, [13, 0, 0, 1]).await.problem(401, "invalid_credentials");
        attempt(&world, "other", "ada", PASSWORD, [13, 0, 0, 1]).await.expect(200);
    }

    async fn known_device_passes_the_limit_of_its_tenant(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let world = small(&world).await;
        let with = async |password: &str, token: &str| {
            let form = [("username", "ada"), ("password", password), ("device_token", token)];
            world.post("/auth/tenants/acme/login").from([14, 0, 0, 1]).form(&form).send().await
        };
        let token = with(PASSWORD, "").await.expect(200).json()["device_token"].as_str().unwrap().to_owned();
        flood(&world, "acme").await;
        for _ in 0..3 {
            with(WRONG, &token).await.problem(401, "invalid_credentials");
        }
        with(PASSWORD, "").await.problem(429, "rate_limited");
        with(PASSWORD, &token).await.expect(200);
    }

    async fn of_racing_failures_beyond_the_limit_of_a_tenant_an_address_gets_one_answer(world) {
        world.tenant("acme").await;
        let world = small(&world).await;
        flood(&world, "acme").await;
        let names: Vec<_> = (0..64).map(|i| format!("another{i}")).collect();
        let answers = join_all(names.iter().map(|name| attempt(&world, "acme", name, WRONG, [14, 0, 0, 1]))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 63);
    }
}
