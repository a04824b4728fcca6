//! Signing in to applications: from the authorization request to tokens, and how all of it ends.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::harness::{
    Browser, PASSWORD, api_tests, claims,
    oauth::{CALLBACK, Site, VERIFIER, basic, code, error, refused, sent, text},
};

api_tests! {
    async fn user_signs_in_to_an_application_and_it_learns_who_that_is(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let answer = site.sign_in(&browser, &app, &[]).await;
        let params = sent(&answer);
        assert!(answer.header("location").unwrap().starts_with(&format!("{CALLBACK}?code=gha_")));
        assert_eq!(params.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
        assert_eq!(params["state"], "s/1");
        let answer = site.exchange(&app, &params["code"]).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let tokens = answer.json();
        assert_eq!((&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]), (&json!("Bearer"), &json!(900), &json!("email openid profile")));
        let (id, access) = (claims(text(&tokens, "id_token")), claims(text(&tokens, "access_token")));
        assert_eq!((&id["iss"], &id["aud"], &id["sub"], &id["nonce"]), (&json!(params["iss"]), &json!(app.id), &json!(site.ada.id), &json!("n-1")));
        assert_eq!((&id["email"], &id["preferred_username"]), (&json!("ada@acme.example"), &json!("ada")));
        assert_eq!((&id["acr"], &id["amr"], &id["tenant_id"]), (&json!("aal1"), &json!(["pwd"]), &json!(site.tenant.id)));
        assert_eq!((&access["client_id"], &access["aud"], &access["sid"]), (&json!(app.id), &json!(app.id), &id["sid"]));
        let at_hash = digest(&SHA256, text(&tokens, "access_token").as_bytes());
        assert_eq!(id["at_hash"], BASE64_URL_SAFE_NO_PAD.encode(&at_hash.as_ref()[..16]));
        let info = site.user_info(text(&tokens, "access_token")).await.expect(200).json();
        assert_eq!((&info["sub"], &info["email"], &info["email_verified"]), (&id["sub"], &id["email"], &id["email_verified"]));
    }

    async fn second_application_signs_in_without_a_page_and_both_are_in_one_session(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let first = site.tokens(&browser, &app, &[]).await;
        let second = browser.get(&site.request(&spa, &[])).await;
        let second = site.exchange(&spa, &code(&second)).await.expect(200).json();
        assert_eq!(claims(text(&first, "id_token"))["sid"], claims(text(&second, "id_token"))["sid"]);
        let sessions = site.sessions().await;
        assert_eq!((sessions.len(), &sessions[0]["app_count"], &sessions[0]["kind"]), (1, &json!(2), &json!("browser")));
    }

    async fn application_that_asks_all_the_time_does_not_keep_its_user_signed_in(world) {
        let site = Site::new(&world).await;
        world.settings(&site.tenant, json!({"session_idle_minutes": 30})).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        for minutes in [10, 20, 30] {
            world.clock.advance(Duration::from_secs(11 * 60));
            tokio::time::sleep(Duration::from_millis(920)).await;
            let answer = site.user_info(text(&tokens, "access_token")).await;
            assert!([200, 401].contains(&answer.status), "{minutes}");
            world.app.maintenance().flush_activity().await.unwrap();
        }
        browser.get(&site.request(&app, &[])).await.expect(200);
    }

    async fn ended_session_ends_the_tokens_of_every_application_within_a_second_on_every_replica(world) {
        let site = Site::new(&world).await;
        let other = world.replica(|_| ()).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let tokens = [(&app, site.tokens(&browser, &app, &[]).await), (&spa, site.tokens(&browser, &spa, &[]).await)];
        for (_, tokens) in &tokens {
            site.user_info_at(&other, text(tokens, "access_token")).await.expect(200);
        }
        let session = text(&site.sessions().await[0], "id").to_owned();
        world.delete(&format!("/tenants/{}/sessions/{session}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        tokio::time::sleep(Duration::from_millis(950)).await;
        for (app, tokens) in &tokens {
            for at in [&world, &other] {
                let answer = site.user_info_at(at, text(tokens, "access_token")).await.expect(401);
                assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
            }
            assert_eq!(refused(site.refresh(app, text(tokens, "refresh_token")).await, 400), "invalid_grant");
        }
        browser.get(&site.request(&app, &[])).await.expect(200);
        assert_eq!(error(&browser.get(&site.request(&app, &[("prompt", "none")])).await), "login_required");
    }

    async fn nobody_is_sent_to_an_address_that_is_not_the_applications(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        for bad in [
            &[("redirect_uri", "https://evil.example/")][..], &[("redirect_uri", "https://wiki.example/callback/")],
            &[("redirect_uri", "https://wiki.example/callback?x=1")], &[("redirect_uri", "https://WIKI.example/callback")],
            &[("redirect_uri", "https://wiki.example/callback"), ("redirect_uri", "https://evil.example/")],
            &[("redirect_uri", "")], &[("client_id", "")], &[("client_id", "app_0000000000000000000000000")],
            &[("client_id", "nobody")], &[("client_id", &app.id), ("client_id", &app.id)],
        ] {
            let answer = browser.get(&site.request(&app, bad)).await.expect(400);
            assert_eq!((answer.header("location"), answer.header("content-type")), (None, Some("text/html; charset=utf-8")), "{bad:?}");
        }
        let far = world.tenant("far").await;
        let foreign = site.request(&app, &[]).replace("/acme/", &format!("/{}/", far.slug));
        assert_eq!(browser.get(&foreign).await.expect(400).header("location"), None, "another tenant's issuer");
        site.change(&app, json!({"status": "SUSPENDED"})).await;
        assert_eq!(browser.get(&site.request(&app, &[])).await.expect(400).header("location"), None);
    }

    async fn application_is_told_what_is_wrong_with_its_request(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let long = "x".repeat(4_097);
        for (bad, expected) in [
            (&[("response_type", "")][..], "invalid_request"), (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "code id_token")], "unsupported_response_type"), (&[("response_mode", "fragment")], "invalid_request"),
            (&[("scope", "")], "invalid_scope"), (&[("scope", "unknown")], "invalid_scope"), (&[("scope", &long)], "invalid_scope"),
            (&[("code_challenge", "")], "invalid_request"), (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"), (&[("code_challenge", "short")], "invalid_request"),
            (&[("prompt", "none login")], "invalid_request"), (&[("prompt", "dance")], "invalid_request"),
            (&[("max_age", "soon")], "invalid_request"), (&[("nonce", &long)], "invalid_request"),
            (&[("resource", "https://api.example/")], "invalid_target"), (&[("request", "e30.e30.")], "request_not_supported"),
            (&[("request_uri", "https://wiki.example/request")], "request_uri_not_supported"),
            (&[("registration", "{}")], "registration_not_supported"), (&[("nonce", "a"), ("nonce", "b")], "invalid_request"),
            (&[("prompt", "none")], "login_required"),
        ] {
            let answer = browser.get(&site.request(&app, bad)).await;
            assert_eq!(error(&answer), expected, "{bad:?}");
            assert!(answer.header("location").unwrap().starts_with(CALLBACK), "{bad:?}");
            assert_eq!(sent(&answer).get("state").map(String::as_str), Some("s/1"));
        }
    }

    async fn state_and_nonce_come_back_as_they_were(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let state = "\"><script>ä&=+%20#😀".repeat(20);
        let answer = site.sign_in(&browser, &app, &[("state", &state), ("nonce", &state)]).await;
        assert_eq!(sent(&answer)["state"], state);
        let tokens = site.exchange(&app, &code(&answer)).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "id_token"))["nonce"], state);
        let answer = browser.get(&site.request(&app, &[("state", "")])).await;
        assert_eq!(sent(&answer).keys().collect::<Vec<_>>(), ["code", "iss"]);
    }

    async fn code_is_good_for_one_use_and_a_second_one_ends_its_tokens(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let code = code(&site.sign_in(&browser, &app, &[]).await);
        let tokens = site.exchange(&app, &code).await.expect(200).json();
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        assert_eq!(refused(site.exchange(&app, &code).await, 400), "invalid_grant");
        site.user_info(text(&tokens, "access_token")).await.expect(401);
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        assert_eq!(site.sessions().await.len(), 1, "the session goes on");
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'token_family.code_replayed'").await, 1);
    }

    async fn use_of_a_code_that_is_not_valid_ends_nothing(world) {
        let site = Site::new(&world).await;
        let (app, other, browser) = (site.app(json!({})).await, site.app(json!({"name": "Other"})).await, Browser::new(&world));
        let code = code(&site.sign_in(&browser, &app, &[]).await);
        let good = [
            ("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER),
        ];
        let wrong = async || {
            let mut errors = vec![refused(site.token(&other, &good).await, 400)];
            for (name, value) in [
                ("code_verifier", ""), ("code_verifier", "another-verifier-of-forty-three-characters-0123"),
                ("code_verifier", "short"), ("redirect_uri", "https://evil.example/"), ("code", "gha_unknown"),
            ] {
                let fields: Vec<_> = good.iter().map(|field| if field.0 == name { (name, value) } else { *field }).collect();
                errors.push(refused(site.token(&app, &fields).await, 400));
            }
            errors
        };
        assert_eq!(wrong().await, vec!["invalid_grant"; 6]);
        let tokens = site.exchange(&app, &code).await.expect(200).json();
        assert_eq!(wrong().await, vec!["invalid_grant"; 6]);
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
    }

    async fn code_expires_after_a_minute(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let code = code(&site.sign_in(&browser, &app, &[]).await);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(refused(site.exchange(&app, &code).await, 400), "invalid_grant");
    }

    async fn application_proves_who_it_is_in_exactly_one_way(world) {
        let site = Site::new(&world).await;
        let (app, spa) = (site.app(json!({})).await, site.spa().await);
        let secret = app.secret.clone().unwrap();
        let path = "/auth/tenants/acme/oauth/token";
        let fields = [("grant_type", "refresh_token"), ("refresh_token", "ghg_unknown")];
        let send = async |header: Option<String>, more: &[(&str, &str)]| {
            let call = world.post(path);
            let call = match &header { Some(header) => call.header("authorization", header), None => call };
            call.form(&[&fields[..], more].concat()).send().await
        };
        for (header, more, status, expected) in [
            (Some(basic(&app.id, &secret)), vec![], 400, "invalid_grant"),
            (Some(basic(&app.id, &secret)), vec![("client_id", app.id.as_str())], 400, "invalid_grant"),
            (Some(basic(&app.id.replace('_', "%5F"), &secret.replace('_', "%5F").replace('-', "%2D"))), vec![], 400, "invalid_grant"),
            (None, vec![("client_id", app.id.as_str()), ("client_secret", &secret)], 400, "invalid_grant"),
            (None, vec![("client_id", spa.id.as_str())], 400, "invalid_grant"),
            (Some(basic(&spa.id, "")), vec![], 400, "invalid_grant"),
            (Some(basic(&app.id, &secret)), vec![("client_secret", &secret)], 400, "invalid_request"),
            (Some(basic(&app.id, &secret)), vec![("client_id", spa.id.as_str())], 400, "invalid_request"),
            (Some(basic(&app.id, "wrong")), vec![], 401, "invalid_client"),
            (Some(basic(&app.id, "")), vec![], 401, "invalid_client"),
            (Some("Basic ???".to_owned()), vec![], 401, "invalid_client"),
            (None, vec![("client_id", app.id.as_str())], 401, "invalid_client"),
            (None, vec![("client_id", spa.id.as_str()), ("client_secret", "x")], 401, "invalid_client"),
            (None, vec![("client_id", "app_unknown")], 401, "invalid_client"),
            (None, vec![], 401, "invalid_client"),
        ] {
            let answer = send(header.clone(), &more).await;
            if status == 401 {
                assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"gatehouse\""));
            }
            assert_eq!(refused(answer, status), expected, "{header:?} {more:?}");
        }
        site.change(&app, json!({"status": "SUSPENDED"})).await;
        assert_eq!(refused(send(Some(basic(&app.id, &secret)), &[]).await, 401), "invalid_client");
    }

    async fn token_endpoint_takes_forms_and_says_what_is_wrong(world) {
        let site = Site::new(&world).await;
        let spa = site.spa().await;
        for (fields, expected) in [
            (vec![], "invalid_request"), (vec![("grant_type", "password")], "unsupported_grant_type"),
            (vec![("grant_type", "authorization_code")], "invalid_request"), (vec![("grant_type", "refresh_token")], "invalid_request"),
            (vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")], "invalid_request"),
            (vec![("grant_type", "client_credentials")], "unauthorized_client"),
        ] {
            assert_eq!(refused(site.token(&spa, &fields).await, 400), expected, "{fields:?}");
        }
        let path = "/auth/tenants/acme/oauth/token";
        assert_eq!(refused(world.post(path).json(json!({"grant_type": "refresh_token"})).send().await, 400), "invalid_request");
        assert_eq!(world.get(path).send().await.expect(405).header("allow"), Some("POST, OPTIONS"));
        assert_eq!(refused(world.post("/auth/tenants/nobody/oauth/token").form(&[("grant_type", "x")]).send().await, 404), "invalid_request");
    }

    async fn refresh_token_is_good_for_one_use_and_a_stolen_one_ends_its_family_alone(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let first = site.tokens(&browser, &spa, &[]).await;
        let other = site.tokens(&browser, &app, &[]).await;
        let second = site.refresh(&spa, text(&first, "refresh_token")).await.expect(200).json();
        let (before, after) = (claims(text(&first, "id_token")), claims(text(&second, "id_token")));
        for same in ["sub", "aud", "auth_time", "sid", "iss"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        assert!(after.get("nonce").is_none());
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(refused(site.refresh(&spa, text(&first, "refresh_token")).await, 400), "invalid_grant");
        assert_eq!(refused(site.refresh(&spa, text(&second, "refresh_token")).await, 400), "invalid_grant", "all of the family");
        site.user_info(text(&second, "access_token")).await.expect(401);
        site.refresh(&app, text(&other, "refresh_token")).await.expect(200);
        assert_eq!(site.sessions().await.len(), 1);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'token_family.reuse_detected'").await, 1);
    }

    async fn refresh_token_of_one_application_or_tenant_is_none_at_another(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &spa, &[]).await;
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        let first_party = world.login(&site.ada).await;
        assert_eq!(refused(site.refresh(&spa, &first_party.refresh).await, 400), "invalid_grant");
        let as_ghr = text(&tokens, "refresh_token").replace("ghg_", "ghr_");
        world.post("/auth/tenants/acme/refresh").json(json!({"refresh_token": as_ghr})).send().await.expect(401);
        let as_ghg = first_party.refresh.replace("ghr_", "ghg_");
        assert_eq!(refused(site.refresh(&spa, &as_ghg).await, 400), "invalid_grant");
        site.refresh(&spa, text(&tokens, "refresh_token")).await.expect(200);
    }

    async fn scopes_narrow_and_never_widen(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &spa, &[("scope", "openid email admin:write users:write phone nonsense")]).await;
        assert_eq!(tokens["scope"], "email openid", "what is not allowed is dropped");
        let refresh = async |token: &str, scope: &str| {
            site.token(&spa, &[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
        };
        assert_eq!(refused(refresh(text(&tokens, "refresh_token"), "openid profile").await, 400), "invalid_scope");
        let narrow = refresh(text(&tokens, "refresh_token"), "openid").await.expect(200).json();
        assert_eq!(narrow["scope"], "openid");
        assert!(claims(text(&narrow, "id_token")).get("email").is_none());
        assert!(site.user_info(text(&narrow, "access_token")).await.expect(200).json().get("email").is_none());
        let wide = site.refresh(&spa, text(&narrow, "refresh_token")).await.expect(200).json();
        assert_eq!(wide["scope"], "email openid", "the family keeps what was granted");
        site.change(&spa, json!({"allowed_scopes": ["openid"]})).await;
        assert!(site.user_info(text(&wide, "access_token")).await.expect(200).json().get("email").is_none());
        assert_eq!(site.refresh(&spa, text(&wide, "refresh_token")).await.expect(200).json()["scope"], "openid");
    }

    async fn access_token_of_an_application_opens_nothing_of_the_api(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        for token in ["access_token", "id_token"] {
            world.get("/me").bearer(text(&tokens, token)).send().await.problem(401, "invalid_token");
        }
        let own = world.login(&site.ada).await;
        site.user_info(&own.access).await.expect(401);
        site.user_info(text(&tokens, "id_token")).await.expect(401);
        let far = world.tenant("far").await;
        let answer = world.get(&format!("/auth/tenants/{}/oauth/userinfo", far.slug)).bearer(text(&tokens, "access_token")).send().await;
        answer.expect(401);
    }

    async fn token_for_an_api_is_for_that_api_alone(world) {
        let site = Site::new(&world).await;
        let api = json!({"name": "Files", "application_type": "SERVICE", "resource_uris": ["https://files.example/v1"],
            "resource_scopes": [{"name": "files:read", "description": "Read files"}, {"name": "files:write", "description": null}]});
        let path = format!("/tenants/{}/applications", site.tenant.id);
        world.post(&path).bearer(&site.boss).json(api).send().await.expect(201);
        let app = site.app(json!({"allowed_resources": ["https://files.example/v1"], "allowed_scopes": ["openid", "files:read"]})).await;
        let browser = Browser::new(&world);
        let tokens = site.tokens(&browser, &app, &[("resource", "https://FILES.example/v1"), ("scope", "openid files:read files:write")]).await;
        let access = claims(text(&tokens, "access_token"));
        assert_eq!((&access["aud"], &access["scope"], &tokens["expires_in"]), (&json!("https://files.example/v1"), &json!("files:read openid"), &json!(300)));
        site.user_info(text(&tokens, "access_token")).await.expect(401);
        let without = site.tokens(&browser, &app, &[("scope", "openid files:read")]).await;
        assert_eq!((&without["scope"], &claims(text(&without, "access_token"))["aud"]), (&json!("openid"), &json!(app.id)));
        let other = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token")), ("resource", "https://other.example/")];
        assert_eq!(refused(site.token(&app, &other).await, 400), "invalid_target");
        let all = site.tokens(&browser, &app, &[("resource", "https://files.example/v1"), ("scope", "")]).await;
        assert_eq!(all["scope"], "files:read");
    }

    async fn whatever_ends_sessions_ends_the_tokens_of_applications(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let users = format!("/tenants/{}/users/{}", site.tenant.id, site.ada.id);
        for how in ["password", "all", "suspended", "application", "tenant"] {
            let tokens = site.tokens(&browser, &spa, &[]).await;
            site.user_info(text(&tokens, "access_token")).await.expect(200);
            match how {
                "password" => {
                    let own = world.login(&site.ada).await;
                    let change = json!({"current_password": PASSWORD, "new_password": "another otter juggles 42 lamps"});
                    world.post("/me/password").bearer(&own).json(change).send().await.expect(204);
                    let back = json!({"current_password": "another otter juggles 42 lamps", "new_password": PASSWORD});
                    world.post("/me/password").bearer(&own).json(back).send().await.expect(204);
                }
                "all" => {
                    let own = world.login(&site.ada).await;
                    world.post("/me/sessions/revoke-all").bearer(&own).send().await.expect(200);
                }
                "suspended" => {
                    world.patch(&users).bearer(&site.boss).json(json!({"status": "SUSPENDED"})).send().await.expect(200);
                }
                "application" => site.change(&spa, json!({"status": "SUSPENDED"})).await,
                _ => world.set_status("tenants", &site.tenant.id, "SUSPENDED").await,
            }
            site.user_info(text(&tokens, "access_token")).await.expect(401);
            let answer = site.refresh(&spa, text(&tokens, "refresh_token")).await;
            assert!(["invalid_grant", "invalid_client"].contains(&answer.json()["error"].as_str().unwrap()), "{how}");
            if how == "suspended" {
                world.patch(&users).bearer(&site.boss).json(json!({"status": "ACTIVE"})).send().await.expect(200);
            }
            if how == "application" {
                site.change(&spa, json!({"status": "ACTIVE"})).await;
            }
        }
        let page = browser.get(&site.request(&spa, &[])).await.expect(403);
        assert_eq!(page.header("location"), None);
    }

    async fn at_most_ten_families_of_an_application_live_in_a_session(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let mut families = Vec::new();
        world.tick();
        for _ in 0..11 {
            families.push(site.tokens(&browser, &spa, &[]).await);
        }
        assert_eq!(refused(site.refresh(&spa, text(&families[0], "refresh_token")).await, 400), "invalid_grant");
        for family in &families[1..] {
            site.refresh(&spa, text(family, "refresh_token")).await.expect(200);
        }
    }
}
