//! The pages of a sign-in, as a browser without scripts meets them.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, PASSWORD, account, api_tests, claims,
    oauth::{CALLBACK, Site, code, error, sent, text},
};

const OTHER_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

api_tests! {
    async fn tabs_of_one_browser_finish_each_with_its_own_request(world) {
        let site = Site::new(&world).await;
        let (app, spa, browser) = (site.app(json!({})).await, site.spa().await, Browser::new(&world));
        let first = browser.get(&site.request(&app, &[("state", "one")])).await.expect(200);
        let second = browser.get(&site.request(&spa, &[("state", "two")])).await.expect(200);
        let third = browser.get(&site.request(&app, &[("state", "three")])).await.expect(200);
        for (page, state, callback) in [(second, "two", &spa.callback), (first, "one", &app.callback), (third, "three", &app.callback)] {
            let answer = site.submit(&browser, &page).await;
            assert!(answer.header("location").unwrap().starts_with(callback.as_str()));
            assert_eq!(sent(&answer)["state"], state);
        }
        assert_eq!(site.sessions().await.len(), 1, "the same user goes on in the same session");
    }

    async fn page_that_is_old_or_of_another_browser_starts_its_request_again(world) {
        let site = Site::new(&world).await;
        let (app, browser, other) = (site.app(json!({})).await, Browser::new(&world), Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let again = site.submit(&other, &page).await.expect(200);
        assert!(again.text.contains("another browser"), "{}", again.text);
        assert_eq!(sent(&site.submit(&other, &again).await)["state"], "s/1");
        assert_eq!(site.sessions().await.len(), 1);
        let cookies_gone = Browser::new(&world);
        assert!(site.submit(&cookies_gone, &page).await.expect(200).text.contains("another browser"));
        world.clock.advance(Duration::from_secs(3_601));
        let again = site.submit(&browser, &page).await.expect(200);
        assert!(again.text.contains("too long"), "{}", again.text);
        assert_eq!(sent(&site.submit(&browser, &again).await)["state"], "s/1");
    }

    async fn page_that_is_sent_again_is_answered_again(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let (first, second) = (code(&site.submit(&browser, &page).await), code(&site.submit(&browser, &page).await));
        site.exchange(&app, &first).await.expect(200);
        site.exchange(&app, &second).await.expect(200);
        let altered = Form { hidden: vec![("request".to_owned(), "AAAA".to_owned())], ..Form::of(&page) };
        browser.submit(&altered, &[("username", "ada"), ("password", PASSWORD)]).await.expect(400);
    }

    async fn form_of_another_site_is_refused(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let form = Form::of(&page);
        let cookies: Vec<_> = browser.cookies().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        for headers in [&[OTHER_SITE][..], &[("sec-fetch-site", "same-site")], &[("origin", "https://evil.example")], &[("origin", "null")], &[]] {
            let fields = [("request", form.hidden[0].1.as_str()), ("username", "ada"), ("password", PASSWORD)];
            let call = world.post(&format!("/{}", form.action)).form(&fields).header("cookie", &cookies.join("; "));
            let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
            let answer = call.header("accept", "text/html").send().await.expect(403);
            assert_eq!(answer.header("set-cookie"), None, "{headers:?}");
        }
        assert_eq!(site.sessions().await.len(), 0);
    }

    async fn request_by_post_goes_on_as_a_get_with_the_cookies_of_the_browser(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        let request = site.request(&app, &[]);
        let (path, query) = request.split_once('?').unwrap();
        let call = world.post(&format!("/{path}")).body("application/x-www-form-urlencoded", query);
        let answer = call.header("origin", "https://wiki.example").header(OTHER_SITE.0, OTHER_SITE.1).send().await.expect(303);
        assert_eq!(sent(&browser.get(answer.header("location").unwrap()).await)["state"], "s/1");
    }

    async fn answer_by_form_goes_with_a_script_and_a_button_and_nothing_else(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[("response_mode", "form_post"), ("state", "\"><script>")]).await.expect(200);
        let form = Form::of(&page);
        let field = |name: &str| form.hidden.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!((form.action.as_str(), field("state").as_str()), (CALLBACK, "\"><script>"));
        site.exchange(&app, &field("code")).await.expect(200);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        let refused = browser.get(&site.request(&app, &[("response_mode", "form_post"), ("scope", "unknown")])).await.expect(200);
        assert!(Form::of(&refused).hidden.contains(&("error".to_owned(), "invalid_scope".to_owned())));
    }

    async fn who_signs_in_again_keeps_the_session_with_another_cookie_and_a_new_time(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let first = site.tokens(&browser, &app, &[]).await;
        let before = browser.at(&world);
        world.clock.advance(Duration::from_secs(100));
        let page = browser.get(&site.request(&app, &[("prompt", "login")])).await.expect(200);
        let second = site.exchange(&app, &code(&site.submit(&browser, &page).await)).await.expect(200).json();
        let (first, second) = (claims(text(&first, "id_token")), claims(text(&second, "id_token")));
        assert_eq!(first["sid"], second["sid"]);
        assert_eq!(second["auth_time"].as_i64().unwrap() - first["auth_time"].as_i64().unwrap(), 100);
        assert_ne!(before.cookies(), browser.cookies());
        before.get(&site.request(&app, &[])).await.expect(200);
        assert_eq!(error(&before.get(&site.request(&app, &[("prompt", "none")])).await), "login_required", "whoever has the cookie of before is out");
    }

    async fn another_user_takes_the_place_of_the_one_before(world) {
        let site = Site::new(&world).await;
        world.person(&site.tenant, "bob").await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let tokens = site.tokens(&browser, &app, &[]).await;
        let page = browser.get(&site.request(&app, &[("prompt", "select_account")])).await.expect(200);
        assert!(page.text.contains("ada@acme.example"), "{}", page.text);
        let page = browser.submit(&Form::of(&page), &[("answer", "another")]).await.expect(200);
        let answer = browser.submit(&Form::of(&page), &[("username", "bob"), ("password", PASSWORD)]).await;
        let bob = site.exchange(&app, &code(&answer)).await.expect(200).json();
        assert_ne!(claims(text(&bob, "id_token"))["sub"], json!(site.ada.id));
        site.user_info(text(&tokens, "access_token")).await.expect(401);
        assert_eq!(site.sessions().await.len(), 0);
    }

    async fn account_is_chosen_and_consent_given_where_that_is_asked_for(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({"require_consent": true, "client_uri": "https://wiki.example/"})).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[]).await.expect(200);
        for shown in ["Wiki", "wiki.example", "ada@acme.example", "See your name"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        assert_eq!(error(&browser.submit(&Form::of(&page), &[("answer", "refuse")]).await), "access_denied");
        assert_eq!(error(&browser.get(&site.request(&app, &[("prompt", "none")])).await), "consent_required");
        let answer = browser.submit(&Form::of(&page), &[("answer", "allow")]).await;
        site.exchange(&app, &code(&answer)).await.expect(200);
        code(&browser.get(&site.request(&app, &[("prompt", "none")])).await);
        let spa = site.spa().await;
        let page = browser.get(&site.request(&spa, &[("prompt", "select_account consent")])).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("answer", &account(&page, "ada@acme.example"))]).await.expect(200);
        assert!(page.text.contains("asks to use"), "{}", page.text);
        code(&browser.submit(&Form::of(&page), &[("answer", "allow")]).await);
    }

    async fn consent_counts_for_the_user_who_was_asked(world) {
        let site = Site::new(&world).await;
        world.person(&site.tenant, "bob").await;
        let (app, browser) = (site.app(json!({"require_consent": true})).await, Browser::new(&world));
        let of_ada = site.sign_in(&browser, &app, &[]).await.expect(200);
        let page = browser.get(&site.request(&app, &[("prompt", "login")])).await.expect(200);
        browser.submit(&Form::of(&page), &[("username", "bob"), ("password", PASSWORD)]).await.expect(200);
        let answer = browser.submit(&Form::of(&of_ada), &[("answer", "allow")]).await.expect(200);
        assert!(answer.text.contains("bob@acme.example") && answer.header("location").is_none(), "bob is asked himself");
    }

    async fn wrong_password_is_told_on_the_page_and_counted_as_at_the_api(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[("login_hint", "ada")])).await.expect(200);
        assert!(page.text.contains("value=\"ada\""), "{}", page.text);
        for (fields, status, words) in [
            (&[("username", "ada"), ("password", "wrong")][..], 422, "is wrong"),
            (&[("username", "nobody"), ("password", "wrong")], 422, "is wrong"),
            (&[("username", ""), ("password", "wrong")], 422, "Enter the user name"),
            (&[("username", "ada"), ("password", "")], 422, "Enter the password"),
        ] {
            let answer = browser.submit(&Form::of(&page), fields).await.expect(status);
            assert!(answer.text.contains(words), "{words}: {}", answer.text);
        }
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(browser.submit(&Form::of(&page), &[("username", "ada"), ("password", "wrong")]).await.status);
        }
        assert_eq!(statuses.last(), Some(&429));
        world.clock.advance(Duration::from_secs(1));
        browser.submit(&Form::of(&page), &[("username", "ada"), ("password", "wrong")]).await.expect(422);
        // Of the two seconds that follow, 1.9 are left.
        world.clock.advance(Duration::from_millis(100));
        let at_page = browser.submit(&Form::of(&page), &[("username", "ada"), ("password", PASSWORD)]).await.expect(429);
        let login = world.post("/auth/tenants/acme/login").form(&[("username", "ada"), ("password", PASSWORD)]).send().await.expect(429);
        assert_eq!((at_page.header("retry-after"), login.header("retry-after")), (Some("2"), Some("2")));
    }

    async fn what_strangers_write_is_shown_and_never_run(world) {
        let site = Site::new(&world).await;
        let hostile = "\"'><script>alert(1)</script><b>";
        let (app, browser) = (site.app(json!({"name": hostile})).await, Browser::new(&world));
        let more = [("login_hint", hostile), ("state", hostile), ("ui_locales", hostile), ("nonce", hostile)];
        let page = browser.get(&site.request(&app, &more)).await.expect(200);
        assert!(!page.text.contains("<script") && !page.text.contains("\"'>"), "{}", page.text);
        let again = browser.submit(&Form::of(&page), &[("username", hostile), ("password", hostile)]).await.expect(422);
        assert!(!again.text.contains("<script") && !again.text.contains("\"'>"), "{}", again.text);
    }

    async fn pages_say_what_they_may_load_and_where_their_forms_lead(world) {
        let site = Site::new(&world).await;
        let native = site.app(json!({"application_type": "NATIVE", "redirect_uris": ["com.example.app:/cb"]})).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let policy = page.header("content-security-policy").unwrap();
        assert_eq!(policy, "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' https:");
        for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "same-origin"), ("x-content-type-options", "nosniff"), ("cross-origin-opener-policy", "same-origin")] {
            assert_eq!(page.header(name), Some(value), "{name}");
        }
        let page = browser.get(&site.request(&native, &[("display", "popup")])).await.expect(200);
        assert!(page.header("content-security-policy").unwrap().ends_with("form-action 'self' https: com.example.app:"));
        assert_eq!(page.header("cross-origin-opener-policy"), Some("unsafe-none"));
        let answer = site.submit(&browser, &page).await;
        assert!(answer.header("location").unwrap().starts_with("com.example.app:/cb?code="));
        assert!(world.get("//hosted.css").send().await.expect(200).text.contains("--accent"));
    }

    async fn pages_are_in_the_language_that_is_asked_for(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        for (locales, lang, words) in [("", "en", "Password"), ("es", "es", "Contraseña"), ("de-CH en", "de", "Passwort"), ("fr es", "es", "Contraseña")] {
            let page = browser.get(&site.request(&app, &[("ui_locales", locales)])).await.expect(200);
            assert!(page.text.contains(&format!("lang=\"{lang}\"")) && page.text.contains(words), "{locales}");
        }
    }

    async fn language_is_changed_below_each_page_and_stays(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({"require_consent": true})).await, Browser::new(&world));
        let speaks = |page: &Answer, tag: &str| page.text.contains(&format!("<html lang=\"{tag}\">"));
        let change = async |page: &Answer, tag| browser.submit(&Form::of_languages(page), &[("language", tag)]).await.expect(200);
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        assert!(speaks(&page, "en"));
        let page = change(&page, "es").await;
        assert!(speaks(&page, "es") && page.text.contains("type=\"password\"") && !page.text.contains("role=\"alert\""), "{}", page.text);
        let page = change(&change(&page, "de").await, "xx").await;
        assert!(speaks(&page, "de"), "a language that there is not changes nothing: {}", page.text);
        let page = site.submit(&browser, &page).await.expect(200);
        assert!(speaks(&page, "de") && page.text.contains("value=\"allow\""), "{}", page.text);
        let page = change(&page, "es").await;
        assert!(speaks(&page, "es") && page.text.contains("value=\"allow\""), "{}", page.text);
        let answer = browser.submit(&Form::of(&page), &[("answer", "allow")]).await;
        assert_eq!(sent(&answer)["state"], "s/1");
        let page = browser.get(&site.request(&app, &[("prompt", "select_account")])).await.expect(200);
        let page = change(&page, "de").await;
        assert!(speaks(&page, "de") && page.text.contains("value=\"another\""), "{}", page.text);
    }

    async fn page_says_whose_session_ends_before_another_account_takes_its_place(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.sign_in(&browser, &app, &[]).await;
        let page = browser.get(&site.request(&app, &[("prompt", "select_account")])).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("answer", "another")]).await.expect(200);
        assert!(page.text.contains("is signed in. If somebody else signs in, that session ends."), "{}", page.text);
        assert!(page.text.contains("name=\"username\" value=\"\""), "and does not propose that account: {}", page.text);
    }

    async fn page_of_a_form_that_is_opened_by_its_address_says_what_to_do(world) {
        let (site, browser) = (Site::new(&world).await, Browser::new(&world));
        for path in ["sign-in", "select-account", "consent", "sign-out", "device/answer"] {
            let page = browser.get(&format!("{}/oauth/{path}", site.issuer_path())).await.expect(405);
            assert_eq!(page.header("allow"), Some("POST"));
            assert!(page.text.contains("start again") && page.text.contains(&site.tenant.slug), "{}", page.text);
        }
    }

    async fn browser_keeps_the_sessions_of_twenty_tenants(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let others: Vec<_> = (0..20).map(|at| format!("gh-s-{at:026}=x")).collect();
        let known: Vec<_> = browser.cookies().into_iter().map(|(name, value)| format!("{name}={value}")).chain(others).collect();
        let fields = [("request", Form::of(&page).hidden[0].1.clone()), ("username", "ada".to_owned()), ("password", PASSWORD.to_owned())];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = world.post(&format!("/{}", Form::of(&page).action)).form(&fields).header("sec-fetch-site", "same-origin");
        let answer = call.header("cookie", &known.join("; ")).send().await.expect(303);
        let set: Vec<_> = answer.headers.get_all("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
        assert_eq!(set.len(), 2, "{set:?}");
        assert!(set[0].contains("HttpOnly; SameSite=Lax; Path=/") && !set[0].contains("Max-Age=0;"), "{set:?}");
        assert!(set[1].starts_with("gh-s-00000000000000000000000000=; Max-Age=0;"), "the oldest goes: {set:?}");
    }

    async fn sign_ins_of_one_page_at_once_all_go_on(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        site.tokens(&browser, &app, &[]).await;
        let page = browser.get(&site.request(&app, &[("prompt", "login")])).await.expect(200);
        let answers = join_all((0..8).map(|_| site.submit(&browser, &page))).await;
        assert!(answers.iter().all(|answer| answer.status == 303));
    }
}
