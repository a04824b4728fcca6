//! Devices without a browser (RFC 8628): they show a code, with which somebody signs them in from elsewhere.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, Form, PASSWORD, World, api_tests, claims,
    oauth::{App, Site, basic, code, refused, text},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// An application on devices, with what more it is registered with.
pub async fn television(site: &Site, more: Value) -> App {
    let mut body = json!({
        "name": "Television", "application_type": "NATIVE", "redirect_uris": [],
        "grant_types": [GRANT, "refresh_token"], "allowed_scopes": ["openid", "profile", "email"],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    site.app(body).await
}

impl Site {
    pub async fn wait(&self, app: &App, more: &[(&str, &str)]) -> Answer {
        let call = self.world.post("/auth/tenants/acme/oauth/device_authorization");
        let mut fields = vec![("client_id", app.id.as_str()), ("scope", "openid profile")];
        fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        call.form(&fields).send().await
    }

    pub async fn poll(&self, app: &App, waits: &Value) -> Answer {
        self.poll_at(&self.world, app, waits).await
    }

    pub async fn poll_at(&self, world: &World, app: &App, waits: &Value) -> Answer {
        let fields = [("grant_type", GRANT), ("device_code", text(waits, "device_code"))];
        self.token_at(world, app, &fields).await
    }

    /// Types the code into the page for every issuer.
    pub async fn open(&self, browser: &Browser, waits: &Value) -> Answer {
        let page = browser.get("/device").await.expect(200);
        browser.submit(&Form::of(&page), &[("user_code", text(waits, "user_code"))]).await
    }

    /// The page that asks whether the device is signed in, which somebody signs in for.
    async fn asked(&self, browser: &Browser, waits: &Value) -> Answer {
        let page = self.open(browser, waits).await.expect(200);
        if page.text.contains("type=\"password\"") { self.submit(browser, &page).await.expect(200) } else { page }
    }

    pub async fn approve(&self, browser: &Browser, waits: &Value) -> Answer {
        let page = self.asked(browser, waits).await;
        browser.submit(&Form::of(&page), &[("answer", "allow")]).await
    }
}

async fn site(world: &World) -> (Site, App, Browser) {
    let site = Site::new(world).await;
    let app = television(&site, json!({})).await;
    (site, app, Browser::new(world))
}

api_tests! {
    async fn device_is_signed_in_with_the_code_that_it_shows(world) {
        let (site, app, browser) = site(&world).await;
        let answer = site.wait(&app, &[]).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let waits = answer.json();
        assert_eq!((&waits["expires_in"], &waits["interval"]), (&json!(600), &json!(5)));
        assert!(text(&waits, "verification_uri").ends_with("/device"), "{waits}");
        let complete = format!("{}?user_code={}", text(&waits, "verification_uri"), text(&waits, "user_code"));
        assert_eq!(waits["verification_uri_complete"], complete);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "authorization_pending");
        let page = site.asked(&browser, &waits).await;
        for shown in [text(&waits, "user_code"), "Television", "Less than a minute ago", "See your name", "Also after you sign out"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        let done = browser.submit(&Form::of(&page), &[("answer", "allow")]).await.expect(200);
        assert!(done.text.contains("The device is signed in"), "{}", done.text);
        let tokens = site.poll(&app, &waits).await.expect(200).json();
        assert_eq!(tokens["scope"], "openid profile");
        let (id, access) = (claims(text(&tokens, "id_token")), claims(text(&tokens, "access_token")));
        assert_eq!((&id["sub"], &id["aud"], &id["sid"]), (&json!(site.ada.id), &json!(app.id), &access["sid"]));
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "invalid_grant");
        assert_eq!(world.events("device.approved", &app.id).await, 1);
    }

    async fn device_has_a_session_of_its_own_that_outlives_the_browsers(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        site.approve(&browser, &waits).await.expect(200);
        let tokens = site.poll(&app, &waits).await.expect(200).json();
        let sid = text(&claims(text(&tokens, "access_token")), "sid").to_owned();
        let sessions = site.sessions().await;
        let kinds: Vec<_> = sessions.iter().map(|it| (text(it, "kind"), it["application_id"].as_str())).collect();
        assert!(kinds.contains(&("device", Some(app.id.as_str()))) && kinds.contains(&("browser", None)), "{kinds:?}");
        for session in sessions.iter().filter(|session| session["kind"] == "browser") {
            let path = format!("/tenants/{}/sessions/{}", site.tenant.id, text(session, "id"));
            world.delete(&path).bearer(&site.boss).send().await.expect(204);
        }
        let tokens = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        world.delete(&format!("/tenants/{}/sessions/{sid}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        site.user_info(text(&tokens, "access_token")).await.expect(401);
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
    }

    async fn device_that_is_refused_gets_nothing(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let page = site.asked(&browser, &waits).await;
        let done = browser.submit(&Form::of(&page), &[("answer", "refuse")]).await.expect(200);
        assert!(done.text.contains("The device is not signed in"), "{}", done.text);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "access_denied");
        assert_eq!(world.events("device.refused", &app.id).await, 1);
        assert_eq!(browser.submit(&Form::of(&page), &[("answer", "allow")]).await.status, 400);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "access_denied");
    }

    async fn device_that_asks_too_often_is_told_to_slow_down_and_has_to(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let mut told = Vec::new();
        for seconds in [0, 4, 9, 14, 19, 25] {
            world.clock.advance(Duration::from_secs(seconds));
            told.push(refused(site.poll(&app, &waits).await, 400));
        }
        let (pending, slow) = ("authorization_pending", "slow_down");
        assert_eq!(told, [pending, slow, slow, slow, slow, pending], "5, 10, 15, 20 and then 25 seconds");
        site.approve(&browser, &waits).await.expect(200);
        site.poll(&app, &waits).await.expect(200);
    }

    async fn code_is_over_after_ten_minutes(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let page = site.asked(&browser, &waits).await;
        world.clock.advance(Duration::from_secs(600));
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "expired_token");
        assert_eq!(browser.submit(&Form::of(&page), &[("answer", "allow")]).await.status, 400);
        assert_eq!(site.open(&browser, &waits).await.status, 422);
        world.clock.advance(Duration::from_secs(3_600));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM device_requests").await, 0);
    }

    async fn first_session_that_opens_a_code_owns_it(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let first = site.asked(&browser, &waits).await;
        let eve = world.person(&site.tenant, "eve").await;
        let other = Browser::new(&world);
        let page = site.open(&other, &waits).await.expect(200);
        let seen = other.submit(&Form::of(&page), &[("username", &eve.name), ("password", PASSWORD)]).await;
        assert_eq!(seen.status, 400);
        assert!(!seen.text.contains(text(&waits, "user_code")) && !seen.text.contains("name=\"answer\""), "{}", seen.text);
        assert_eq!(other.submit(&Form::of(&first), &[("answer", "allow")]).await.status, 400);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "authorization_pending");
        browser.submit(&Form::of(&first), &[("answer", "allow")]).await.expect(200);
        let tokens = site.poll(&app, &waits).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "id_token"))["sub"], json!(site.ada.id));
    }

    async fn somebody_else_may_sign_the_device_in_from_the_same_browser(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let page = site.asked(&browser, &waits).await;
        let page = browser.submit(&Form::of(&page), &[("answer", "another")]).await.expect(200);
        let eve = world.person(&site.tenant, "eve").await;
        let page = browser.submit(&Form::of(&page), &[("username", &eve.name), ("password", PASSWORD)]).await.expect(200);
        browser.submit(&Form::of(&page), &[("answer", "allow")]).await.expect(200);
        let tokens = site.poll(&app, &waits).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "id_token"))["sub"], json!(eve.id));
    }

    async fn of_64_sessions_that_open_a_code_at_once_one_owns_it(world) {
        let (site, app, _) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let wiki = site.app(json!({})).await;
        let mut browsers = Vec::new();
        for _ in 0..8 {
            let browser = Browser::new(&world);
            code(&site.sign_in(&browser, &wiki, &[]).await);
            browsers.push(browser);
        }
        let pages = join_all((0..64).map(|n| site.open(&browsers[n % 8], &waits))).await;
        let owners = (0..8).filter(|n| pages.iter().skip(*n).step_by(8).any(|page| page.status == 200)).count();
        assert_eq!(owners, 1);
    }

    async fn of_64_devices_with_one_approved_code_one_gets_tokens(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        site.approve(&browser, &waits).await.expect(200);
        let answers = join_all((0..64).map(|_| site.poll(&app, &waits))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(400)), (1, 63));
        assert_eq!(site.sessions().await.iter().filter(|session| session["kind"] == "device").count(), 1);
    }

    async fn device_gets_nothing_from_a_session_that_has_ended(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        site.approve(&browser, &waits).await.expect(200);
        let end = world.post(&format!("/tenants/{}/sessions/users/{}/revoke", site.tenant.id, site.ada.id));
        end.bearer(&site.boss).json(json!({"revoke_all": true})).send().await.expect(200);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "invalid_grant");
        assert_eq!(site.sessions().await.len(), 0);
    }

    async fn device_that_was_approved_gets_nothing_when_its_application_has_lost_everything_meanwhile(world) {
        let (site, app, browser) = site(&world).await;
        let revoke = format!("/tenants/{}/applications/{}/revoke-tokens", site.tenant.id, app.id);
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let asks = site.wait(&app, &[]).await.expect(200).json();
        site.approve(&browser, &waits).await.expect(200);
        let page = site.asked(&browser, &asks).await;
        world.post(&revoke).bearer(&site.boss).send().await.expect(200);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "invalid_grant");
        assert_eq!(browser.submit(&Form::of(&page), &[("answer", "allow")]).await.status, 400);
        let waits = site.wait(&app, &[]).await.expect(200).json();
        site.approve(&browser, &waits).await.expect(200);
        let ada = world.login(&site.ada).await;
        world.delete(&format!("/me/authorized-apps/{}", app.id)).bearer(&ada).send().await.expect(204);
        assert_eq!(refused(site.poll(&app, &waits).await, 400), "invalid_grant");
        assert_eq!(world.get("/me/authorized-apps").bearer(&ada).send().await.expect(200).data(), json!([]));
    }

    async fn wrong_codes_are_limited_by_browser_and_by_address(world) {
        let (site, app, browser) = site(&world).await;
        let limit = async |browser: &Browser| {
            let mut wrong = 0;
            loop {
                let page = browser.get("/device").await.expect(200);
                let code = if wrong % 2 == 0 { "BCDF-GHJK" } else { "nonsense" };
                let answer = browser.submit(&Form::of(&page), &[("user_code", code)]).await;
                match answer.status {
                    422 => wrong += 1,
                    status => {
                        assert!(status == 429 && answer.header("retry-after").is_some(), "{}", answer.text);
                        return wrong;
                    }
                }
            }
        };
        assert_eq!((limit(&browser).await, limit(&Browser::new(&world)).await), (10, 10));
        assert_eq!(limit(&Browser::new(&world)).await, 0, "the address has had its twenty");
        let waits = site.wait(&app, &[]).await.expect(200).json();
        assert_eq!(site.open(&Browser::new(&world), &waits).await.status, 429, "a right one too");
        world.clock.advance(Duration::from_secs(600));
        let waits = site.wait(&app, &[]).await.expect(200).json();
        for _ in 0..40 {
            site.open(&browser, &waits).await.expect(200);
        }
    }

    async fn page_of_a_tenant_knows_its_own_devices_alone(world) {
        let (site, app, browser) = site(&world).await;
        world.tenant("other").await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        for (slug, status) in [("other", 422), ("acme", 200)] {
            let page = browser.get(&format!("/api/v1/auth/tenants/{slug}/oauth/device")).await.expect(200);
            assert_eq!(browser.submit(&Form::of(&page), &[("user_code", text(&waits, "user_code"))]).await.status, status);
        }
    }

    async fn code_in_the_address_is_in_the_field_and_opens_nothing(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let page = browser.get(&format!("/device?user_code={}", text(&waits, "user_code"))).await.expect(200);
        assert!(page.text.contains(&format!("value=\"{}\"", text(&waits, "user_code"))), "{}", page.text);
        assert_eq!(world.number("SELECT COUNT(*) FROM device_requests WHERE session_id IS NOT NULL").await, 0);
        browser.submit(&Form::of(&page), &[("user_code", text(&waits, "user_code"))]).await.expect(200);
    }

    async fn form_of_another_browser_opens_nothing(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let form = Form::of(&browser.get("/device").await.expect(200));
        let page = Browser::new(&world).submit(&form, &[("user_code", text(&waits, "user_code"))]).await.expect(200);
        assert!(page.text.contains("The form came from another browser"), "{}", page.text);
    }

    async fn application_is_told_what_is_wrong_with_what_its_device_asks(world) {
        let (site, app, _) = site(&world).await;
        let wiki = site.app(json!({})).await;
        let call = world.post("/auth/tenants/acme/oauth/device_authorization");
        let call = call.header("authorization", &basic(&wiki.id, wiki.secret.as_deref().unwrap()));
        assert_eq!(refused(call.form(&[("scope", "openid")]).send().await, 400), "unauthorized_client");
        for (more, error) in [
            (("scope", "users:read"), "invalid_scope"),
            (("scope", ""), "invalid_scope"),
            (("resource", "https://api.example"), "invalid_target"),
        ] {
            assert_eq!(refused(site.wait(&app, &[more]).await, 400), error, "{more:?}");
        }
        assert_eq!(refused(site.wait(&app, &[("client_id", "app_nobody")]).await, 401), "invalid_client");
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let other = television(&site, json!({"name": "Other"})).await;
        assert_eq!(refused(site.poll(&other, &waits).await, 400), "invalid_grant");
        let nonsense = json!({"device_code": "ghc_nonsense"});
        assert_eq!(refused(site.poll(&app, &nonsense).await, 400), "invalid_grant");
        assert_eq!(refused(site.token(&app, &[("grant_type", GRANT)]).await, 400), "invalid_request");
    }

    async fn device_of_an_application_that_was_suspended_or_deleted_gets_nothing(world) {
        let (site, app, browser) = site(&world).await;
        let waits = site.wait(&app, &[]).await.expect(200).json();
        let page = site.asked(&browser, &waits).await;
        site.change(&app, json!({"status": "SUSPENDED"})).await;
        assert_eq!(browser.submit(&Form::of(&page), &[("answer", "allow")]).await.status, 400);
        assert_eq!(refused(site.poll(&app, &waits).await, 401), "invalid_client");
    }

    async fn asking_for_a_device_costs_one_statement_waiting_two_and_its_tokens_six(world) {
        let (site, app, browser) = site(&world).await;
        let statements = || world.app.db().statements().0;
        let mut spent = [u64::MAX; 3];
        for _ in 0..3 {
            let before = statements();
            let waits = site.wait(&app, &[]).await.expect(200).json();
            let asked = statements();
            site.poll(&app, &waits).await.expect(400);
            let polled = statements();
            site.approve(&browser, &waits).await.expect(200);
            let approved = statements();
            site.poll(&app, &waits).await.expect(200);
            let counted = [asked - before, polled - asked, statements() - approved];
            spent = [0, 1, 2].map(|n| spent[n].min(counted[n]));
        }
        assert!(spent[0] <= 1 && spent[1] <= 2 && spent[2] <= 6, "{spent:?}");
    }
}
