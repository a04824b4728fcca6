//! What tokens count for (RFC 7662), and tokens that are taken back (RFC 7009).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, World, api_tests,
    oauth::{App, Site, basic, code, refused, text},
};

const API: &str = "https://files.example/v1";

async fn send(world: &World, site: &Site, endpoint: &str, app: &App, fields: &[(&str, &str)]) -> Answer {
    let call = world.post(&format!("/auth/tenants/{}/oauth/{endpoint}", site.tenant.slug));
    match &app.secret {
        Some(secret) => call.header("authorization", &basic(&app.id, secret)).form(fields).send().await,
        None => call.form(&[&[("client_id", app.id.as_str())], fields].concat()).send().await,
    }
}

async fn told(site: &Site, app: &App, token: &str) -> Value {
    send(&site.world, site, "introspect", app, &[("token", token)]).await.expect(200).json()
}

async fn revoke(site: &Site, app: &App, token: &str) -> Answer {
    send(&site.world, site, "revoke", app, &[("token", token)]).await
}

fn inactive() -> Value {
    json!({"active": false})
}

/// An API, and an application with tokens for it.
async fn at_api(site: &Site, browser: &Browser) -> (App, App, Value) {
    let api = site
        .app(json!({"name": "Files", "application_type": "SERVICE", "redirect_uris": [], "resource_uris": [API],
        "resource_scopes": [{"name": "files:read", "description": null}]}));
    let api = api.await;
    let app =
        site.app(json!({"allowed_resources": [API], "allowed_scopes": ["openid", "profile", "files:read"]})).await;
    let tokens = site.tokens(browser, &app, &[("resource", API), ("scope", "openid profile files:read")]).await;
    (api, app, tokens)
}

api_tests! {
    async fn api_learns_what_a_token_for_it_opens_and_whose_it_is(world) {
        let site = Site::new(&world).await;
        let browser = Browser::new(&world);
        let (api, app, tokens) = at_api(&site, &browser).await;
        let access = text(&tokens, "access_token");
        let says = told(&site, &api, access).await;
        assert_eq!((&says["active"], &says["scope"], &says["token_type"]), (&json!(true), &json!("files:read openid profile"), &json!("Bearer")));
        assert_eq!((&says["sub"], &says["client_id"], &says["aud"]), (&json!(site.ada.id), &json!(app.id), &json!(API)));
        assert_eq!((&says["username"], &says["tenant_id"], &says["acr"]), (&json!("ada"), &json!(site.tenant.id), &json!("aal1")));
        for name in ["exp", "iat", "iss", "jti", "sid", "auth_time", "amr"] {
            assert!(says.get(name).is_some(), "{name}");
        }
        assert_eq!(told(&site, &app, access).await["active"], true, "the application that got it");
        let refresh = told(&site, &app, text(&tokens, "refresh_token")).await;
        assert_eq!((&refresh["active"], &refresh["client_id"], &refresh["sub"]), (&json!(true), &json!(app.id), &json!(site.ada.id)));
    }

    async fn whatever_is_not_the_callers_business_is_told_in_the_same_words(world) {
        let site = Site::new(&world).await;
        let browser = Browser::new(&world);
        let (api, app, tokens) = at_api(&site, &browser).await;
        let other = site.app(json!({"name": "Other", "redirect_uris": ["https://other.example/cb"]})).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        for token in [access, refresh, text(&tokens, "id_token"), "x", "a.b.c", "ghg_none"] {
            assert_eq!(told(&site, &other, token).await, inactive(), "{token}");
        }
        assert_eq!(told(&site, &api, refresh).await, inactive(), "a refresh token is its application's alone");
        let far = world.tenant("far").await;
        let boss = world.tenant_admin(&far, "boss").await;
        let abroad = Site { world: world.clone(), tenant: far, boss: world.login(&boss).await, ada: boss };
        let stranger = abroad.app(json!({"resource_uris": [API]})).await;
        assert_eq!(told(&abroad, &stranger, access).await, inactive(), "another tenant");
        let spa = site.spa().await;
        assert_eq!(refused(send(&world, &site, "introspect", &spa, &[("token", access)]).await, 401), "invalid_client");
        assert_eq!(refused(send(&world, &site, "introspect", &app, &[]).await, 400), "invalid_request");
        let wrong = App { secret: Some("ghk_wrong".to_owned()), ..app.clone() };
        assert_eq!(refused(send(&world, &site, "introspect", &wrong, &[("token", access)]).await, 401), "invalid_client");
    }

    async fn token_that_has_ended_in_whatever_way_is_inactive(world) {
        let site = Site::new(&world).await;
        let browser = Browser::new(&world);
        let (api, app, tokens) = at_api(&site, &browser).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let next = site.refresh(&app, refresh).await.expect(200).json();
        assert_eq!(told(&site, &app, refresh).await, inactive(), "spent");
        assert_eq!(told(&site, &app, text(&next, "refresh_token")).await["active"], true);
        site.change(&app, json!({"allowed_scopes": ["openid", "files:read"]})).await;
        let says = told(&site, &api, access).await;
        assert_eq!((&says["scope"], says.get("username")), (&json!("files:read openid"), None));
        site.change(&app, json!({"status": "SUSPENDED"})).await;
        assert_eq!(told(&site, &api, access).await, inactive());
        site.change(&app, json!({"status": "ACTIVE"})).await;
        assert_eq!(told(&site, &api, access).await["active"], true);
        let session = text(&site.sessions().await[0], "id").to_owned();
        world.delete(&format!("/tenants/{}/sessions/{session}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        assert_eq!(told(&site, &api, access).await, inactive());
        assert_eq!(told(&site, &app, text(&next, "refresh_token")).await, inactive());
    }

    async fn token_of_our_own_api_is_told_to_every_application_with_a_secret(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({})).await;
        let says = told(&site, &app, &site.boss.access).await;
        assert_eq!((&says["active"], &says["client_id"], &says["aud"]), (&json!(true), &json!("gatehouse"), &says["iss"]));
    }

    async fn refresh_token_that_is_taken_back_ends_its_family_and_not_the_session(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let (tokens, others) = (site.tokens(&browser, &app, &[]).await, site.tokens(&browser, &spa, &[]).await);
        let next = site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        revoke(&site, &app, text(&tokens, "refresh_token")).await.expect(200);
        assert_eq!(refused(site.refresh(&app, text(&next, "refresh_token")).await, 400), "invalid_grant");
        site.user_info(text(&next, "access_token")).await.expect(401);
        site.user_info(text(&others, "access_token")).await.expect(200);
        assert_eq!(site.sessions().await.len(), 1);
        revoke(&site, &app, text(&next, "refresh_token")).await.expect(200);
        let events = format!("/tenants/{}/audit-events?action=token_family.revoked", site.tenant.id);
        let events = world.get(&events).bearer(&site.boss).send().await.expect(200);
        assert_eq!((events.total(), &events.data()[0]["actor"]["id"]), (1, &json!(app.id)));
    }

    async fn access_token_that_is_taken_back_is_dead_within_a_second_on_every_replica(world) {
        let site = Site::new(&world).await;
        let other = world.replica(|_| ()).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &spa, &[]).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        site.user_info_at(&other, access).await.expect(200);
        revoke(&site, &spa, access).await.expect(200);
        site.user_info(access).await.expect(401);
        tokio::time::sleep(Duration::from_millis(950)).await;
        site.user_info_at(&other, access).await.expect(401);
        revoke(&site, &spa, access).await.expect(200);
        let next = site.refresh(&spa, refresh).await.expect(200).json();
        site.user_info(text(&next, "access_token")).await.expect(200);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'token.revoked'").await, 1);
        world.clock.advance(Duration::from_secs(901));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM revoked_tokens").await, 0);
    }

    async fn token_of_an_application_in_its_own_name_can_be_taken_back(world) {
        let site = Site::new(&world).await;
        let app = site.app(json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"]})).await;
        let tokens = site.token(&app, &[("grant_type", "client_credentials")]).await.expect(200).json();
        let (token, users) = (text(&tokens, "access_token"), format!("/tenants/{}/users", site.tenant.id));
        world.get(&users).bearer(token).send().await.expect(200);
        assert_eq!(told(&site, &app, token).await["sub"], json!(app.id));
        revoke(&site, &app, token).await.expect(200);
        world.get(&users).bearer(token).send().await.problem(401, "invalid_token");
        assert_eq!(told(&site, &app, token).await, inactive());
    }

    async fn administrator_ends_every_token_of_an_application_and_nothing_else(world) {
        let site = Site::new(&world).await;
        let other = world.replica(|_| ()).await;
        let scopes = json!({"grant_types": ["authorization_code", "refresh_token", "client_credentials"], "allowed_scopes": ["openid", "users:read"]});
        let (app, spa, browser) = (site.app(scopes).await, site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[("scope", "openid")]).await;
        let others = site.tokens(&browser, &spa, &[]).await;
        let own = site.token(&app, &[("grant_type", "client_credentials")]).await.expect(200).json();
        let unused = code(&browser.get(&site.request(&app, &[("scope", "openid")])).await);
        let users = format!("/tenants/{}/users", site.tenant.id);
        other.get(&users).bearer(text(&own, "access_token")).send().await.expect(200);
        site.user_info_at(&other, text(&tokens, "access_token")).await.expect(200);
        let path = format!("/tenants/{}/applications/{}/revoke-tokens", site.tenant.id, app.id);
        let revoked = world.post(&path).bearer(&site.boss).send().await.expect(200).data();
        assert_eq!((&revoked["families"], revoked["issued_before"].is_string()), (&json!(1), true));
        tokio::time::sleep(Duration::from_millis(950)).await;
        for at in [&world, &other] {
            site.user_info_at(at, text(&tokens, "access_token")).await.expect(401);
            at.get(&users).bearer(text(&own, "access_token")).send().await.expect(401);
        }
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        assert_eq!(refused(site.exchange(&app, &unused).await, 400), "invalid_grant");
        site.user_info(text(&others, "access_token")).await.expect(200);
        let own = site.token(&app, &[("grant_type", "client_credentials")]).await.expect(200).json();
        world.get(&users).bearer(text(&own, "access_token")).send().await.expect(200);
        site.tokens(&browser, &app, &[("scope", "openid")]).await;
        let events = format!("/tenants/{}/audit-events?action=application.tokens_revoked", site.tenant.id);
        assert_eq!(world.get(&events).bearer(&site.boss).send().await.expect(200).total(), 1);
    }

    async fn tokens_of_others_are_left_alone_without_a_word(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        for token in [text(&tokens, "access_token"), text(&tokens, "refresh_token"), &site.boss.access, "x", "ghg_x"] {
            revoke(&site, &spa, token).await.expect(200);
        }
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
        world.get("/me").bearer(&site.boss).send().await.expect(200);
        assert_eq!(refused(send(&world, &site, "revoke", &app, &[]).await, 400), "invalid_request");
        let wrong = App { secret: Some("ghk_wrong".to_owned()), ..app.clone() };
        assert_eq!(refused(revoke(&site, &wrong, text(&tokens, "access_token")).await, 401), "invalid_client");
    }
}
