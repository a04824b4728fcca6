//! Which pages of other origins may read what an issuer answers (Fetch, section 3.2).

use actix_web::http::Method;
use gatehouse_domain::{application::Origin, issue::Parse};
use serde_json::json;

use crate::harness::{
    Answer, Browser, World, api_tests,
    oauth::{Site, text},
};

const PAGE: &str = "https://mail.example";

async fn preflight(world: &World, path: &str, origin: &str) -> Answer {
    let call = world.call(Method::OPTIONS, path).header("origin", origin);
    call.header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

api_tests! {
    async fn pages_of_an_allowed_origin_read_the_answers_and_no_others(world) {
        let site = Site::new(&world).await;
        let (spa, browser) = (site.spa().await, Browser::new(&world));
        let tokens = site.tokens(&browser, &spa, &[]).await;
        for path in ["/auth/tenants/acme/oauth/token", "/auth/tenants/acme/oauth/userinfo"] {
            let answer = preflight(&world, path, PAGE).await.expect(204);
            assert_eq!(allowed(&answer), Some(PAGE));
            assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
            assert_eq!((answer.header("access-control-allow-credentials"), answer.header("vary")), (None, Some("origin")));
            for other in ["https://evil.example", "https://mail.example.evil.example", "http://mail.example", "https://mail.example:8443", "null", "https://mail.example/"] {
                let answer = preflight(&world, path, other).await.expect(204);
                assert_eq!((allowed(&answer), answer.header("access-control-allow-headers")), (None, None), "{other}");
            }
        }
        let info = |origin: &'static str| {
            world.get("/auth/tenants/acme/oauth/userinfo").bearer(text(&tokens, "access_token")).header("origin", origin).send()
        };
        assert_eq!(allowed(&info(PAGE).await.expect(200)), Some(PAGE));
        assert_eq!(allowed(&info("https://evil.example").await.expect(200)), None);
        let refused = world.post("/auth/tenants/acme/oauth/token").form(&[("client_id", &spa.id)]).header("origin", PAGE).send().await.expect(400);
        assert_eq!(allowed(&refused), Some(PAGE), "what went wrong may be read too");
        let far = world.tenant("far").await;
        let answer = preflight(&world, &format!("/auth/tenants/{}/oauth/token", far.slug), PAGE).await.expect(204);
        assert_eq!(allowed(&answer), None, "another tenant's issuer");
    }

    async fn origin_is_no_longer_allowed_when_no_active_application_allows_it(world) {
        let site = Site::new(&world).await;
        let spa = site.spa().await;
        let path = "/auth/tenants/acme/oauth/token";
        assert_eq!(allowed(&preflight(&world, path, PAGE).await), Some(PAGE));
        site.change(&spa, json!({"allowed_origins": ["https://other.example"]})).await;
        assert_eq!(allowed(&preflight(&world, path, PAGE).await), None);
        assert_eq!(allowed(&preflight(&world, path, "https://other.example").await), Some("https://other.example"));
        site.change(&spa, json!({"status": "SUSPENDED"})).await;
        assert_eq!(allowed(&preflight(&world, path, "https://other.example").await), None);
    }

    async fn pages_that_people_see_are_read_by_no_other_origin(world) {
        let site = Site::new(&world).await;
        let spa = site.spa().await;
        let page = world.get(&format!("/{}", site.request(&spa, &[]))).header("origin", PAGE).send().await.expect(200);
        assert_eq!(allowed(&page), None);
        assert_eq!(preflight(&world, "/auth/tenants/acme/oauth/authorize", PAGE).await.status, 405);
    }

    async fn pages_of_an_application_call_the_api_with_a_token_and_others_do_not(world) {
        let site = Site::new(&world).await;
        let spa = site.app(json!({"application_type": "SPA", "redirect_uris": ["https://mail.example/cb"], "allowed_scopes": ["openid", "account:read"]})).await;
        let tokens = site.tokens(&Browser::new(&world), &spa, &[("scope", "openid account:read")]).await;
        let me = |origin: &'static str| world.get("/me").bearer(text(&tokens, "access_token")).header("origin", origin).send();
        let answer = me(PAGE).await.expect(200);
        assert_eq!((allowed(&answer), answer.header("vary"), answer.header("access-control-allow-credentials")), (Some(PAGE), Some("origin"), None));
        assert!(answer.header("access-control-expose-headers").unwrap().contains("etag"));
        assert_eq!(allowed(&me("https://evil.example").await.expect(200)), None);
        let dead = world.get("/me").bearer("none.of.ours").header("origin", PAGE).send().await.expect(401);
        assert_eq!(allowed(&dead), Some(PAGE), "what went wrong may be read too");
        for (origin, expected) in [(PAGE, Some(PAGE)), ("https://evil.example", None), ("null", None)] {
            let call = world.call(Method::OPTIONS, "/me").header("origin", origin).header("access-control-request-method", "PATCH");
            let answer = call.header("access-control-request-headers", "authorization,if-match").send().await.expect(204);
            let names = [allowed(&answer), answer.header("access-control-allow-methods"), answer.header("access-control-allow-headers")];
            assert_eq!(names[0], expected);
            assert!(names.iter().all(|name| name.is_some() == expected.is_some()), "{origin}: {names:?}");
        }
        // Of who has no token nothing is shared, and where there is nothing to call nobody is told so.
        let login = world.post("/auth/tenants/acme/login").header("origin", PAGE).form(&[("username", "ada"), ("password", "x")]).send().await;
        assert_eq!((login.status, allowed(&login)), (401, None));
        for (path, method) in [("/auth/tenants/acme/login", "POST"), ("/me", "PUT"), ("/nothing", "GET")] {
            let call = world.call(Method::OPTIONS, path).header("origin", PAGE).header("access-control-request-method", method);
            let answer = call.send().await;
            assert!(answer.status >= 400 && allowed(&answer).is_none(), "{path}: {}", answer.status);
        }
    }

    async fn pages_that_the_configuration_names_call_the_api(world) {
        let world = world.replica(|config| config.cors_origins = vec![Origin::parse("https://console.example").unwrap()]).await;
        let admin = world.admin().await;
        let answer = world.get("/admin/tenants").bearer(&admin).header("origin", "https://console.example").send().await.expect(200);
        assert_eq!(allowed(&answer), Some("https://console.example"));
        assert_eq!(allowed(&preflight(&world, "/platform/oauth/token", "https://console.example").await), None, "but no issuer");
    }
}
