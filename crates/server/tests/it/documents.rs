//! Programs that nobody registered sign users in: what they are is in a document of theirs.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::application::SigningAlgorithm;
use gatehouse_server::security::key_pair::{KeyPair, Signer};
use serde_json::{Value, json};

use crate::harness::{
    Browser, Form, api_tests, claims,
    documents::{LOOPBACK, Strangers},
    oauth::{App, basic, code, error, refused, sent, text},
};

const API: &str = "https://api.example/mcp";

/// An API that programs of strangers may call, or may not.
async fn api(strangers: &Strangers, is_open: bool) -> App {
    let api = json!({"name": "API", "application_type": "SERVICE", "redirect_uris": [], "resource_uris": [API],
        "resource_scopes": [{"name": "notes:read", "description": "Read notes"}, {"name": "notes:write", "description": null}],
        "open_resource": is_open});
    strangers.site.app(api).await
}

fn https(strangers: &Strangers) -> App {
    strangers.program_at("/web.json", &json!({"redirect_uris": ["https://tool.example/cb"]}))
}

api_tests! {
    async fn program_that_its_document_describes_signs_a_user_in(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let [access, id] = ["access_token", "id_token"].map(|name| claims(text(&tokens, name)));
        assert_eq!((&access["client_id"], &access["aud"], &id["aud"]), (&json!(app.id), &json!(app.id), &json!(app.id)));
        let about = strangers.site.user_info(text(&tokens, "access_token")).await.expect(200).json();
        assert_eq!(about["sub"], id["sub"]);
        let again = strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        assert_eq!(claims(text(&again, "id_token"))["aud"], json!(app.id));
        strangers.site.user_info(text(&again, "access_token")).await.expect(200);
        let head = strangers.shelf.last();
        assert!(head.starts_with("GET /tool.json HTTP/1.1\r\n") && head.contains("application/json"), "{head}");
        assert!(!head.to_lowercase().contains("cookie"), "{head}");
    }

    async fn application_appears_with_the_first_consent_and_not_before(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let page = strangers.asked(&browser, &app, &[]).await;
        browser.submit(&Form::of(&page), &[("answer", "refuse")]).await.expect(303);
        assert_eq!(strangers.applications().await.len(), 0);
        code(&strangers.allowed(&browser, &app, &[]).await);
        code(&strangers.allowed(&browser, &app, &[]).await);
        let list = strangers.applications().await;
        assert_eq!(list.len(), 1);
        let one = &list[0];
        assert_eq!((&one["client_id"], &one["registration"]), (&json!(app.id), &json!("metadata_document")));
        assert_eq!((&one["application_type"], &one["name"], &one["scope_level"]), (&json!("NATIVE"), &json!("Tool"), &json!("TENANT")));
        assert!(one["id"].as_str().unwrap().starts_with("app_") && one["last_used_at"].is_string());
        let id = one["id"].as_str().unwrap();
        assert_eq!((world.happened("application.created", id).await, world.happened("consent.given", id).await), (1, 2));
        let refusal = format!("/tenants/{}/audit-events?action=consent.refused", strangers.site.tenant.id);
        let refusal = world.get(&refusal).bearer(&strangers.site.boss).send().await.expect(200).data();
        assert!(refusal[0].to_string().contains(&app.id), "{refusal}");
    }

    async fn consent_shows_the_hosts_and_warns_where_all_answers_stay_on_the_device(world) {
        let strangers = Strangers::new(&world, "any").await;
        let host = strangers.shelf.at.strip_prefix("https://").unwrap();
        let both = strangers.program_at("/both.json", &json!({"redirect_uris": ["https://tool.example/cb", "http://127.0.0.1/cb"]}));
        for (language, words) in [("en", "pretend to be it"), ("es", "hacerse pasar por él"), ("de", "dafür ausgeben")] {
            for (app, to, warns) in [(strangers.program(), "localhost", true), (https(&strangers), "tool.example", false), (both.clone(), "tool.example", false)] {
                let page = strangers.asked(&Browser::new(&strangers.site.world), &app, &[("ui_locales", language)]).await;
                for shown in [host, to] {
                    assert!(page.text.contains(&format!("<dd><bdi>{shown}</bdi></dd>")), "{language} {shown} {}", page.text);
                }
                assert_eq!(page.text.contains(words), warns, "{language} {}", app.id);
                assert!(page.text.contains(&format!("lang=\"{language}\"")));
                let nobody = ["has checked", "ha comprobado", "geprüft"];
                assert!(nobody.iter().any(|words| page.text.contains(words)), "{}", page.text);
            }
        }
    }

    async fn port_of_a_loopback_address_is_not_compared_and_everything_else_is(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        strangers.asked(&browser, &app, &[("redirect_uri", "http://localhost:1/callback")]).await;
        for other in ["http://127.0.0.1:1/callback", "http://localhost:1/other", "https://localhost:1/callback", "http://localhost.evil.example/callback"] {
            browser.get(&strangers.site.request(&app, &[("redirect_uri", other)])).await.expect(400);
        }
        let web = https(&strangers);
        browser.get(&strangers.site.request(&web, &[("redirect_uri", "https://tool.example:444/cb")])).await.expect(400);
    }

    async fn consent_is_remembered_for_a_host_and_not_for_programs_on_a_device(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, web, browser) = (strangers.program(), https(&strangers), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&browser, &web, &[]).await);
        code(&browser.get(&strangers.site.request(&web, &[("prompt", "none")])).await);
        strangers.asked(&browser, &web, &[("scope", "openid offline_access")]).await;
        code(&strangers.allowed(&browser, &app, &[]).await);
        strangers.asked(&browser, &app, &[]).await;
        assert_eq!(error(&browser.get(&strangers.site.request(&app, &[("prompt", "none")])).await), "consent_required");
    }

    async fn program_may_ask_for_who_a_user_is_and_for_nothing_else_of_ours(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let everything = "openid profile email phone roles attributes offline_access account:read account:write admin:read users:read";
        let tokens = strangers.tokens(&browser, &app, &[("scope", everything)]).await;
        assert_eq!(text(&tokens, "scope"), "email offline_access openid profile");
        world.get("/me").bearer(text(&tokens, "access_token")).send().await.expect(401);
    }

    async fn token_for_an_open_api_has_all_of_its_scopes_and_another_api_gets_none(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser, api) = (strangers.program(), Browser::new(&strangers.site.world), api(&strangers, true).await);
        let tokens = strangers.tokens(&browser, &app, &[("resource", API), ("scope", "")]).await;
        let access = claims(text(&tokens, "access_token"));
        assert_eq!((&access["aud"], &access["scope"], &access["client_id"]), (&json!(API), &json!("notes:read notes:write"), &json!(app.id)));
        let again = strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        assert_eq!(claims(text(&again, "access_token"))["aud"], json!(API));
        let introspect = world.post("/auth/tenants/acme/oauth/introspect").header("authorization", &basic(&api.id, api.secret.as_ref().unwrap()));
        let told = introspect.form(&[("token", text(&again, "access_token"))]).send().await.expect(200).json();
        assert_eq!((&told["active"], &told["client_id"], &told["scope"]), (&json!(true), &json!(app.id), &json!("notes:read notes:write")));
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
        strangers.site.change(&api, json!({"open_resource": false})).await;
        tokio::time::sleep(Duration::from_millis(950)).await;
        let path = strangers.site.request(&app, &[("resource", API), ("scope", "")]);
        assert_eq!(error(&browser.get(&path).await), "invalid_target");
        assert_eq!(refused(strangers.site.refresh(&app, text(&again, "refresh_token")).await, 400), "invalid_target");
    }

    async fn program_that_nobody_has_let_in_sends_nobody_on_from_here(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let wrong = [[("scope", "unknown")], [("prompt", "none")], [("response_type", "token")], [("resource", API)]];
        for wrong in &wrong {
            browser.get(&strangers.site.request(&app, wrong)).await.expect(400);
        }
        code(&strangers.allowed(&browser, &app, &[]).await);
        for wrong in &wrong {
            error(&browser.get(&strangers.site.request(&app, wrong)).await);
        }
    }

    async fn program_that_somebody_has_let_in_sends_nobody_else_on_to_the_web(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (web, ada, other) = (https(&strangers), Browser::new(&strangers.site.world), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&ada, &web, &[]).await);
        for wrong in [[("scope", "unknown")], [("prompt", "none")], [("response_type", "token")], [("resource", API)], [("code_challenge", "")]] {
            other.get(&strangers.site.request(&web, &wrong)).await.expect(400);
        }
        code(&ada.get(&strangers.site.request(&web, &[("prompt", "none")])).await);
    }

    async fn consent_to_one_of_several_hosts_is_not_remembered(world) {
        let strangers = Strangers::new(&world, "any").await;
        let two = json!({"redirect_uris": ["https://tool.example/cb", "https://elsewhere.example/cb"]});
        let (app, browser) = (strangers.program_at("/two.json", &two), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&browser, &app, &[]).await);
        for uri in ["https://tool.example/cb", "https://elsewhere.example/cb"] {
            strangers.asked(&browser, &app, &[("redirect_uri", uri)]).await;
            browser.get(&strangers.site.request(&app, &[("redirect_uri", uri), ("prompt", "none")])).await.expect(400);
        }
    }

    async fn program_that_signs_is_known_by_the_keys_of_its_document(world) {
        let strangers = Strangers::new(&world, "any").await;
        let pair = KeyPair::generate(SigningAlgorithm::Es256).unwrap();
        let public: Value = serde_json::from_str(&pair.public_jwk).unwrap();
        let signs = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public]}});
        let (app, browser) = (strangers.program_at("/signs.json", &signs), Browser::new(&strangers.site.world));
        let metadata = world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
        let assertion = |jti: &str| {
            let claims = json!({"iss": app.id, "sub": app.id, "aud": metadata["issuer"], "exp": world.app.env().now().unix_seconds() + 60, "jti": jti});
            let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
            let signed = format!("{}.{}", part(&json!({"alg": "ES256"})), part(&claims));
            let signature = Signer::open(pair.algorithm, &pair.private).unwrap().sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
        };
        let answer = code(&strangers.allowed(&browser, &app, &[]).await);
        assert_eq!(refused(strangers.site.exchange(&app, &answer).await, 401), "invalid_client");
        let ask = async |jti: &str| {
            let fields = [("grant_type", "authorization_code"), ("code", &answer), ("redirect_uri", LOOPBACK),
                ("code_verifier", crate::harness::oauth::VERIFIER), ("client_assertion", &assertion(jti)),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")];
            strangers.site.world.post("/auth/tenants/acme/oauth/token").form(&fields).send().await
        };
        let tokens = ask("1").await.expect(200).json();
        assert_eq!(claims(text(&tokens, "access_token"))["client_id"], json!(app.id));
        strangers.shelf.has_nothing();
        world.clock.advance(Duration::from_secs(300));
        assert_eq!(refused(ask("2").await, 401), "invalid_client", "its keys may have been withdrawn");
    }

    async fn program_takes_back_a_token_and_pushes_a_request_once_it_is_known(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let push = async || {
            let challenge = crate::harness::oauth::challenge();
            let fields = [("client_id", app.id.as_str()), ("redirect_uri", LOOPBACK), ("response_type", "code"), ("scope", "openid"),
                ("code_challenge", &challenge), ("code_challenge_method", "S256")];
            strangers.site.world.post("/auth/tenants/acme/oauth/par").form(&fields).send().await
        };
        assert_eq!(refused(push().await, 401), "invalid_client");
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let pushed = push().await.expect(201).json();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs([("client_id", app.id.as_str()), ("request_uri", text(&pushed, "request_uri"))]).finish();
        let page = browser.get(&format!("{}/oauth/authorize?{query}", strangers.site.issuer_path())).await.expect(200);
        let answer = browser.submit(&Form::of(&page), &[("answer", "allow")]).await;
        assert!(sent(&answer).contains_key("code"));
        let fields = [("client_id", app.id.as_str()), ("token", text(&tokens, "access_token"))];
        strangers.site.world.post("/auth/tenants/acme/oauth/revoke").form(&fields).send().await.expect(200);
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
    }

    async fn program_signs_its_user_out_by_an_id_token_and_leads_nowhere(world) {
        let strangers = Strangers::new(&world, "any").await;
        let to = json!({"post_logout_redirect_uris": ["https://evil.example/"], "client_uri": format!("{}/", strangers.shelf.at)});
        let (app, browser) = (strangers.program_at("/out.json", &to), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs([("id_token_hint", text(&tokens, "id_token")), ("client_id", &app.id), ("post_logout_redirect_uri", "https://evil.example/")]).finish();
        let page = browser.get(&format!("{}/oauth/logout?{query}", strangers.site.issuer_path())).await.expect(200);
        assert!(!page.text.contains("<a href"), "{}", page.text);
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
    }

    async fn metadata_say_whether_documents_are_taken(world) {
        let strangers = Strangers::new(&world, "off").await;
        for (taken, expected) in [("off", Value::Null), ("registered", json!(true)), ("any", json!(true))] {
            strangers.site.world.settings(&strangers.site.tenant, json!({"client_id_metadata_documents": taken})).await;
            let says = strangers.site.world.get("/auth/tenants/acme/.well-known/openid-configuration").send().await.expect(200).json();
            assert_eq!(says["client_id_metadata_document_supported"], expected, "{taken}");
        }
    }

    async fn page_of_a_program_in_a_browser_may_call_the_token_endpoint(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (web, browser) = (https(&strangers), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&browser, &web, &[]).await);
        let fields = [("client_id", web.id.as_str()), ("grant_type", "refresh_token"), ("refresh_token", "x")];
        let answer = strangers.site.world.post("/auth/tenants/acme/oauth/token").header("origin", "https://tool.example").form(&fields).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://tool.example"));
    }
}
