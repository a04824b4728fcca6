//! What signing in to applications costs, in statements. Transaction control is not counted.

use std::cell::RefCell;

use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, PASSWORD, World, api_tests,
    oauth::{App, CALLBACK, Site, basic, challenge, code, of_code, request_at, text, token_at},
};

/// The statements of a few requests in a row, the least of them: what is remembered is forgotten within a second.
async fn least(world: &World, status: u16, mut request: impl AsyncFnMut() -> Answer) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..4 {
        let before = world.app.db().statements().0;
        let answer = request().await;
        least = least.min(world.app.db().statements().0 - before);
        answer.expect(status);
    }
    least
}

async fn codes(site: &Site, browser: &Browser, app: &App) -> RefCell<Vec<String>> {
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(code(&browser.get(&site.request(app, &[])).await));
    }
    RefCell::new(codes)
}

api_tests! {
    async fn warm_user_info_and_page_of_a_sign_in_cost_no_statement(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        assert_eq!(least(&world, 200, async || site.user_info(text(&tokens, "access_token")).await).await, 0);
        let stranger = Browser::new(&world);
        assert_eq!(least(&world, 200, async || stranger.get(&site.request(&app, &[])).await).await, 0);
    }

    async fn code_from_a_session_takes_four_statements_at_most(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        assert_eq!(least(&world, 303, async || browser.get(&site.request(&app, &[])).await).await, 3);
    }

    async fn sign_in_by_page_with_its_code_takes_eight_statements_and_one_hash(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({})).await;
        let hashes = world.app.hashing().0;
        let count = least(&world, 303, async || {
            let browser = Browser::new(&world);
            let page = browser.get(&site.request(&app, &[])).await.expect(200);
            site.submit(&browser, &page).await
        });
        assert!(count.await <= 8);
        assert_eq!(world.app.hashing().0 - hashes, 4);
    }

    async fn exchange_of_a_code_takes_five_statements_and_a_refresh_three(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let last = RefCell::new(site.tokens(&browser, &app, &[]).await);
        let codes = codes(&site, &browser, &app).await;
        let exchange = async || {
            let code = codes.borrow_mut().pop().unwrap();
            let answer = site.exchange(&app, &code).await;
            *last.borrow_mut() = answer.json();
            answer
        };
        assert!(least(&world, 200, exchange).await <= 5);
        let refresh = async || {
            // Of each minute one refresh is recorded: the dearest.
            world.clock.advance(std::time::Duration::from_secs(61));
            let token = text(&last.borrow(), "refresh_token").to_owned();
            let answer = site.refresh(&app, &token).await;
            *last.borrow_mut() = answer.json();
            answer
        };
        assert!(least(&world, 200, refresh).await <= 3);
    }

    async fn exchange_with_a_session_of_its_own_takes_six_statements_and_giving_it_back_three(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({"allowed_scopes": ["openid", "offline_access"]})).await;
        let browser = Browser::new(&world);
        let asked = site.request(&app, &[("scope", "openid offline_access")]);
        let page = browser.get(&asked).await.expect(200);
        let mut codes = vec![code(&site.submit(&browser, &page).await)];
        for _ in 0..3 {
            codes.push(code(&browser.get(&asked).await));
        }
        let (codes, given) = (RefCell::new(codes), RefCell::new(Vec::new()));
        let exchange = async || {
            let code = codes.borrow_mut().pop().unwrap();
            let answer = site.exchange(&app, &code).await;
            given.borrow_mut().push(text(&answer.json(), "refresh_token").to_owned());
            answer
        };
        assert!(least(&world, 200, exchange).await <= 6);
        let give_back = async || {
            let token = given.borrow_mut().pop().unwrap();
            let call = world.post("/auth/tenants/acme/oauth/revoke");
            call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap())).form(&[("token", &token)]).send().await
        };
        assert!(least(&world, 200, give_back).await <= 3);
    }

    async fn requests_of_programs_cost_what_is_promised(world) {
        let site = Site::new(&world).await;
        let service = json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"]});
        let (app, robot, browser) = (site.app(json!({})).await, site.app(service).await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        let ask = async || site.token(&robot, &[("grant_type", "client_credentials")]).await;
        let own = ask().await.expect(200).json();
        assert_eq!(least(&world, 200, ask).await, 0, "once a minute it is recorded");
        let users = format!("/tenants/{}/users/{}", site.tenant.id, site.ada.id);
        let read = async || world.get(&users).bearer(text(&own, "access_token")).send().await;
        let first_party = async || world.get(&users).bearer(&site.boss).send().await;
        assert_eq!(least(&world, 200, read).await, least(&world, 200, first_party).await, "the user, as for anybody");
        let told = async |name: &str| {
            let call = world.post("/auth/tenants/acme/oauth/introspect");
            let call = call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap()));
            call.form(&[("token", text(&tokens, name))]).send().await
        };
        assert_eq!(least(&world, 200, async || told("access_token").await).await, 0);
        assert_eq!(least(&world, 200, async || told("refresh_token").await).await, 1);
        let push = async || {
            let call = world.post("/auth/tenants/acme/oauth/par");
            let call = call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap()));
            let fields = [
                ("redirect_uri", app.callback.as_str()), ("response_type", "code"), ("scope", "openid"),
                ("code_challenge", &challenge()), ("code_challenge_method", "S256"),
            ];
            call.form(&fields).send().await
        };
        assert_eq!(least(&world, 201, push).await, 1);
    }

    async fn issuer_of_the_platform_costs_what_that_of_a_tenant_does_and_one_to_find_the_tenant(world) {
        let site = Site::new(&world).await;
        let body = json!({"name": "Portal", "application_type": "WEB", "redirect_uris": [CALLBACK], "scope_level": "GLOBAL"});
        let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
        let app = App { id: text(&made, "id").to_owned(), secret: made["client_secret"].as_str().map(str::to_owned), callback: CALLBACK.to_owned() };
        let at = "/api/v1/platform/oauth";
        let sign_in = async |browser: &Browser| {
            let page = browser.get(&request_at(at, &app, &[])).await.expect(200);
            let page = browser.submit(&Form::of(&page), &[("username", "ada@acme.example")]).await.expect(200);
            browser.submit(&Form::of(&page), &[("username", "ada@acme.example"), ("password", PASSWORD)]).await
        };
        world.login(&site.ada).await;
        let (hashes, browser) = (world.app.hashing().0, Browser::new(&world));
        let stranger = Browser::new(&world);
        assert_eq!(least(&world, 200, async || stranger.get(&request_at(at, &app, &[])).await).await, 0);
        let count = least(&world, 303, async || sign_in(&Browser::new(&world)).await).await;
        assert!(count <= 9, "{count}");
        assert_eq!(world.app.hashing().0 - hashes, 4);
        let answer = sign_in(&browser).await;
        assert_eq!(least(&world, 303, async || browser.get(&request_at(at, &app, &[])).await).await, 3);
        let code = code(&answer);
        let got = token_at(&world, at, &app, &of_code(&app, &code)).await.expect(200).json();
        let user_info = async || world.get("/platform/oauth/userinfo").bearer(text(&got, "access_token")).send().await;
        assert_eq!(least(&world, 200, user_info).await, 0);
    }
}
