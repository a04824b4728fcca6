//! Tokens that are bound to a key (RFC 9449): how they are got, and that they count with a proof of that key only.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, World, api_tests, claims,
    dpop::{BASE, Holder, call, endpoint, token_with},
    oauth::{App, Site, basic, code, of_code, refused, text},
};

const ME: &str = "/api/v1/me";

/// The scopes of a token that opens our API.
const SCOPES: &str = "openid profile account:read";

async fn with_api(site: &Site, kind: &str) -> App {
    let confidential = json!({"allowed_scopes": ["openid", "profile", "account:read", "account:write"]});
    let mut body = confidential;
    if kind == "SPA" {
        body["application_type"] = json!("SPA");
        body["redirect_uris"] = json!(["https://mail.example/cb"]);
    }
    site.app(body).await
}

/// A code for the application.
async fn code_for(site: &Site, app: &App, more: &[(&str, &str)]) -> String {
    let browser = Browser::new(&site.world);
    let usual = [("scope", SCOPES)].into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let params: Vec<_> = usual.chain(more.iter().copied()).collect();
    let page = browser.get(&site.request(app, &params)).await.expect(200);
    code(&site.submit(&browser, &page).await)
}

/// Tokens that are bound to the key.
async fn bound(site: &Site, app: &App, holder: &Holder) -> Value {
    let code = code_for(site, app, &[]).await;
    site.bound_token(holder, app, &of_code(app, &code)).await.expect(200).json()
}

/// Asks our API who one is, with a token by a scheme and a proof.
async fn me(world: &World, (scheme, token): (&str, &str), proof: Option<&str>) -> Answer {
    let call = world.get("/me").header("authorization", &format!("{scheme} {token}"));
    match proof {
        Some(proof) => call.header("dpop", proof).send().await,
        None => call.send().await,
    }
}

async fn refresh(site: &Site, app: &App, holder: Option<&Holder>, token: &str) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    match holder {
        Some(holder) => site.bound_token(holder, app, &fields).await,
        None => site.token(app, &fields).await,
    }
}

#[track_caller]
fn challenged(answer: &Answer) -> String {
    assert_eq!(answer.status, 401, "{}", answer.text);
    let challenge = answer.header("www-authenticate").unwrap().to_owned();
    assert!(
        challenge.starts_with("DPoP error=\"invalid_dpop_proof\"") && challenge.contains("algs=\"ES256 "),
        "{challenge}"
    );
    challenge
}

api_tests! {
    async fn token_that_was_asked_for_with_a_proof_says_the_key_and_opens_the_api_with_it(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        for kind in ["WEB", "SPA"] {
            let app = with_api(&site, kind).await;
            let tokens = bound(&site, &app, &holder).await;
            assert_eq!(tokens["token_type"], "DPoP");
            let token = text(&tokens, "access_token");
            assert_eq!(claims(token)["cnf"], json!({"jkt": holder.thumbprint()}));
            let proof = holder.proof(&world, ("GET", &format!("{BASE}{ME}")), Some(token));
            me(&world, ("DPoP", token), Some(&proof)).await.expect(200);
            let user_info = endpoint(&site, "userinfo");
            let path = format!("/auth/tenants/{}/oauth/userinfo", site.tenant.slug);
            for method in ["GET", "POST"] {
                let call = if method == "GET" { world.get(&path) } else { world.post(&path) };
                let proof = holder.proof(&world, (method, &user_info), Some(token));
                let asked = call.header("authorization", &format!("DPoP {token}")).header("dpop", &proof).send().await;
                assert_eq!(asked.expect(200).json()["sub"], site.ada.id.as_str());
            }
        }
    }

    async fn bound_token_is_refused_without_a_proof_of_its_key(world) {
        let (site, holder, thief) = (Site::new(&world).await, Holder::new(), Holder::new());
        let app = with_api(&site, "SPA").await;
        let tokens = bound(&site, &app, &holder).await;
        let (token, at) = (text(&tokens, "access_token"), format!("{BASE}{ME}"));
        challenged(&me(&world, ("Bearer", token), None).await);
        let good = holder.proof(&world, ("GET", &at), Some(token));
        challenged(&me(&world, ("Bearer", token), Some(&good)).await);
        challenged(&me(&world, ("DPoP", token), None).await);
        challenged(&me(&world, ("DPoP", token), Some(&thief.proof(&world, ("GET", &at), Some(token)))).await);
        challenged(&me(&world, ("DPoP", token), Some(&holder.proof(&world, ("GET", &at), None))).await);
        challenged(&me(&world, ("DPoP", token), Some(&holder.proof(&world, ("POST", &at), Some(token)))).await);
        challenged(&me(&world, ("DPoP", token), Some(&holder.proof(&world, ("GET", &format!("{at}/sessions")), Some(token)))).await);
        me(&world, ("DPoP", token), Some(&good)).await.expect(200);
        let told = challenged(&me(&world, ("DPoP", token), Some(&good)).await);
        assert!(told.contains("was used before"), "{told}");
        let path = format!("/auth/tenants/{}/oauth/userinfo", site.tenant.slug);
        let stripped = world.get(&path).bearer(token).send().await;
        assert_eq!(stripped.json()["error"], "invalid_dpop_proof");
        challenged(&stripped);
        world.post(&path).form(&[("access_token", token)]).send().await.expect(401);
    }

    async fn token_that_is_bound_to_no_key_is_a_bearer_token_and_nothing_else(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "WEB").await;
        let tokens = site.tokens(&Browser::new(&world), &app, &[("scope", SCOPES)]).await;
        assert_eq!((&tokens["token_type"], &claims(text(&tokens, "access_token"))["cnf"]), (&json!("Bearer"), &Value::Null));
        let token = text(&tokens, "access_token");
        let proof = holder.proof(&world, ("GET", &format!("{BASE}{ME}")), Some(token));
        challenged(&me(&world, ("DPoP", token), Some(&proof)).await);
        me(&world, ("Bearer", token), Some(&proof)).await.expect(200);
        let first = world.login(&site.ada).await;
        challenged(&me(&world, ("DPoP", &first.access), Some(&proof)).await);
    }

    async fn head_is_proved_as_what_it_is(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let tokens = bound(&site, &app, &holder).await;
        let token = text(&tokens, "access_token");
        let proof = holder.proof(&world, ("HEAD", &format!("{BASE}{ME}")), Some(token));
        let head = world.call(actix_web::http::Method::HEAD, "/me").header("authorization", &format!("DPoP {token}"));
        head.header("dpop", &proof).send().await.expect(200);
        for (method, proved) in [("GET", "HEAD"), ("HEAD", "GET")] {
            let proof = holder.proof(&world, (proved, &format!("{BASE}{ME}")), Some(token));
            let call = world.call(method.parse().unwrap(), "/me").header("authorization", &format!("DPoP {token}"));
            challenged(&call.header("dpop", &proof).send().await);
        }
    }

    async fn request_with_a_body_needs_one_proof(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let code = code_for(&site, &app, &[("scope", "openid account:write")]).await;
        let tokens = site.bound_token(&holder, &app, &of_code(&app, &code)).await.expect(200).json();
        let token = text(&tokens, "access_token");
        let proof = holder.proof(&world, ("PATCH", &format!("{BASE}{ME}")), Some(token));
        let change = || world.patch("/me").header("authorization", &format!("DPoP {token}")).header("dpop", &proof);
        let etag = {
            let read = site.world.login(&site.ada).await;
            world.get("/me").bearer(&read).send().await.expect(200).header("etag").map(str::to_owned)
        };
        let sent = change().header("if-match", etag.as_deref().unwrap_or("*")).json(json!({"display_name": "Ada"}));
        sent.send().await.expect(200);
        challenged(&change().json(json!({"display_name": "Eve"})).send().await);
    }

    async fn refresh_token_of_a_public_application_counts_with_its_key_alone(world) {
        let (site, holder, thief) = (Site::new(&world).await, Holder::new(), Holder::new());
        let app = with_api(&site, "SPA").await;
        let tokens = bound(&site, &app, &holder).await;
        let token = text(&tokens, "refresh_token");
        for other in [None, Some(&thief)] {
            assert_eq!(refused(refresh(&site, &app, other, token).await, 400), "invalid_dpop_proof");
        }
        let next = refresh(&site, &app, Some(&holder), token).await.expect(200).json();
        assert_eq!(claims(text(&next, "access_token"))["cnf"]["jkt"], holder.thumbprint().as_str());
        // Spent ones that somebody else shows end nothing.
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(refused(refresh(&site, &app, Some(&thief), token).await, 400), "invalid_dpop_proof");
        refresh(&site, &app, Some(&holder), text(&next, "refresh_token")).await.expect(200);
    }

    async fn refresh_token_of_a_confidential_application_counts_with_any_key_and_not_without(world) {
        let (site, holder, next) = (Site::new(&world).await, Holder::new(), Holder::new());
        let app = with_api(&site, "WEB").await;
        let tokens = bound(&site, &app, &holder).await;
        assert_eq!(refused(refresh(&site, &app, None, text(&tokens, "refresh_token")).await, 400), "invalid_dpop_proof");
        let tokens = refresh(&site, &app, Some(&next), text(&tokens, "refresh_token")).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "access_token"))["cnf"]["jkt"], next.thumbprint().as_str());
    }

    async fn family_without_a_key_is_bound_to_the_first_one_that_it_shows(world) {
        let (site, holder, thief) = (Site::new(&world).await, Holder::new(), Holder::new());
        for (kind, other) in [("SPA", 400), ("WEB", 200)] {
            let app = with_api(&site, kind).await;
            let tokens = site.tokens(&Browser::new(&world), &app, &[("scope", SCOPES)]).await;
            let tokens = refresh(&site, &app, Some(&holder), text(&tokens, "refresh_token")).await.expect(200).json();
            assert_eq!(tokens["token_type"], "DPoP");
            let token = text(&tokens, "refresh_token");
            assert_eq!(refused(refresh(&site, &app, None, token).await, 400), "invalid_dpop_proof");
            refresh(&site, &app, Some(&thief), token).await.expect(other);
        }
    }

    async fn stolen_refresh_token_without_its_key_is_an_event(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let tokens = bound(&site, &app, &holder).await;
        refused(refresh(&site, &app, None, text(&tokens, "refresh_token")).await, 400);
        let events = format!("/tenants/{}/audit-events?action=token_family.refresh_failed", site.tenant.id);
        let events = world.get(&events).bearer(&site.boss).send().await.expect(200);
        assert_eq!((events.total(), &events.data()[0]["failure"]), (1, &json!("key_not_proved")), "{}", events.text);
    }

    async fn application_that_wants_bound_tokens_gets_no_others(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = site.app(json!({"dpop_bound_access_tokens": true, "allowed_scopes": ["openid", "profile", "account:read", "users:read"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"]})).await;
        let code = code_for(&site, &app, &[]).await;
        assert_eq!(refused(site.exchange(&app, &code).await, 400), "invalid_dpop_proof");
        let own = [("grant_type", "client_credentials")];
        assert_eq!(refused(site.token(&app, &own).await, 400), "invalid_dpop_proof");
        let tokens = site.bound_token(&holder, &app, &of_code(&app, &code)).await.expect(200).json();
        assert_eq!(refused(refresh(&site, &app, None, text(&tokens, "refresh_token")).await, 400), "invalid_dpop_proof");
        let own = site.bound_token(&holder, &app, &own).await.expect(200).json();
        let token = text(&own, "access_token");
        assert_eq!((own["token_type"].clone(), claims(token)["cnf"]["jkt"].clone()), (json!("DPoP"), json!(holder.thumbprint())));
        let path = format!("/tenants/{}/users", site.tenant.id);
        world.get(&path).bearer(token).send().await.expect(401);
        let at = format!("{BASE}/api/v1{path}");
        let proof = holder.proof(&world, ("GET", &at), Some(token));
        world.get(&path).header("authorization", &format!("DPoP {token}")).header("dpop", &proof).send().await.expect(200);
        // The query is no part of it.
        let proof = holder.proof(&world, ("GET", &at), Some(token));
        let filtered = world.get(&format!("{path}?page=1")).header("authorization", &format!("DPoP {token}"));
        filtered.header("dpop", &proof).send().await.expect(200);
    }

    async fn code_whose_request_named_a_key_is_exchanged_with_that_key_alone(world) {
        let (site, holder, thief) = (Site::new(&world).await, Holder::new(), Holder::new());
        let app = with_api(&site, "SPA").await;
        let code = code_for(&site, &app, &[("dpop_jkt", &holder.thumbprint())]).await;
        assert_eq!(refused(site.exchange(&app, &code).await, 400), "invalid_grant");
        assert_eq!(refused(site.bound_token(&thief, &app, &of_code(&app, &code)).await, 400), "invalid_grant");
        site.bound_token(&holder, &app, &of_code(&app, &code)).await.expect(200);
        for bad in ["x", "A", &"A".repeat(44), &format!("{}=", holder.thumbprint())] {
            let refused = Browser::new(&world).get(&site.request(&app, &[("dpop_jkt", bad)])).await;
            assert_eq!(crate::harness::oauth::error(&refused), "invalid_request", "{bad}");
        }
    }

    async fn request_that_was_pushed_with_a_proof_is_bound_to_its_key(world) {
        let (site, holder, thief) = (Site::new(&world).await, Holder::new(), Holder::new());
        let app = site.app(json!({"dpop_bound_access_tokens": true})).await;
        let push = async |holder: &Holder, more: &[(&str, &str)]| {
            let proof = holder.proof(&world, ("POST", &endpoint(&site, "par")), None);
            let request = site.request(&app, more);
            let fields: Vec<_> = url::Url::parse(&format!("{BASE}{request}")).unwrap().query_pairs().into_owned().collect();
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let call = call(&site, &world, "par", Some(&proof));
            call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap())).form(&fields).send().await
        };
        assert_eq!(refused(push(&holder, &[("dpop_jkt", &thief.thumbprint())]).await, 400), "invalid_dpop_proof");
        push(&holder, &[("dpop_jkt", &holder.thumbprint())]).await.expect(201);
        let pushed = push(&holder, &[]).await.expect(201).json();
        let browser = Browser::new(&world);
        let page = format!("{}/oauth/authorize?client_id={}&request_uri={}", site.issuer_path(), app.id, text(&pushed, "request_uri"));
        let code = code(&site.submit(&browser, &browser.get(&page).await.expect(200)).await);
        assert_eq!(refused(site.bound_token(&thief, &app, &of_code(&app, &code)).await, 400), "invalid_grant");
        site.bound_token(&holder, &app, &of_code(&app, &code)).await.expect(200);
    }

    async fn proof_for_another_request_gets_no_tokens(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let code = code_for(&site, &app, &[]).await;
        let (at, now) = (endpoint(&site, "token"), world.app.env().now().unix_seconds());
        let elsewhere = ["par", "introspect", "token//"].map(|path| holder.proof(&world, ("POST", &endpoint(&site, path)), None));
        let claim = |name: &str, value: Value| holder.proof_with(&world, ("POST", &at), None, |_, claims| claims[name] = value);
        let aged = [now - 61, now + 11].map(|at| claim("iat", json!(at)));
        let mut bad = [&elsewhere[..], &aged].concat();
        bad.push(holder.proof(&world, ("GET", &at), None));
        bad.push(holder.proof_with(&world, ("POST", &at), None, |header, _| header["typ"] = json!("JWT")));
        bad.push("x".to_owned());
        for proof in &bad {
            assert_eq!(refused(token_with(&site, &world, &app, Some(proof), &of_code(&app, &code)).await, 400), "invalid_dpop_proof");
        }
        let twice = holder.proof(&world, ("POST", &at), None);
        let sent = call(&site, &world, "token", Some(&twice)).header("dpop", &twice);
        let fields = [&[("client_id", app.id.as_str())], &of_code(&app, &code)[..]].concat();
        assert_eq!(refused(sent.form(&fields).send().await, 400), "invalid_dpop_proof");
        site.bound_token(&holder, &app, &of_code(&app, &code)).await.expect(200);
    }

    async fn introspection_tells_the_key(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let asking = site.app(json!({"name": "Asks"})).await;
        let (web, spa) = (with_api(&site, "WEB").await, with_api(&site, "SPA").await);
        let told = async |token: &str, by: &App| {
            let call = world.post(&format!("/auth/tenants/{}/oauth/introspect", site.tenant.slug));
            call.header("authorization", &basic(&by.id, by.secret.as_deref().unwrap())).form(&[("token", token)]).send().await.expect(200).json()
        };
        for app in [&web, &spa] {
            let tokens = bound(&site, app, &holder).await;
            let about = told(text(&tokens, "access_token"), &asking).await;
            assert_eq!((&about["active"], &about["token_type"], &about["cnf"]), (&json!(true), &json!("DPoP"), &json!({"jkt": holder.thumbprint()})));
            if app.secret.is_some() {
                // It is bound to the application, which proves who it is.
                assert_eq!(told(text(&tokens, "refresh_token"), app).await["cnf"], Value::Null);
            }
        }
    }

    async fn bound_token_is_exchanged_and_taken_back_like_any_other(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let tokens = bound(&site, &app, &holder).await;
        let fields = [("client_id", app.id.as_str()), ("token", text(&tokens, "access_token"))];
        world.post(&format!("/auth/tenants/{}/oauth/revoke", site.tenant.slug)).form(&fields).send().await.expect(200);
        world.clock.advance(Duration::from_secs(2));
        let token = text(&tokens, "access_token");
        let proof = holder.proof(&world, ("GET", &format!("{BASE}{ME}")), Some(token));
        me(&world, ("DPoP", token), Some(&proof)).await.expect(401);
    }

    async fn bound_refresh_costs_a_statement_more_and_a_bound_token_at_the_api_none(world) {
        let (site, holder) = (Site::new(&world).await, Holder::new());
        let app = with_api(&site, "SPA").await;
        let (tokens, free) = (bound(&site, &app, &holder).await, site.tokens(&Browser::new(&world), &app, &[]).await);
        let count = || world.app.db().statements().0;
        let before = count();
        refresh(&site, &app, None, text(&free, "refresh_token")).await.expect(200);
        let (usual, before) = (count() - before, count());
        let tokens = refresh(&site, &app, Some(&holder), text(&tokens, "refresh_token")).await.expect(200).json();
        assert_eq!(count() - before, usual + 1);
        let token = text(&tokens, "access_token");
        let asked = async || me(&world, ("DPoP", token), Some(&holder.proof(&world, ("GET", &format!("{BASE}{ME}")), Some(token)))).await.expect(200);
        asked().await;
        let before = count();
        asked().await;
        assert_eq!(count() - before, 0);
    }
}
