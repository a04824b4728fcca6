//! The code flow as relying parties see it. Tests are named after the modules of the OpenID Foundation's conformance suite
//! for the profiles Basic OP and Form Post Basic OP, which are the same but for how the answer comes; and Config OP.

mod party;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::harness::{
    api_tests, claims,
    oauth::{CALLBACK, VERIFIER, refused, text},
};
use party::Party;

fn email() -> (&'static str, Value) {
    ("email", json!("ada@acme.example"))
}

fn name() -> (&'static str, Value) {
    ("name", json!("Ada Lovelace"))
}

fn phone() -> (&'static str, Value) {
    ("phone_number", json!("+34600000000"))
}

async fn oidcc_server(party: &Party) {
    let sent = party.flow(&[]).await;
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
    let tokens = party.site.exchange(&party.app, &sent["code"]).await.expect(200).json();
    let id = claims(text(&tokens, "id_token"));
    assert_eq!((&id["iss"], &id["aud"], &id["nonce"]), (&json!(sent["iss"]), &json!(party.app.id), &json!("n-1")));
}

async fn oidcc_response_type_missing(party: &Party) {
    assert_eq!(party.error(&[("response_type", "")]).await, "invalid_request");
}

async fn oidcc_idtoken_signature(party: &Party) {
    let tokens = party.tokens(&[]).await;
    let (token, path) = (text(&tokens, "id_token"), format!("{}/.well-known/jwks.json", party.site.issuer_path()));
    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    let keys: JwkSet = serde_json::from_value(party.browser.get(&path).await.expect(200).json()).unwrap();
    let key = keys.find(header["kid"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&[&party.app.id]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
}

async fn oidcc_idtoken_unsigned(party: &Party) {
    let new = json!({"name": "None", "application_type": "WEB", "redirect_uris": [CALLBACK],
        "id_token_signed_response_alg": "none"});
    let path = format!("/tenants/{}/applications", party.site.tenant.id);
    party.world().post(&path).bearer(&party.site.boss).json(new).send().await.expect(422);
    party.tokens(&[]).await;
}

async fn oidcc_userinfo_get(party: &Party) {
    let tokens = party.tokens(&[]).await;
    assert_eq!(party.user_info(&tokens).await["sub"], claims(text(&tokens, "id_token"))["sub"]);
}

async fn oidcc_userinfo_post_header(party: &Party) {
    let tokens = party.tokens(&[]).await;
    let call = party.world().post(&format!("/auth/tenants/{}/oauth/userinfo", party.site.tenant.slug));
    let info = call.bearer(text(&tokens, "access_token")).send().await.expect(200).json();
    assert_eq!(info["sub"], json!(party.site.ada.id));
}

async fn oidcc_userinfo_post_body(party: &Party) {
    let tokens = party.tokens(&[]).await;
    let call = party.world().post(&format!("/auth/tenants/{}/oauth/userinfo", party.site.tenant.slug));
    let info = call.form(&[("access_token", text(&tokens, "access_token"))]).send().await.expect(200).json();
    assert_eq!(info["sub"], json!(party.site.ada.id));
}

async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(party: &Party) {
    let tokens = party.tokens(&[("nonce", "")]).await;
    assert!(claims(text(&tokens, "id_token")).get("nonce").is_none());
}

async fn oidcc_scope_profile(party: &Party) {
    party.scope("openid profile", &[name(), ("preferred_username", json!("ada"))]).await;
}

async fn oidcc_scope_email(party: &Party) {
    party.scope("openid email", &[email(), ("email_verified", json!(false))]).await;
}

/// There is none: it is left out, as one that is unknown.
async fn oidcc_scope_address(party: &Party) {
    let tokens = party.tokens(&[("scope", "openid address")]).await;
    assert_eq!((&tokens["scope"], party.user_info(&tokens).await.get("address")), (&json!("openid"), None));
}

async fn oidcc_scope_phone(party: &Party) {
    party.scope("openid phone", &[phone()]).await;
}

async fn oidcc_scope_all(party: &Party) {
    party.scope("openid profile email address phone", &[name(), email(), phone()]).await;
}

async fn oidcc_ensure_other_scope_order_succeeds(party: &Party) {
    party.scope("email openid", &[email()]).await;
}

async fn oidcc_display_page(party: &Party) {
    party.tokens(&[("display", "page")]).await;
}

async fn oidcc_display_popup(party: &Party) {
    let page = party.ask(&[("display", "popup")]).await;
    assert_eq!(page.header("cross-origin-opener-policy"), Some("unsafe-none"));
    party.tokens(&[("display", "popup")]).await;
}

async fn oidcc_prompt_login(party: &Party) {
    let first = claims(text(&party.tokens(&[]).await, "id_token"));
    party.world().clock.advance(Duration::from_secs(2));
    assert!(Party::is_sign_in(&party.ask(&[("prompt", "login")]).await));
    let second = claims(text(&party.tokens(&[("prompt", "login")]).await, "id_token"));
    assert_eq!(first["sub"], second["sub"]);
    assert!(first["auth_time"].as_i64() < second["auth_time"].as_i64());
}

async fn oidcc_prompt_none_not_logged_in(party: &Party) {
    assert_eq!(party.error(&[("prompt", "none")]).await, "login_required");
}

async fn oidcc_prompt_none_logged_in(party: &Party) {
    let first = claims(text(&party.tokens(&[]).await, "id_token"));
    let second = party.sent(&party.ask(&[("prompt", "none")]).await);
    let second = party.site.exchange(&party.app, &second["code"]).await.expect(200).json();
    let second = claims(text(&second, "id_token"));
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
}

async fn oidcc_max_age_1(party: &Party) {
    let first = claims(text(&party.tokens(&[]).await, "id_token"));
    party.world().clock.advance(Duration::from_secs(3));
    assert!(Party::is_sign_in(&party.ask(&[("max_age", "1")]).await));
    let second = claims(text(&party.tokens(&[("max_age", "1")]).await, "id_token"));
    assert!(first["auth_time"].as_i64() < second["auth_time"].as_i64());
}

async fn oidcc_max_age_10000(party: &Party) {
    let first = claims(text(&party.tokens(&[]).await, "id_token"));
    party.world().clock.advance(Duration::from_secs(3));
    let second = party.sent(&party.ask(&[("max_age", "10000")]).await);
    let second = party.site.exchange(&party.app, &second["code"]).await.expect(200).json();
    assert_eq!(claims(text(&second, "id_token"))["auth_time"], first["auth_time"]);
}

async fn oidcc_ensure_request_with_unknown_parameter_succeeds(party: &Party) {
    party.tokens(&[("extra", "foobar")]).await;
}

async fn oidcc_id_token_hint(party: &Party) {
    let first = party.tokens(&[]).await;
    let hint = [("id_token_hint", text(&first, "id_token")), ("prompt", "none")];
    let second = party.sent(&party.ask(&hint).await);
    let second = party.site.exchange(&party.app, &second["code"]).await.expect(200).json();
    assert_eq!(claims(text(&first, "id_token"))["sub"], claims(text(&second, "id_token"))["sub"]);
}

async fn oidcc_login_hint(party: &Party) {
    let page = party.ask(&[("login_hint", "ada@acme.example")]).await.expect(200);
    assert!(page.text.contains("value=\"ada@acme.example\""), "{}", page.text);
    party.tokens(&[("login_hint", "ada@acme.example")]).await;
}

async fn oidcc_ui_locales(party: &Party) {
    assert!(party.ask(&[("ui_locales", "se es")]).await.text.contains("<html lang=\"es\""));
    party.tokens(&[("ui_locales", "se")]).await;
}

async fn oidcc_claims_locales(party: &Party) {
    party.tokens(&[("claims_locales", "se")]).await;
}

async fn oidcc_ensure_request_with_acr_values_succeeds(party: &Party) {
    let tokens = party.tokens(&[("acr_values", "aal3 aal1")]).await;
    assert_eq!(claims(text(&tokens, "id_token"))["acr"], "aal1");
}

async fn oidcc_codereuse(party: &Party) {
    let sent = party.flow(&[]).await;
    party.site.exchange(&party.app, &sent["code"]).await.expect(200);
    assert_eq!(refused(party.site.exchange(&party.app, &sent["code"]).await, 400), "invalid_grant");
}

async fn oidcc_codereuse_30seconds(party: &Party) {
    let sent = party.flow(&[]).await;
    let tokens = party.site.exchange(&party.app, &sent["code"]).await.expect(200).json();
    party.world().clock.advance(Duration::from_secs(30));
    assert_eq!(refused(party.site.exchange(&party.app, &sent["code"]).await, 400), "invalid_grant");
    party.site.user_info(text(&tokens, "access_token")).await.expect(401);
    let refreshed = party.site.refresh(&party.app, text(&tokens, "refresh_token")).await;
    assert_eq!(refused(refreshed, 400), "invalid_grant");
}

async fn oidcc_ensure_registered_redirect_uri(party: &Party) {
    let answer = party.ask(&[("redirect_uri", "https://wiki.example/another")]).await.expect(400);
    assert_eq!(answer.header("location"), None);
}

async fn oidcc_ensure_post_request_succeeds(party: &Party) {
    let request = party.site.request(&party.app, &[("response_mode", party.mode)]);
    let (path, query) = request.split_once('?').unwrap();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let fields: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = path.strip_prefix("/api/v1").unwrap();
    let to_get = party.world().post(path).form(&fields).send().await.expect(303);
    let page = party.browser.get(to_get.header("location").unwrap()).await;
    let answer = party.site.submit(&party.browser, &page).await;
    party.site.exchange(&party.app, &party.sent(&answer)["code"]).await.expect(200);
}

async fn oidcc_server_client_secret_post(party: &Party) {
    let sent = party.flow(&[]).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &sent["code"]),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", &party.app.id),
        ("client_secret", party.app.secret.as_deref().unwrap()),
    ];
    let path = format!("/auth/tenants/{}/oauth/token", party.site.tenant.slug);
    party.world().post(&path).form(&fields).send().await.expect(200);
}

async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(party: &Party) {
    let uri = [("request_uri", "https://wiki.example/request.jwt")];
    assert_eq!(party.error(&uri).await, "request_uri_not_supported");
}

async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(party: &Party) {
    let object = BASE64_URL_SAFE_NO_PAD.encode(json!({"state": "of the object"}).to_string());
    let object = format!("{}.{object}.", BASE64_URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"));
    assert_eq!(party.error(&[("request", &object)]).await, "request_not_supported");
}

async fn oidcc_claims_essential(party: &Party) {
    let asks =
        json!({"userinfo": {"name": {"essential": true}, "unknown": null}, "id_token": {"email": null}}).to_string();
    let tokens = party.tokens(&[("scope", "openid"), ("claims", &asks)]).await;
    let (id, info) = (claims(text(&tokens, "id_token")), party.user_info(&tokens).await);
    assert_eq!((&info["name"], info.get("email")), (&json!("Ada Lovelace"), None));
    assert_eq!((&id["email"], id.get("name")), (&json!("ada@acme.example"), None));
    let next = party.site.refresh(&party.app, text(&tokens, "refresh_token")).await.expect(200).json();
    assert_eq!(claims(text(&next, "id_token"))["email"], "ada@acme.example");
    let insists = json!({"id_token": {"acr": {"essential": true, "values": ["aal2"]}}}).to_string();
    assert_eq!(party.error(&[("claims", &insists)]).await, "unmet_authentication_requirements");
    let content = json!({"id_token": {"acr": {"essential": true, "values": ["aal2", "aal1"]}}}).to_string();
    party.tokens(&[("claims", &content)]).await;
    let other = json!({"id_token": {"sub": {"value": "usr_01h455vb4pex5vsknk084sn02q"}}}).to_string();
    assert_eq!(party.error(&[("claims", &other), ("prompt", "none")]).await, "login_required");
    for bad in ["[]", "{", "{\"userinfo\": 1}", "{\"id_token\": {\"acr\": 1}}", &" ".repeat(4_097)] {
        assert_eq!(party.error(&[("claims", bad)]).await, "invalid_request", "{bad}");
    }
    party.site.change(&party.app, json!({"allowed_scopes": ["openid"]})).await;
    assert_eq!(party.user_info(&tokens).await.get("name"), None, "it may not have it any more");
}

/// Where the answer goes is never read from a request object: there are none.
async fn oidcc_ensure_request_object_with_redirect_uri(party: &Party) {
    let object = json!({"redirect_uri": "https://evil.example/", "client_id": party.app.id}).to_string();
    let object = format!("e30.{}.", BASE64_URL_SAFE_NO_PAD.encode(object));
    assert_eq!(party.error(&[("request", &object)]).await, "request_not_supported");
    let answer = party.ask(&[("request", &object), ("redirect_uri", "")]).await.expect(400);
    assert_eq!(answer.header("location"), None);
}

async fn oidcc_refresh_token(party: &Party) {
    let first = party.tokens(&[]).await;
    let second = party.site.refresh(&party.app, text(&first, "refresh_token")).await.expect(200).json();
    let (one, two) = (claims(text(&first, "id_token")), claims(text(&second, "id_token")));
    for name in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(one[name], two[name], "{name}");
    }
    assert!(two.get("nonce").is_none());
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    party.user_info(&second).await;
}

async fn oidcc_ensure_request_with_valid_pkce_succeeds(party: &Party) {
    let sent = party.flow(&[]).await;
    let wrong = [
        ("grant_type", "authorization_code"),
        ("code", &sent["code"]),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "another-verifier-of-forty-three-characters-or-more"),
    ];
    assert_eq!(refused(party.site.token(&party.app, &wrong).await, 400), "invalid_grant");
    party.site.exchange(&party.app, &sent["code"]).await.expect(200);
}

/// `modules! { oidcc_server }` becomes a test `basic::oidcc_server` and a test `form_post::oidcc_server`, each on both
/// databases.
macro_rules! modules {
    ($($name:ident)*) => {
        mod basic {
            crate::harness::api_tests! {$(
                async fn $name(world) {
                    super::$name(&super::Party::new(&world, "query").await).await;
                }
            )*}
        }

        mod form_post {
            crate::harness::api_tests! {$(
                async fn $name(world) {
                    super::$name(&super::Party::new(&world, "form_post").await).await;
                }
            )*}
        }
    };
}

modules! {
    oidcc_server
    oidcc_response_type_missing
    oidcc_idtoken_signature
    oidcc_idtoken_unsigned
    oidcc_userinfo_get
    oidcc_userinfo_post_header
    oidcc_userinfo_post_body
    oidcc_ensure_request_without_nonce_succeeds_for_code_flow
    oidcc_scope_profile
    oidcc_scope_email
    oidcc_scope_address
    oidcc_scope_phone
    oidcc_scope_all
    oidcc_ensure_other_scope_order_succeeds
    oidcc_display_page
    oidcc_display_popup
    oidcc_prompt_login
    oidcc_prompt_none_not_logged_in
    oidcc_prompt_none_logged_in
    oidcc_max_age_1
    oidcc_max_age_10000
    oidcc_ensure_request_with_unknown_parameter_succeeds
    oidcc_id_token_hint
    oidcc_login_hint
    oidcc_ui_locales
    oidcc_claims_locales
    oidcc_ensure_request_with_acr_values_succeeds
    oidcc_codereuse
    oidcc_codereuse_30seconds
    oidcc_ensure_registered_redirect_uri
    oidcc_ensure_post_request_succeeds
    oidcc_server_client_secret_post
    oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported
    oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported
    oidcc_claims_essential
    oidcc_ensure_request_object_with_redirect_uri
    oidcc_refresh_token
    oidcc_ensure_request_with_valid_pkce_succeeds
}

api_tests! {
    async fn oidcc_discovery_endpoint_verification(world) {
        let party = Party::new(&world, "query").await;
        let path = format!("{}/.well-known/openid-configuration", party.site.issuer_path());
        let metadata = party.browser.get(&path).await.expect(200).json();
        let sent = party.flow(&[]).await;
        assert_eq!(metadata["issuer"], json!(sent["iss"]));
        for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"] {
            assert!(metadata[name].as_str().unwrap().starts_with(metadata["issuer"].as_str().unwrap()), "{name}");
        }
        let has = |name: &str, value: &str| metadata[name].as_array().unwrap().contains(&json!(value));
        assert!(has("response_types_supported", "code") && has("subject_types_supported", "public"));
        assert!(has("id_token_signing_alg_values_supported", "RS256") && has("scopes_supported", "openid"));
        assert!(has("response_modes_supported", "form_post") && has("claims_supported", "sub"));
        assert_eq!(metadata["claims_parameter_supported"], true);
        assert_eq!((&metadata["request_parameter_supported"], &metadata["request_uri_parameter_supported"]), (&json!(false), &json!(false)));
    }
}
