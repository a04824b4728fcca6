//! Applications are told that sessions have ended (OpenID Connect Back-Channel Logout 1.0): what they are told, when, and
//! how often it is tried.

use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

use crate::harness::{
    Browser, Form, Manner, PASSWORD, Receiver, Signed, World, api_tests,
    oauth::{App, Site, text},
};

pub const PUBLIC: &str = "https://id.example.com";

/// A server that may call this machine, and has a public address.
pub async fn calling(world: &World) -> World {
    let change = |config: &mut gatehouse_server::config::Config| {
        config.public_url = Some(PUBLIC.parse().unwrap());
        config.outbound.allow = vec!["127.0.0.0/8".parse().unwrap()];
        config.outbound.timeout = Duration::from_millis(500);
    };
    world.replica(change).await
}

/// Somebody who is signed in to an application that wants to be told.
pub struct Told {
    pub world: World,
    pub site: Site,
    pub app: App,
    pub receiver: Receiver,
    pub browser: Browser,
    pub tokens: Value,
}

impl Told {
    pub async fn new(world: &World, more: Value) -> Self {
        let world = calling(world).await;
        let (site, receiver) = (Site::new(&world).await, Receiver::start().await);
        let app = app_at(&site, &receiver, more).await;
        let browser = Browser::new(&world);
        let tokens = site.tokens(&browser, &app, &[]).await;
        Self { world, site, app, receiver, browser, tokens }
    }

    pub fn sid(&self) -> String {
        crate::harness::claims(text(&self.tokens, "id_token"))["sid"].as_str().unwrap().to_owned()
    }

    /// Ends the session, as an administrator does.
    pub async fn end(&self) {
        let path = format!("/tenants/{}/sessions/{}", self.site.tenant.id, self.sid());
        let boss = boss(&self.world).await;
        self.world.delete(&path).bearer(&boss).send().await.expect(204);
    }

    /// Tells whom there is to tell; returns how often an application was told.
    pub async fn tell(&self) -> usize {
        tell(&self.world).await
    }

    pub async fn waiting(&self) -> i64 {
        self.world.number("SELECT COUNT(*) FROM logout_deliveries").await
    }

    /// Why deliveries were given up.
    pub async fn given_up(&self) -> Vec<String> {
        self.world.text("SELECT failure FROM audit_events WHERE action = 'application.logout_given_up'").await
    }
}

pub async fn app_at(site: &Site, receiver: &Receiver, more: Value) -> App {
    let mut body =
        json!({"backchannel_logout_uri": receiver.uri(), "post_logout_redirect_uris": ["https://wiki.example/bye"]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    site.app(body).await
}

/// The administrator of the tenant, in a new session: time may have passed.
pub async fn boss(world: &World) -> Signed {
    Signed::of(&world.try_login("acme", "boss", PASSWORD).await.expect(200))
}

pub async fn tell(world: &World) -> usize {
    world.app.back_channel().run_due().await.unwrap()
}

/// The header and the claims of a token that the keys of an issuer verify.
pub fn verified(token: &str, keys: &Value, audience: &str) -> (Value, Value) {
    let header = decode_header(token).unwrap();
    let keys: JwkSet = serde_json::from_value(keys.clone()).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_ref().unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    // The clock is a test's own.
    validation.validate_exp = false;
    let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
    (serde_json::to_value(header).unwrap(), claims)
}

api_tests! {
    async fn oidcc_backchannel_discovery_endpoint_verification(world) {
        let world = calling(&world).await;
        world.tenant("acme").await;
        let says = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
        assert_eq!((&says["backchannel_logout_supported"], &says["backchannel_logout_session_supported"]), (&json!(true), &json!(true)));
    }

    async fn oidcc_backchannel_rp_initiated_logout(world) {
        let told = Told::new(&world, json!({})).await;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("id_token_hint", text(&told.tokens, "id_token"))
            .append_pair("post_logout_redirect_uri", "https://wiki.example/bye").finish();
        let answer = told.browser.get(&format!("{}/oauth/logout?{query}", told.site.issuer_path())).await.expect(303);
        assert_eq!(answer.header("location"), Some("https://wiki.example/bye"));
        assert_eq!(told.tell().await, 1);
        assert_eq!(told.receiver.sessions(), [told.sid()]);
        assert_eq!((told.tell().await, told.waiting().await), (0, 0));
    }

    async fn logout_token_says_what_the_specification_asks_for_and_nothing_else(world) {
        let mut told = Told::new(&world, json!({})).await;
        for name in ["RS256", "ES256", "EdDSA"] {
            told.app = app_at(&told.site, &told.receiver, json!({"id_token_signed_response_alg": name})).await;
            told.browser = Browser::new(&told.world);
            told.tokens = told.site.tokens(&told.browser, &told.app, &[]).await;
            told.receiver.sessions();
            told.end().await;
            assert_eq!(told.tell().await, 1);
            let keys = told.world.get("/auth/tenants/acme/.well-known/jwks.json").send().await.expect(200).json();
            let tokens = told.receiver.tokens();
            let (header, claims) = verified(&tokens[0], &keys, &told.app.id);
            assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!(name)));
            let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"]);
            assert_eq!(claims["iss"], format!("{PUBLIC}/api/v1/auth/tenants/acme"));
            assert_eq!((&claims["sub"], &claims["sid"], &claims["aud"]), (&json!(told.site.ada.id), &json!(told.sid()), &json!(told.app.id)));
            assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
            let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
            assert_eq!((iat, exp - iat), (told.world.app.env().now().unix_seconds(), 120));
            let of_id = crate::harness::claims(text(&told.tokens, "id_token"));
            assert_eq!((&of_id["iss"], &of_id["sub"]), (&claims["iss"], &claims["sub"]));
            // Nobody can take it for another token.
            told.site.user_info(&tokens[0]).await.expect(401);
            assert_eq!(told.world.get("/me").bearer(&tokens[0]).send().await.status, 401);
            let hint = told.browser.get(&told.site.request(&told.app, &[("id_token_hint", &tokens[0]), ("prompt", "none")])).await;
            assert_eq!(crate::harness::oauth::error(&hint), "invalid_request");
        }
    }

    async fn application_that_was_not_told_is_told_again_after_five_delays_each_time_with_another_token(world) {
        let told = Told::new(&world, json!({})).await;
        told.receiver.becomes(Manner::status(503));
        told.end().await;
        let mut heard = 0;
        for delay in [0, 5, 30, 120, 600, 3_600] {
            if delay > 0 {
                told.world.clock.advance(Duration::from_secs(delay - 1));
                assert_eq!((told.tell().await, told.receiver.connections()), (0, heard), "{delay}: too early");
                told.world.clock.advance(Duration::from_secs(1));
            }
            heard += 1;
            assert_eq!((told.tell().await, told.receiver.connections()), (0, heard), "{delay}");
            let newest = told.receiver.claims().pop().unwrap();
            assert_eq!(newest["iat"], told.world.app.env().now().unix_seconds());
        }
        assert_eq!((told.waiting().await, told.given_up().await), (0, vec!["server_error".to_owned()]));
        assert_eq!(told.world.events("application.logout_given_up", &told.app.id).await, 1);
        let claims = told.receiver.claims();
        let ids: std::collections::HashSet<_> = claims.iter().map(|claims| claims["jti"].as_str().unwrap()).collect();
        assert_eq!((ids.len(), told.receiver.sessions()), (6, vec![told.sid(); 6]));
        told.world.clock.advance(Duration::from_secs(86_400));
        assert_eq!((told.tell().await, told.receiver.connections()), (0, 6));
    }

    async fn application_that_is_down_for_an_hour_is_told_when_it_is_back(world) {
        let told = Told::new(&world, json!({})).await;
        told.receiver.becomes(Manner::HangsUp);
        told.end().await;
        for delay in [0, 5, 30, 120, 600] {
            told.world.clock.advance(Duration::from_secs(delay));
            assert_eq!(told.tell().await, 0);
        }
        told.receiver.becomes(Manner::status(204));
        told.receiver.sessions();
        told.world.clock.advance(Duration::from_secs(3_600));
        assert_eq!((told.tell().await, told.receiver.sessions(), told.waiting().await), (1, vec![told.sid()], 0));
        assert_eq!(told.given_up().await, [""; 0]);
    }

    async fn answers_decide_whether_it_is_tried_again(world) {
        let told = Told::new(&world, json!({})).await;
        let mut given_up = Vec::new();
        for (manner, again, word) in [
            (Manner::status(200), 0, ""),
            (Manner::status(204), 0, ""),
            (Manner::status(400), 0, "refused"),
            (Manner::status(404), 0, "refused"),
            (Manner::Answers(302, "Location: /\r\n".to_owned()), 0, "redirected"),
            (Manner::Answers(307, "Location: /\r\n".to_owned()), 0, "redirected"),
            (Manner::status(408), 1, ""),
            (Manner::status(500), 1, ""),
            (Manner::status(503), 1, ""),
            (Manner::HangsUp, 1, ""),
            (Manner::Hangs, 1, ""),
        ] {
            let browser = Browser::new(&told.world);
            told.site.tokens(&browser, &told.app, &[]).await;
            told.world.execute("DELETE FROM logout_deliveries").await;
            let boss = boss(&told.world).await;
            let path = format!("/tenants/{}/sessions/users/{}/revoke", told.site.tenant.id, told.site.ada.id);
            told.world.post(&path).bearer(&boss).json(json!({"revoke_all": true})).send().await.expect(200);
            told.receiver.becomes(manner.clone());
            let before = told.receiver.connections();
            told.tell().await;
            let made = told.receiver.connections() - before;
            assert_eq!(told.waiting().await, i64::try_from(made).unwrap() * again, "{manner:?}");
            given_up.extend((!word.is_empty()).then(|| vec![word.to_owned(); made]).into_iter().flatten());
            assert_eq!(told.given_up().await.len(), given_up.len(), "{manner:?}");
        }
        let mut recorded = told.given_up().await;
        recorded.sort();
        given_up.sort();
        assert_eq!(recorded, given_up);
    }

    async fn application_that_is_busy_says_until_when_it_wants_to_be_left_alone(world) {
        let told = Told::new(&world, json!({})).await;
        told.receiver.becomes(Manner::Answers(429, "Retry-After: 90\r\n".to_owned()));
        told.end().await;
        assert_eq!(told.tell().await, 0);
        told.world.clock.advance(Duration::from_secs(89));
        assert_eq!((told.tell().await, told.receiver.connections()), (0, 1));
        told.receiver.becomes(Manner::Answers(429, "Retry-After: 999999\r\n".to_owned()));
        told.world.clock.advance(Duration::from_secs(1));
        assert_eq!((told.tell().await, told.receiver.connections()), (0, 2));
        told.receiver.becomes(Manner::status(200));
        told.world.clock.advance(Duration::from_secs(3_599));
        assert_eq!(told.tell().await, 0);
        told.world.clock.advance(Duration::from_secs(1));
        assert_eq!((told.tell().await, told.receiver.connections()), (1, 3));
    }

    async fn application_of_any_type_may_ask_to_be_told_by_https_and_by_http_where_private_addresses_may_be_called(world) {
        let site = Site::new(&world).await;
        let calling = calling(&world).await;
        let boss = boss(&calling).await;
        let path = format!("/tenants/{}/applications", site.tenant.id);
        let body = |kind: &str, uri: &str| {
            let uris = if kind == "SERVICE" { json!([]) } else { json!(["https://wiki.example/cb"]) };
            json!({"name": "x", "application_type": kind, "redirect_uris": uris, "backchannel_logout_uri": uri})
        };
        for kind in ["WEB", "SERVICE", "SPA", "NATIVE"] {
            let made = world.post(&path).bearer(&site.boss).json(body(kind, "https://wiki.example/out?a=b")).send().await.expect(201);
            assert_eq!(made.data()["backchannel_logout_uri"], "https://wiki.example/out?a=b");
            let refused = world.post(&path).bearer(&site.boss).json(body(kind, "http://wiki.example/out")).send().await;
            assert_eq!(refused.faults(), ["body.backchannel_logout_uri client_metadata"]);
            let one = format!("{path}/{}", made.data()["id"].as_str().unwrap());
            let change = json!({"backchannel_logout_uri": "http://wiki.example/out"});
            let refused = world.patch(&one).bearer(&site.boss).json(change.clone()).send().await;
            assert_eq!(refused.faults(), ["body.backchannel_logout_uri client_metadata"]);
            calling.patch(&one).bearer(&boss).json(change).send().await.expect(200);
            // What was registered meanwhile does not keep it from being changed.
            world.patch(&one).bearer(&site.boss).json(json!({"name": "y"})).send().await.expect(200);
            world.patch(&one).bearer(&site.boss).json(json!({"backchannel_logout_uri": null})).send().await.expect(200);
        }
        for bad in ["https://wiki.example/#a", "https://ada@wiki.example/", "ftp://wiki.example/", "https://2130706433/", "https://0x7f.1/",
            "https://0177.0.0.1/", "https:///x", "wiki.example", "javascript:alert(1)", "https://wiki.example\\x"]
        {
            let refused = world.post(&path).bearer(&site.boss).json(body("WEB", bad)).send().await;
            assert_eq!(refused.faults(), ["body.backchannel_logout_uri url_parsing"], "{bad}");
        }
    }

    async fn application_that_is_gone_or_wants_to_be_told_no_more_is_not_told(world) {
        let told = Told::new(&world, json!({})).await;
        told.end().await;
        told.site.change(&told.app, json!({"backchannel_logout_uri": null})).await;
        assert_eq!((told.tell().await, told.waiting().await, told.receiver.connections()), (0, 0, 0));
        told.site.change(&told.app, json!({"backchannel_logout_uri": told.receiver.uri()})).await;
        let browser = Browser::new(&told.world);
        told.site.tokens(&browser, &told.app, &[]).await;
        let page = browser.get(&format!("{}/oauth/logout", told.site.issuer_path())).await.expect(200);
        browser.submit(&Form::of(&page), &[]).await.expect(200);
        assert_eq!(told.waiting().await, 1);
        let path = format!("/tenants/{}/applications/{}", told.site.tenant.id, told.app.id);
        told.world.delete(&path).bearer(&told.site.boss).send().await.expect(204);
        assert_eq!((told.tell().await, told.waiting().await, told.receiver.connections()), (0, 0, 0));
    }

    async fn every_application_of_a_session_is_told_once_and_no_other(world) {
        let told = Told::new(&world, json!({})).await;
        let (second, other) = (Receiver::start().await, Receiver::start().await);
        let mail = app_at(&told.site, &second, json!({"name": "Mail"})).await;
        app_at(&told.site, &other, json!({"name": "Unused"})).await;
        let silent = told.site.spa().await;
        for app in [&mail, &silent, &mail] {
            told.site.tokens(&told.browser, app, &[]).await;
        }
        let elsewhere = Browser::new(&told.world);
        told.site.tokens(&elsewhere, &mail, &[]).await;
        told.end().await;
        assert_eq!(told.tell().await, 2);
        let heard = (told.receiver.sessions(), second.sessions(), other.connections());
        assert_eq!(heard, (vec![told.sid()], vec![told.sid()], 0));
    }

    async fn sign_out_takes_as_many_statements_however_many_applications_are_told(world) {
        let world = calling(&world).await;
        let (site, receiver) = (Site::new(&world).await, Receiver::start().await);
        let mut apps = Vec::new();
        for n in 0..12 {
            apps.push(app_at(&site, &receiver, json!({"name": format!("App {n}")})).await);
        }
        let mut counts = Vec::new();
        for used in [1, 12] {
            let mut least = u64::MAX;
            for _ in 0..3 {
                let browser = Browser::new(&world);
                let mut hint = String::new();
                for app in &apps[..used] {
                    hint = text(&site.tokens(&browser, app, &[]).await, "id_token").to_owned();
                }
                let path = format!("{}/oauth/logout?id_token_hint={hint}", site.issuer_path());
                let before = world.app.db().statements().0;
                browser.get(&path).await.expect(200);
                least = least.min(world.app.db().statements().0 - before);
            }
            counts.push(least);
        }
        assert!(counts[0] == counts[1] && counts[1] <= 5, "{counts:?}");
        assert_eq!(world.number("SELECT COUNT(*) FROM logout_deliveries").await, 3 + 36);
    }
}
