//! Documents that change or go, and what then becomes of their programs.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    Browser, Form, api_tests,
    documents::{JSON, Strangers},
    oauth::{code, refused, text},
};

const KEPT: Duration = Duration::from_secs(300);

api_tests! {
    async fn redirect_uri_that_was_taken_out_of_a_document_gets_no_answer_after_the_time_that_it_counts_for(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&browser, &app, &[]).await);
        let other = strangers.document("/tool.json", &json!({"redirect_uris": ["https://tool.example/cb"], "client_name": "Renamed"}));
        strangers.shelf.answers("/tool.json", "200 OK", JSON, &other.to_string());
        world.clock.advance(KEPT - Duration::from_secs(1));
        strangers.asked(&browser, &app, &[]).await;
        world.clock.advance(Duration::from_secs(1));
        browser.get(&strangers.site.request(&app, &[])).await.expect(400);
        code(&strangers.allowed(&browser, &app, &[("redirect_uri", "https://tool.example/cb")]).await);
        let list = strangers.applications().await;
        assert_eq!((list.len(), &list[0]["name"], &list[0]["application_type"]), (1, &json!("Renamed"), &json!("SPA")));
        assert_eq!(list[0]["redirect_uris"], json!(["https://tool.example/cb"]));
        assert_eq!(world.happened("application.updated", list[0]["id"].as_str().unwrap()).await, 1);
    }

    async fn user_is_asked_again_about_a_program_that_is_described_in_another_way(world) {
        let strangers = Strangers::new(&world, "any").await;
        let uris = json!({"redirect_uris": ["https://tool.example/cb"]});
        let (app, browser) = (strangers.program_at("/web.json", &uris), Browser::new(&strangers.site.world));
        code(&strangers.allowed(&browser, &app, &[]).await);
        code(&browser.get(&strangers.site.request(&app, &[])).await);
        let elsewhere = strangers.program_at("/web.json", &json!({"redirect_uris": ["https://elsewhere.example/cb"]}));
        world.clock.advance(KEPT);
        code(&strangers.allowed(&browser, &elsewhere, &[]).await);
        code(&browser.get(&strangers.site.request(&elsewhere, &[])).await);
    }

    async fn consent_counts_for_what_the_page_said_and_not_for_what_the_document_says_by_then(world) {
        let strangers = Strangers::new(&world, "any").await;
        let uris = json!({"redirect_uris": ["https://tool.example/cb"]});
        let (app, browser) = (strangers.program_at("/web.json", &uris), Browser::new(&strangers.site.world));
        let page = strangers.asked(&browser, &app, &[]).await;
        let other = json!({"client_name": "Your Bank", "redirect_uris": ["https://tool.example/cb", "https://evil.example/cb"]});
        strangers.program_at("/web.json", &other);
        world.clock.advance(KEPT);
        let again = browser.submit(&Form::of(&page), &[("answer", "allow")]).await.expect(200);
        assert!(again.text.contains("Your Bank") && again.text.contains("value=\"allow\""), "{}", again.text);
        assert_eq!(strangers.applications().await.len(), 0);
        code(&browser.submit(&Form::of(&again), &[("answer", "allow")]).await);
    }

    async fn program_whose_document_asks_for_signatures_now_gets_nothing_without_one(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let signs = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://tool.example/keys"});
        strangers.shelf.answers("/tool.json", "200 OK", JSON, &strangers.document("/tool.json", &signs).to_string());
        let tokens = strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        world.clock.advance(KEPT);
        assert_eq!(refused(strangers.site.refresh(&app, text(&tokens, "refresh_token")).await, 401), "invalid_client");
    }

    async fn program_whose_document_is_gone_refreshes_and_signs_nobody_in(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let mut tokens = strangers.tokens(&browser, &app, &[]).await;
        strangers.shelf.has_nothing();
        world.clock.advance(KEPT);
        let before = strangers.shelf.asked();
        for _ in 0..3 {
            tokens = strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200).json();
        }
        assert_eq!(strangers.shelf.asked(), before + 1, "not again within half a minute");
        for _ in 0..2 {
            let page = browser.get(&strangers.site.request(&app, &[])).await.expect(400);
            assert!(page.text.contains("cannot be read"), "{}", page.text);
        }
        assert_eq!(strangers.shelf.asked(), before + 3, "a failure is not kept");
        strangers.program();
        strangers.asked(&browser, &app, &[]).await;
    }

    async fn application_that_an_administrator_suspended_does_not_work_and_is_not_fetched(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let path = strangers.path_of(&strangers.applications().await[0]);
        let set = async |status: &str| {
            strangers.site.world.patch(&path).bearer(&strangers.site.boss).json(json!({"status": status})).send().await.expect(200);
        };
        set("SUSPENDED").await;
        world.clock.advance(KEPT);
        let before = strangers.shelf.asked();
        browser.get(&strangers.site.request(&app, &[])).await.expect(400);
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
        assert_eq!(refused(strangers.site.refresh(&app, text(&tokens, "refresh_token")).await, 401), "invalid_client");
        assert_eq!(strangers.shelf.asked(), before);
        set("ACTIVE").await;
        strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
    }

    async fn application_that_was_deleted_comes_back_by_consent_with_none_of_its_tokens(world) {
        let strangers = Strangers::new(&world, "any").await;
        let web = strangers.program_at("/web.json", &json!({"redirect_uris": ["https://tool.example/cb"]}));
        let browser = Browser::new(&strangers.site.world);
        let tokens = strangers.tokens(&browser, &web, &[]).await;
        let path = strangers.path_of(&strangers.applications().await[0]);
        strangers.site.world.delete(&path).bearer(&strangers.site.boss).send().await.expect(204);
        assert_eq!(refused(strangers.site.refresh(&web, text(&tokens, "refresh_token")).await, 401), "invalid_client");
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
        let anew = strangers.tokens(&browser, &web, &[]).await;
        strangers.site.user_info(text(&anew, "access_token")).await.expect(200);
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(401);
        assert_eq!(refused(strangers.site.refresh(&web, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        assert_eq!(strangers.applications().await.len(), 1);
    }

    async fn tokens_end_that_an_administrator_or_a_user_takes_back(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let first = strangers.tokens(&browser, &app, &[]).await;
        let one = strangers.applications().await[0].clone();
        let revoke = format!("{}/revoke-tokens", strangers.path_of(&one));
        strangers.site.world.post(&revoke).bearer(&strangers.site.boss).send().await.expect(200);
        strangers.site.user_info(text(&first, "access_token")).await.expect(401);
        world.clock.advance(Duration::from_secs(2));
        let second = strangers.tokens(&browser, &app, &[]).await;
        strangers.site.user_info(text(&second, "access_token")).await.expect(200);
        let ada = strangers.site.world.login(&strangers.site.ada).await;
        let list = strangers.site.world.get("/me/authorized-apps").bearer(&ada).send().await.expect(200).data();
        assert_eq!((&list[0]["application_id"], &list[0]["application_name"]), (&one["id"], &json!("Tool")));
        let path = format!("/me/authorized-apps/{}", one["id"].as_str().unwrap());
        strangers.site.world.delete(&path).bearer(&ada).send().await.expect(204);
        strangers.site.user_info(text(&second, "access_token")).await.expect(401);
        assert_eq!(refused(strangers.site.refresh(&app, text(&second, "refresh_token")).await, 400), "invalid_grant");
    }

    async fn application_is_forgotten_ninety_days_after_its_last_use(world) {
        let strangers = Strangers::new(&world, "any").await;
        let site = &strangers.site;
        let browser = Browser::new(&site.world);
        let (used, unused, added) = (strangers.program(), strangers.program_at("/unused.json", &json!({})), strangers.program_at("/added.json", &json!({})));
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let tokens = strangers.tokens(&browser, &used, &[("scope", "openid offline_access")]).await;
        code(&strangers.allowed(&browser, &unused, &[]).await);
        strangers.add(&added, &json!({})).await.expect(201);
        let mut token = text(&tokens, "refresh_token").to_owned();
        for _ in 0..8 {
            world.clock.advance(days(5));
            token = text(&site.refresh(&used, &token).await.expect(200).json(), "refresh_token").to_owned();
            site.world.app.maintenance().flush_activity().await.unwrap();
        }
        world.clock.advance(days(49));
        world.app.maintenance().clean_up().await.unwrap();
        let names = async || {
            let path = format!("/admin/applications?tenant_id={}", site.tenant.id);
            let list = site.world.get(&path).bearer(site.world.fresh_admin().await).send().await.expect(200).data();
            let name = |it: &Value| it["client_id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            list.as_array().unwrap().iter().map(name).collect::<BTreeSet<_>>()
        };
        assert_eq!(names().await.len(), 3);
        world.clock.advance(days(2));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(names().await, ["added.json", "tool.json"].map(str::to_owned).into());
        world.clock.advance(days(40));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(names().await, ["added.json"].map(str::to_owned).into());
    }
}
