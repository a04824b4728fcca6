//! Requests that applications push before a browser brings them (RFC 9126).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, api_tests,
    oauth::{App, Site, basic, challenge, code, error, refused, sent, text},
};

async fn push(site: &Site, app: &App, more: &[(&str, &str)]) -> Answer {
    let challenge = challenge();
    let mut fields = vec![
        ("redirect_uri", app.callback.as_str()),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "s/1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    let call = site.world.post(&format!("/auth/tenants/{}/oauth/par", site.tenant.slug));
    match &app.secret {
        Some(secret) => call.header("authorization", &basic(&app.id, secret)).form(&fields).send().await,
        None => call.form(&[&[("client_id", app.id.as_str())], &fields[..]].concat()).send().await,
    }
}

pub async fn pushed(site: &Site, app: &App, more: &[(&str, &str)]) -> String {
    text(&push(site, app, more).await.expect(201).json(), "request_uri").to_owned()
}

pub fn bring(site: &Site, app: &App, uri: &str, more: &[(&str, &str)]) -> String {
    let params = [&[("client_id", app.id.as_str()), ("request_uri", uri)], more].concat();
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("{}/oauth/authorize?{query}", site.issuer_path())
}

api_tests! {
    async fn request_that_was_pushed_is_answered_when_a_browser_brings_it(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let answer = push(&site, &app, &[]).await.expect(201);
        assert_eq!((answer.json()["expires_in"].clone(), answer.header("cache-control")), (json!(90), Some("no-store")));
        let uri = text(&answer.json(), "request_uri").to_owned();
        assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:") && uri.len() > 70, "{uri}");
        let page = browser.get(&bring(&site, &app, &uri, &[])).await.expect(200);
        let answer = site.submit(&browser, &page).await;
        assert_eq!(sent(&answer)["state"], "s/1");
        let tokens = site.exchange(&app, &code(&answer)).await.expect(200).json();
        assert_eq!(tokens["scope"], "email openid");
    }

    async fn parameters_beside_the_name_of_a_pushed_request_mean_nothing(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        let uri = pushed(&site, &app, &[("prompt", "login")]).await;
        let more = [("redirect_uri", "https://evil.example/"), ("prompt", "none"), ("state", "other"), ("scope", "openid profile")];
        let page = browser.get(&bring(&site, &app, &uri, &more)).await.expect(200);
        let answer = site.submit(&browser, &page).await;
        assert_eq!(sent(&answer)["state"], "s/1");
        assert_eq!(site.exchange(&app, &code(&answer)).await.expect(200).json()["scope"], "email openid");
    }

    async fn pushed_request_is_used_up_by_its_answer_and_not_by_its_page(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let uri = pushed(&site, &app, &[]).await;
        let (first, second) = (browser.get(&bring(&site, &app, &uri, &[])).await.expect(200), browser.get(&bring(&site, &app, &uri, &[])).await.expect(200));
        world.clock.advance(Duration::from_secs(600));
        code(&site.submit(&browser, &first).await);
        assert_eq!(site.submit(&browser, &second).await.expect(400).header("location"), None);
        assert_eq!(browser.get(&bring(&site, &app, &uri, &[])).await.expect(400).header("location"), None);
        let refused = pushed(&site, &app, &[("prompt", "none"), ("max_age", "1")]).await;
        assert_eq!(error(&Browser::new(&world).get(&bring(&site, &app, &refused, &[])).await), "login_required");
        Browser::new(&world).get(&bring(&site, &app, &refused, &[])).await.expect(400);
    }

    async fn of_64_browsers_with_one_pushed_request_one_gets_a_code(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let other = world.replica(|_| ()).await;
        site.tokens(&browser, &app, &[]).await;
        let uri = pushed(&site, &app, &[]).await;
        let path = bring(&site, &app, &uri, &[]);
        let browsers: Vec<_> = (0..64).map(|n| browser.at(if n % 2 == 0 { &world } else { &other })).collect();
        let statuses: Vec<_> = join_all(browsers.iter().map(|browser| browser.get(&path))).await.into_iter().map(|it| it.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [303, 400].contains(status)), "{statuses:?}");
    }

    async fn name_that_is_none_or_too_old_or_of_another_leads_nowhere(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let uri = pushed(&site, &app, &[]).await;
        let unknown = format!("urn:ietf:params:oauth:request_uri:{}", "A".repeat(43));
        for path in [bring(&site, &spa, &uri, &[]), bring(&site, &app, &unknown, &[]), bring(&site, &app, &uri, &[("client_id", &app.id)]),
            bring(&site, &app, &uri, &[]).replace(&format!("client_id={}&", app.id), "")] {
            assert_eq!(browser.get(&path).await.expect(400).header("location"), None, "{path}");
        }
        let far = world.tenant("far").await;
        let foreign = bring(&site, &app, &uri, &[]).replace("/acme/", &format!("/{}/", far.slug));
        browser.get(&foreign).await.expect(400);
        world.clock.advance(Duration::from_secs(90));
        browser.get(&bring(&site, &app, &uri, &[])).await.expect(400);
        world.clock.advance(Duration::from_secs(3_601));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM pushed_requests").await, 0);
    }

    async fn request_is_checked_when_it_is_pushed(world) {
        let site = Site::new(&world).await;
        let (app, spa) = (site.app(json!({})).await, site.spa().await);
        for (bad, expected) in [
            (("redirect_uri", "https://evil.example/"), "invalid_request"), (("redirect_uri", ""), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"), (("scope", "unknown"), "invalid_scope"),
            (("code_challenge_method", "plain"), "invalid_request"), (("code_challenge", ""), "invalid_request"),
            (("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"), (("request", "a.b.c"), "request_not_supported"),
            (("resource", "https://api.example/"), "invalid_target"), (("claims", "["), "invalid_request"),
        ] {
            assert_eq!(refused(push(&site, &app, &[bad]).await, 400), expected, "{bad:?}");
        }
        let wrong = App { secret: Some("ghk_wrong".to_owned()), ..app.clone() };
        assert_eq!(refused(push(&site, &wrong, &[]).await, 401), "invalid_client");
        push(&site, &spa, &[]).await.expect(201);
    }

    async fn application_that_has_to_push_gets_nothing_otherwise(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({"require_pushed_authorization_requests": true})).await, Browser::new(&world));
        assert_eq!(error(&browser.get(&site.request(&app, &[])).await), "invalid_request");
        let uri = pushed(&site, &app, &[]).await;
        let page = browser.get(&bring(&site, &app, &uri, &[])).await.expect(200);
        code(&site.submit(&browser, &page).await);
    }

    async fn refused_consent_uses_a_pushed_request_up(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({"require_consent": true})).await, Browser::new(&world));
        let uri = pushed(&site, &app, &[]).await;
        let page = browser.get(&bring(&site, &app, &uri, &[])).await.expect(200);
        let page = site.submit(&browser, &page).await.expect(200);
        assert_eq!(error(&browser.submit(&Form::of(&page), &[("answer", "refuse")]).await), "access_denied");
        browser.get(&bring(&site, &app, &uri, &[])).await.expect(400);
    }

    async fn another_user_than_is_asked_for_uses_a_pushed_request_up(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let claims = json!({"id_token": {"sub": {"value": "usr_01h455vb4pex5vsknk084sn02q"}}}).to_string();
        let uri = pushed(&site, &app, &[("claims", &claims)]).await;
        let page = browser.get(&bring(&site, &app, &uri, &[])).await.expect(200);
        assert_eq!(error(&site.submit(&browser, &page).await), "login_required");
        browser.get(&bring(&site, &app, &uri, &[])).await.expect(400);
    }

    async fn request_that_is_refused_when_it_is_brought_is_used_up(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let uri = pushed(&site, &app, &[]).await;
        site.change(&app, json!({"allowed_scopes": ["profile"]})).await;
        assert_eq!(error(&browser.get(&bring(&site, &app, &uri, &[])).await), "invalid_scope");
        browser.get(&bring(&site, &app, &uri, &[])).await.expect(400);
    }

    async fn application_has_no_more_than_ten_thousand_waiting_however_fast_it_pushes(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({})).await;
        for _ in 0..20 {
            push(&site, &app, &[]).await.expect(201);
        }
        let copies = if world.app.db().is_sqlite() { "randomblob(32)" } else { "sha256(gen_random_uuid()::text::bytea)" };
        world.execute(format!(
            "INSERT INTO pushed_requests (digest, tenant_id, application_id, sealed, expires_at) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9979) \
             SELECT {copies}, p.tenant_id, p.application_id, p.sealed, p.expires_at FROM n, (SELECT * FROM pushed_requests LIMIT 1) p"
        )).await;
        // What was counted before is not relied on for longer than a second.
        let until = Instant::now() + Duration::from_secs(20);
        let mut kept = 0;
        while push(&site, &app, &[]).await.status == 201 {
            kept += 1;
            assert!(Instant::now() < until, "{kept} more are kept");
        }
        let answer = push(&site, &app, &[]).await.expect(503);
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        world.clock.advance(Duration::from_secs(91));
        push(&site, &app, &[]).await.expect(201);
    }

    async fn strangers_push_no_more_than_an_address_may(world) {
        let limited = world.replica(|config| config.limits.oauth_starts = gatehouse_domain::bucket::BucketRule::of(3, 3, Duration::from_secs(600))).await;
        let site = Site::new(&limited).await;
        let (app, spa) = (site.app(json!({})).await, site.spa().await);
        for _ in 0..3 {
            push(&site, &spa, &[]).await.expect(201);
        }
        let answer = push(&site, &spa, &[]).await.expect(429);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        push(&site, &app, &[]).await.expect(201);
    }
}
