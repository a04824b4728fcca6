//! The pages on which somebody finds, opens or confirms an account, as browsers meet them.

use serde_json::json;

use crate::harness::{
    Answer, Browser, Form, api_tests,
    oauth::{Site, code, sent, text},
};

const NEW: &str = "nineteen lanterns under the pier";
const KINDS: [&str; 3] = ["invitation", "password-reset", "email"];

/// A form of a page that goes to a path.
fn form_to(page: &Answer, path: &str) -> Form {
    let begin = format!("<form method=\"post\" action=\"{path}\"");
    let at = page.text.find(&begin).unwrap_or_else(|| unreachable!("no form to {path}: {}", page.text));
    let end = page.text[at..].find("</form>").unwrap() + at + "</form>".len();
    Form::of(&Answer { text: page.text[at..end].to_owned(), ..page.clone() })
}

/// Changes a tenant.
async fn change(site: &Site, change: serde_json::Value) {
    let path = format!("/admin/tenants/{}", site.tenant.id);
    site.world.patch(&path).bearer(site.world.admin().await).json(change).send().await.expect(200);
}

async fn decide(site: &Site, settings: serde_json::Value) {
    change(site, json!({"settings": settings})).await;
}

api_tests! {
    async fn page_of_a_link_looks_like_its_tenant(world) {
        let site = Site::new(&world).await;
        change(&site, json!({"branding": {"primary_color": "#9c3d12", "logo_url": "https://pictures.example/acme.png"}})).await;
        for kind in KINDS {
            let page = world.get(&format!("/{}/{kind}", site.issuer_path())).header("accept", "text/html").send().await.expect(200);
            for shown in ["oauth/brand.css", "https://pictures.example/acme.png", "<script src=\"/link.js\"></script>"] {
                assert!(page.text.contains(shown), "{kind}, {shown}: {}", page.text);
            }
            let policy = page.header("content-security-policy").unwrap();
            for allowed in ["script-src 'self';", "connect-src 'self';", "img-src 'self' https://pictures.example;"] {
                assert!(policy.contains(allowed), "{kind}: {policy}");
            }
            assert_eq!(page.header("cache-control"), Some("no-store"), "{kind}");
            let bare = world.get(&format!("//{kind}")).send().await.expect(200);
            assert!(bare.text.contains(", Gatehouse</title>") && !bare.text.contains("brand.css"), "{}", bare.text);
            world.get(&format!("//api/v1/auth/tenants/nobody/{kind}")).header("accept", "text/html").send().await.expect(404);
        }
    }

    async fn page_of_a_link_names_the_length_that_its_tenant_wants(world) {
        let site = Site::new(&world).await;
        decide(&site, json!({"password_min_length": 22})).await;
        let page = Browser::new(&world).get(&format!("{}/password-reset", site.issuer_path())).await.expect(200);
        assert!(page.text.contains("At least 22 characters"), "{}", page.text);
    }

    async fn pages_and_failures_are_in_the_language_of_the_browser(world) {
        let site = Site::new(&world).await;
        let issuer = site.issuer_path();
        for (languages, lang, [invitation, forgot, nothing]) in [
            ("de-AT,en;q=0.5", "de", ["Einladung annehmen", "Link senden", "Nicht gefunden"]),
            ("fr, es;q=0.8", "es", ["Acepta tu invitación", "Enviar el enlace", "No encontrado"]),
            ("fr", "en", ["Accept your invitation", "Send the link", "Not found"]),
        ] {
            let paths = [format!("/{issuer}/invitation"), format!("/{issuer}/forgot"), "//nothing".to_owned()];
            for (path, words) in paths.iter().zip([invitation, forgot, nothing]) {
                let call = world.get(path).header("accept", "text/html").header("accept-language", languages);
                let page = call.send().await;
                assert!(page.text.contains(&format!("<html lang=\"{lang}\">")) && page.text.contains(words), "{languages} {path}: {}", page.text);
            }
        }
    }

    async fn forgotten_password_is_replaced_in_the_middle_of_a_sign_in_that_goes_on(world) {
        let site = Site::new(&world).await;
        let (app, browser, forgot) = (site.app(json!({})).await, Browser::new(&world), format!("{}/forgot", site.issuer_path()));
        world.mails().await;
        let page = browser.get(&site.request(&app, &[("ui_locales", "es")])).await.expect(200);
        let asks = browser.submit(&form_to(&page, &forgot), &[]).await.expect(200);
        assert!(asks.text.contains("lang=\"es\""), "the request says so: {}", asks.text);
        let done = browser.submit(&Form::of(&asks), &[("email", " ada@acme.example ")]).await.expect(200);
        let mail = world.mail_to("ada@acme.example").await;
        assert!(mail.link().unwrap().contains("/password-reset#acme/"), "{:?}", mail.link());
        let reset = json!({"token": mail.token(), "new_password": NEW});
        world.post("/auth/tenants/acme/password/reset").json(reset).send().await.expect(204);
        let page = browser.submit(&form_to(&done, &format!("{}/oauth/select-account", site.issuer_path())), &[("answer", "another")]).await.expect(200);
        let answer = browser.submit(&Form::of(&page), &[("username", "ada"), ("password", NEW)]).await;
        assert_eq!(sent(&answer)["state"], "s/1");
        site.exchange(&app, &code(&answer)).await.expect(200);
    }

    async fn page_of_a_forgotten_password_says_the_same_of_every_address(world) {
        let site = Site::new(&world).await;
        let (browser, forgot) = (Browser::new(&world), format!("{}/forgot", site.issuer_path()));
        world.mails().await;
        let asks = browser.get(&forgot).await.expect(200);
        assert!(!asks.text.contains("name=\"request\""), "{}", asks.text);
        let mut answers = Vec::new();
        for email in ["ada@acme.example", "nobody@acme.example"] {
            answers.push(browser.submit(&Form::of(&asks), &[("email", email)]).await.expect(200).text);
        }
        assert_eq!(answers[0], answers[1]);
        let to: Vec<_> = world.mails().await.into_iter().map(|mail| mail.to).collect();
        assert_eq!(to, ["ada@acme.example"]);
        for (email, words) in [("", "Enter the e-mail address."), ("ada", "This is not an e-mail address.")] {
            let answer = browser.submit(&Form::of(&asks), &[("email", email)]).await.expect(422);
            assert!(answer.text.contains(words) && answer.text.contains("aria-invalid"), "{}", answer.text);
        }
    }

    async fn mail_by_page_is_limited_as_at_the_api(world) {
        let site = Site::new(&world).await;
        let (browser, forgot) = (Browser::new(&world), format!("{}/forgot", site.issuer_path()));
        let form = Form::of(&browser.get(&forgot).await.expect(200));
        let mut answers = Vec::new();
        for n in 0..200 {
            let answer = browser.submit(&form, &[("email", &format!("{n}@acme.example"))]).await;
            let status = answer.status;
            answers.push(answer);
            if status == 429 {
                break;
            }
        }
        let last = answers.last().unwrap();
        assert_eq!(last.status, 429);
        assert!(last.header("retry-after").is_some() && last.text.contains("Too many attempts. Try again in"), "{}", last.text);
        world.post("/auth/tenants/acme/password/forgot").json(json!({"email": "ada@acme.example"})).send().await.problem(429, "rate_limited");
    }

    async fn form_of_a_forgotten_password_is_taken_from_its_own_browser_alone(world) {
        let site = Site::new(&world).await;
        let (browser, other, forgot) = (Browser::new(&world), Browser::new(&world), format!("{}/forgot", site.issuer_path()));
        world.mails().await;
        let form = Form::of(&browser.get(&forgot).await.expect(200));
        let again = other.submit(&form, &[("email", "ada@acme.example")]).await.expect(200);
        assert!(again.text.contains("another browser") && again.text.contains("ada@acme.example"), "{}", again.text);
        let fields = [("form_token", form.hidden[0].1.as_str()), ("email", "ada@acme.example")];
        world.post(&format!("/{forgot}")).form(&fields).header("accept", "text/html").send().await.expect(403);
        assert_eq!(world.mails().await.len(), 0);
    }

    async fn nobody_is_mailed_where_the_tenant_is_suspended(world) {
        let site = Site::new(&world).await;
        let (browser, forgot) = (Browser::new(&world), format!("{}/forgot", site.issuer_path()));
        let form = Form::of(&browser.get(&forgot).await.expect(200));
        change(&site, json!({"status": "SUSPENDED"})).await;
        browser.get(&forgot).await.expect(403);
        browser.submit(&form, &[("email", "ada@acme.example")]).await.expect(403);
    }

    async fn account_is_created_in_the_middle_of_a_sign_in_that_goes_on(world) {
        let site = Site::new(&world).await;
        let (app, browser, sign_up) = (site.app(json!({})).await, Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let asks = browser.submit(&form_to(&page, &sign_up), &[]).await.expect(200);
        let answer = browser.submit(&Form::of(&asks), &[("username", "eve"), ("email", "eve@acme.example"), ("password", NEW)]).await;
        assert_eq!(sent(&answer)["state"], "s/1");
        let tokens = site.exchange(&app, &code(&answer)).await.expect(200).json();
        let user = site.user_info(text(&tokens, "access_token")).await.expect(200).json();
        assert_eq!((&user["preferred_username"], &user["email_verified"]), (&json!("eve"), &json!(false)));
        browser.get(&site.request(&app, &[("prompt", "none")])).await.expect(303);
    }

    async fn application_that_asks_for_a_new_account_begins_with_it(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let asked = site.request(&app, &[("prompt", "create")]);
        code(&site.sign_in(&browser, &app, &[]).await);
        let asks = browser.get(&asked).await.expect(200);
        assert!(asks.text.contains("autocomplete=\"new-password\""), "{}", asks.text);
        let answer = browser.submit(&Form::of(&asks), &[("username", "eve"), ("email", "eve@acme.example"), ("password", NEW)]).await;
        let tokens = site.exchange(&app, &code(&answer)).await.expect(200).json();
        let user = site.user_info(text(&tokens, "access_token")).await.expect(200).json();
        assert_eq!(user["preferred_username"], "eve");
        // Whoever has one already goes on from there.
        let asks = Browser::new(&world);
        let page = asks.get(&asked).await.expect(200);
        let back = form_to(&page, &format!("{}/oauth/select-account", site.issuer_path()));
        let page = asks.submit(&back, &[("answer", "another")]).await.expect(200);
        code(&site.submit(&asks, &page).await);
    }

    async fn application_cannot_ask_for_a_new_account_where_others_make_them(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let prompts = async || {
            let metadata = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
            metadata["prompt_values_supported"].clone()
        };
        assert_eq!(prompts().await, json!(["none", "login", "consent", "select_account", "create"]));
        decide(&site, json!({"registration": "invite"})).await;
        assert_eq!(prompts().await, json!(["none", "login", "consent", "select_account"]));
        assert_eq!(sent(&browser.get(&site.request(&app, &[("prompt", "create")])).await)["error"], "invalid_request");
    }

    async fn address_that_was_typed_at_a_sign_in_is_kept_where_the_password_is_forgotten(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let page = browser.submit(&Form::of(&page), &[("username", "ada@example.com"), ("password", "wrong")]).await.expect(422);
        let forgot = page.text.split("/forgot\">").nth(1).unwrap();
        assert!(forgot.contains("name=\"email\" value=\"ada@example.com\""), "{forgot}");
        let form = Form { action: format!("{}/forgot", site.issuer_path()), ..Form::of(&page) };
        for (typed, kept) in [("ada@example.com", "ada@example.com"), ("ada", "")] {
            let page = browser.submit(&form, &[("email", typed)]).await.expect(200);
            assert!(page.text.contains(&format!("type=\"email\" value=\"{kept}\"")), "{}", page.text);
        }
    }

    async fn language_is_changed_below_pages_for_accounts_too(world) {
        let site = Site::new(&world).await;
        decide(&site, json!({"registration": "open"})).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        let first = browser.get(&site.request(&app, &[])).await.expect(200);
        for path in ["forgot", "sign-up"] {
            let form = Form { action: format!("{}/{path}", site.issuer_path()), ..Form::of(&first) };
            let page = browser.submit(&form, &[]).await.expect(200);
            let page = browser.submit(&Form::of_languages(&page), &[("language", "de")]).await.expect(200);
            assert!(page.text.contains("<html lang=\"de\">") && !page.text.contains("role=\"alert\""), "{}", page.text);
            let page = browser.submit(&Form::of(&page), &[("email", "x")]).await.expect(422);
            assert!(page.text.contains("<html lang=\"de\">"), "{}", page.text);
        }
    }

    async fn account_waits_for_its_address_where_the_tenant_wants_that(world) {
        let site = Site::new(&world).await;
        decide(&site, json!({"require_verified_email": true})).await;
        let (app, browser, sign_up) = (site.app(json!({})).await, Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let page = browser.get(&site.request(&app, &[])).await.expect(200);
        let asks = browser.submit(&form_to(&page, &sign_up), &[]).await.expect(200);
        let done = browser.submit(&Form::of(&asks), &[("username", "eve"), ("email", "eve@acme.example"), ("password", NEW)]).await.expect(200);
        assert!(done.text.contains("<h1>Confirm your e-mail address</h1>"), "{}", done.text);
        let page = browser.submit(&Form::of(&done), &[("answer", "another")]).await.expect(200);
        let fields = [("username", "eve"), ("password", NEW)];
        assert!(browser.submit(&Form::of(&page), &fields).await.expect(422).text.contains("not confirmed yet"));
        let confirm = json!({"token": world.mail_to("eve@acme.example").await.token()});
        world.post("/auth/tenants/acme/email/verify").json(confirm).send().await.expect(204);
        assert_eq!(sent(&browser.submit(&Form::of(&page), &fields).await)["state"], "s/1");
    }

    async fn account_without_a_sign_in_is_created_and_signs_nobody_in(world) {
        let site = Site::new(&world).await;
        let (browser, sign_up) = (Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let asks = browser.get(&sign_up).await.expect(200);
        let done = browser.submit(&Form::of(&asks), &[("username", "eve"), ("email", "eve@acme.example"), ("password", NEW)]).await.expect(200);
        assert!(done.text.contains("<h1>The account is there</h1>") && !done.text.contains("name=\"request\""), "{}", done.text);
        assert_eq!(browser.cookies().len(), 1, "that of the browser");
        world.try_login("acme", "eve", NEW).await.expect(200);
    }

    async fn everything_that_is_wrong_with_a_new_account_is_told_at_once(world) {
        let site = Site::new(&world).await;
        let (browser, sign_up) = (Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let form = Form::of(&browser.get(&sign_up).await.expect(200));
        for (fields, status, words) in [
            (["", "", ""], 422, &["Enter a user name.", "Enter the e-mail address.", "Enter a password."][..]),
            (["e v", "eve", "short"], 422, &["at most 50 characters", "not an e-mail address", "at least 15 characters"]),
            (["eve", "eve", "eve-eve-eve-eve-eve"], 422, &["not an e-mail address", "too easy to guess"]),
            (["eve", "eve@acme.example", "eve@acme.example"], 422, &["too easy to guess"]),
            (["bob@acme.example", "eve@acme.example", NEW], 422, &["A user name has at most"]),
            (["ada", "eve@acme.example", NEW], 409, &["is taken"]),
            (["eve", "ada@acme.example", NEW], 409, &["is taken"]),
        ] {
            let fields = [("username", fields[0]), ("email", fields[1]), ("password", fields[2])];
            let answer = browser.submit(&form, &fields).await.expect(status);
            for text in words {
                assert!(answer.text.contains(text), "{fields:?}, {text}: {}", answer.text);
            }
            assert!(!answer.text.contains(NEW), "no password comes back");
        }
    }

    async fn nobody_creates_an_account_where_the_tenant_does_not_allow_it(world) {
        let site = Site::new(&world).await;
        let (app, browser, sign_up) = (site.app(json!({})).await, Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let form = Form::of(&browser.get(&sign_up).await.expect(200));
        for registration in ["closed", "invite"] {
            decide(&site, json!({"registration": registration})).await;
            let page = browser.get(&site.request(&app, &[])).await.expect(200);
            assert!(!page.text.contains("sign-up"), "{registration}: {}", page.text);
            browser.get(&sign_up).await.expect(403);
            let fields = [("username", "eve"), ("email", "eve@acme.example"), ("password", NEW)];
            browser.submit(&form, &fields).await.expect(403);
        }
        world.try_login("acme", "eve", NEW).await.problem(401, "invalid_credentials");
    }

    async fn new_accounts_by_page_are_limited_as_at_the_api(world) {
        let site = Site::new(&world).await;
        let (browser, sign_up) = (Browser::new(&world), format!("{}/sign-up", site.issuer_path()));
        let form = Form::of(&browser.get(&sign_up).await.expect(200));
        let fields = [("username", "ada"), ("email", "ada@acme.example"), ("password", NEW)];
        let mut last = browser.submit(&form, &fields).await;
        for _ in 0..100 {
            if last.status == 429 {
                break;
            }
            last = browser.submit(&form, &fields).await;
        }
        assert!(last.expect(429).text.contains("Too many attempts. Try again in"));
        let new = json!({"username": "eve", "email": "eve@acme.example", "password": NEW});
        world.post("/auth/tenants/acme/register").json(new).send().await.problem(429, "rate_limited");
    }

    async fn consent_names_what_a_person_is_known_by_first(world) {
        let site = Site::new(&world).await;
        let scopes = ["attributes", "roles", "phone", "email", "profile", "openid"];
        let (app, browser) = (site.app(json!({"require_consent": true, "allowed_scopes": scopes})).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[("scope", &scopes.join(" "))]).await.expect(200);
        let words = ["See your name", "See your e-mail", "See your phone", "See your roles", "See further details"];
        let places: Vec<_> = words.iter().map(|text| page.text.find(text).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    async fn page_says_who_is_signed_in_until_somebody_signs_in_again(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (site.app(json!({})).await, Browser::new(&world));
        assert!(!browser.get(&site.request(&app, &[])).await.text.contains("is signed in"));
        site.tokens(&browser, &app, &[]).await;
        let page = browser.get(&site.request(&app, &[("prompt", "login")])).await.expect(200);
        assert!(page.text.contains("<b><bdi>ada</bdi></b> is signed in.") && page.text.contains("value=\"ada\""), "{}", page.text);
        let again = browser.submit(&Form::of(&page), &[("username", "ada"), ("password", "wrong")]).await.expect(422);
        assert!(again.text.contains("is signed in."), "{}", again.text);
    }

    async fn browsers_find_an_icon(world) {
        let icon = world.get("//favicon.ico").send().await.expect(200);
        assert_eq!(icon.header("content-type"), Some("image/svg+xml"));
        assert!(icon.bytes.len() < 1_000 && icon.header("cache-control").unwrap().starts_with("public"));
    }
}
