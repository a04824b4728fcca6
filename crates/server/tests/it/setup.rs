//! The first administrator: `POST /setup`, once.

use std::time::Duration;

use gatehouse_server::{
    app::{App, StartError, error::Error},
    config::FirstAdmin,
};
use serde_json::json;

use crate::harness::{Answer, PASSWORD, World, api_tests};
use gatehouse_domain::{
    issue::Parse,
    password::Password,
    text::{Email, Username},
};

async fn token(world: &World) -> String {
    world.app.setup().new_token().await.unwrap().expose().clone()
}

async fn set_up(world: &World, token: &str, username: &str) -> Answer {
    let body = json!({"token": token, "email": format!("{username}@mail.example"), "username": username, "password": PASSWORD});
    world.post("/setup").json(body).send().await
}

api_tests! {
    async fn setup_makes_one_administrator_and_never_works_again(world) {
        let token = token(&world).await;
        let user = set_up(&world, &token, "root").await.expect(201).data();
        assert_eq!((&user["roles"][0]["name"], &user["permissions"]), (&json!("super_admin"), &json!(["*:*", "audit:write"])));
        assert_eq!(user["roles"][0]["anchor"]["level"], "platform");
        world.try_login("default", "root", PASSWORD).await.expect(200);
        set_up(&world, &token, "second").await.problem(409, "already_set_up");
        set_up(&world, "anything", "third").await.problem(409, "already_set_up");
        assert!(matches!(world.app.setup().new_token().await, Err(Error::AlreadySetUp)));
    }

    async fn there_is_nobody_to_sign_in_before_setup(world) {
        for (name, password) in [("admin", "admin"), ("admin", "admin123"), ("root", "root"), ("admin", PASSWORD)] {
            world.try_login("default", name, password).await.problem(401, "invalid_credentials");
        }
    }

    async fn wrong_altered_or_outdated_token_is_refused(world) {
        let token = token(&world).await;
        for wrong in ["x".to_owned(), token[1..].to_owned(), format!("{token}a"), token.to_uppercase()] {
            set_up(&world, &wrong, "eve").await.problem(401, "invalid_setup_token");
        }
        world.clock.advance(Duration::from_secs(30 * 60 + 1));
        set_up(&world, &token, "eve").await.problem(401, "invalid_setup_token");
    }

    async fn token_that_was_made_and_one_that_was_wrong_are_in_the_trail(world) {
        token(&world).await;
        set_up(&world, "wrong", "eve").await.problem(401, "invalid_setup_token");
        let events = async |action: &str| world.number(format!("SELECT COUNT(*) FROM audit_events WHERE action = '{action}'")).await;
        assert_eq!(events("installation.setup_token_created").await, 1);
        assert_eq!(events("installation.set_up_failed").await, 1);
    }

    async fn invalid_input_does_not_spend_the_token(world) {
        let token = token(&world).await;
        let body = json!({"token": token, "email": "nobody", "username": "root", "password": "short"});
        assert!(world.post("/setup").json(body).send().await.faults().contains(&"body.email email_parsing".to_owned()));
        let body = json!({"token": token, "email": "root@mail.example", "username": "root", "password": "passwordpassword"});
        assert_eq!(world.post("/setup").json(body).send().await.faults(), ["body.password password_too_weak"]);
        set_up(&world, &token, "root").await.expect(201);
    }

    async fn of_64_concurrent_setups_one_wins(world) {
        let token = token(&world).await;
        let names: Vec<_> = (0..64).map(|i| format!("root{i}")).collect();
        // Every password waits for its turn: none is refused for want of room.
        let world = world.replica(|config| config.hasher.queue = 200).await;
        let answers = futures_util::future::join_all(names.iter().map(|name| set_up(&world, &token, name))).await;
        let won = answers.iter().filter(|answer| answer.status == 201).count();
        let lost = answers.iter().filter(|answer| answer.status == 409 || answer.status == 401).count();
        assert_eq!((won, lost), (1, 63), "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert_eq!(world.text("SELECT username FROM users").await.len(), 1);
    }

    async fn lost_master_key_is_asked_for_and_not_made_anew(world) {
        let path = world.config.data_dir.join("master.key");
        std::fs::remove_file(&path).unwrap();
        let error = App::open(&world.config, world.app.env().clone()).await.unwrap_err();
        assert!(matches!(error, StartError::NoMasterKey(_)), "{error}");
        assert!(!path.exists());
    }

    async fn unattended_setup_makes_the_same_administrator_once(world) {
        let admin = |name: &str| FirstAdmin {
            email: Email::parse(&format!("{name}@mail.example")).unwrap(),
            username: Username::parse(name).unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
        };
        world.app.setup().complete_unattended(&admin("root")).await.unwrap();
        world.app.setup().complete_unattended(&admin("other")).await.unwrap();
        world.try_login("default", "root", PASSWORD).await.expect(200);
        world.try_login("default", "other", PASSWORD).await.problem(401, "invalid_credentials");
    }
}
