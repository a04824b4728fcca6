//! Signing in at the issuer of the platform: its applications serve people of every tenant, who say at first only what their
//! address is.

use std::time::Duration;

use gatehouse_domain::bucket::BucketRule;
use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, PASSWORD, Tenant, World, account, api_tests, claims,
    oauth::{CALLBACK, Site, basic, challenge, code, error, refused, sent, text, token_at},
    platform::{AT, address, app, asked_for_password, enter, exchange, request, sign_in, three, tokens, user_info},
};

/// Somebody with this address in each of these tenants, who has signed in there, last in the last.
async fn one_address(world: &World, address: &str, tenants: &[&Tenant]) {
    for tenant in tenants {
        let body = json!({"username": "same", "email": address, "password": PASSWORD});
        world.post(&format!("/auth/tenants/{}/register", tenant.slug)).json(body).send().await.expect(201);
        world.clock.advance(Duration::from_secs(1));
        world.try_login(&tenant.slug, "same", PASSWORD).await.expect(200);
    }
}

api_tests! {
    async fn people_of_every_tenant_sign_in_by_their_address_and_act_in_their_own_tenant(world) {
        let app = app(&world, json!({"allowed_scopes": ["openid", "profile", "email", "account:read"]})).await;
        let people = three(&world).await;
        for (tenant, ada) in &people {
            let browser = Browser::new(&world);
            let page = asked_for_password(&browser, &app, &address(ada)).await;
            let answer = enter(&browser, &page, &address(ada), &tenant.slug, PASSWORD).await;
            let issuer = sent(&answer).remove("iss").unwrap();
            assert!(issuer.ends_with(AT), "{issuer}");
            let got = exchange(&world, &app, &answer).await;
            let id = claims(text(&got, "id_token"));
            assert_eq!((&id["iss"], &id["tenant_id"], &id["sub"]), (&json!(issuer), &json!(tenant.id), &json!(ada.id)));
            let info = user_info(&world, text(&got, "access_token")).await.expect(200).json();
            assert_eq!((&info["sub"], &info["email"]), (&json!(ada.id), &json!(address(ada))));

            let answer = browser.get(&request(&app, &[("prompt", "none"), ("scope", "openid account:read")])).await;
            let got = exchange(&world, &app, &answer).await;
            let access = claims(text(&got, "access_token"));
            assert_eq!((&access["iss"], &access["aud"], &access["tenant_id"]), (&json!(issuer), &json!(issuer), &json!(tenant.id)));
            assert_eq!(access["partner_id"], json!(tenant.partner_id));
            let me = world.get("/me").bearer(text(&got, "access_token")).send().await.expect(200).data();
            assert_eq!(me["id"], json!(ada.id));
            for (other, _) in people.iter().filter(|(other, _)| other.id != tenant.id) {
                let path = format!("/tenants/{}/users/{}", other.id, ada.id);
                world.get(&path).bearer(text(&got, "access_token")).send().await.expect(404);
            }
        }
        for (tenant, ada) in &people {
            let path = format!("/tenants/{}/sessions?active_only=true", tenant.id);
            let sessions = world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).data();
            let sessions = sessions.as_array().unwrap();
            assert_eq!((sessions.len(), &sessions[0]["user_id"]), (1, &json!(ada.id)), "{sessions:?}");
            let path = format!("/tenants/{}/sessions/{}", tenant.id, sessions[0]["id"].as_str().unwrap());
            let session = world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).data();
            assert_eq!(session["sso_apps"][0]["application_id"], json!(app.id), "{session}");
        }
    }

    async fn page_for_the_password_and_a_wrong_one_say_nothing_of_an_address(world) {
        let app = app(&world, json!({})).await;
        let people = three(&world).await;
        let tenants: Vec<_> = people.iter().map(|(tenant, _)| tenant).collect();
        one_address(&world, "once@mail.example", &tenants[..1]).await;
        one_address(&world, "both@mail.test", &tenants[1..]).await;
        let mut pages = Vec::new();
        for address in ["none@mail.example", "once@mail.example", "both@mail.test"] {
            let browser = Browser::new(&world);
            let page = asked_for_password(&browser, &app, address).await;
            let hashes = world.app.hashing().0;
            let wrong = enter(&browser, &page, address, "", "wrong password").await.expect(422);
            assert_eq!(world.app.hashing().0 - hashes, 1, "{address}");
            let unknown = enter(&browser, &page, address, "nowhere", "wrong password").await.expect(422);
            assert_eq!(world.app.hashing().0 - hashes, 2, "{address}");
            let plain = |answer: &Answer| {
                let request = Form::of(answer).hidden[0].1.clone();
                answer.text.replace(&request, "").replace(address, "").replace("nowhere", "")
            };
            pages.push([plain(&page), plain(&wrong), plain(&unknown)]);
        }
        assert_eq!(pages[0], pages[1]);
        assert_eq!(pages[0], pages[2]);
    }

    async fn address_signs_in_where_it_last_did_unless_a_tenant_is_named(world) {
        let app = app(&world, json!({})).await;
        let people = three(&world).await;
        let tenants: Vec<_> = people.iter().map(|(tenant, _)| tenant).collect();
        one_address(&world, "both@mail.test", &tenants[1..]).await;
        for (named, expected) in [("", tenants[2]), ("beta", tenants[1]), ("BETA ", tenants[1]), ("", tenants[1])] {
            world.clock.advance(Duration::from_secs(1));
            let browser = Browser::new(&world);
            let page = asked_for_password(&browser, &app, "both@mail.test").await;
            let answer = enter(&browser, &page, "both@mail.test", named, PASSWORD).await;
            let got = exchange(&world, &app, &answer).await;
            assert_eq!(claims(text(&got, "id_token"))["tenant_id"], json!(expected.id), "{named}");
        }
        // One that has signed in nowhere yet names its tenant.
        let (tenant, ada) = &people[0];
        let browser = Browser::new(&world);
        let page = asked_for_password(&browser, &app, &address(ada)).await;
        let page = enter(&browser, &page, &address(ada), "", PASSWORD).await.expect(422);
        code(&enter(&browser, &page, &address(ada), &tenant.slug, PASSWORD).await);
        // Where nobody can sign in, an address is no better known than anywhere.
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        let browser = Browser::new(&world);
        let page = asked_for_password(&browser, &app, &address(ada)).await;
        let page = enter(&browser, &page, &address(ada), "", PASSWORD).await.expect(422);
        assert!(page.text.contains("is wrong"), "{}", page.text);
    }

    async fn sessions_that_a_browser_has_are_offered_and_nothing_else(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        let far = world.tenant("far").await;
        let eve = world.person(&far, "eve").await;
        let (wiki, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &wiki, &[]).await;
        assert_eq!(error(&browser.get(&request(&platform, &[("prompt", "none")])).await), "account_selection_required");
        let page = browser.get(&request(&platform, &[])).await.expect(200);
        assert!(page.text.contains("ada@acme.example") && !page.text.contains("eve@far.example"), "{}", page.text);
        let other = browser.submit(&Form::of(&page), &[("answer", "another")]).await.expect(200);
        let other = browser.submit(&Form::of(&other), &[("username", &address(&eve))]).await.expect(200);
        let answer = enter(&browser, &other, &address(&eve), "far", PASSWORD).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &answer).await, "id_token"))["sub"], json!(eve.id));
        // Who was used last goes on without a page; the other one is still there to be chosen.
        let silent = browser.get(&request(&platform, &[("prompt", "none")])).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &silent).await, "id_token"))["sub"], json!(eve.id));
        let page = browser.get(&request(&platform, &[("prompt", "select_account")])).await.expect(200);
        let ada = account(&page, "ada@acme.example");
        let answer = browser.submit(&Form::of(&page), &[("answer", &ada)]).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &answer).await, "id_token"))["sub"], json!(site.ada.id));
        let silent = browser.get(&request(&platform, &[])).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &silent).await, "id_token"))["sub"], json!(site.ada.id));
        // Neither the session of another browser nor one that has ended can be chosen.
        let page = browser.get(&request(&platform, &[("prompt", "select_account")])).await.expect(200);
        let stranger = Browser::new(&world);
        let theirs = asked_for_password(&stranger, &platform, "x@y.example").await;
        let select = Form { action: format!("{AT}/select-account"), ..Form::of(&theirs) };
        let refused = stranger.submit(&select, &[("answer", &ada)]).await.expect(200);
        assert!(refused.header("location").is_none() && !refused.text.contains("ada@acme.example"), "{}", refused.text);
        world.delete(&format!("/tenants/{}/sessions/{ada}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        let again = browser.submit(&Form::of(&page), &[("answer", &ada)]).await;
        assert_eq!(again.header("location"), None, "{}", again.text);
    }

    async fn accounts_are_told_apart_by_their_tenants_and_who_signs_out_hears_who_is_left(world) {
        let (platform, browser) = (app(&world, json!({})).await, Browser::new(&world));
        let people = three(&world).await;
        let page = asked_for_password(&browser, &platform, &address(&people[0].1)).await;
        enter(&browser, &page, &address(&people[0].1), &people[0].0.slug, PASSWORD).await;
        let page = browser.get(&request(&platform, &[("prompt", "select_account")])).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("answer", "another")]).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("username", &address(&people[1].1))]).await.expect(200);
        enter(&browser, &page, &address(&people[1].1), &people[1].0.slug, PASSWORD).await;
        let page = browser.get(&request(&platform, &[("prompt", "select_account")])).await.expect(200);
        for (tenant, user) in &people[..2] {
            let line = format!("<bdi>{}</bdi>, <bdi>{}</bdi>", address(user), tenant.slug);
            assert!(page.text.contains(&line), "{line} {}", page.text);
        }
        let page = browser.get(&format!("{AT}/logout")).await.expect(200);
        assert!(page.text.contains(&format!("<bdi>{}</bdi>", people[1].0.slug)), "{}", page.text);
        let page = browser.submit(&Form::of(&page), &[]).await.expect(200);
        assert!(page.text.contains("is still signed in") && page.text.contains(&address(&people[0].1)), "{}", page.text);
        assert!(!page.text.contains(&address(&people[1].1)), "{}", page.text);
    }

    async fn session_that_is_chosen_is_no_sign_in(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        let (wiki, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &wiki, &[]).await;
        let page = browser.get(&request(&platform, &[])).await.expect(200);
        let ada = account(&page, "ada@acme.example");
        for fresh in [("prompt", "login"), ("max_age", "0")] {
            let page = browser.get(&request(&platform, &[fresh])).await.expect(200);
            for answer in [ada.as_str(), "continue", "allow", "x"] {
                let page = browser.submit(&Form { action: format!("{AT}/select-account"), ..Form::of(&page) }, &[("answer", answer)]).await;
                assert_eq!((page.status, page.header("location")), (200, None), "{fresh:?} {answer}");
            }
        }
        // Not even when it has become the usual one in another tab meanwhile.
        let first = browser.get(&request(&platform, &[("prompt", "login")])).await.expect(200);
        code(&browser.submit(&Form::of(&page), &[("answer", &ada)]).await);
        let page = browser.submit(&Form { action: format!("{AT}/select-account"), ..Form::of(&first) }, &[("answer", "x")]).await;
        assert_eq!((page.status, page.header("location")), (200, None));
        let page = browser.submit(&Form::of(&page), &[("username", "ada@acme.example")]).await.expect(200);
        let answer = enter(&browser, &page, "ada@acme.example", "acme", PASSWORD).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &answer).await, "id_token"))["sid"], json!(ada), "the session goes on");
    }

    async fn device_of_the_platform_is_signed_in_by_anybody_and_is_theirs_then(world) {
        let people = three(&world).await;
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let body = json!({"application_type": "NATIVE", "redirect_uris": [], "grant_types": [grant, "refresh_token"]});
        let television = app(&world, body).await;
        let (tenant, ada) = &people[1];
        let fields = [("client_id", television.id.as_str()), ("scope", "openid profile")];
        let waits = world.post("/platform/oauth/device_authorization").form(&fields).send().await.expect(200).json();
        let poll = async || token_at(&world, AT, &television, &[("grant_type", grant), ("device_code", text(&waits, "device_code"))]).await;
        assert_eq!(refused(poll().await, 400), "authorization_pending");
        let browser = Browser::new(&world);
        let at_tenant = browser.get("/api/v1/auth/tenants/beta/oauth/device").await.expect(200);
        browser.submit(&Form::of(&at_tenant), &[("user_code", text(&waits, "user_code"))]).await.expect(422);
        let page = browser.get("/device").await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("user_code", text(&waits, "user_code"))]).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("username", &address(ada))]).await.expect(200);
        let page = enter(&browser, &page, &address(ada), &tenant.slug, PASSWORD).await.expect(200);
        assert!(page.text.contains(text(&waits, "user_code")), "{}", page.text);
        assert!(page.text.contains(&format!("</bdi>, <bdi>{}</bdi>", tenant.slug)), "whose account: {}", page.text);
        browser.submit(&Form::of(&page), &[("answer", "allow")]).await.expect(200);
        world.clock.advance(Duration::from_secs(6));
        let got = poll().await.expect(200).json();
        let says = claims(text(&got, "id_token"));
        assert_eq!((&says["sub"], &says["tenant_id"]), (&json!(ada.id), &json!(tenant.id)));
        assert!(says["iss"].as_str().unwrap().ends_with(AT));
        user_info(&world, text(&got, "access_token")).await.expect(200);
        let sessions = world.get(&format!("/tenants/{}/sessions?active_only=true", tenant.id)).bearer(world.admin().await);
        let sessions = sessions.send().await.expect(200).data();
        assert!(sessions.as_array().unwrap().iter().any(|it| it["kind"] == json!("device")), "{sessions}");
    }

    async fn pushed_request_of_the_platform_is_brought_there_and_nowhere_else(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        let challenge = challenge();
        let fields = [
            ("response_type", "code"), ("redirect_uri", CALLBACK), ("scope", "openid"),
            ("code_challenge", challenge.as_str()), ("code_challenge_method", "S256"),
        ];
        let proof = basic(&platform.id, platform.secret.as_deref().unwrap());
        let pushed = world.post("/platform/oauth/par").header("authorization", &proof).form(&fields).send().await.expect(201).json();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &platform.id).append_pair("request_uri", text(&pushed, "request_uri")).finish();
        let browser = Browser::new(&world);
        browser.get(&format!("{}/oauth/authorize?{query}", site.issuer_path())).await.expect(400);
        let page = browser.get(&format!("{AT}/authorize?{query}")).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("username", "ada@acme.example")]).await.expect(200);
        let answer = enter(&browser, &page, "ada@acme.example", "acme", PASSWORD).await;
        exchange(&world, &platform, &answer).await;
    }

    async fn hint_of_the_platform_signs_the_session_out_that_it_names(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({"post_logout_redirect_uris": ["https://wiki.example/bye"]})).await);
        let browser = Browser::new(&world);
        let got = tokens(&world, &browser, &platform, &site.ada).await;
        let asked = browser.get(&format!("{AT}/logout")).await.expect(200);
        assert!(asked.text.contains("ada"), "{}", asked.text);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("id_token_hint", text(&got, "id_token")).append_pair("post_logout_redirect_uri", "https://wiki.example/bye").finish();
        let answer = browser.get(&format!("{AT}/logout?{query}")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("https://wiki.example/bye")));
        assert!(browser.cookies().keys().all(|name| !name.contains("gh-s-") && !name.contains("gh-platform")), "{:?}", browser.cookies());
        user_info(&world, text(&got, "access_token")).await.expect(401);
        assert_eq!(site.sessions().await.len(), 0);
    }

    async fn consent_is_asked_and_remembered_at_the_platform_for_the_user_who_gave_it(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({"require_consent": true})).await);
        let browser = Browser::new(&world);
        let page = sign_in(&browser, &platform, &site.ada).await.expect(200);
        assert!(page.text.contains("asks to use"), "{}", page.text);
        assert!(page.text.contains(&format!("</bdi>, <bdi>{}</bdi>", site.tenant.slug)), "whose account: {}", page.text);
        code(&browser.submit(&Form::of(&page), &[("answer", "allow")]).await);
        code(&browser.get(&request(&platform, &[("prompt", "none")])).await);
        let ada = world.login(&site.ada).await;
        let apps = world.get("/me/authorized-apps").bearer(&ada).send().await.expect(200).data();
        assert_eq!(apps[0]["application_id"], json!(platform.id), "{apps}");
        world.delete(&format!("/me/authorized-apps/{}", platform.id)).bearer(&ada).send().await.expect(204);
        assert_eq!(error(&browser.get(&request(&platform, &[("prompt", "none")])).await), "consent_required");
    }

    async fn counters_do_not_tell_which_addresses_are_known_and_where(world) {
        let app = app(&world, json!({})).await;
        let people = three(&world).await;
        let tenant = &people[0].0;
        // After so many wrong passwords in one place: what is answered in another, of an address that is known and of one that
        // is not.
        let places = [("nowhere", ""), ("", tenant.slug.as_str()), ("", "beta"), (&tenant.slug, ""), ("beta", "")];
        for (n, (first, then)) in places.into_iter().enumerate() {
            let known = world.person(tenant, &format!("known{n}")).await;
            world.login(&known).await;
            let mut told = Vec::new();
            for address in [address(&known), format!("nobody{n}@acme.example")] {
                let browser = Browser::new(&world);
                let page = asked_for_password(&browser, &app, &address).await;
                let mut statuses = Vec::new();
                for tenant in std::iter::repeat_n(first, 10).chain([then]) {
                    statuses.push(enter(&browser, &page, &address, tenant, "wrong password").await.status);
                }
                told.push(statuses);
                world.clock.advance(Duration::from_secs(48 * 3_600));
            }
            assert_eq!(told[0], told[1], "{first:?} and then {then:?}");
        }
        // What was tried at the tenant itself is not told at the platform.
        let ada = &people[0].1;
        world.login(ada).await;
        for _ in 0..11 {
            world.try_login(&tenant.slug, &ada.name, "wrong password").await;
        }
        world.clock.advance(Duration::from_secs(1));
        let browser = Browser::new(&world);
        let page = asked_for_password(&browser, &app, &address(ada)).await;
        enter(&browser, &page, &address(ada), "", "wrong password").await.expect(422);
    }

    async fn user_who_signs_in_too_often_is_told_that_and_not_that_the_password_is_wrong(world) {
        let minute = Duration::from_secs(60);
        let world = world.replica(|config| config.limits.sign_ins = BucketRule::of(2, 2, minute)).await;
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        for _ in 0..2 {
            code(&sign_in(&Browser::new(&world), &platform, &site.ada).await);
        }
        for _ in 0..12 {
            let page = sign_in(&Browser::new(&world), &platform, &site.ada).await.expect(429);
            assert!(page.text.contains("Too many attempts"), "{}", page.text);
        }
        // It counts as no failure either.
        world.clock.advance(minute);
        code(&sign_in(&Browser::new(&world), &platform, &site.ada).await);
    }

    async fn request_that_names_a_user_chooses_no_session_of_hers(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        let far = world.tenant("far").await;
        let eve = world.person(&far, "eve").await;
        let (wiki, browser) = (site.app(json!({})).await, Browser::new(&world));
        tokens(&world, &browser, &platform, &eve).await;
        site.tokens(&browser, &wiki, &[]).await;
        let named = json!({"id_token": {"sub": {"value": site.ada.id}}}).to_string();
        assert_eq!(error(&browser.get(&request(&platform, &[("prompt", "none"), ("claims", &named)])).await), "login_required");
        let page = browser.get(&request(&platform, &[("claims", &named)])).await.expect(200);
        let silent = browser.get(&request(&platform, &[("prompt", "none")])).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &silent).await, "id_token"))["sub"], json!(eve.id));
        let answer = browser.submit(&Form::of(&page), &[("answer", &account(&page, "ada@acme.example"))]).await;
        assert_eq!(claims(text(&exchange(&world, &platform, &answer).await, "id_token"))["sub"], json!(site.ada.id));
        // Nor does another user of the same tenant take her place there.
        world.person(&site.tenant, "bob").await;
        let page = browser.get(&site.request(&wiki, &[("prompt", "login")])).await.expect(200);
        code(&browser.submit(&Form::of(&page), &[("username", "bob"), ("password", PASSWORD)]).await);
        assert_eq!(error(&browser.get(&request(&platform, &[("prompt", "none")])).await), "account_selection_required");
        let asked = browser.get(&format!("{AT}/logout")).await.expect(200);
        assert!(asked.text.contains("<form"), "whoever is signed in is asked: {}", asked.text);
    }
}
