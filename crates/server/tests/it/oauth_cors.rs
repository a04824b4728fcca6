//! Which pages of other origins may read what an issuer answers (Fetch, section 3.2).

use actix_web::http::Method;
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
}
