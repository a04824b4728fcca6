//! How much somebody who is signed in may ask for.

use std::time::Duration;

use gatehouse_domain::bucket::BucketRule;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, Signed, World, api_tests};

const SECOND: Duration = Duration::from_secs(1);

/// The same world with a limit for each user.
async fn with_user_limit(world: &World, burst: u32, rate: u32) -> World {
    world.replica(|config| config.limits.user_requests = BucketRule::of(burst, rate, SECOND)).await
}

/// How many of so many requests get through.
async fn through(world: &World, token: &Signed, times: usize) -> usize {
    let mut through = 0;
    for _ in 0..times {
        match world.me(token).await {
            200 => through += 1,
            status => assert_eq!(status, 429),
        }
    }
    through
}

/// What an answer says of the limit: policy, limit, window, what is left, when it is full.
fn limit(answer: &Answer) -> (String, String) {
    let text = |name| answer.header(name).unwrap_or_default().to_owned();
    (text("ratelimit-policy"), text("ratelimit"))
}

api_tests! {
    async fn user_who_sends_too_much_waits_and_no_longer_than_is_said(world) {
        let tenant = world.tenant("acme").await;
        let (ada, bob) = (world.login(&world.person(&tenant, "ada").await).await, world.login(&world.person(&tenant, "bob").await).await);
        let limited = with_user_limit(&world, 10, 2).await;
        assert_eq!(through(&limited, &ada, 30).await, 10);
        let refused = limited.get("/me").bearer(&ada).send().await.problem(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(limit(&refused), (r#""user";q=10;w=5"#.to_owned(), r#""user";r=0;t=1"#.to_owned()));
        // Nobody else waits for that, and a session more does not help.
        assert_eq!(through(&limited, &bob, 10).await, 10);
        let again = Signed::of(&world.try_login("acme", "ada", PASSWORD).await.expect(200));
        assert_eq!(through(&limited, &again, 5).await, 0);
        world.clock.advance(SECOND);
        assert_eq!(through(&limited, &ada, 5).await, 2);
        world.clock.advance(SECOND * 60);
        assert_eq!(through(&limited, &ada, 30).await, 10);
    }

    async fn tenant_that_sends_too_much_waits_and_no_other_does(world) {
        let (x, y) = (world.tenant("x").await, world.tenant("y").await);
        let mut noisy = Vec::new();
        for n in 0..10 {
            noisy.push(world.login(&world.person(&x, &format!("n{n}")).await).await);
        }
        let calm = world.login(&world.person(&y, "calm").await).await;
        let limited = world.replica(|config| config.limits.tenant_requests = BucketRule::of(20, 10, SECOND)).await;
        let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
        for _ in 0..20 {
            for token in &noisy {
                *statuses.entry(limited.me(token).await).or_default() += 1;
            }
            // Ten times its quota, and the neighbour notices nothing.
            let answer = limited.get("/me/sessions").bearer(&calm).send().await.expect(200);
            assert!(answer.header("retry-after").is_none());
            world.clock.advance(SECOND / 10);
        }
        assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 429]);
        // Twenty at once, and one more with each tenth of a second.
        assert_eq!(statuses[&200], 20 + 19);
        let refused = limited.get("/me").bearer(&noisy[0]).send().await;
        if refused.status == 429 {
            assert_eq!(limit(&refused).0, r#""tenant";q=20;w=2"#);
        }
    }

    async fn who_waits_is_told_before_anything_is_looked_at_but_the_token(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.login(&world.person(&tenant, "ada").await).await;
        let limited = with_user_limit(&world, 1, 1).await;
        assert_eq!(through(&limited, &ada, 2).await, 1);
        let before = limited.app.db().statements().0;
        // Not allowed, not there, not valid: all of it is less than having to wait.
        let requests = [
            limited.get("/admin/users").bearer(&ada),
            limited.get("/tenants/tnt_01h455vb4pex5vsknk084sn02q/users").bearer(&ada),
            limited.get("/me/sessions?nonsense=1").bearer(&ada),
            limited.delete(&format!("/tenants/{}/users/{}", tenant.id, ada.user())).bearer(&ada),
            limited.post("/me/password").bearer(&ada).json(json!({})),
        ];
        for request in requests {
            request.send().await.problem(429, "rate_limited");
        }
        assert_eq!(limited.app.db().statements().0, before);
        // No token, a wrong one, one of a session that has ended: that comes first.
        limited.get("/me").send().await.problem(401, "unauthenticated");
        limited.get("/me").bearer("nonsense").send().await.problem(401, "invalid_token");
        world.delete(&format!("/me/sessions/{}", ada.session())).bearer(&ada).send().await.expect(200);
        world.clock.advance(SECOND);
        world.replica(|_| {}).await.get("/me").bearer(&ada).send().await.problem(401, "session_revoked");
    }

    async fn answers_say_what_is_left(world) {
        let ada = world.login(&world.person(&world.tenant("acme").await, "ada").await).await;
        let limited = with_user_limit(&world, 10, 2).await;
        for left in (0..10).rev() {
            let answer = limited.get("/me").bearer(&ada).send().await.expect(200);
            let (policy, rest) = limit(&answer);
            assert_eq!(policy, r#""user";q=10;w=5"#);
            assert!(rest.starts_with(&format!(r#""user";r={left};t="#)), "{rest}");
        }
        // Where there is no limit nothing is said of one.
        assert_eq!(limit(&world.get("/me").bearer(&ada).send().await), (String::new(), String::new()));
    }

    async fn user_may_sign_in_so_often_with_the_right_password(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let limited = world.replica(|config| config.limits.sign_ins = BucketRule::of(3, 3, SECOND * 60)).await;
        for _ in 0..3 {
            limited.try_login("acme", "ada", PASSWORD).await.expect(200);
        }
        let refused = limited.try_login("acme", "ada", PASSWORD).await.problem(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("20"));
        assert_eq!(limit(&refused).0, r#""sign-in";q=3;w=60"#);
        // Who does not know the password learns nothing of that, and shuts nobody out.
        limited.try_login("acme", "ada", "not the right password").await.problem(401, "invalid_credentials");
        world.clock.advance(SECOND * 20);
        limited.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn session_may_be_refreshed_so_often_in_a_minute_and_keeps_its_token(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"refresh_reuse": "reject"})).await;
        let mut signed = world.login(&world.person(&tenant, "ada").await).await;
        for n in 1..=30 {
            let answer = world.refresh("acme", &signed.refresh).await.expect(200);
            assert_eq!(limit(&answer), (r#""refresh";q=30;w=60"#.to_owned(), format!(r#""refresh";r={};t=60"#, 30 - n)));
            signed = Signed::of(&answer);
        }
        world.clock.advance(SECOND * 20);
        for _ in 0..3 {
            let refused = world.refresh("acme", &signed.refresh).await.problem(429, "rate_limited");
            assert_eq!(refused.header("retry-after"), Some("40"));
        }
        assert_eq!(world.generation(&signed.session()).await, 30);
        assert_eq!(world.me(&signed).await, 200);
        // Another session of the same user does not wait.
        let other = Signed::of(&world.try_login("acme", "ada", PASSWORD).await.expect(200));
        let other = Signed::of(&world.refresh("acme", &other.refresh).await.expect(200));
        world.clock.advance(SECOND * 40);
        world.refresh("acme", &signed.refresh).await.expect(200);
        // Without the limit nobody waits.
        let free = world.replica(|config| config.limits.refreshes = None).await;
        let mut signed = other;
        for _ in 0..100 {
            signed = Signed::of(&free.refresh("acme", &signed.refresh).await.expect(200));
        }
    }

    async fn who_loses_a_race_for_the_last_refresh_is_told_so_and_does_not_wait(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"refresh_reuse": "reject"})).await;
        let mut signed = world.login(&world.person(&tenant, "ada").await).await;
        for _ in 1..30 {
            signed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        }
        let answers = futures_util::future::join_all((0..16).map(|_| world.refresh("acme", &signed.refresh))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (200, [401; 15].as_slice()));
        let winner = Signed::of(answers.iter().find(|answer| answer.status == 200).unwrap());
        // Nobody wins any more; a spent token is one, and used late it still ends the session.
        world.refresh("acme", &winner.refresh).await.problem(429, "rate_limited");
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_spent");
        world.clock.advance(SECOND * 11);
        world.refresh("acme", &signed.refresh).await.problem(401, "session_revoked");
    }
}
