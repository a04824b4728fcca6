//! What users are called who come from another system, and what else is known of them there.

use gatehouse_domain::import::OnConflict;
use serde_json::json;

use crate::{
    harness::api_tests,
    transfers::{ACME, DJANGO, Import, counts, many, user, why},
};

api_tests! {
    async fn user_without_a_user_name_is_called_by_the_address_and_signs_in_with_it(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let long = format!("{}@mail.example", "x".repeat(60));
        let text = [
            json!({"email": "Ann@Mail.example", "password_hash": DJANGO}),
            json!({"username": "bob@mail.example", "email": "bob@mail.example", "password_hash": DJANGO}),
            json!({"username": "SALES\\cy", "email": "cy@mail.example", "password_hash": DJANGO, "attributes": {"a": "b"}}),
            json!({"username": "José García", "email": long.as_str(), "password_hash": DJANGO}),
            json!({"username": "eve@mail.example", "email": "other@mail.example"}),
        ];
        let text = text.map(|line| line.to_string()).join("\n");
        let (done, rejected) = ACME.run(&world, &text).await;
        assert_eq!((done, why(&rejected)), (counts(4, 0, 0, 1), vec![(5, vec!["username: username_address".to_owned()])]));
        for (name, original) in [("Ann@Mail.example", None), ("bob@mail.example", None), ("cy@mail.example", Some("SALES\\cy")), (&long, Some("José García"))] {
            let user = user(&world, &boss, &tenant, name).await;
            assert_eq!(user["attributes"]["original_username"].as_str(), original, "{name}");
            world.try_login("acme", name, "correct horse").await.expect(200);
        }
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        assert_eq!(update.run(&world, &text).await.0, counts(0, 0, 4, 1), "nothing is new, and no name is lost");
        let skip = Import { on_conflict: OnConflict::Skip, ..ACME };
        assert_eq!(skip.run(&world, &text).await.0, counts(0, 0, 4, 1), "they are the same users");
    }

    async fn line_without_a_user_name_leaves_the_one_that_is_there(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        ACME.run(&world, &many(1)).await;
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        let line = json!({"email": "USER0@mail.example", "display_name": "Zero"}).to_string();
        assert_eq!(update.run(&world, &line).await.0, counts(0, 1, 0, 0));
        assert_eq!(user(&world, &boss, &tenant, "user0").await["display_name"], json!("Zero"));
    }

    async fn line_is_held_against_the_name_that_an_earlier_line_left(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        ACME.run(&world, r#"{"username":"ada","email":"ada@mail.example"}"#).await;
        let update = Import { on_conflict: OnConflict::Update, ..ACME };
        let text = [json!({"email": "ada@mail.example", "display_name": "A"}), json!({"username": "ada", "email": "b@mail.example"})];
        assert_eq!(update.run(&world, &text.map(|line| line.to_string()).join("\n")).await.0, counts(0, 2, 0, 0));
        assert_eq!(user(&world, &boss, &tenant, "ada").await["email"], json!("b@mail.example"));
    }

    async fn name_that_neither_is_one_here_nor_fits_among_the_attributes_is_a_fault(world) {
        world.tenant("acme").await;
        let line = json!({"username": format!("a b{}", "c".repeat(600)), "email": "ada@mail.example"}).to_string();
        assert_eq!(why(&ACME.run(&world, &line).await.1), [(1, vec!["username: username_unfit".to_owned()])]);
    }

    async fn attributes_that_are_numbers_and_booleans_are_kept_as_texts(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let line = r#"{"username":"ada","email":"ada@mail.example","attributes":{"id":4711,"vip":true,"rate":0.5,"none":null}}"#;
        assert_eq!(ACME.run(&world, line).await.0, counts(1, 0, 0, 0));
        let ada = user(&world, &boss, &tenant, "ada").await;
        assert_eq!(ada["attributes"], json!({"id": "4711", "vip": "true", "rate": "0.5"}));
        let inexact = r#"{"username":"bob","email":"bob@mail.example","attributes":{"id":12345678901234567890123}}"#;
        assert_eq!(why(&ACME.run(&world, inexact).await.1), [(1, vec!["attributes: string_type".to_owned()])]);
    }
}
