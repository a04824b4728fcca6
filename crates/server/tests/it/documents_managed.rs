//! Programs that documents describe, as administrators add, change and remove them.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    Browser, Form, api_tests,
    documents::Strangers,
    oauth::{code, refused, text},
};

api_tests! {
    async fn only_programs_that_were_added_work_where_the_tenant_says_so(world) {
        let strangers = Strangers::new(&world, "registered").await;
        let (app, other, browser) = (strangers.program(), strangers.program_at("/other.json", &json!({})), Browser::new(&strangers.site.world));
        let made = strangers.add(&app, &json!({})).await.expect(201).data();
        assert_eq!((&made["client_id"], &made["registration"], &made["client_secret"]), (&json!(app.id), &json!("manual"), &json!(null)));
        assert_eq!(strangers.shelf.connections(), 0);
        let page = strangers.asked(&browser, &app, &[]).await;
        assert!(page.text.contains("<bdi>Known</bdi>"), "the name that the administrator gave");
        assert!(!page.text.contains("has checked") && page.text.contains("pretend to be it"), "{}", page.text);
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
        let before = strangers.shelf.asked();
        browser.get(&strangers.site.request(&other, &[])).await.expect(400);
        assert_eq!(strangers.shelf.asked(), before);
        let one = strangers.applications().await[0].clone();
        assert_eq!((&one["id"], &one["redirect_uris"]), (&made["id"], &json!(["http://localhost/callback"])));
    }

    async fn program_that_was_let_in_works_no_more_once_only_added_ones_do_and_can_be_added_then(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let id = strangers.applications().await[0]["id"].clone();
        strangers.site.world.settings(&strangers.site.tenant, json!({"client_id_metadata_documents": "registered"})).await;
        browser.get(&strangers.site.request(&app, &[])).await.expect(400);
        assert_eq!(refused(strangers.site.refresh(&app, text(&tokens, "refresh_token")).await, 401), "invalid_client");
        let made = strangers.add(&app, &json!({})).await.expect(201).data();
        assert_eq!((&made["id"], &made["registration"], &made["name"]), (&id, &json!("manual"), &json!("Known")));
        strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
        strangers.add(&app, &json!({})).await.problem(409, "conflict");
        strangers.site.world.settings(&strangers.site.tenant, json!({"client_id_metadata_documents": "off"})).await;
        browser.get(&strangers.site.request(&app, &[])).await.expect(400);
    }

    async fn setting_is_the_strictest_of_the_levels(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser, tenant) = (strangers.program(), Browser::new(&strangers.site.world), &strangers.site.tenant);
        let boss = world.admin().await;
        let path = format!("/admin/partners/{}/settings", tenant.partner_id);
        let decide = async |taken: &str| {
            let body = json!({"client_id_metadata_documents": taken});
            strangers.site.world.patch(&path).bearer(&boss).json(body).send().await.expect(200);
        };
        decide("registered").await;
        browser.get(&strangers.site.request(&app, &[])).await.expect(400);
        let path = format!("/admin/tenants/{}", tenant.id);
        let looser = json!({"settings": {"client_id_metadata_documents": "off"}});
        strangers.site.world.patch(&path).bearer(&boss).json(looser).send().await.expect(200);
        let looser = json!({"settings": {"client_id_metadata_documents": "any"}});
        strangers.site.world.patch(&path).bearer(&boss).json(looser).send().await.expect(422);
    }

    async fn document_says_what_the_application_is_and_nobody_else_does(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        for (more, field) in [
            (json!({"client_id": "https://tool.example/"}), "client_id"),
            (json!({"client_id": "tool"}), "client_id"),
            (json!({"application_type": "WEB"}), "application_type"),
            (json!({"redirect_uris": ["https://tool.example/cb"]}), "client_id"),
            (json!({"allowed_scopes": ["admin:write"]}), "client_id"),
        ] {
            let faults = strangers.add(&app, &more).await.expect(422).faults();
            assert!(faults.iter().any(|fault| fault.contains(field)), "{more} {faults:?}");
        }
        code(&strangers.allowed(&browser, &app, &[]).await);
        let path = strangers.path_of(&strangers.applications().await[0]);
        for change in [json!({"name": "Bank"}), json!({"redirect_uris": ["https://evil.example/"]}), json!({"allowed_scopes": ["openid", "phone"]}), json!({"require_consent": false})] {
            strangers.site.world.patch(&path).bearer(&strangers.site.boss).json(change).send().await.problem(409, "conflict");
        }
        strangers.site.world.post(&format!("{path}/rotate-secret")).bearer(&strangers.site.boss).json(json!({})).send().await.problem(409, "conflict");
    }

    async fn programs_that_users_let_in_count_for_no_limit_and_added_ones_do(world) {
        let strangers = Strangers::new(&world, "any").await;
        let browser = Browser::new(&strangers.site.world);
        let path = format!("/admin/partners/{}", strangers.site.tenant.partner_id);
        strangers.site.world.patch(&path).bearer(world.admin().await).json(json!({"max_applications_per_tenant": 1})).send().await.expect(200);
        for path in ["/1.json", "/2.json"] {
            code(&strangers.allowed(&browser, &strangers.program_at(path, &json!({})), &[]).await);
        }
        strangers.add(&strangers.program_at("/3.json", &json!({})), &json!({})).await.expect(201);
        strangers.add(&strangers.program_at("/4.json", &json!({})), &json!({})).await.problem(409, "limit_reached");
        assert_eq!(strangers.applications().await.len(), 3);
    }

    async fn program_that_a_partner_added_works_in_its_tenants(world) {
        let strangers = Strangers::new(&world, "registered").await;
        let (app, browser, tenant) = (strangers.program(), Browser::new(&strangers.site.world), &strangers.site.tenant);
        let body = json!({"name": "Ours", "application_type": "NATIVE", "client_id": app.id, "scope_level": "PARTNER", "partner_id": tenant.partner_id});
        let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201).data();
        assert_eq!((&made["client_id"], &made["tenant_id"]), (&json!(app.id), &json!(null)));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        strangers.site.user_info(text(&tokens, "access_token")).await.expect(200);
        strangers.site.refresh(&app, text(&tokens, "refresh_token")).await.expect(200);
        assert_eq!(strangers.applications().await.len(), 1);
        let body = json!({"name": "All", "application_type": "NATIVE", "client_id": app.id, "scope_level": "GLOBAL"});
        world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(422);
    }

    async fn users_who_let_a_program_in_at_the_same_time_make_one_application(world) {
        let strangers = Strangers::new(&world, "any").await;
        let app = strangers.program();
        let mut pages = Vec::new();
        for _ in 0..8 {
            let browser = Browser::new(&strangers.site.world);
            let page = strangers.asked(&browser, &app, &[]).await;
            pages.push((browser, Form::of(&page)));
        }
        let allow = [("answer", "allow")];
        for answer in join_all(pages.iter().map(|(browser, form)| browser.submit(form, &allow))).await {
            strangers.site.exchange(&app, &code(&answer)).await.expect(200);
        }
        assert_eq!(strangers.applications().await.len(), 1);
    }

    async fn application_of_a_document_is_called_by_its_address_and_not_by_its_id(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        let mut by_id = app.clone();
        by_id.id = strangers.applications().await[0]["id"].as_str().unwrap().to_owned();
        browser.get(&strangers.site.request(&by_id, &[])).await.expect(400);
        assert_eq!(refused(strangers.site.refresh(&by_id, text(&tokens, "refresh_token")).await, 401), "invalid_client");
    }

    async fn program_of_one_tenant_is_unknown_to_another(world) {
        let strangers = Strangers::new(&world, "any").await;
        let (app, browser) = (strangers.program(), Browser::new(&strangers.site.world));
        let tokens = strangers.tokens(&browser, &app, &[]).await;
        strangers.site.world.tenant_with("other", json!({"client_id_metadata_documents": "any"})).await;
        let fields = [("client_id", app.id.as_str()), ("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let answer = strangers.site.world.post("/auth/tenants/other/oauth/token").form(&fields).send().await;
        assert_eq!(refused(answer, 401), "invalid_client");
    }
}
