//! Applications that stay connected while the user is away (`offline_access`): each has a session of its own.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    back_channel::Told,
    harness::{
        Browser, World, api_tests, claims,
        oauth::{App, Site, code, error, refused, text},
    },
};

const SCOPE: (&str, &str) = ("scope", "openid profile email offline_access");
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// An application that may stay connected, with what more it is registered with.
async fn connected(site: &Site, more: Value) -> App {
    let mut body = json!({"allowed_scopes": ["openid", "profile", "email", "offline_access"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    site.app(body).await
}

/// The application's own session of these tokens.
fn own(tokens: &Value) -> String {
    text(&claims(text(tokens, "access_token")), "sid").to_owned()
}

/// The session that somebody signed in to.
fn browsers(tokens: &Value) -> String {
    text(&claims(text(tokens, "id_token")), "sid").to_owned()
}

impl Site {
    async fn session(&self, id: &str) -> Value {
        let path = format!("/tenants/{}/sessions/{id}", self.tenant.id);
        self.world.get(&path).bearer(&self.boss).send().await.expect(200).data()
    }

    async fn end(&self, id: &str) {
        let path = format!("/tenants/{}/sessions/{id}", self.tenant.id);
        self.world.delete(&path).bearer(&self.boss).send().await.expect(204);
    }

    /// That the application is out and its own session has ended so.
    async fn is_out(&self, app: &App, tokens: &Value, reason: &str) {
        self.user_info(text(tokens, "access_token")).await.expect(401);
        assert_eq!(refused(self.refresh(app, text(tokens, "refresh_token")).await, 400), "invalid_grant");
        let session = self.session(&own(tokens)).await;
        assert_eq!((&session["status"], &session["revoke_reason"]), (&json!("revoked"), &json!(reason)));
    }

    async fn stays_signed_in(&self, tokens: &Value) {
        assert_eq!(self.session(&browsers(tokens)).await["status"], "active");
    }
}

async fn site(world: &World) -> (Site, App, Browser) {
    let site = Site::new(world).await;
    let app = connected(&site, json!({})).await;
    (site, app, Browser::new(world))
}

api_tests! {
    async fn application_that_stays_connected_has_a_session_of_its_own_that_says_whose(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        assert_eq!(tokens["scope"], "email offline_access openid profile");
        assert_ne!(own(&tokens), browsers(&tokens));
        let session = site.session(&own(&tokens)).await;
        assert_eq!((&session["kind"], &session["application_id"]), (&json!("offline"), &json!(app.id)));
        assert_eq!((&session["app_count"], &session["sso_apps"][0]["application_id"]), (&json!(1), &json!(app.id)));
        assert_eq!(session["auth_methods"], json!(["pwd"]));
        let browsers = site.session(&browsers(&tokens)).await;
        assert_eq!((&browsers["kind"], &browsers["application_id"]), (&json!("browser"), &Value::Null));
        let mine = world.get(&format!("/me/sessions/{}", own(&tokens))).bearer(&world.login(&site.ada).await).send().await;
        assert_eq!(mine.expect(200).data()["kind"], "offline");
        assert_eq!(world.events("session.created", &own(&tokens)).await, 1);
    }

    async fn it_outlives_signing_out_of_the_browser_and_its_id_tokens_name_the_session_of_the_sign_in(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        site.end(&browsers(&tokens)).await;
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        let next = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        let (before, after) = (claims(text(&tokens, "id_token")), claims(text(&next, "id_token")));
        for claim in ["sub", "aud", "auth_time", "sid"] {
            assert_eq!(before[claim], after[claim], "{claim}");
        }
        assert_eq!(own(&next), own(&tokens));
    }

    async fn without_refresh_tokens_it_has_no_session_of_its_own(world) {
        let site = Site::new(&world).await;
        let app = connected(&site, json!({"grant_types": ["authorization_code"]})).await;
        let tokens = site.tokens(&Browser::new(&world), &app, &[SCOPE]).await;
        assert_eq!(own(&tokens), browsers(&tokens));
    }

    async fn ending_its_session_ends_it_and_not_the_browsers(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        site.end(&own(&tokens)).await;
        site.is_out(&app, &tokens, "admin").await;
        site.stays_signed_in(&tokens).await;
    }

    async fn reuse_of_a_refresh_token_ends_its_session_and_not_the_browsers(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        let next = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        world.clock.advance(Duration::from_secs(11));
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        site.is_out(&app, &next, "reuse_detected").await;
        site.stays_signed_in(&tokens).await;
        let family = text(&claims(text(&tokens, "access_token")), "family_id").to_owned();
        assert_eq!(world.events("token_family.reuse_detected", &family).await, 1);
        assert_eq!(world.events("session.refresh_reuse_detected", &own(&tokens)).await, 1);
    }

    async fn second_use_of_its_code_ends_its_session_and_not_the_browsers(world) {
        let (site, app, browser) = site(&world).await;
        let code = code(&site.sign_in(&browser, &app, &[SCOPE]).await);
        let tokens = site.exchange(&app, &code).await.expect(200).json();
        assert_eq!(refused(site.exchange(&app, &code).await, 400), "invalid_grant");
        site.is_out(&app, &tokens, "reuse_detected").await;
        site.stays_signed_in(&tokens).await;
    }

    async fn refresh_token_that_is_given_back_ends_its_session(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        let call = world.post("/auth/tenants/acme/oauth/revoke");
        let call = call.header("authorization", &crate::harness::oauth::basic(&app.id, app.secret.as_deref().unwrap()));
        call.form(&[("token", text(&tokens, "refresh_token"))]).send().await.expect(200);
        site.is_out(&app, &tokens, "logout").await;
        site.stays_signed_in(&tokens).await;
    }

    async fn consent_that_is_taken_back_ends_its_session(world) {
        let (site, app, browser) = site(&world).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        let ada = world.login(&site.ada).await;
        let apps = world.get("/me/authorized-apps").bearer(&ada).send().await.expect(200).data();
        assert_eq!((&apps[0]["families"], &apps[0]["scopes"][1]), (&json!(1), &json!("offline_access")));
        world.delete(&format!("/me/authorized-apps/{}", app.id)).bearer(&ada).send().await.expect(204);
        site.is_out(&app, &tokens, "user").await;
        site.stays_signed_in(&tokens).await;
    }

    async fn revoking_its_tokens_and_deleting_it_end_its_sessions(world) {
        let (site, app, browser) = site(&world).await;
        let path = format!("/tenants/{}/applications/{}", site.tenant.id, app.id);
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        world.post(&format!("{path}/revoke-tokens")).bearer(&site.boss).send().await.expect(200);
        site.is_out(&app, &tokens, "admin").await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        world.delete(&path).bearer(&site.boss).send().await.expect(204);
        let session = site.session(&own(&tokens)).await;
        assert_eq!((&session["status"], &session["revoke_reason"]), (&json!("revoked"), &json!("deleted")));
        site.stays_signed_in(&tokens).await;
    }

    async fn it_lasts_as_long_as_the_tenant_allows_and_idles_as_long_as_its_refresh_tokens(world) {
        let (site, app, browser) = site(&world).await;
        let short = connected(&site, json!({"name": "Short", "refresh_token_lifetime": 3_600})).await;
        world.settings(&site.tenant, json!({"offline_max_days": 10, "session_idle_minutes": 5})).await;
        let mut tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        for _ in 0..3 {
            world.clock.advance(DAY * 3);
            tokens = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
            world.app.maintenance().flush_activity().await.unwrap();
        }
        world.clock.advance(DAY + Duration::from_secs(1));
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        let tokens = site.tokens(&Browser::new(&world), &short, &[SCOPE]).await;
        world.clock.advance(Duration::from_secs(3_700));
        assert_eq!(refused(site.refresh(&short, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
    }

    async fn stricter_settings_end_what_has_lasted_too_long_of_its_kind_and_of_no_other(world) {
        let (site, app, browser) = site(&world).await;
        let boss = world.tenant_admin(&site.tenant, "second-boss").await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        for _ in 0..2 {
            world.clock.advance(DAY * 5);
            let page = browser.get(&site.request(&app, &[("prompt", "none")])).await;
            assert_eq!(page.status, 303);
            world.app.maintenance().flush_activity().await.unwrap();
        }
        let (boss, tenant) = (world.login(&boss).await, &site.tenant.id);
        let decide = async |settings: Value| {
            let path = format!("/tenants/{tenant}/settings");
            world.patch(&path).bearer(&boss).json(settings).send().await.expect(200);
            let mut statuses = Vec::new();
            for id in [browsers(&tokens), own(&tokens)] {
                let path = format!("/tenants/{tenant}/sessions/{id}");
                statuses.push(world.get(&path).bearer(&boss).send().await.expect(200).data()["status"].clone());
            }
            statuses
        };
        // What has no idle time of its own is not given one, and a browser has no refresh token that could be too old.
        assert_eq!(decide(json!({"session_max_days": 20, "refresh_token_days": 6})).await, ["active", "expired"]);
    }

    async fn session_of_somebody_with_a_role_lasts_a_day(world) {
        let (site, app, browser) = site(&world).await;
        let role = world.role(&site.tenant, "Reader", &["users:read"]).await;
        world.give(&site.ada, &role, json!({"level": "tenant", "tenant_id": site.tenant.id})).await;
        let tokens = site.tokens(&browser, &app, &[SCOPE]).await;
        let lives = "SELECT (expires_at - created_at) / 1000000 FROM sessions WHERE application_id IS NOT NULL";
        assert_eq!(world.number(lives).await, 86_400);
        assert_eq!(text(&site.session(&own(&tokens)).await, "kind"), "offline");
    }

    async fn it_counts_among_the_sessions_of_its_user(world) {
        let (site, app, browser) = site(&world).await;
        world.settings(&site.tenant, json!({"max_sessions_per_user": 2, "session_limit_action": "refuse"})).await;
        site.tokens(&browser, &app, &[SCOPE]).await;
        let third = code(&browser.get(&site.request(&app, &[SCOPE])).await);
        assert_eq!(refused(site.exchange(&app, &third).await, 400), "invalid_grant");
        world.settings(&site.tenant, json!({"session_limit_action": "end_oldest"})).await;
        site.exchange(&app, &third).await.expect(200);
        assert_eq!(site.sessions().await.len(), 2);
    }

    async fn exchanges_at_once_keep_within_the_number_of_sessions(world) {
        let (site, app, browser) = site(&world).await;
        world.settings(&site.tenant, json!({"max_sessions_per_user": 5})).await;
        let mut codes = vec![code(&site.sign_in(&browser, &app, &[SCOPE]).await)];
        for _ in 0..15 {
            codes.push(code(&browser.get(&site.request(&app, &[SCOPE])).await));
        }
        let answers = join_all(codes.iter().map(|code| site.exchange(&app, code))).await;
        assert!(answers.iter().all(|answer| [200, 400].contains(&answer.status)));
        assert_eq!(site.sessions().await.len(), 5);
    }

    async fn exchange_races_the_end_of_all_sessions_and_nothing_survives(world) {
        let (site, app, browser) = site(&world).await;
        for _ in 0..20 {
            let answer = browser.get(&site.request(&app, &[SCOPE])).await;
            let answer = if answer.status == 200 { site.submit(&browser, &answer).await } else { answer };
            let code = code(&answer);
            let end = world.post(&format!("/tenants/{}/sessions/users/{}/revoke", site.tenant.id, site.ada.id));
            let end = end.bearer(&site.boss).json(json!({"revoke_all": true})).send();
            let (ended, exchanged) = futures_util::join!(end, site.exchange(&app, &code));
            ended.expect(200);
            assert!([200, 400].contains(&exchanged.status), "{}", exchanged.text);
            if exchanged.status == 200 {
                let tokens = exchanged.json();
                assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
            }
            assert_eq!(site.sessions().await.len(), 0);
        }
    }

    async fn sixty_four_exchanges_of_one_code_at_once_have_one_session(world) {
        let (site, app, browser) = site(&world).await;
        let code = code(&site.sign_in(&browser, &app, &[SCOPE]).await);
        let answers = join_all((0..64).map(|_| site.exchange(&app, &code))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(400)), (1, 63));
        let prompt = browser.get(&site.request(&app, &[("prompt", "none"), ("state", "")])).await;
        assert_eq!((prompt.status, site.sessions().await.len()), (303, 1), "{:?}", error(&prompt));
    }

    async fn application_is_told_of_the_end_of_its_own_session_by_the_sid_of_its_id_tokens(world) {
        let told = Told::new(&world, json!({"allowed_scopes": ["openid", "profile", "email", "offline_access"]})).await;
        let tokens = told.site.tokens(&told.browser, &told.app, &[SCOPE]).await;
        assert_eq!(browsers(&tokens), told.sid());
        told.site.end(&own(&tokens)).await;
        assert_eq!((told.tell().await, told.receiver.sessions()), (1, vec![told.sid()]));
        let tokens = told.site.tokens(&told.browser, &told.app, &[SCOPE]).await;
        told.end().await;
        assert_eq!((told.tell().await, told.receiver.sessions()), (1, vec![told.sid()]));
        told.site.refresh(&told.app, text(&tokens, "refresh_token")).await.expect(200);
    }

    async fn application_is_told_of_both_ends_where_the_browsers_session_and_its_own_end_one_after_the_other(world) {
        let told = Told::new(&world, json!({"allowed_scopes": ["openid", "profile", "email", "offline_access"]})).await;
        let tokens = told.site.tokens(&told.browser, &told.app, &[SCOPE]).await;
        told.end().await;
        // What is claimed together gets one instant.
        world.clock.advance(Duration::from_millis(1));
        told.site.end(&own(&tokens)).await;
        assert_eq!((told.tell().await, told.receiver.sessions()), (2, vec![told.sid(), told.sid()]));
        assert_eq!(told.waiting().await, 0);
    }

    async fn application_is_told_of_both_ends_where_all_sessions_of_a_user_end(world) {
        let told = Told::new(&world, json!({"allowed_scopes": ["openid", "profile", "email", "offline_access"]})).await;
        told.site.tokens(&told.browser, &told.app, &[SCOPE]).await;
        let end = told.world.post(&format!("/tenants/{}/sessions/users/{}/revoke", told.site.tenant.id, told.site.ada.id));
        end.bearer(&told.site.boss).json(json!({"revoke_all": true})).send().await.expect(200);
        assert_eq!((told.tell().await, told.receiver.sessions()), (2, vec![told.sid(), told.sid()]));
    }
}
