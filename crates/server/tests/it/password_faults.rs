//! A request in which a password is chosen is told all of its faults at once, the rules of the password included.

use serde_json::{Value, json};

use crate::harness::{World, api_tests};

const SHORT: &str = "body.password password_too_short";
const WEAK: &str = "body.password password_too_weak";
/// Long enough, and guessed at once.
const GUESSED: &str = "passwordpassword1";

async fn faults(world: &World, path: &str, body: Value) -> Vec<String> {
    world.post(path).json(body).send().await.faults()
}

api_tests! {
    async fn registration_is_told_of_its_password_beside_its_other_faults(world) {
        world.tenant("acme").await;
        let path = "/auth/tenants/acme/register";
        let bad = |password: &str| json!({"username": "u".repeat(51), "email": "no", "password": password});
        let names = ["body.username string_too_long", "body.email email_parsing"];
        for (password, fault) in [("short", SHORT), (GUESSED, WEAK)] {
            let mut expected = names.map(str::to_owned).to_vec();
            expected.push(fault.to_owned());
            assert_eq!(faults(&world, path, bad(password)).await, expected);
        }
        assert_eq!(faults(&world, path, bad(crate::harness::PASSWORD)).await, names);
        // What is valid of the names is looked for in it.
        let body = json!({"username": "marguerite", "email": "no", "password": "marguerite-marguerite"});
        assert_eq!(faults(&world, path, body).await, ["body.email email_parsing", WEAK]);
        assert_eq!(faults(&world, path, json!({"password": ""})).await.len(), 3);
    }

    async fn judging_passwords_of_faulty_registrations_counts_as_registering(world) {
        world.tenant("acme").await;
        let path = "/auth/tenants/acme/register";
        let bad = |password: &str| json!({"username": "ada", "email": "no", "password": password});
        for _ in 0..30 {
            assert_eq!(faults(&world, path, bad("short")).await.len(), 2);
        }
        for _ in 0..20 {
            assert_eq!(faults(&world, path, bad(GUESSED)).await.len(), 2);
        }
        assert_eq!(faults(&world, path, bad(GUESSED)).await, ["body.email email_parsing"]);
        let good = json!({"username": "ada", "email": "ada@mail.example", "password": crate::harness::PASSWORD});
        world.post(path).json(good).send().await.problem(429, "rate_limited");
    }

    async fn change_of_a_password_is_told_of_it_beside_its_other_faults(world) {
        let ada = world.login(&world.person(&world.tenant("acme").await, "ada").await).await;
        let change = async |new: &str| world.post("/me/password").bearer(&ada).json(json!({"new_password": new})).send().await.faults();
        assert_eq!(change("short").await, ["body.current_password missing", "body.new_password password_too_short"]);
        assert_eq!(change(GUESSED).await, ["body.current_password missing", "body.new_password password_too_weak"]);
    }

    async fn whoever_uses_a_link_is_told_of_the_password_beside_other_faults_and_a_stranger_is_not(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let body = json!({"username": "ada", "email": "ada@mail.example", "delivery": "link"});
        let path = format!("/tenants/{}/users", tenant.id);
        let ada = world.post(&path).bearer(&boss).json(body).send().await.expect(201).data();
        let token = ada["invitation"]["token"].as_str().unwrap();
        let path = "/auth/tenants/acme/invitations/accept";
        let body = |token: &str| json!({"token": token, "username": "u".repeat(51), "password": GUESSED});
        assert_eq!(faults(&world, path, body(token)).await, ["body.username string_too_long", WEAK]);
        assert_eq!(faults(&world, path, body("other")).await, ["body.username string_too_long"]);
        let accept = json!({"token": token, "password": crate::harness::PASSWORD});
        world.post(path).json(accept).send().await.expect(200);

        world.post("/auth/tenants/acme/password/forgot").json(json!({"email": "ada@mail.example"})).send().await.expect(202);
        let token = world.mail_to("ada@mail.example").await.token();
        let body = json!({"token": token, "new_password": "short", "more": 1});
        let faults = faults(&world, "/auth/tenants/acme/password/reset", body).await;
        assert_eq!(faults, ["body.more extra_forbidden", "body.new_password password_too_short"]);
    }

    async fn setup_is_told_of_its_password_beside_its_other_faults(world) {
        let token = world.app.setup().new_token().await.unwrap().expose().clone();
        let body = |token: &str| json!({"token": token, "email": "no", "username": "root", "password": GUESSED});
        assert_eq!(faults(&world, "/setup", body(&token)).await, ["body.email email_parsing", WEAK]);
        assert_eq!(faults(&world, "/setup", body("other")).await, ["body.email email_parsing"]);
    }
}
