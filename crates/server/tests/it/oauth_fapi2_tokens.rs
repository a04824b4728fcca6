//! What the test modules of the FAPI 2.0 Security Profile show of keys, proofs and tokens, each named after its module.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Browser, Form, api_tests,
    bank::Bank,
    claims,
    dpop::{BASE, Holder},
    oauth::{CALLBACK, challenge, code, error, refused, sent, text},
};

api_tests! {
    async fn ensure_holder_of_key_required(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[]).await);
        assert_eq!(refused(bank.exchange_with(&code, &[], None).await, 400), "invalid_dpop_proof");
        let tokens = bank.exchange(&code).await.expect(200).json();
        let token = text(&tokens, "access_token");
        bank.me("Bearer", token, None).await.expect(401);
        bank.me("DPoP", token, None).await.expect(401);
        let thief = Holder::new().proof(&world, ("GET", &format!("{BASE}/api/v1/me")), Some(token));
        bank.me("DPoP", token, Some(&thief)).await.expect(401);
    }

    async fn ensure_mismatched_dpop_jkt_at_par_fails(world) {
        let bank = Bank::new(&world).await;
        let other = Holder::new().thumbprint();
        let answer = bank.push_with(&[("dpop_jkt", &other)], Some(&bank.proof("par"))).await;
        assert_eq!(refused(answer, 400), "invalid_dpop_proof");
    }

    async fn ensure_token_endpoint_fails_with_mismatched_dpop_jkt(world) {
        let bank = Bank::new(&world).await;
        let code = code(&bank.authorize(&[("dpop_jkt", &Holder::new().thumbprint())]).await);
        assert_eq!(refused(bank.exchange(&code).await, 400), "invalid_grant");
    }

    async fn ensure_dpop_auth_code_binding_success(world) {
        let bank = Bank::new(&world).await;
        let jkt = bank.holder.thumbprint();
        let code = code(&bank.authorize(&[("dpop_jkt", &jkt)]).await);
        let tokens = bank.exchange(&code).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "access_token"))["cnf"]["jkt"], jkt.as_str());
    }

    async fn dpop_negative_tests(world) {
        let bank = Bank::new(&world).await;
        let now = bank.now();
        for (name, value) in [
            ("iat", json!(now - 3_600)),
            ("iat", json!(now + 3_600)),
            ("exp", json!(now - 1)),
            ("nbf", json!(now + 3_600)),
            ("htm", json!("GET")),
            ("htu", json!("https://elsewhere.example/token")),
            ("jti", Value::Null),
        ] {
            let answer = bank.token_by_proof(|_, claims| claims[name] = value.clone()).await;
            assert_eq!(refused(answer, 400), "invalid_dpop_proof", "{name} {value}");
        }
        let tokens = bank.tokens().await;
        let token = text(&tokens, "access_token");
        for (name, value) in [("ath", Value::Null), ("ath", json!("x")), ("iat", json!(now - 3_600)), ("htm", json!("POST"))] {
            let proof = bank.proof_at_api(token, |_, claims| claims[name] = value.clone());
            bank.me("DPoP", token, Some(&proof)).await.expect(401);
        }
        let proof = bank.proof_at_api(token, |_, _| ());
        bank.me("DPoP", token, Some(&proof)).await.expect(200);
        bank.me("DPoP", token, Some(&proof)).await.expect(401);
    }

    async fn ensure_dpop_proof_with_iat_10_seconds_before_or_after_succeeds(world) {
        let bank = Bank::new(&world).await;
        for off in [-10, 10] {
            bank.token_by_proof(|_, claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + off)).await.expect(200);
        }
    }

    async fn access_token_type_header_case_sensitivity(world) {
        let bank = Bank::new(&world).await;
        let tokens = bank.tokens().await;
        let token = text(&tokens, "access_token");
        for scheme in ["DPoP", "dpop", "DPOP"] {
            bank.me(scheme, token, Some(&bank.proof_at_api(token, |_, _| ()))).await.expect(200);
        }
    }

    async fn client_assertion_nbf_8_seconds_in_the_future_is_accepted_and_a_minute_is_not(world) {
        let bank = Bank::new(&world).await;
        let fields = [("response_type", "code"), ("redirect_uri", CALLBACK), ("scope", "openid"), ("code_challenge", &*challenge()), ("code_challenge_method", "S256")];
        let (soon, late) = (bank.now() + 8, bank.now() + 60);
        bank.send("par", &fields, &bank.assertion(|claims| claims["nbf"] = json!(soon)), None).await.expect(201);
        let late = bank.assertion(|claims| (claims["nbf"], claims["exp"]) = (json!(late), json!(late + 60)));
        assert_eq!(refused(bank.send("par", &fields, &late, None).await, 401), "invalid_client");
        let past = bank.now() - 300;
        let past = bank.assertion(|claims| claims["exp"] = json!(past));
        assert_eq!(refused(bank.send("par", &fields, &past, None).await, 401), "invalid_client");
        let nobody = bank.assertion(|claims| drop(claims.as_object_mut().unwrap().remove("sub")));
        let named = [&fields[..], &[("client_id", &*bank.app.id)]].concat();
        assert_eq!(refused(bank.send("par", &named, &nobody, None).await, 401), "invalid_client");
    }

    async fn ensure_server_accepts_long_state_and_nonce(world) {
        let bank = Bank::new(&world).await;
        let (state, nonce) = ("s".repeat(1_000), "n".repeat(64));
        let answer = bank.authorize(&[("state", &state), ("nonce", &nonce)]).await;
        assert_eq!(sent(&answer)["state"], state);
        let tokens = bank.exchange(&code(&answer)).await.expect(200).json();
        assert_eq!(claims(text(&tokens, "id_token"))["nonce"], nonce.as_str());
    }

    async fn ensure_other_scope_order_succeeds(world) {
        let bank = Bank::new(&world).await;
        let answer = bank.authorize(&[("scope", "account:read profile openid")]).await;
        let tokens = bank.exchange(&code(&answer)).await.expect(200).json();
        assert_eq!(tokens["scope"], "account:read openid profile");
    }

    async fn user_rejects_authentication(world) {
        let bank = Bank::new(&world).await;
        let (pushed, browser) = (bank.push(&[("prompt", "consent")]).await.expect(201), Browser::new(&world));
        bank.site.change(&bank.app, json!({"require_consent": true})).await;
        let page = browser.get(&bank.bring(&pushed)).await.expect(200);
        let page = bank.site.submit(&browser, &page).await.expect(200);
        let answer = browser.submit(&Form::of(&page), &[("answer", "refuse")]).await;
        assert_eq!((error(&answer).as_str(), sent(&answer)["state"].as_str()), ("access_denied", "s-1"));
    }

    async fn unregistered_or_missing_redirect_uri_fails(world) {
        let bank = Bank::new(&world).await;
        for bad in ["", "https://evil.example/callback", "https://wiki.example/callback?x=1"] {
            assert_eq!(refused(bank.push(&[("redirect_uri", bad)]).await, 400), "invalid_request");
        }
    }

    async fn code_from_before_a_change_of_the_application_does_not_count(world) {
        let bank = Bank::new(&world).await;
        let of_before = code(&bank.authorize(&[]).await);
        world.clock.advance(Duration::from_secs(1));
        bank.site.change(&bank.app, json!({"name": "Another"})).await;
        assert_eq!(refused(bank.exchange(&of_before).await, 400), "invalid_grant");
        world.clock.advance(Duration::from_secs(1));
        bank.exchange(&code(&bank.authorize(&[]).await)).await.expect(200);
    }

    async fn refresh_token_is_not_rotated(world) {
        let bank = Bank::new(&world).await;
        let tokens = bank.tokens().await;
        let token = text(&tokens, "refresh_token");
        for _ in 0..3 {
            let next = bank.refresh(token).await.expect(200).json();
            assert_eq!((next["token_type"].as_str(), next.get("refresh_token")), (Some("DPoP"), None));
            let access = text(&next, "access_token");
            bank.me("DPoP", access, Some(&bank.proof_at_api(access, |_, _| ()))).await.expect(200);
            world.clock.advance(Duration::from_secs(600));
        }
        // It lives on from its last use, not from its first.
        let idle = world.number("SELECT MAX(expires_at - rotated_at) FROM token_families").await;
        let before = world.number("SELECT MAX(expires_at) FROM token_families").await;
        bank.refresh(token).await.expect(200);
        assert!(idle > 0 && world.number("SELECT MAX(expires_at) FROM token_families").await > before);
        let answers = futures_util::future::join_all((0..8).map(|_| bank.refresh(token))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "at once, too");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let without = bank.send("token", &fields, &bank.assertion(|_| ()), None).await;
        assert_eq!(refused(without, 400), "invalid_dpop_proof");
    }
}
