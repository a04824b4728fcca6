//! What an application may have, and who is asked, when that changes on the way.

use serde_json::{Value, json};

use crate::harness::{
    Browser, Form, PASSWORD, World, account, api_tests, claims,
    oauth::{App, Site, code, refused, text},
};

const API: &str = "https://files.example/v1";

/// An API, and an application with tokens for it.
struct AtApi {
    site: Site,
    api: String,
    app: App,
    tokens: Value,
    browser: Browser,
}

impl AtApi {
    async fn new(world: &World) -> Self {
        let site = Site::new(world).await;
        let api = json!({"name": "Files", "application_type": "SERVICE", "resource_uris": [API],
            "resource_scopes": [{"name": "files:read", "description": null}]});
        let path = format!("/tenants/{}/applications", site.tenant.id);
        let api = world.post(&path).bearer(&site.boss).json(api).send().await.expect(201).data()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let app = site.app(json!({"allowed_resources": [API], "allowed_scopes": ["openid", "files:read"]})).await;
        let browser = Browser::new(world);
        let tokens = site.tokens(&browser, &app, &[("resource", API), ("scope", "openid files:read")]).await;
        Self { site, api, app, tokens, browser }
    }

    async fn change_api(&self, change: Value) {
        let path = format!("/tenants/{}/applications/{}", self.site.tenant.id, self.api);
        self.site.world.patch(&path).bearer(&self.site.boss).json(change).send().await.expect(200);
    }
}

api_tests! {
    async fn no_token_is_made_for_an_api_that_may_not_be_asked_for_any_more(world) {
        let at = AtApi::new(&world).await;
        let code = code(&at.browser.get(&at.site.request(&at.app, &[("resource", API), ("scope", "openid files:read")])).await);
        at.site.change(&at.app, json!({"allowed_resources": []})).await;
        assert_eq!(refused(at.site.exchange(&at.app, &code).await, 400), "invalid_target");
        assert_eq!(refused(at.site.refresh(&at.app, text(&at.tokens, "refresh_token")).await, 400), "invalid_target");
    }

    async fn no_token_is_made_for_an_api_that_is_suspended_or_elsewhere(world) {
        let at = AtApi::new(&world).await;
        at.change_api(json!({"status": "SUSPENDED"})).await;
        assert_eq!(refused(at.site.refresh(&at.app, text(&at.tokens, "refresh_token")).await, 400), "invalid_target");
        at.change_api(json!({"status": "ACTIVE", "resource_uris": ["https://files.example/v2"]})).await;
        assert_eq!(refused(at.site.refresh(&at.app, text(&at.tokens, "refresh_token")).await, 400), "invalid_target");
    }

    async fn token_has_no_scope_that_its_api_has_lost(world) {
        let at = AtApi::new(&world).await;
        at.change_api(json!({"resource_scopes": []})).await;
        let tokens = at.site.refresh(&at.app, text(&at.tokens, "refresh_token")).await.expect(200).json();
        assert_eq!((&tokens["scope"], &claims(text(&tokens, "access_token"))["aud"]), (&json!("openid"), &json!(API)));
    }

    async fn code_gives_no_more_than_the_application_may_have_when_it_is_exchanged(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let code = code(&site.sign_in(&browser, &app, &[]).await);
        site.change(&app, json!({"allowed_scopes": ["openid"]})).await;
        let tokens = site.exchange(&app, &code).await.expect(200).json();
        assert_eq!(tokens["scope"], "openid");
        assert!(claims(text(&tokens, "id_token")).get("email").is_none());
    }

    async fn consent_is_to_what_the_page_said(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({"require_consent": true, "allowed_scopes": ["openid"]})).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[("scope", "openid email phone")]).await.expect(200);
        site.change(&app, json!({"allowed_scopes": ["openid", "email", "phone"]})).await;
        let again = browser.submit(&Form::of(&page), &[("answer", "allow")]).await.expect(200);
        assert!(again.text.contains("See your e-mail address"), "{}", again.text);
        code(&browser.submit(&Form::of(&again), &[("answer", "allow")]).await);
    }

    async fn answer_to_a_page_about_one_user_counts_for_no_other(world) {
        let site = Site::new(&world).await;
        world.person(&site.tenant, "bob").await;
        let (app, browser) = (site.app(json!({"post_logout_redirect_uris": ["https://wiki.example/bye"]})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        let choice = browser.get(&site.request(&app, &[("prompt", "select_account")])).await.expect(200);
        let sign_out = browser.get(&format!("{}/oauth/logout", site.issuer_path())).await.expect(200);
        let page = browser.get(&site.request(&app, &[("prompt", "login")])).await.expect(200);
        code(&browser.submit(&Form::of(&page), &[("username", "bob"), ("password", PASSWORD)]).await);
        let asked = browser.submit(&Form::of(&choice), &[("answer", &account(&choice, "ada@acme.example"))]).await.expect(200);
        assert!(asked.text.contains("bob@acme.example"), "{}", asked.text);
        let asked = browser.submit(&Form::of(&sign_out), &[]).await.expect(200);
        assert!(asked.text.contains("bob"), "{}", asked.text);
        code(&browser.get(&site.request(&app, &[("prompt", "none")])).await);
    }

    async fn forms_and_user_info_take_no_field_twice(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        browser.submit(&Form::of(&page), &[("username", "ada"), ("username", "bob"), ("password", PASSWORD)]).await.expect(400);
        let tokens = site.tokens(&browser, &app, &[]).await;
        let token = text(&tokens, "access_token");
        let path = "/auth/tenants/acme/oauth/userinfo";
        world.post(path).form(&[("access_token", token)]).send().await.expect(200);
        world.post(path).form(&[("access_token", token), ("access_token", token)]).send().await.expect(400);
        world.post(path).form(&[("access_token", token)]).bearer(token).send().await.expect(400);
    }

    async fn family_is_refreshed_as_often_as_a_session_may_be(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let mut tokens = site.tokens(&browser, &app, &[]).await;
        for _ in 0..30 {
            tokens = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        }
        let waits = site.refresh(&app, text(&tokens, "refresh_token")).await;
        assert!(waits.header("retry-after").is_some());
        assert_eq!(refused(waits, 429), "temporarily_unavailable");
        world.clock.advance(std::time::Duration::from_secs(61));
        site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
    }
}
