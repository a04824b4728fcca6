//! What users let applications have: asked once, remembered, seen and taken back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, Form, Signed, api_tests,
    oauth::{App, Site, code, error, refused, sent, text},
};

/// An application that asks, and what its user answers on the page.
async fn asking(site: &Site) -> App {
    site.app(json!({"require_consent": true, "client_uri": "https://wiki.example", "allowed_scopes": ["openid", "profile", "email", "phone"]})).await
}

async fn answer(browser: &Browser, page: Answer, answer: &str) -> Answer {
    browser.submit(&Form::of(&page.expect(200)), &[("answer", answer)]).await
}

async fn apps(site: &Site, ada: &Signed) -> Vec<Value> {
    let list = site.world.get("/me/authorized-apps").bearer(ada).send().await.expect(200).data();
    list.as_array().unwrap().clone()
}

async fn events(site: &Site, action: &str) -> u64 {
    let path = format!("/tenants/{}/audit-events?action={action}", site.tenant.id);
    site.world.get(&path).bearer(&site.boss).send().await.expect(200).total()
}

api_tests! {
    async fn user_who_consented_is_asked_again_only_for_more(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[("scope", "openid email")]).await;
        code(&answer(&browser, page, "allow").await);
        assert_eq!(events(&site, "consent.given").await, 1);
        code(&browser.get(&site.request(&app, &[("scope", "openid email"), ("prompt", "none")])).await);
        code(&browser.get(&site.request(&app, &[("scope", "openid")])).await);
        let more = [("scope", "openid phone")];
        assert_eq!(error(&browser.get(&site.request(&app, &[more[0], ("prompt", "none")])).await), "consent_required");
        let page = browser.get(&site.request(&app, &more)).await;
        code(&answer(&browser, page, "allow").await);
        code(&browser.get(&site.request(&app, &[("scope", "openid email phone")])).await);
        browser.get(&site.request(&app, &[("scope", "openid"), ("prompt", "consent")])).await.expect(200);
        assert_eq!(events(&site, "consent.given").await, 2);
    }

    async fn consent_is_of_one_user_and_one_application(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[]).await;
        code(&answer(&browser, page, "allow").await);
        let other = site.app(json!({"name": "Other", "require_consent": true})).await;
        browser.get(&site.request(&other, &[])).await.expect(200);
        let bob = world.person(&site.tenant, "bob").await;
        let theirs = Site { world: world.clone(), tenant: site.tenant.clone(), boss: site.boss.clone(), ada: bob };
        let stranger = Browser::new(&world);
        let page = theirs.sign_in(&stranger, &app, &[]).await.expect(200);
        code(&answer(&stranger, page, "allow").await);
    }

    async fn refused_consent_is_told_and_recorded_and_asked_again(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[]).await;
        let refusal = answer(&browser, page, "refuse").await;
        assert_eq!((error(&refusal), sent(&refusal).get("state").cloned()), ("access_denied".to_owned(), Some("s/1".to_owned())));
        assert_eq!((events(&site, "consent.refused").await, events(&site, "consent.given").await), (1, 0));
        browser.get(&site.request(&app, &[])).await.expect(200);
    }

    async fn user_sees_what_applications_have_and_takes_it_back(world) {
        let site = Site::new(&world).await;
        let other = world.replica(|_| ()).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[("scope", "openid email")]).await;
        let tokens = site.exchange(&app, &code(&answer(&browser, page, "allow").await)).await.expect(200).json();
        let spa = site.spa().await;
        let others = site.tokens(&browser, &spa, &[("scope", "openid")]).await;
        let ada = world.login(&site.ada).await;
        let mut list = apps(&site, &ada).await;
        list.sort_by_key(|it| std::cmp::Reverse(it["application_name"].to_string()));
        let names: Vec<_> = list.iter().map(|it| it["application_name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Wiki", "Mail"]);
        assert_eq!((&list[0]["scopes"], &list[0]["families"], &list[0]["client_uri"]), (&json!(["email", "openid"]), &json!(1), &json!("https://wiki.example")));
        assert!(list[0]["consented_at"].is_string() && list[0]["last_used_at"].is_string());
        assert_eq!((&list[1]["consented_at"], &list[1]["families"]), (&Value::Null, &json!(1)));
        site.user_info_at(&other, text(&tokens, "access_token")).await.expect(200);
        let unused = code(&browser.get(&site.request(&app, &[("scope", "openid email")])).await);
        let path = format!("/me/authorized-apps/{}", app.id);
        world.delete(&path).bearer(&ada).send().await.expect(204);
        tokio::time::sleep(Duration::from_millis(950)).await;
        for at in [&world, &other] {
            site.user_info_at(at, text(&tokens, "access_token")).await.expect(401);
        }
        assert_eq!(refused(site.refresh(&app, text(&tokens, "refresh_token")).await, 400), "invalid_grant");
        assert_eq!(refused(site.exchange(&app, &unused).await, 400), "invalid_grant");
        site.user_info(text(&others, "access_token")).await.expect(200);
        browser.get(&site.request(&app, &[("scope", "openid email")])).await.expect(200);
        assert_eq!((apps(&site, &ada).await.len(), events(&site, "consent.withdrawn").await), (1, 1));
        world.delete(&path).bearer(&ada).send().await.expect(204);
        let nobody = "/me/authorized-apps/app_01h455vb4pex5vsknk084sn02q";
        world.delete(nobody).bearer(&ada).send().await.problem(404, "not_found");
        assert_eq!((events(&site, "consent.withdrawn").await, site.sessions().await.len()), (1, 2));
    }

    async fn nobody_takes_back_what_another_user_consented_to(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[]).await;
        let tokens = site.exchange(&app, &code(&answer(&browser, page, "allow").await)).await.expect(200).json();
        let path = format!("/me/authorized-apps/{}", app.id);
        world.delete(&path).bearer(&site.boss).send().await.expect(204);
        site.user_info(text(&tokens, "access_token")).await.expect(200);
        assert!(apps(&site, &site.boss).await.is_empty());
    }

    async fn application_that_was_deleted_has_nothing_any_more(world) {
        let site = Site::new(&world).await;
        let (app, browser) = (asking(&site).await, Browser::new(&world));
        let page = site.sign_in(&browser, &app, &[]).await;
        code(&answer(&browser, page, "allow").await);
        let ada = world.login(&site.ada).await;
        assert_eq!(apps(&site, &ada).await.len(), 1);
        world.delete(&format!("/tenants/{}/applications/{}", site.tenant.id, app.id)).bearer(&site.boss).send().await.expect(204);
        assert!(apps(&site, &ada).await.is_empty());
    }
}
