//! Signing out at the request of an application. Tests are named after the modules of the OpenID Foundation's conformance
//! suite for RP-initiated logout.

use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, World, api_tests,
    oauth::{App, Site, text},
};

const AFTER: &str = "https://wiki.example/signed-out";

/// Somebody who is signed in to an application.
struct SignedIn {
    site: Site,
    app: App,
    browser: Browser,
    id_token: String,
}

impl SignedIn {
    async fn new(world: &World) -> Self {
        let site = Site::new(world).await;
        let app = site.app(json!({"post_logout_redirect_uris": [AFTER]})).await;
        let browser = Browser::new(world);
        let tokens = site.tokens(&browser, &app, &[]).await;
        Self { id_token: text(&tokens, "id_token").to_owned(), site, app, browser }
    }

    async fn ask(&self, params: &[(&str, &str)]) -> Answer {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        self.browser.get(&format!("{}/oauth/logout?{query}", self.site.issuer_path())).await
    }

    async fn is_signed_in(&self) -> bool {
        self.site.sessions().await.iter().any(|session| session["kind"] == "browser")
    }

    /// Says yes, and is told to be signed out.
    async fn confirm(&self, page: Answer) {
        assert!(self.is_signed_in().await, "somebody asks first");
        let done = self.browser.submit(&Form::of(&page.expect(200)), &[]).await.expect(200);
        assert!(done.text.contains("You are signed out"), "{}", done.text);
        assert!(!self.is_signed_in().await);
    }
}

api_tests! {
    async fn oidcc_rp_initiated_logout(world) {
        let user = SignedIn::new(&world).await;
        let params = [("id_token_hint", user.id_token.as_str()), ("post_logout_redirect_uri", AFTER), ("state", "s&1")];
        let answer = user.ask(&params).await.expect(303);
        assert_eq!(answer.header("location"), Some("https://wiki.example/signed-out?state=s%261"));
        assert!(!user.is_signed_in().await);
        assert!(!user.browser.cookies().keys().any(|name| name.starts_with("gh-s-")));
        let again = user.ask(&params).await.expect(303);
        assert_eq!(again.header("location"), Some("https://wiki.example/signed-out?state=s%261"));
    }

    async fn oidcc_rp_initiated_logout_no_params(world) {
        let user = SignedIn::new(&world).await;
        user.confirm(user.ask(&[]).await).await;
    }

    async fn oidcc_rp_initiated_logout_only_state(world) {
        let user = SignedIn::new(&world).await;
        user.confirm(user.ask(&[("state", "s")]).await).await;
    }

    async fn oidcc_rp_initiated_logout_no_state(world) {
        let user = SignedIn::new(&world).await;
        let answer = user.ask(&[("id_token_hint", &user.id_token), ("post_logout_redirect_uri", AFTER)]).await.expect(303);
        assert_eq!(answer.header("location"), Some(AFTER));
    }

    async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(world) {
        let user = SignedIn::new(&world).await;
        let answer = user.ask(&[("id_token_hint", &user.id_token)]).await.expect(200);
        assert!(answer.text.contains("You are signed out") && !user.is_signed_in().await);
    }

    async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(world) {
        let user = SignedIn::new(&world).await;
        let answer = user.ask(&[("id_token_hint", &user.id_token), ("post_logout_redirect_uri", "https://evil.example/")]).await.expect(200);
        assert!(answer.header("location").is_none() && !answer.text.contains("evil"));
    }

    async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(world) {
        let user = SignedIn::new(&world).await;
        let uri = format!("{AFTER}?foo=bar");
        let answer = user.ask(&[("id_token_hint", &user.id_token), ("post_logout_redirect_uri", &uri)]).await.expect(200);
        assert!(answer.header("location").is_none());
    }

    async fn oidcc_rp_initiated_logout_no_id_token_hint(world) {
        let user = SignedIn::new(&world).await;
        let page = user.ask(&[("client_id", &user.app.id), ("post_logout_redirect_uri", AFTER), ("state", "s")]).await.expect(200);
        assert!(user.is_signed_in().await);
        let answer = user.browser.submit(&Form::of(&page), &[]).await.expect(303);
        assert_eq!(answer.header("location"), Some("https://wiki.example/signed-out?state=s"));
        assert!(!user.is_signed_in().await);
    }

    async fn oidcc_rp_initiated_logout_bad_id_token_hint(world) {
        let user = SignedIn::new(&world).await;
        for bad in ["x", "e30.e30.e30", &user.id_token[..user.id_token.len() - 4]] {
            let page = user.ask(&[("id_token_hint", bad), ("post_logout_redirect_uri", AFTER)]).await.expect(200);
            assert!(page.text.contains("Sign out") && user.is_signed_in().await);
        }
        let access = world.login(&user.site.ada).await.access;
        user.confirm(user.ask(&[("id_token_hint", &access), ("post_logout_redirect_uri", AFTER), ("client_id", &user.app.id)]).await).await;
    }

    async fn oidcc_rp_initiated_logout_modified_id_token_hint(world) {
        let user = SignedIn::new(&world).await;
        let (start, end) = user.id_token.split_at(user.id_token.len() - 10);
        let modified = format!("{start}{}", if end.starts_with('A') { end.replacen('A', "B", 1) } else { format!("A{}", &end[1..]) });
        user.confirm(user.ask(&[("id_token_hint", &modified), ("post_logout_redirect_uri", AFTER)]).await).await;
    }

    async fn oidcc_rp_initiated_logout_discovery_endpoint_verification(world) {
        let world = world.replica(|config| config.public_url = Some("https://id.example.com".parse().unwrap())).await;
        world.tenant("acme").await;
        let says = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
        let at = "https://id.example.com/api/v1/auth/tenants/acme/oauth/logout";
        assert_eq!(says["end_session_endpoint"], at);
        world.get(&at.replace("https://id.example.com", "/")).header("accept", "text/html").send().await.expect(200);
    }

    async fn hint_of_another_session_or_application_asks_first(world) {
        let user = SignedIn::new(&world).await;
        let other = Browser::new(&world);
        let tokens = user.site.tokens(&other, &user.app, &[]).await;
        let page = user.ask(&[("id_token_hint", text(&tokens, "id_token")), ("post_logout_redirect_uri", AFTER)]).await.expect(200);
        assert_eq!((page.header("location"), user.site.sessions().await.len()), (None, 2));
        let spa = user.site.spa().await;
        user.ask(&[("id_token_hint", &user.id_token), ("client_id", &spa.id), ("post_logout_redirect_uri", AFTER)]).await.expect(200);
        assert_eq!(user.site.sessions().await.len(), 2);
    }

    async fn hint_is_good_however_old_it_is_and_for_who_is_signed_in(world) {
        let user = SignedIn::new(&world).await;
        world.clock.advance(std::time::Duration::from_secs(7_200));
        let answer = user.browser.get(&user.site.request(&user.app, &[("id_token_hint", &user.id_token), ("prompt", "none")])).await;
        crate::harness::oauth::code(&answer);
        let bad = user.browser.get(&user.site.request(&user.app, &[("id_token_hint", "e30.e30.e30"), ("prompt", "none")])).await;
        assert_eq!(crate::harness::oauth::error(&bad), "invalid_request");
        let other = Browser::new(&world);
        world.person(&user.site.tenant, "bob").await;
        let page = other.get(&user.site.request(&user.app, &[("id_token_hint", &user.id_token)])).await.expect(200);
        let answer = other.submit(&Form::of(&page), &[("username", "bob"), ("password", crate::harness::PASSWORD)]).await;
        assert_eq!(crate::harness::oauth::error(&answer), "login_required");
        user.ask(&[("id_token_hint", &user.id_token), ("post_logout_redirect_uri", AFTER)]).await.expect(303);
    }

    async fn who_is_signed_out_is_shown_the_way_back_to_the_application_that_asked(world) {
        let it = SignedIn::new(&world).await;
        it.site.change(&it.app, json!({"client_uri": "https://wiki.example/"})).await;
        let page = it.ask(&[("id_token_hint", &it.id_token)]).await.expect(200);
        assert!(page.text.contains("<a href=\"https://wiki.example/\">Back to <bdi>Wiki</bdi></a>"), "{}", page.text);
        let page = it.ask(&[("client_uri", "https://evil.example/")]).await.expect(200);
        assert!(!page.text.contains("<a href"), "{}", page.text);
    }

    async fn nobody_who_only_sends_a_browser_here_can_write_its_policy(world) {
        let user = SignedIn::new(&world).await;
        let page = user.ask(&[("post_logout_redirect_uri", "x; script-src 'unsafe-inline':")]).await.expect(200);
        assert!(!page.header("content-security-policy").unwrap().contains("script-src"));
    }
}
