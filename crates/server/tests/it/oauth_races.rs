//! What may be used once, used 64 times at once at two replicas. `RACE_ROUNDS` says how often each race is run.

use std::time::Duration;

use futures_util::future::join_all;
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::config::Config;
use serde_json::json;

use crate::{
    harness::{
        Answer, Browser, Form, PASSWORD, World, api_tests,
        dpop::{Holder, endpoint, token_with},
        oauth::{Site, code, of_code, text},
        rounds,
    },
    oauth_assertions::Robot,
    oauth_device::television,
    oauth_push::{bring, pushed},
};

const ONCE: usize = 64;
const USUAL: u64 = 4;

/// The same request 64 times at once, half of them at each replica.
async fn at_once(replicas: [&World; 2], ask: impl AsyncFn(&World) -> Answer) -> Vec<Answer> {
    join_all((0..ONCE).map(|n| ask(replicas[n % 2]))).await
}

/// The one that was given what all asked for; the others were told that it is gone.
#[track_caller]
fn winner(answers: &[Answer], given: u16, gone: u16, round: u64) -> &Answer {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((count(given), count(gone)), (1, ONCE - 1), "round {round}: {statuses:?}");
    answers.iter().find(|answer| answer.status == given).unwrap()
}

/// Two replicas that let everybody ask as often as they like.
async fn replicas(world: &World) -> (World, World) {
    let unlimited = |config: &mut Config| (config.limits.oauth_starts, config.limits.refreshes) = (None, None);
    (world.replica(unlimited).await, world.replica(unlimited).await)
}

api_tests! {
    async fn of_64_exchanges_of_one_code_at_once_one_succeeds(world) {
        let (world, other) = replicas(&world).await;
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        for round in 0..rounds(USUAL) {
            let code = code(&browser.get(&site.request(&app, &[])).await);
            let answers = at_once([&world, &other], async |at| site.token_at(at, &app, &of_code(&app, &code)).await).await;
            winner(&answers, 200, 400, round);
        }
    }

    async fn of_64_refreshes_with_one_token_at_once_one_succeeds_and_raises_no_alarm(world) {
        let (world, other) = replicas(&world).await;
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let mut token = text(&site.tokens(&browser, &spa, &[]).await, "refresh_token").to_owned();
        for round in 0..rounds(USUAL) {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
            let answers = at_once([&world, &other], async |at| site.token_at(at, &spa, &fields).await).await;
            token = text(&winner(&answers, 200, 400, round).json(), "refresh_token").to_owned();
        }
        site.refresh(&spa, &token).await.expect(200);
    }

    async fn of_64_browsers_with_one_pushed_request_at_once_one_gets_a_code(world) {
        let (world, other) = replicas(&world).await;
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        for round in 0..rounds(USUAL) {
            let path = bring(&site, &app, &pushed(&site, &app, &[]).await, &[]);
            let answers = at_once([&world, &other], async |at| browser.at(at).get(&path).await).await;
            code(winner(&answers, 303, 400, round));
        }
    }

    async fn of_64_devices_with_one_approved_code_at_once_one_gets_tokens(world) {
        let (world, other) = replicas(&world).await;
        let site = Site::new(&world).await;
        let (app, browser) = (television(&site, json!({})).await, Browser::new(&world));
        for round in 0..rounds(USUAL) {
            let waits = site.wait(&app, &[]).await.expect(200).json();
            site.approve(&browser, &waits).await.expect(200);
            let answers = at_once([&world, &other], async |at| site.poll_at(at, &app, &waits).await).await;
            let tokens = winner(&answers, 200, 400, round).json();
            site.user_info(text(&tokens, "access_token")).await.expect(200);
        }
    }

    async fn of_64_uses_of_one_assertion_at_once_one_counts(world) {
        let (world, other) = replicas(&world).await;
        let robot = Robot::new(&world, SigningAlgorithm::Es256).await;
        for round in 0..rounds(USUAL) {
            let assertion = robot.assertion(|_| ());
            let answers = at_once([&world, &other], async |at| robot.ask_at(at, &assertion, &[]).await).await;
            winner(&answers, 200, 401, round);
        }
    }

    async fn of_64_uses_of_one_dpop_proof_at_once_one_counts(world) {
        let (world, other) = replicas(&world).await;
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let own = json!({"grant_types": ["authorization_code", "client_credentials"], "allowed_scopes": ["openid", "users:read"]});
        let app = site.app(own).await;
        for round in 0..rounds(USUAL) {
            let proof = holder.proof(&world, ("POST", &endpoint(&site, "token")), None);
            let grant = [("grant_type", "client_credentials")];
            let answers = at_once([&world, &other], async |at| token_with(&site, at, &app, Some(&proof), &grant).await).await;
            winner(&answers, 200, 400, round);
        }
    }

    async fn of_two_sessions_that_open_one_user_code_at_once_one_owns_it(world) {
        let (world, other) = replicas(&world).await;
        let site = Site::new(&world).await;
        let (app, wiki) = (television(&site, json!({})).await, site.app(json!({})).await);
        let eve = world.person(&site.tenant, "eve").await;
        let browsers = [Browser::new(&world), Browser::new(&other)];
        for (browser, name) in browsers.iter().zip([&site.ada.name, &eve.name]) {
            let page = browser.get(&site.request(&wiki, &[])).await.expect(200);
            code(&browser.submit(&Form::of(&page), &[("username", name), ("password", PASSWORD)]).await);
        }
        let mut owners = [0; 2];
        for round in 0..rounds(USUAL) {
            let waits = site.wait(&app, &[]).await.expect(200).json();
            // Whose request is built first differs from round to round.
            let first = usize::from(round % 2 == 1);
            let opened = join_all([first, 1 - first].map(|n| site.open(&browsers[n], &waits))).await;
            let statuses: Vec<_> = opened.iter().map(|page| page.status).collect();
            assert!(matches!(statuses[..], [200, 400] | [400, 200]), "round {round}: {statuses:?}");
            let at = statuses.iter().position(|status| *status == 200).unwrap();
            let (owner, loser) = ([first, 1 - first][at], [first, 1 - first][1 - at]);
            owners[owner] += 1;
            // What the other one was shown answers nothing.
            let form = Form::of(&opened[at]);
            assert_eq!(browsers[loser].submit(&form, &[("answer", "allow")]).await.status, 400, "round {round}");
            browsers[owner].submit(&form, &[("answer", "refuse")]).await.expect(200);
            world.clock.advance(Duration::from_millis(1));
        }
        println!("who came first: {owners:?}");
    }

    async fn codes_of_one_session_that_are_exchanged_at_once_leave_ten_families(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let mut codes = vec![code(&site.sign_in(&browser, &app, &[]).await)];
        for _ in 0..31 {
            codes.push(code(&browser.get(&site.request(&app, &[])).await));
        }
        let answers = join_all(codes.iter().map(|code| site.exchange(&app, code))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(world.number("SELECT COUNT(*) FROM token_families WHERE ended_at IS NULL").await, 10);
    }
}
