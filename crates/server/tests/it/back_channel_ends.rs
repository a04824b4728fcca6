//! Whatever ends a session, the applications that it was used with are told.

use std::time::Duration;

use serde_json::json;

use crate::{
    back_channel::{Told, boss, calling, tell, verified},
    harness::{
        Answer, Browser, Ending, Form, PASSWORD, Receiver, Signed, Victim, World, api_tests,
        oauth::{App, code, text},
    },
};

const DAY: Duration = Duration::from_secs(86_400);

/// An application of a partner that wants to be told.
async fn app_of_partner(world: &World, partner: &str, receiver: &Receiver) -> String {
    let body = json!({"name": "Portal", "application_type": "WEB", "scope_level": "PARTNER", "partner_id": partner,
        "redirect_uris": ["https://portal.example/cb"], "backchannel_logout_uri": receiver.uri()});
    let made = world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201);
    made.data()["id"].as_str().unwrap().to_owned()
}

/// Notes that a session was used with an application.
async fn use_with(world: &World, session: &str, application: &str) {
    let (session, application) = (world.literal(session), world.literal(application));
    let sql = format!(
        "INSERT INTO session_applications (tenant_id, partner_id, session_id, application_id, owner_id, accessed_at) \
         SELECT s.tenant_id, s.partner_id, s.id, a.id, a.owner_id, s.created_at FROM sessions s, applications a \
         WHERE s.id = {session} AND a.id = {application}"
    );
    world.execute(sql).await;
}

impl Told {
    /// Tells, and takes what was heard: the session that the user had.
    async fn has_heard(&self) {
        assert_eq!((self.tell().await, self.receiver.sessions(), self.waiting().await), (1, vec![self.sid()], 0));
    }

    async fn has_heard_nothing(&self) {
        assert_eq!((self.tell().await, self.receiver.connections(), self.waiting().await), (0, 0, 0));
    }

    /// The page of an application in the browser, which may ask for a password.
    async fn sign_in_again(&self, app: &App, name: &str) -> Answer {
        let page = self.browser.get(&self.site.request(app, &[("prompt", "login")])).await.expect(200);
        self.browser.submit(&Form::of(&page), &[("username", name), ("password", PASSWORD)]).await
    }

    async fn settings(&self, settings: serde_json::Value) {
        let path = format!("/tenants/{}/settings", self.site.tenant.id);
        self.world.patch(&path).bearer(boss(&self.world).await).json(settings).send().await.expect(200);
    }
}

api_tests! {
    async fn application_is_told_whoever_ends_a_session_and_how(world) {
        let world = calling(&world).await;
        let receiver = Receiver::start().await;
        let mut victim = Victim::new(&world, "acme").await;
        let app = app_of_partner(&world, &victim.tenant.partner_id, &receiver).await;
        for ending in Ending::ALL {
            let doomed = victim.doom(&world, ending).await;
            use_with(&world, &doomed.signed.session(), &app).await;
            let keys = world.get("/auth/tenants/acme/.well-known/jwks.json").send().await.expect(200).json();
            victim.end(&world, ending, &doomed).await;
            if ending == Ending::DeletePartner {
                // Its applications are gone with it.
                assert_eq!((tell(&world).await, receiver.connections()), (0, Ending::ALL.len() - 1));
                break;
            }
            assert_eq!(tell(&world).await, 1, "{ending:?}");
            let tokens = receiver.tokens();
            if ending == Ending::DeleteTenant {
                // The keys that the application has read still tell from whom that is.
                let jwks = keys["keys"].as_array().unwrap();
                let is_rs256 = |key: &serde_json::Value| key["alg"] == "RS256";
                assert!(jwks.iter().any(is_rs256), "{keys}");
                verified(&tokens[0], &keys, &app);
            }
            assert_eq!(receiver.sessions(), [doomed.signed.session()], "{ending:?}");
            victim.recover(&world, ending).await;
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM logout_deliveries").await, 0);
    }

    async fn application_is_told_of_a_sign_out_by_page(world) {
        let told = Told::new(&world, json!({})).await;
        let page = told.browser.get(&format!("{}/oauth/logout", told.site.issuer_path())).await.expect(200);
        told.has_heard_nothing().await;
        told.browser.submit(&Form::of(&page), &[]).await.expect(200);
        told.has_heard().await;
    }

    async fn application_is_told_when_another_user_takes_the_place_of_the_first(world) {
        let told = Told::new(&world, json!({})).await;
        told.world.person(&told.site.tenant, "bob").await;
        // Who proves to be the same keeps the session.
        code(&told.sign_in_again(&told.app, "ada").await);
        told.has_heard_nothing().await;
        code(&told.sign_in_again(&told.app, "bob").await);
        told.has_heard().await;
    }

    async fn application_is_told_of_the_session_that_is_one_too_many(world) {
        world.tick();
        let told = Told::new(&world, json!({})).await;
        told.settings(json!({"max_sessions_per_user": 1})).await;
        told.has_heard_nothing().await;
        told.world.login(&told.site.ada).await;
        told.has_heard().await;
    }

    async fn application_is_told_of_sessions_that_stricter_settings_end(world) {
        world.tick();
        let told = Told::new(&world, json!({})).await;
        told.world.login(&told.site.ada).await;
        told.settings(json!({"max_sessions_per_user": 1})).await;
        told.has_heard().await;
        let told = Told { browser: Browser::new(&told.world), ..told };
        let tokens = told.site.tokens(&told.browser, &told.app, &[]).await;
        let told = Told { tokens, ..told };
        told.world.clock.advance(2 * DAY);
        told.settings(json!({"session_max_days": 1})).await;
        told.has_heard().await;
    }

    async fn application_is_told_of_a_session_that_ran_out_three_days_after_its_last_token(world) {
        let told = Told::new(&world, json!({})).await;
        told.world.clock.advance(3 * DAY);
        // Those of administrators live for a day.
        told.world.app.maintenance().sweep().await.unwrap();
        told.has_heard_nothing().await;
        told.world.clock.advance(60 * DAY);
        assert_eq!(told.world.app.maintenance().sweep().await.unwrap(), 1);
        told.has_heard().await;
    }

    async fn application_is_told_three_days_after_its_last_token_has_expired(world) {
        let told = Told::new(&world, json!({})).await;
        told.world.clock.advance(3 * DAY);
        told.world.app.maintenance().clean_up().await.unwrap();
        told.end().await;
        told.has_heard().await;
    }

    async fn application_is_told_after_its_refresh_token_was_revoked_and_not_before(world) {
        let told = Told::new(&world, json!({})).await;
        let call = told.world.post("/auth/tenants/acme/oauth/revoke");
        let basic = crate::harness::oauth::basic(&told.app.id, told.app.secret.as_ref().unwrap());
        let fields = [("token", text(&told.tokens, "refresh_token"))];
        call.header("authorization", &basic).form(&fields).send().await.expect(200);
        told.has_heard_nothing().await;
        told.end().await;
        told.has_heard().await;
    }

    async fn application_is_told_when_reused_tokens_have_ended_its_family_and_then_its_session_ends(world) {
        let told = Told::new(&world, json!({})).await;
        let stolen = text(&told.tokens, "refresh_token").to_owned();
        let mut current = stolen.clone();
        for _ in 0..2 {
            let answer = told.site.refresh(&told.app, &current).await.expect(200).json();
            text(&answer, "refresh_token").clone_into(&mut current);
        }
        told.site.refresh(&told.app, &stolen).await.expect(400);
        // The tokens of one application were stolen; the person stays signed in.
        told.has_heard_nothing().await;
        told.world.execute("DELETE FROM token_families").await;
        told.end().await;
        told.has_heard().await;
    }

    async fn application_is_told_of_the_end_of_a_session_whose_row_is_removed(world) {
        let told = Told::new(&world, json!({})).await;
        let session = told.world.literal(&told.sid());
        told.world.execute(format!("DELETE FROM sessions WHERE id = {session}")).await;
        told.has_heard().await;
    }

    async fn application_is_told_once_although_an_ended_session_is_removed_before_it_could_be(world) {
        let told = Told::new(&world, json!({})).await;
        told.end().await;
        told.world.execute(format!("DELETE FROM sessions WHERE id = {}", told.world.literal(&told.sid()))).await;
        told.has_heard().await;
    }

    async fn nobody_is_told_of_an_end_that_did_not_happen(world) {
        let told = Told::new(&world, json!({})).await;
        let path = format!("/admin/users/{}?dry_run=true", told.site.ada.id);
        let admin = told.world.admin().await;
        told.world.delete(&path).bearer(&admin).send().await.expect(200);
        told.has_heard_nothing().await;
        let signed = Signed::of(&told.world.try_login("acme", "ada", PASSWORD).await.expect(200));
        told.world.logout("acme", &signed.refresh).await.expect(200);
        told.has_heard_nothing().await;
    }
}
