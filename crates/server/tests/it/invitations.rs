//! How an account that an administrator made comes to its owner.

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Signed, Tenant, World, api_tests};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// An account that waits for its owner, with its link.
pub async fn invited(world: &World, tenant: &Tenant, boss: &Signed, name: &str) -> Value {
    let body = json!({"username": name, "email": format!("{name}@mail.example"), "delivery": "link"});
    world.post(&format!("/tenants/{}/users", tenant.id)).bearer(boss).json(body).send().await.expect(201).data()
}

/// The same by mail, which has come.
async fn invited_by_mail(world: &World, tenant: &Tenant, boss: &Signed, name: &str) -> Value {
    let body = json!({"username": name, "email": format!("{name}@mail.example")});
    let user = world.post(&format!("/tenants/{}/users", tenant.id)).bearer(boss).json(body).send().await;
    let user = user.expect(201).data();
    world.mail_to(&format!("{name}@mail.example")).await;
    user
}

pub fn token(of: &Value) -> String {
    of["token"].as_str().unwrap().to_owned()
}

pub async fn accept(world: &World, token: &str, more: Value) -> Answer {
    let mut body = json!({"token": token, "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post("/auth/tenants/acme/invitations/accept").json(body).send().await
}

async fn invite(world: &World, boss: &Signed, tenant: &Tenant, user: &Value) -> Answer {
    let path = format!("/tenants/{}/users/{}/invitation", tenant.id, user["id"].as_str().unwrap());
    world.post(&path).bearer(boss).json(json!({"delivery": "link"})).send().await
}

/// A tenant with its administrator, signed in.
pub async fn administered(world: &World) -> (Tenant, Signed) {
    let tenant = world.tenant("acme").await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    (tenant, world.login(&boss).await)
}

api_tests! {
    async fn owner_of_an_account_sets_the_password_and_signs_in(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        assert_eq!(user["status"], json!("INVITED"));
        let accepted = accept(&world, &token(&user["invitation"]), json!({"display_name": "Ada"})).await.expect(200).data();
        assert_eq!((&accepted["status"], &accepted["display_name"]), (&json!("ACTIVE"), &json!("Ada")));
        assert_eq!(accepted["email_verified"], json!(false), "the link may have come another way than by mail");
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn link_names_tenant_and_token_behind_the_fragment_sign(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let (url, token) = (user["invitation"]["url"].as_str().unwrap(), token(&user["invitation"]));
        assert!(url.starts_with("http") && url.ends_with(&format!("/invitation#acme/{token}")), "{url}");
    }

    async fn account_may_be_made_without_an_invitation(world) {
        let (tenant, boss) = administered(&world).await;
        world.mails().await;
        let body = json!({"username": "ada", "email": "ada@mail.example", "delivery": "none"});
        let user = world.post(&format!("/tenants/{}/users", tenant.id)).bearer(&boss).json(body).send().await.expect(201).data();
        assert_eq!(user.get("invitation"), None);
        assert_eq!(world.mails().await.len(), 0);
        accept(&world, &token(&invite(&world, &boss, &tenant, &user).await.expect(201).data()), json!({})).await.expect(200);
    }

    async fn invitation_works_once(world) {
        let (tenant, boss) = administered(&world).await;
        let token = token(&invited(&world, &tenant, &boss, "ada").await["invitation"]);
        accept(&world, &token, json!({})).await.expect(200);
        accept(&world, &token, json!({"password": "another otter juggles 43 lamps"})).await.problem(401, "invalid_invitation");
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn racing_acceptances_have_one_winner(world) {
        let (tenant, boss) = administered(&world).await;
        let token = token(&invited(&world, &tenant, &boss, "ada").await["invitation"]);
        let answers = futures_util::future::join_all((0..8).map(|_| accept(&world, &token, json!({})))).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 401 | 503)));
    }

    async fn another_invitation_replaces_the_first(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let second = invite(&world, &boss, &tenant, &user).await.expect(201).data();
        accept(&world, &token(&user["invitation"]), json!({})).await.problem(401, "invalid_invitation");
        accept(&world, &token(&second), json!({})).await.expect(200);
    }

    async fn cancelled_invitation_works_no_more(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let path = format!("/tenants/{}/users/{}/invitation", tenant.id, user["id"].as_str().unwrap());
        world.delete(&path).bearer(&boss).send().await.expect(204);
        world.delete(&path).bearer(&boss).send().await.expect(204);
        let events = "SELECT COUNT(*) FROM audit_events WHERE action = 'user.invitation_cancelled'";
        assert_eq!(world.number(events).await, 1);
        accept(&world, &token(&user["invitation"]), json!({})).await.problem(401, "invalid_invitation");
    }

    async fn invitation_of_seven_days_ago_works_no_more(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        world.clock.advance(DAY * 7);
        accept(&world, &token(&user["invitation"]), json!({})).await.problem(401, "invalid_invitation");
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM user_tokens").await, 0);
    }

    async fn invitation_is_of_no_use_in_another_tenant(world) {
        let (tenant, boss) = administered(&world).await;
        let token = token(&invited(&world, &tenant, &boss, "ada").await["invitation"]);
        world.tenant("globex").await;
        let body = json!({"token": token, "password": PASSWORD});
        world.post("/auth/tenants/globex/invitations/accept").json(body).send().await.problem(401, "invalid_invitation");
        accept(&world, &token, json!({})).await.expect(200);
    }

    async fn weak_password_leaves_the_invitation_as_it_is(world) {
        let (tenant, boss) = administered(&world).await;
        let token = token(&invited(&world, &tenant, &boss, "ada").await["invitation"]);
        let faults = accept(&world, &token, json!({"password": "short"})).await.faults();
        assert!(faults[0].starts_with("body.password "), "{faults:?}");
        accept(&world, &token, json!({})).await.expect(200);
    }

    async fn stranger_without_a_link_costs_no_hash(world) {
        administered(&world).await;
        let before = world.app.hashing().0;
        accept(&world, "ghi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", json!({})).await.problem(401, "invalid_invitation");
        assert_eq!(world.app.hashing().0, before);
    }

    async fn account_that_has_its_owner_cannot_be_invited(world) {
        let (tenant, boss) = administered(&world).await;
        let ada = world.person(&tenant, "ada").await;
        invite(&world, &boss, &tenant, &json!({"id": ada.id})).await.problem(409, "conflict");
    }

    async fn account_without_a_password_waits_for_its_owner_again_after_suspension(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let path = format!("/tenants/{}/users/{}", tenant.id, user["id"].as_str().unwrap());
        let set = async |status: &str| {
            let answer = world.patch(&path).bearer(&boss).json(json!({"status": status})).send().await;
            answer.expect(200).data()["status"].clone()
        };
        assert_eq!(set("ACTIVE").await, "INVITED");
        assert_eq!(set("SUSPENDED").await, "SUSPENDED");
        assert_eq!(set("ACTIVE").await, "INVITED");
        accept(&world, user["invitation"]["token"].as_str().unwrap(), json!({})).await.expect(200);
        assert_eq!(set("SUSPENDED").await, "SUSPENDED");
        assert_eq!(set("ACTIVE").await, "ACTIVE");
    }

    async fn suspended_account_cannot_be_taken_by_its_link(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        world.set_status("users", user["id"].as_str().unwrap(), "SUSPENDED").await;
        accept(&world, &token(&user["invitation"]), json!({})).await.problem(401, "invalid_invitation");
    }

    async fn nobody_invites_the_owner_of_an_account_that_may_do_more(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let anchor = json!({"level": "partner", "partner_id": tenant.partner_id});
        let body = json!({"user_id": user["id"], "role_id": world.builtin("partner_admin").await, "anchor": anchor});
        world.post("/admin/role-assignments").bearer(world.admin().await).json(body).send().await.expect(201);
        invite(&world, &boss, &tenant, &user).await.problem(403, "missing_permission");
    }

    async fn link_is_shown_once_and_kept_as_a_digest(world) {
        let (tenant, boss) = administered(&world).await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let token = token(&user["invitation"]);
        let path = format!("/tenants/{}/users/{}", tenant.id, user["id"].as_str().unwrap());
        assert!(!world.get(&path).bearer(&boss).send().await.expect(200).text.contains("ghi_"));
        for sql in ["SELECT changes FROM audit_events WHERE changes IS NOT NULL", "SELECT purpose FROM user_tokens"] {
            assert!(world.text(sql).await.iter().all(|text| !text.contains(&token)));
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.invited'").await, 1);
    }

    async fn invitation_is_mailed_unless_it_is_said_otherwise_and_accepting_it_proves_the_mailbox(world) {
        let (tenant, boss) = administered(&world).await;
        world.mails().await;
        let body = json!({"username": "ada", "email": "ada@mail.example"});
        let user = world.post(&format!("/tenants/{}/users", tenant.id)).bearer(&boss).json(body).send().await.expect(201).data();
        assert!(user["invitation"]["expires_at"].is_string() && user["invitation"].get("token").is_none(), "{user}");
        let mail = world.mail_to("ada@mail.example").await;
        assert_eq!(mail.subject, "Your invitation to acme");
        assert!(mail.link().unwrap().starts_with("http://127.0.0.1:8000/invitation#acme/ghi_"), "{:?}", mail.link());
        let accepted = accept(&world, &mail.token(), json!({})).await.expect(200).data();
        assert_eq!((&accepted["status"], &accepted["email_verified"]), (&json!("ACTIVE"), &json!(true)));
    }

    async fn invitation_can_be_mailed_again_and_only_the_last_one_works(world) {
        let (tenant, boss) = administered(&world).await;
        world.mails().await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let path = format!("/tenants/{}/users/{}/invitation", tenant.id, user["id"].as_str().unwrap());
        let mut tokens = vec![token(&user["invitation"])];
        for _ in 0..2 {
            let answer = world.post(&path).bearer(&boss).json(json!({})).send().await.expect(201).data();
            assert_eq!(answer.get("url"), None);
            tokens.push(world.mail_to("ada@mail.example").await.token());
        }
        let last = tokens.pop().unwrap();
        for token in tokens {
            accept(&world, &token, json!({})).await.problem(401, "invalid_invitation");
        }
        accept(&world, &last, json!({})).await.expect(200);
    }

    /// B38: whoever gets the mail of the old address is not invited any more.
    async fn registering_takes_an_open_invitation_of_the_address_and_proof_of_its_mailbox(world) {
        let (tenant, boss) = administered(&world).await;
        world.settings(&tenant, json!({"registration": "invite"})).await;
        let user = invited_by_mail(&world, &tenant, &boss, "ada").await;
        let path = format!("/tenants/{}/users/{}", tenant.id, user["id"].as_str().unwrap());
        world.patch(&path).bearer(&boss).json(json!({"display_name": "Countess", "phone": "+49301234567"})).send().await.expect(200);
        let ada = crate::harness::Person { id: user["id"].as_str().unwrap().to_owned(), name: "ada".into(), slug: "acme".into() };
        world.give(&ada, &world.builtin("tenant_admin").await, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        world.mails().await;
        let register = async |email: &str, password: &str| {
            let body = json!({"username": "eve", "email": email, "password": password, "display_name": "Eve"});
            world.post("/auth/tenants/acme/register").json(body).send().await
        };
        register("bob@mail.example", PASSWORD).await.problem(403, "registration_closed");
        assert_eq!(register("ada@mail.example", "short").await.faults(), ["body.password password_too_short"]);
        let answer = register("ADA@mail.example", PASSWORD).await.expect(201).data();
        assert_eq!((&answer["id"], &answer["status"], &answer["display_name"], &answer["phone"]), (&user["id"], &json!("INVITED"), &Value::Null, &Value::Null));
        assert_eq!((&answer["roles"], &answer["permissions"]), (&json!([]), &json!([])));
        // Whoever knows the address alone is not let in, and has changed nothing.
        for name in ["eve", "ada", "ada@mail.example"] {
            world.try_login("acme", name, PASSWORD).await.problem(401, "invalid_credentials");
        }
        assert_eq!(world.get(&path).bearer(&boss).send().await.data()["display_name"], "Countess");
        let link = world.mail_to("ada@mail.example").await.token();
        let accepted = accept(&world, &link, json!({"username": "lovelace"})).await.expect(200).data();
        assert_eq!((&accepted["status"], &accepted["email_verified"]), (&json!("ACTIVE"), &json!(true)));
        world.try_login("acme", "lovelace", PASSWORD).await.expect(200);
        register("ada@mail.example", PASSWORD).await.problem(403, "registration_closed");
    }

    async fn registering_leaves_a_link_that_was_handed_over_as_it_is_and_shows_nothing_of_the_account(world) {
        let (tenant, boss) = administered(&world).await;
        world.settings(&tenant, json!({"registration": "invite"})).await;
        let path = format!("/tenants/{}/users", tenant.id);
        let body = json!({"username": "ada", "email": "ada@mail.example", "delivery": "link"});
        let made = world.post(&path).bearer(&boss).json(body).send().await.expect(201);
        let link = token(&made.data()["invitation"]);
        let body = json!({"username": "eve", "email": "ada@mail.example", "password": PASSWORD});
        let answer = world.post("/auth/tenants/acme/register").json(body).send().await.expect(201).data();
        assert_eq!((&answer["username"], &answer["status"], &answer["email_verified"]), (&json!("eve"), &json!("INVITED"), &json!(false)));
        assert!(world.mails().await.iter().all(|mail| mail.to != "ada@mail.example"));
        accept(&world, &link, json!({})).await.expect(200);
    }

    async fn registering_does_not_prolong_an_invitation_and_fills_no_mailbox(world) {
        let (tenant, boss) = administered(&world).await;
        world.settings(&tenant, json!({"registration": "invite"})).await;
        invited_by_mail(&world, &tenant, &boss, "ada").await;
        let body = json!({"username": "ada", "email": "ada@mail.example", "password": PASSWORD});
        let register = async || world.post("/auth/tenants/acme/register").json(body.clone()).send().await;
        for _ in 0..8 {
            register().await.expect(201);
        }
        assert_eq!(world.mails().await.iter().filter(|mail| mail.to == "ada@mail.example").count(), 5);
        world.clock.advance(6 * DAY);
        register().await.expect(201);
        let link = world.mail_to("ada@mail.example").await.token();
        world.clock.advance(DAY);
        accept(&world, &link, json!({})).await.problem(401, "invalid_invitation");
        register().await.problem(403, "registration_closed");
    }

    async fn invitation_dies_with_the_address_it_was_mailed_to(world) {
        let (tenant, boss) = administered(&world).await;
        world.mails().await;
        let user = invited(&world, &tenant, &boss, "ada").await;
        let path = format!("/tenants/{}/users/{}", tenant.id, user["id"].as_str().unwrap());
        world.post(&format!("{path}/invitation")).bearer(&boss).json(json!({})).send().await.expect(201);
        let mail = world.mail_to("ada@mail.example").await;
        world.patch(&path).bearer(&boss).json(json!({"email": "other@mail.example"})).send().await.expect(200);
        accept(&world, &mail.token(), json!({})).await.problem(401, "invalid_invitation");
        assert_eq!(world.mails().await.len(), 0, "nobody has had that account yet, so nobody is told");
    }

    /// B38: what an invitation is for is not what whoever accepts it says.
    async fn acceptance_chooses_neither_tenant_nor_role_nor_address(world) {
        let (tenant, boss) = administered(&world).await;
        let token = token(&invited(&world, &tenant, &boss, "ada").await["invitation"]);
        for (field, value) in [("email", json!("eve@mail.example")), ("tenant_id", json!(tenant.id)), ("roles", json!([])), ("status", json!("ACTIVE")), ("email_verified", json!(true))] {
            let faults = accept(&world, &token, json!({field: value})).await.faults();
            assert_eq!(faults, [format!("body.{field} extra_forbidden")]);
        }
        accept(&world, &token, json!({})).await.expect(200);
    }
}
