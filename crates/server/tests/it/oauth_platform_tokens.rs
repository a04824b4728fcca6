//! What tokens of the platform's issuer are good for, and where they are not.

use actix_web::http::Method;
use serde_json::json;

use crate::{
    back_channel::{PUBLIC, calling, tell, verified},
    harness::{
        Browser, Receiver, api_tests, claims,
        oauth::{App, CALLBACK, Site, basic, code, error, of_code, refused, request_at, text, token_at},
        platform::{AT, app, exchange, introspect, request, three, tokens, user_info},
    },
};

api_tests! {
    async fn token_of_one_issuer_is_refused_at_every_other(world) {
        let site = Site::new(&world).await;
        let all = json!({"allowed_scopes": ["openid", "profile", "email", "account:read"], "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]});
        let (own, platform) = (site.app(all.clone()).await, app(&world, all).await);
        let browser = Browser::new(&world);
        let of_tenant = site.tokens(&browser, &own, &[]).await;
        let of_platform = tokens(&world, &Browser::new(&world), &platform, &site.ada).await;
        let (tenant_at, far) = (format!("{}/oauth", site.issuer_path()), world.tenant("far").await);
        user_info(&world, text(&of_tenant, "access_token")).await.expect(401);
        site.user_info(text(&of_platform, "access_token")).await.expect(401);
        world.get(&format!("/auth/tenants/{}/oauth/userinfo", far.slug)).bearer(text(&of_platform, "access_token")).send().await.expect(401);
        for name in ["access_token", "refresh_token"] {
            for (at, caller, foreign) in [(AT, &platform, &of_tenant), (tenant_at.as_str(), &own, &of_platform)] {
                assert_eq!(introspect(&world, at, caller, text(foreign, name)).await, json!({"active": false}), "{at} {name}");
            }
            assert_eq!(introspect(&world, AT, &platform, text(&of_platform, name)).await["active"], json!(true), "{name}");
        }
        for (at, caller, foreign) in [(AT, &platform, &of_tenant), (tenant_at.as_str(), &own, &of_platform)] {
            let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(foreign, "refresh_token"))];
            assert_eq!(refused(token_at(&world, at, caller, &refresh).await, 400), "invalid_grant");
            let subject = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", text(foreign, "access_token")),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), ("audience", caller.id.as_str()),
            ];
            assert_eq!(refused(token_at(&world, at, caller, &subject).await, 400), "invalid_request");
            let hint = browser.get(&request_at(at, caller, &[("id_token_hint", text(foreign, "id_token")), ("prompt", "none")])).await;
            assert_eq!(error(&hint), "invalid_request", "{at}");
            let proof = basic(&caller.id, caller.secret.as_deref().unwrap());
            let call = world.post(&format!("/{at}/revoke")).header("authorization", &proof);
            call.form(&[("token", text(foreign, "access_token"))]).send().await.expect(200);
        }
        user_info(&world, text(&of_platform, "access_token")).await.expect(200);
        site.user_info(text(&of_tenant, "access_token")).await.expect(200);
        // Nor is an application known at an issuer that is not its own.
        browser.get(&request_at(&tenant_at, &platform, &[])).await.expect(400);
        browser.get(&request(&own, &[])).await.expect(400);
        assert_eq!(refused(token_at(&world, &tenant_at, &platform, &[("grant_type", "client_credentials")]).await, 401), "invalid_client");
        assert_eq!(refused(token_at(&world, AT, &own, &[("grant_type", "client_credentials")]).await, 401), "invalid_client");
    }

    async fn code_of_one_tenant_is_none_at_another_not_even_to_an_application_of_their_partner(world) {
        let site = Site::new(&world).await;
        world.tenant_of(&site.tenant.partner_id, "sibling").await;
        let body = json!({"name": "Both", "application_type": "WEB", "scope_level": "PARTNER", "partner_id": site.tenant.partner_id,
            "redirect_uris": [CALLBACK]});
        let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
        let app = App { id: text(&made, "id").to_owned(), secret: Some(text(&made, "client_secret").to_owned()), callback: CALLBACK.to_owned() };
        let code = code(&site.sign_in(&Browser::new(&world), &app, &[]).await);
        let tokens = site.exchange(&app, &code).await.expect(200).json();
        let elsewhere = token_at(&world, "/api/v1/auth/tenants/sibling/oauth", &app, &of_code(&app, &code)).await;
        assert_eq!(refused(elsewhere, 400), "invalid_grant");
        site.user_info(text(&tokens, "access_token")).await.expect(200);
    }

    async fn tokens_of_the_platform_end_with_the_session_and_can_be_refreshed_and_taken_back(world) {
        let (site, platform) = (Site::new(&world).await, app(&world, json!({})).await);
        let browser = Browser::new(&world);
        let first = tokens(&world, &browser, &platform, &site.ada).await;
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token"))];
        let next = token_at(&world, AT, &platform, &refresh).await.expect(200).json();
        let told = introspect(&world, AT, &platform, text(&next, "refresh_token")).await;
        assert_eq!((&told["active"], &told["tenant_id"], &told["sub"]), (&json!(true), &json!(site.tenant.id), &json!(site.ada.id)));
        let proof = basic(&platform.id, platform.secret.as_deref().unwrap());
        let revoke = |token: String| world.post("/platform/oauth/revoke").header("authorization", &proof).form(&[("token", &token)]).send();
        revoke(text(&next, "access_token").to_owned()).await.expect(200);
        user_info(&world, text(&next, "access_token")).await.expect(401);
        let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'token.revoked' AND tenant_id IS NOT NULL";
        assert_eq!(world.number(events).await, 1);
        revoke(text(&next, "refresh_token").to_owned()).await.expect(200);
        assert_eq!(introspect(&world, AT, &platform, text(&next, "refresh_token")).await, json!({"active": false}));
        let answer = browser.get(&request(&platform, &[("prompt", "none")])).await;
        let got = exchange(&world, &platform, &answer).await;
        let sid = claims(text(&got, "id_token"))["sid"].as_str().unwrap().to_owned();
        world.delete(&format!("/tenants/{}/sessions/{sid}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        user_info(&world, text(&got, "access_token")).await.expect(401);
        assert_eq!(error(&browser.get(&request(&platform, &[("prompt", "none")])).await), "login_required");
    }

    async fn service_of_the_platform_acts_everywhere_as_far_as_its_scopes_say(world) {
        let people = three(&world).await;
        let body = json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["admin:read", "users:write"]});
        let robot = app(&world, body).await;
        let got = token_at(&world, AT, &robot, &[("grant_type", "client_credentials")]).await.expect(200).json();
        let (token, says) = (text(&got, "access_token"), claims(text(&got, "access_token")));
        assert_eq!((says.get("tenant_id"), says.get("partner_id"), &says["sub"]), (None, None, &json!(robot.id)));
        for (tenant, ada) in &people {
            world.get(&format!("/tenants/{}/users/{}", tenant.id, ada.id)).bearer(token).send().await.expect(200);
        }
        assert_eq!(world.get("/admin/tenants").bearer(token).send().await.expect(200).total(), 4);
        world.get("/me").bearer(token).send().await.expect(403);
        let role = json!({"name": "x", "tenant_id": people[0].0.id, "permissions": []});
        world.post("/admin/roles").bearer(token).json(role).send().await.problem(403, "insufficient_scope");
        let path = format!("/tenants/{}/users", people[2].0.id);
        let make = || world.post(&path).bearer(token).header("idempotency-key", "k").json(json!({"username": "eve", "email": "eve@far.example"})).send();
        let (made, again) = (make().await.expect(201).data(), make().await.expect(201).data());
        assert_eq!(made["id"], again["id"]);
        let events = format!("/tenants/{}/audit-events?actor_id={}", people[2].0.id, robot.id);
        let events = world.get(&events).bearer(world.admin().await).send().await.expect(200).data();
        assert_eq!((&events[0]["actor"]["id"], &events[0]["actor"]["acting_as"]), (&json!(robot.id), &json!("platform")), "{events}");
        let fewer = json!({"allowed_scopes": ["admin:read"]});
        world.patch(&format!("/admin/applications/{}", robot.id)).bearer(world.admin().await).json(fewer).send().await.expect(200);
        world.post(&path).bearer(token).json(json!({"username": "max", "email": "max@far.example"})).send().await.expect(403);
        let suspended = json!({"status": "SUSPENDED"});
        world.patch(&format!("/admin/applications/{}", robot.id)).bearer(world.admin().await).json(suspended).send().await.expect(200);
        world.get("/admin/tenants").bearer(token).send().await.expect(401);
        assert_eq!(refused(token_at(&world, AT, &robot, &[("grant_type", "client_credentials")]).await, 401), "invalid_client");
    }

    async fn pages_of_the_applications_of_the_platform_may_call_its_issuer_and_no_other(world) {
        world.tenant("acme").await;
        app(&world, json!({"application_type": "SPA", "redirect_uris": ["https://portal.example/cb"]})).await;
        for (path, allowed) in [("/platform/oauth/token", Some("https://portal.example")), ("/auth/tenants/acme/oauth/token", None)] {
            let call = world.call(Method::OPTIONS, path).header("origin", "https://portal.example");
            let answer = call.header("access-control-request-method", "POST").send().await.expect(204);
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{path}");
        }
    }

    async fn metadata_of_the_platform_are_the_same_at_three_addresses_and_name_what_works(world) {
        world.admin().await;
        let addresses = [
            "/platform/oauth/.well-known/openid-configuration",
            "//.well-known/openid-configuration/api/v1/platform/oauth",
            "//.well-known/oauth-authorization-server/api/v1/platform/oauth",
        ];
        let first = world.get(addresses[0]).send().await.expect(200);
        for address in addresses {
            let answer = world.get(address).header("x-forwarded-host", "evil.example").send().await.expect(200);
            assert_eq!((&answer.text, answer.header("etag")), (&first.text, first.header("etag")), "{address}");
        }
        let says = first.json();
        let base = says["issuer"].as_str().unwrap().strip_suffix(AT).unwrap().to_owned();
        assert_eq!(says["jwks_uri"], json!(format!("{base}/api/v1/platform/.well-known/jwks.json")));
        assert_eq!(says["prompt_values_supported"], json!(["none", "login", "consent", "select_account"]));
        for (name, path, method) in [
            ("authorization_endpoint", "authorize", Method::GET), ("end_session_endpoint", "logout", Method::GET),
            ("token_endpoint", "token", Method::POST), ("userinfo_endpoint", "userinfo", Method::GET),
            ("introspection_endpoint", "introspect", Method::POST), ("revocation_endpoint", "revoke", Method::POST),
            ("pushed_authorization_request_endpoint", "par", Method::POST),
            ("device_authorization_endpoint", "device_authorization", Method::POST),
        ] {
            assert_eq!(says[name], json!(format!("{base}{AT}/{path}")));
            assert_ne!(world.call(method, &format!("/{AT}/{path}")).send().await.status, 404, "{path}");
        }
        world.get("/platform/.well-known/jwks.json").send().await.expect(200);
    }

    async fn application_of_the_platform_is_told_of_ended_sessions_by_the_issuer_of_the_platform(world) {
        let world = calling(&world).await;
        let (site, receiver, browser) = (Site::new(&world).await, Receiver::start().await, Browser::new(&world));
        let portal = app(&world, json!({"backchannel_logout_uri": receiver.uri()})).await;
        let got = tokens(&world, &browser, &portal, &site.ada).await;
        let sid = claims(text(&got, "id_token"))["sid"].as_str().unwrap().to_owned();
        world.delete(&format!("/tenants/{}/sessions/{sid}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        assert_eq!(tell(&world).await, 1);
        let keys = world.get("/platform/.well-known/jwks.json").send().await.expect(200).json();
        let (_, says) = verified(&receiver.tokens()[0], &keys, &portal.id);
        assert_eq!((&says["iss"], &says["sid"], &says["sub"]), (&json!(format!("{PUBLIC}{AT}")), &json!(sid), &json!(site.ada.id)));
    }
}
