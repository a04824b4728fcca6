//! Whose an e-mail address is, and how it becomes another.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, Mail, PASSWORD, Person, Signed, Tenant, World, api_tests};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn verify(world: &World, slug: &str, token: &str) -> Answer {
    world.post(&format!("/auth/tenants/{slug}/email/verify")).json(json!({"token": token})).send().await
}

async fn change(world: &World, who: &Signed, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "current_password": password});
    world.post("/me/email").bearer(who).json(body).send().await
}

/// A tenant with one person, who is signed in, and the mail that registering caused.
async fn ada(world: &World) -> (Tenant, Person, Signed, Mail) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    let mail = world.mail_to("ada@acme.example").await;
    let signed = world.login(&ada).await;
    (tenant, ada, signed, mail)
}

/// The address as the user sees it, and whether it is verified.
async fn address(world: &World, who: &Signed) -> (String, bool) {
    let me = world.get("/me").bearer(who).send().await.expect(200).data();
    (me["email"].as_str().unwrap().to_owned(), me["email_verified"].as_bool().unwrap())
}

api_tests! {
    async fn registering_mails_a_link_that_confirms_the_address(world) {
        let (.., signed, mail) = ada(&world).await;
        assert!(mail.link().unwrap().starts_with("http://127.0.0.1:8000/email#acme/ghv_"), "{:?}", mail.link());
        assert_eq!(address(&world, &signed).await, ("ada@acme.example".into(), false));
        verify(&world, "acme", &mail.token()).await.expect(204);
        assert_eq!(address(&world, &signed).await, ("ada@acme.example".into(), true));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.email_verified'").await, 1);
        assert_eq!(world.mails().await.len(), 0, "nothing has changed that anybody must be told of");
    }

    async fn who_must_have_a_verified_address_signs_in_once_it_is(world) {
        let (tenant, .., mail) = ada(&world).await;
        world.settings(&tenant, json!({"require_verified_email": true})).await;
        world.try_login("acme", "ada", PASSWORD).await.problem(403, "email_not_verified");
        world.try_login("acme", "ada", "wrong").await.problem(401, "invalid_credentials");
        // The first mail got lost.
        world.post("/auth/tenants/acme/email/resend").json(json!({"email": "Ada@acme.example"})).send().await.expect(202);
        let second = world.mail_to("ada@acme.example").await.token();
        verify(&world, "acme", &mail.token()).await.problem(401, "invalid_link");
        verify(&world, "acme", &second).await.expect(204);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn link_for_another_address_dies_when_its_user_is_suspended(world) {
        let (_, ada, signed, _) = ada(&world).await;
        change(&world, &signed, "new@acme.example", PASSWORD).await.expect(202);
        let link = world.mail_to("new@acme.example").await.token();
        for status in ["SUSPENDED", "ACTIVE"] {
            world.set_status("users", &ada.id, status).await;
        }
        verify(&world, "acme", &link).await.problem(401, "invalid_link");
    }

    /// R17, R18.
    async fn address_changes_when_the_new_one_is_confirmed_and_both_are_told(world) {
        let (.., signed, _) = ada(&world).await;
        change(&world, &signed, "new@acme.example", PASSWORD).await.expect(202);
        let link = world.mail_to("new@acme.example").await;
        assert_eq!(address(&world, &signed).await.0, "ada@acme.example", "until then the old one stays");
        verify(&world, "acme", &link.token()).await.expect(204);
        assert_eq!(address(&world, &signed).await, ("new@acme.example".into(), true));
        let mut told: Vec<_> = world.mails().await.into_iter().map(|mail| (mail.to, mail.subject)).collect();
        told.sort();
        let subject = "Your e-mail address at acme was changed".to_owned();
        assert_eq!(told, [("ada@acme.example".to_owned(), subject.clone()), ("new@acme.example".to_owned(), subject)]);
        world.try_login("acme", "new@acme.example", PASSWORD).await.expect(200);
    }

    /// R17.
    async fn address_is_changed_by_nobody_who_does_not_know_the_password(world) {
        let (.., signed, _) = ada(&world).await;
        for _ in 0..9 {
            change(&world, &signed, "new@acme.example", "wrong").await.problem(401, "invalid_credentials");
        }
        assert_eq!(world.mails().await.len(), 0);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.email_change_failed'").await, 9);
        change(&world, &signed, "new@acme.example", "wrong").await.problem(401, "invalid_credentials");
        change(&world, &signed, "new@acme.example", PASSWORD).await.problem(429, "rate_limited");
        let body = json!({"email": "new@acme.example"});
        let faults = world.patch("/me").bearer(&signed).json(body).send().await.faults();
        assert_eq!(faults, ["body.email extra_forbidden"]);
    }

    async fn taken_address_is_told_to_its_owner_and_to_nobody_else(world) {
        let (tenant, _, signed, _) = ada(&world).await;
        world.person(&tenant, "eve").await;
        world.mails().await;
        let taken = change(&world, &signed, "eve@acme.example", PASSWORD).await.expect(202);
        let mail = world.mail_to("eve@acme.example").await;
        assert_eq!((mail.subject.as_str(), mail.link()), ("Your e-mail address at acme", None));
        let free = change(&world, &signed, "free@acme.example", PASSWORD).await.expect(202);
        assert_eq!(taken.anonymised(), free.anonymised());
    }

    async fn address_that_somebody_else_has_by_now_is_not_given_twice(world) {
        let (tenant, _, signed, _) = ada(&world).await;
        change(&world, &signed, "eve@acme.example", PASSWORD).await.expect(202);
        let link = world.mail_to("eve@acme.example").await;
        world.person(&tenant, "eve").await;
        verify(&world, "acme", &link.token()).await.problem(409, "already_registered");
        assert_eq!(address(&world, &signed).await.0, "ada@acme.example");
    }

    /// R13.
    async fn link_confirms_once_within_a_day_in_its_tenant_and_nothing_else(world) {
        let (.., mail) = ada(&world).await;
        world.tenant("globex").await;
        let token = mail.token();
        verify(&world, "globex", &token).await.problem(401, "invalid_link");
        let body = json!({"token": token, "new_password": PASSWORD});
        world.post("/auth/tenants/acme/password/reset").json(body).send().await.problem(401, "invalid_link");
        let body = json!({"token": token, "password": PASSWORD});
        world.post("/auth/tenants/acme/invitations/accept").json(body).send().await.problem(401, "invalid_invitation");
        verify(&world, "acme", &token).await.expect(204);
        verify(&world, "acme", &token).await.problem(401, "invalid_link");
        world.post("/auth/tenants/acme/email/resend").json(json!({"email": "ada@acme.example"})).send().await.expect(202);
        assert_eq!(world.mails().await.len(), 0, "there is nothing left to confirm");
    }

    /// R13.
    async fn link_dies_with_the_address_with_the_password_and_with_time(world) {
        let (_, ada, signed, mail) = ada(&world).await;
        change(&world, &signed, "new@acme.example", PASSWORD).await.expect(202);
        let link = world.mail_to("new@acme.example").await.token();
        verify(&world, "acme", &mail.token()).await.problem(401, "invalid_link");
        let body = json!({"current_password": PASSWORD, "new_password": "another otter juggles 43 lamps"});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        verify(&world, "acme", &link).await.problem(401, "invalid_link");
        world.mails().await;

        let resend = async || {
            world.post("/auth/tenants/acme/email/resend").json(json!({"email": "ada@acme.example"})).send().await.expect(202);
            world.mail_to("ada@acme.example").await.token()
        };
        let link = resend().await;
        let path = format!("/admin/users/{}", ada.id);
        for email in ["other@acme.example", "ada@acme.example"] {
            world.patch(&path).bearer(world.fresh_admin().await).json(json!({"email": email})).send().await.expect(200);
        }
        verify(&world, "acme", &link).await.problem(401, "invalid_link");
        assert_eq!(world.mails().await.len(), 4, "R18: both addresses are told, twice");
        let link = resend().await;
        world.clock.advance(DAY);
        verify(&world, "acme", &link).await.problem(401, "invalid_link");
    }

    async fn sixty_four_uses_of_one_link_have_one_winner(world) {
        let (.., mail) = ada(&world).await;
        let token = mail.token();
        let answers = join_all((0..64).map(|_| verify(&world, "acme", &token))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(204), count(401)), (1, 63));
    }

    async fn address_of_a_user_who_is_suspended_is_not_confirmed(world) {
        let (_, ada, _, mail) = ada(&world).await;
        world.set_status("users", &ada.id, "SUSPENDED").await;
        verify(&world, "acme", &mail.token()).await.problem(401, "invalid_link");
    }
}
