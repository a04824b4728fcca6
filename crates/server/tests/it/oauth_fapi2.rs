//! What the test modules of the FAPI 2.0 Security Profile show of requests and codes, each named after its module. Those about
//! request objects show that there are none here; those about keys and tokens are in `oauth_fapi2_tokens.rs`.

use std::time::Duration;

use gatehouse_domain::application::SigningAlgorithm;
use serde_json::json;

use crate::harness::{
    Browser, api_tests,
    bank::{Bank, registered},
    claims,
    dpop::{BASE, Holder, endpoint},
    oauth::{CALLBACK, VERIFIER, code, error, refused, sent, text},
};

api_tests! {
    async fn discovery_end_point_verification(world) {
        let bank = Bank::new(&world).await;
        let path = format!("/{}/.well-known/openid-configuration", bank.site.issuer_path());
        let told = world.get(&path).send().await.expect(200).json();
        assert_eq!(told["dpop_signing_alg_values_supported"], json!(["ES256", "RS256", "PS256", "EdDSA"]));
        assert_eq!(told["authorization_response_iss_parameter_supported"], true);
        assert!(told["pushed_authorization_request_endpoint"].is_string());
        assert!(told["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("private_key_jwt")));
        assert_eq!(told["code_challenge_methods_supported"], json!(["S256"]));
    }

    async fn happy_flow(world) {
        let bank = Bank::new(&world).await;
        let answer = sent(&bank.authorize(&[]).await);
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("s-1", &*format!("{BASE}{}", bank.site.issuer_path())));
        let tokens = bank.exchange(&answer["code"]).await.expect(200).json();
        assert_eq!((tokens["token_type"].as_str(), tokens["scope"].as_str()), (Some("DPoP"), Some("account:read openid profile")));
        assert_eq!(claims(text(&tokens, "id_token"))["nonce"], "n-1");
        let token = text(&tokens, "access_token");
        bank.me("DPoP", token, Some(&bank.proof_at_api(token, |_, _| ()))).await.expect(200);
    }

    async fn happy_flow_with_other_algorithms(world) {
        let bank = Bank::with(&world, SigningAlgorithm::EdDsa, Holder::with(SigningAlgorithm::EdDsa)).await;
        bank.tokens().await;
    }

    async fn signature_algorithm_is_rs256_fails(world) {
        let bank = Bank::with(&world, SigningAlgorithm::Rs256, Holder::new()).await;
        assert_eq!(refused(bank.push(&[]).await, 401), "invalid_client");
        let mut lax = registered(&bank.pair, "k2");
        lax["id_token_signed_response_alg"] = json!("RS256");
        let path = format!("/tenants/{}/applications", bank.site.tenant.id);
        lax["application_type"] = json!("WEB");
        let answer = world.post(&path).bearer(&bank.site.boss).json(lax).send().await;
        assert_eq!(answer.faults(), ["body.id_token_signed_response_alg client_metadata"]);
    }

    async fn dpop_proof_signed_with_rs256_fails(world) {
        let bank = Bank::with(&world, SigningAlgorithm::Es256, Holder::with(SigningAlgorithm::Rs256)).await;
        let code = code(&bank.authorize(&[]).await);
        assert_eq!(refused(bank.exchange(&code).await, 400), "invalid_dpop_proof");
    }

    async fn profile_wants_all_of_its_rules_registered(world) {
        let bank = Bank::new(&world).await;
        for (field, value) in [
            ("require_pkce", json!(false)),
            ("require_pushed_authorization_requests", json!(false)),
            ("dpop_bound_access_tokens", json!(false)),
            ("redirect_uris", json!(["http://localhost/callback"])),
        ] {
            let mut body = registered(&bank.pair, "k3");
            body["application_type"] = json!("WEB");
            body[field] = value;
            let path = format!("/tenants/{}/applications", bank.site.tenant.id);
            let answer = world.post(&path).bearer(&bank.site.boss).json(body).send().await;
            assert_eq!(answer.faults(), [format!("body.{field} client_metadata")]);
        }
    }

    async fn par_attempt_reuse_request_uri(world) {
        let bank = Bank::new(&world).await;
        let (pushed, browser) = (bank.push(&[]).await.expect(201), Browser::new(&world));
        let page = browser.get(&bank.bring(&pushed)).await.expect(200);
        code(&bank.site.submit(&browser, &page).await);
        assert_eq!(browser.get(&bank.bring(&pushed)).await.expect(400).header("location"), None);
    }

    async fn par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(world) {
        let bank = Bank::new(&world).await;
        let (pushed, browser) = (bank.push(&[]).await.expect(201), Browser::new(&world));
        browser.get(&bank.bring(&pushed)).await.expect(200);
        let page = browser.get(&bank.bring(&pushed)).await.expect(200);
        code(&bank.site.submit(&browser, &page).await);
    }

    async fn par_attempt_to_use_expired_request_uri(world) {
        let bank = Bank::new(&world).await;
        let pushed = bank.push(&[]).await.expect(201);
        assert!(pushed.json()["expires_in"].as_u64().unwrap() < 600);
        world.clock.advance(Duration::from_secs(90));
        Browser::new(&world).get(&bank.bring(&pushed)).await.expect(400);
    }

    async fn par_attempt_to_use_request_uri_for_different_client(world) {
        let bank = Bank::new(&world).await;
        let other = bank.site.app(registered(&bank.pair, "k1")).await;
        let pushed = bank.push(&[]).await.expect(201);
        Browser::new(&world).get(&bank.bring(&pushed).replace(&bank.app.id, &other.id)).await.expect(400);
    }

    async fn par_authorization_request_containing_request_uri_fails(world) {
        let bank = Bank::new(&world).await;
        let uri = bank.push(&[]).await.expect(201).json();
        assert_eq!(refused(bank.push(&[("request_uri", text(&uri, "request_uri"))]).await, 400), "invalid_request");
    }

    async fn par_endpoint_or_token_endpoint_as_audience_fails(world) {
        let bank = Bank::new(&world).await;
        for path in ["par", "token"] {
            let aud = endpoint(&bank.site, path);
            let assertion = bank.assertion(|claims| claims["aud"] = json!(aud));
            let fields = [("response_type", "code"), ("redirect_uri", CALLBACK)];
            assert_eq!(refused(bank.send("par", &fields, &assertion, None).await, 401), "invalid_client");
            let both = bank.assertion(|claims| claims["aud"] = json!([claims["aud"], aud]));
            assert_eq!(refused(bank.send("par", &fields, &both, None).await, 401), "invalid_client");
        }
    }

    async fn ensure_authorization_request_without_par_fails(world) {
        let bank = Bank::new(&world).await;
        assert_eq!(error(&Browser::new(&world).get(&bank.site.request(&bank.app, &[])).await), "invalid_request");
    }

    async fn par_without_pkce_or_with_plain_fails(world) {
        let bank = Bank::new(&world).await;
        for bad in [
            &[("code_challenge", ""), ("code_challenge_method", "")][..],
            &[("code_challenge_method", "plain"), ("code_challenge", VERIFIER)],
            &[("code_challenge_method", "")],
        ] {
            assert_eq!(refused(bank.push(bad).await, 400), "invalid_request");
        }
    }

    async fn incorrect_pkce_code_verifier_rejected(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[]).await);
        for bad in ["", &"x".repeat(43)] {
            let answer = bank.exchange_with(&code, &[("code_verifier", bad)], Some(&bank.proof("token"))).await;
            assert_eq!(refused(answer, 400), "invalid_grant");
        }
        bank.exchange(&code).await.expect(200);
    }

    async fn attempt_reuse_authorization_code_after_one_second(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[]).await);
        let tokens = bank.exchange(&code).await.expect(200).json();
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(refused(bank.exchange(&code).await, 400), "invalid_grant");
        world.clock.advance(Duration::from_secs(2));
        let token = text(&tokens, "access_token");
        bank.me("DPoP", token, Some(&bank.proof_at_api(token, |_, _| ()))).await.expect(401);
    }

    async fn ensure_authorization_code_expires(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[]).await);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(refused(bank.exchange(&code).await, 400), "invalid_grant");
    }

    async fn ensure_authorization_code_is_bound_to_client(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[]).await);
        let other = bank.site.app(registered(&bank.pair, "k1")).await;
        let assertion = bank.assertion(|claims| (claims["iss"], claims["sub"]) = (json!(other.id), json!(other.id)));
        let fields = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        assert_eq!(refused(bank.send("token", &fields, &assertion, Some(&bank.proof("token"))).await, 400), "invalid_grant");
    }

    async fn ensure_response_types_other_than_code_fail(world) {
        let bank = Bank::new(&world).await;
        for other in ["token", "id_token", "code id_token", "code token", "none"] {
            assert_eq!(refused(bank.push(&[("response_type", other)]).await, 400), "unsupported_response_type");
        }
    }

    async fn ensure_request_object_is_refused(world) {
        let bank = Bank::new(&world).await;
        let object = bank.assertion(|_| ());
        assert_eq!(refused(bank.push(&[("request", &object)]).await, 400), "request_not_supported");
    }
}
