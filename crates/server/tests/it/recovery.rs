//! Passwords that are set in the place of others: by mailed link alone, once, and without telling who has an account.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, Tenant, World, api_tests};

const NEW: &str = "nineteen lanterns under the pier";
const HOUR: Duration = Duration::from_secs(3_600);

async fn forgot(world: &World, slug: &str, email: &str) -> Answer {
    world.post(&format!("/auth/tenants/{slug}/password/forgot")).json(json!({"email": email})).send().await
}

async fn reset(world: &World, slug: &str, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "new_password": password});
    world.post(&format!("/auth/tenants/{slug}/password/reset")).json(body).send().await
}

/// A tenant with one person, and no mail waiting.
async fn ada(world: &World) -> (Tenant, Person) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    world.mails().await;
    (tenant, ada)
}

/// The token of a link that ada has been mailed.
async fn mailed(world: &World) -> String {
    forgot(world, "acme", "ada@acme.example").await.expect(202);
    world.mail_to("ada@acme.example").await.token()
}

/// Fails to sign in until the account is locked.
async fn lock(world: &World, name: &str) {
    for n in 0..100u8 {
        let form = [("username", name), ("password", "wrong")];
        world
            .post("/auth/tenants/acme/login")
            .from([10, 9, 0, n])
            .form(&form)
            .send()
            .await
            .problem(401, "invalid_credentials");
        world.clock.advance(Duration::from_secs(900));
    }
}

api_tests! {
    async fn forgotten_password_is_replaced_with_a_mailed_link(world) {
        let (_, ada) = ada(&world).await;
        let token = mailed(&world).await;
        let answer = reset(&world, "acme", &token, NEW).await.expect(204);
        assert_eq!(answer.text, "", "R14: it signs nobody in");
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
        world.try_login("acme", "ada", NEW).await.expect(200);
        let me = world.get(&format!("/admin/users/{}", ada.id)).bearer(world.admin().await).send().await.expect(200).data();
        assert_eq!(me["email_verified"], json!(true), "who has the link reads the mailbox");
    }

    /// R25, R7.
    async fn reset_ends_every_session_and_forgets_failed_sign_ins(world) {
        let (_, ada) = ada(&world).await;
        let sessions = [world.login(&ada).await, world.login(&ada).await];
        lock(&world, "ada").await;
        let token = mailed(&world).await;
        reset(&world, "acme", &token, NEW).await.expect(204);
        for session in sessions {
            assert_eq!(world.me(&session).await, 401);
            world.refresh("acme", &session.refresh).await.expect(401);
        }
        world.try_login("acme", "ada", NEW).await.expect(200);
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.password_reset'").await, 1);
    }

    /// R18.
    async fn user_is_told_of_another_password_however_it_was_set(world) {
        let (_, ada) = ada(&world).await;
        let token = mailed(&world).await;
        reset(&world, "acme", &token, NEW).await.expect(204);
        assert_eq!(world.mail_to("ada@acme.example").await.subject, "Your password at acme was changed");
        let signed = crate::harness::Signed::of(&world.try_login("acme", &ada.name, NEW).await.expect(200));
        let body = json!({"current_password": NEW, "new_password": PASSWORD});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        let mail = world.mail_to("ada@acme.example").await;
        assert_eq!((mail.subject.as_str(), mail.link()), ("Your password at acme was changed", None));
    }

    /// R9, B22: nothing of the answer tells an account from none, and neither does the work that it costs.
    async fn asking_for_a_link_tells_nobody_who_has_an_account(world) {
        let (tenant, _) = ada(&world).await;
        let admin = world.admin().await;
        let other = world.tenant("globex").await;
        for name in ["verified", "suspended", "locked", "deleted"] {
            world.person(&tenant, name).await;
        }
        world.person(&other, "elsewhere").await;
        let of = async |name: &str| {
            let list = world.get(&format!("/tenants/{}/users?per_page=200", tenant.id)).bearer(&admin).send().await.expect(200);
            let users = list.data();
            users.as_array().unwrap().iter().find(|user| user["username"] == name).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let body = json!({"tenant_id": tenant.id, "username": "invited", "email": "invited@acme.example"});
        world.post("/admin/users").bearer(&admin).json(body).send().await.expect(201);
        let verified = format!("/admin/users/{}", of("verified").await);
        world.patch(&verified).bearer(&admin).json(json!({"email_verified": true})).send().await.expect(200);
        world.set_status("users", &of("suspended").await, "SUSPENDED").await;
        world.delete(&format!("/admin/users/{}", of("deleted").await)).bearer(&admin).send().await.expect(204);
        lock(&world, "locked").await;
        world.mails().await;
        for what in ["password/forgot", "email/resend"] {
            let mut seen: Vec<(Value, u64)> = Vec::new();
            let states = ["ada", "verified", "suspended", "locked", "deleted", "invited", "unknown", "elsewhere"];
            for (n, name) in (0u8..).zip(states) {
                let email = if name == "elsewhere" { "elsewhere@globex.example".to_owned() } else { format!("{name}@acme.example") };
                // What is remembered of the tenant is forgotten within a second, so the cheaper of two in a row counts.
                let mut tries = Vec::new();
                for again in 0..2u8 {
                    let before = world.app.db().statements().0;
                    // Each from an address of its own, because what is left of the limit is part of the answer.
                    let call = world.post(&format!("/auth/tenants/acme/{what}")).from([10, 8, again, n]);
                    let answer = call.json(json!({"email": email})).send().await.expect(202);
                    let count = world.app.db().statements().0 - before;
                    let (status, headers, text) = answer.anonymised();
                    tries.push((json!([status, headers, text]), count));
                }
                assert_eq!(tries[0].0, tries[1].0, "{name}");
                seen.extend(tries.into_iter().min_by_key(|(_, count)| *count));
            }
            for (name, other) in states.iter().zip(&seen) {
                assert_eq!(*other, seen[0], "{name}");
            }
            let mut to: Vec<_> = world.mails().await.into_iter().map(|mail| mail.to).collect();
            to.sort();
            let expected = if what == "email/resend" {
                vec!["ada@acme.example", "locked@acme.example"]
            } else {
                vec!["ada@acme.example", "locked@acme.example", "verified@acme.example"]
            };
            // Twice, as it was asked for.
            assert_eq!(to, expected.iter().flat_map(|to| [*to; 2]).collect::<Vec<_>>(), "{what}");
        }
    }

    async fn mailbox_gets_five_mails_an_hour_and_whoever_asks_cannot_tell(world) {
        ada(&world).await;
        for n in 0..8u8 {
            let body = json!({"email": "ADA@acme.example"});
            let answer = world.post("/auth/tenants/acme/password/forgot").from([10, 7, 0, n]).json(body).send().await;
            assert_eq!(answer.expect(202).text, r#"{"message":"If that is the address of an account, a mail is on its way."}"#);
        }
        assert_eq!(world.mails().await.len(), 5);
        world.clock.advance(HOUR);
        mailed(&world).await;
    }

    async fn one_address_asks_for_twenty_mails_an_hour(world) {
        ada(&world).await;
        for n in 0..20 {
            let answer = forgot(&world, "acme", &format!("p{n}@acme.example")).await.expect(202);
            assert!(answer.header("ratelimit").is_some());
        }
        let refused = forgot(&world, "acme", "ada@acme.example").await.problem(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("3600"));
        world.clock.advance(HOUR);
        mailed(&world).await;
    }

    /// R13.
    async fn link_works_once_and_for_an_hour_whether_anything_is_cleaned_up_or_not(world) {
        ada(&world).await;
        let token = mailed(&world).await;
        reset(&world, "acme", &token, NEW).await.expect(204);
        reset(&world, "acme", &token, PASSWORD).await.problem(401, "invalid_link");
        world.mails().await;
        let token = mailed(&world).await;
        world.clock.advance(HOUR);
        reset(&world, "acme", &token, PASSWORD).await.problem(401, "invalid_link");
        assert_eq!(world.number("SELECT COUNT(*) FROM user_tokens").await, 1, "nothing has cleaned up");
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(world.number("SELECT COUNT(*) FROM user_tokens").await, 0);
    }

    /// R13.
    async fn link_dies_with_the_address_and_with_the_password(world) {
        let (_, ada) = ada(&world).await;
        let admin = world.admin().await;
        let path = format!("/admin/users/{}", ada.id);
        let token = mailed(&world).await;
        world.patch(&path).bearer(&admin).json(json!({"email": "new@acme.example"})).send().await.expect(200);
        reset(&world, "acme", &token, NEW).await.problem(401, "invalid_link");
        world.patch(&path).bearer(&admin).json(json!({"email": "ada@acme.example"})).send().await.expect(200);
        reset(&world, "acme", &token, NEW).await.problem(401, "invalid_link");
        world.mails().await;

        let token = mailed(&world).await;
        let signed = world.login(&ada).await;
        let body = json!({"current_password": PASSWORD, "new_password": "another otter juggles 43 lamps"});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        reset(&world, "acme", &token, NEW).await.problem(401, "invalid_link");
        world.mails().await;

        let token = mailed(&world).await;
        world.set_status("users", &ada.id, "SUSPENDED").await;
        reset(&world, "acme", &token, NEW).await.problem(401, "invalid_link");
    }

    async fn link_is_kept_as_a_digest(world) {
        ada(&world).await;
        let token = mailed(&world).await;
        assert!(token.len() >= 4 + 43, "256 bits: {token}");
        let hex = if matches!(world.target(), gatehouse_persistence::Target::Sqlite(_)) { "hex(token_hash)" } else { "upper(encode(token_hash, 'hex'))" };
        let plain: String = token.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(world.number(format!("SELECT COUNT(*) FROM user_tokens WHERE length(token_hash) = 32 AND {hex} <> '{plain}'")).await, 2);
        assert!(world.text("SELECT changes FROM audit_events WHERE changes IS NOT NULL").await.iter().all(|text| !text.contains(&token)));
    }

    async fn weak_password_leaves_the_link_as_it_is_and_a_stranger_costs_no_hash(world) {
        ada(&world).await;
        let token = mailed(&world).await;
        let faults = reset(&world, "acme", &token, "short").await.faults();
        assert!(faults[0].starts_with("body.new_password "), "{faults:?}");
        let faults = reset(&world, "acme", &token, "ada@acme.example").await.faults();
        assert!(faults[0].starts_with("body.new_password "), "R4: {faults:?}");
        let before = world.app.hashing().0;
        reset(&world, "acme", "ghw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NEW).await.problem(401, "invalid_link");
        assert_eq!(world.app.hashing().0, before);
        reset(&world, "acme", &token, NEW).await.expect(204);
    }

    async fn sixty_four_uses_of_one_link_have_one_winner(world) {
        ada(&world).await;
        let token = mailed(&world).await;
        let answers = join_all((0..64).map(|_| reset(&world, "acme", &token, NEW))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        // What cannot be hashed in time is turned away, and may come again.
        assert_eq!((count(204), count(401) + count(503)), (1, 63));
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.password_reset'").await, 1);
    }

    /// B20: whatever is tried in whatever order, a password is set with the latest mailed link of its user and no other way.
    async fn nothing_but_the_mailed_token_sets_a_password(world) {
        let (tenant, _) = ada(&world).await;
        world.person(&tenant, "eve").await;
        let other = world.tenant("globex").await;
        world.person(&other, "ada").await;
        world.mails().await;
        // Neither the limits nor the cost of hashing are what this is about.
        let world = world.replica(|config| {
            config.limits.mail_requests.limits = [1_000_000; 3];
            config.limits.mailbox.limit = 1_000_000;
        }).await;
        let mut dice = 1u64;
        let mut roll = |n: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(dice >> 33).unwrap() % n
        };
        // Every token that there ever was: whose, in which tenant, and whether it is good for a password.
        let mut tokens: Vec<(String, &str, &str, bool)> = Vec::new();
        let (mut set, mut refused) = (0, 0);
        for step in 0..150 {
            match roll(4) {
                0 => {
                    let (slug, email) = [("acme", "ada@acme.example"), ("acme", "eve@acme.example"), ("globex", "ada@globex.example")][roll(3)];
                    forgot(&world, slug, email).await.expect(202);
                    // A later link replaces an earlier one of the same user.
                    for (.., good) in tokens.iter_mut().filter(|(_, whose, ..)| *whose == email) {
                        *good = false;
                    }
                    tokens.push((world.mail_to(email).await.token(), email, slug, true));
                }
                1 => {
                    world.post("/auth/tenants/acme/email/resend").json(json!({"email": "eve@acme.example"})).send().await.expect(202);
                    for mail in world.mails().await {
                        tokens.push((mail.token(), "nobody", "acme", false));
                    }
                }
                2 if !tokens.is_empty() => {
                    let (token, ..) = &tokens[roll(tokens.len())];
                    let bent = [format!("{token}A"), token[..token.len() - 1].to_owned(), token.to_uppercase(), token.replace("ghv_", "ghw_")];
                    let bent = &bent[roll(bent.len())];
                    if tokens.iter().all(|(known, ..)| known != bent) {
                        reset(&world, "acme", bent, NEW).await.problem(401, "invalid_link");
                        refused += 1;
                    }
                }
                _ if !tokens.is_empty() => {
                    // Mostly one of the latest, which are good for something.
                    let at = tokens.len() - 1 - roll(tokens.len().min(6));
                    let slug = ["acme", "globex"][roll(2)];
                    let (token, _, home, good) = tokens[at].clone();
                    let answer = reset(&world, slug, &token, &format!("{NEW} {step}")).await;
                    if good && slug == home {
                        answer.expect(204);
                        tokens[at].3 = false;
                        set += 1;
                        world.mails().await;
                    } else {
                        answer.problem(401, "invalid_link");
                        refused += 1;
                    }
                }
                _ => {}
            }
        }
        assert!(set >= 3 && refused >= 10, "{set} {refused}");
    }

    async fn administrator_makes_a_user_set_another_password(world) {
        let (tenant, ada) = ada(&world).await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let boss = world.login(&boss).await;
        world.mails().await;
        for (path, token) in [
            (format!("/tenants/{}/users/{}/password-reset", tenant.id, ada.id), boss),
            (format!("/admin/users/{}/password-reset", ada.id), world.admin().await),
        ] {
            let session = world.login(&ada).await;
            let answer = world.post(&path).bearer(&token).send().await.expect(200).data();
            assert_eq!((&answer["revoked_count"], &answer["session_ids"]), (&json!(1), &json!([session.session()])));
            assert_eq!(world.me(&session).await, 401);
            world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
            let link = world.mail_to("ada@acme.example").await.token();
            assert!(!answer.to_string().contains(&link), "R7: an administrator neither sets nor sees it");
            reset(&world, "acme", &link, PASSWORD).await.expect(204);
            world.mails().await;
        }
    }

    async fn user_whose_password_was_taken_away_can_ask_for_another_link(world) {
        let (_, ada) = ada(&world).await;
        let path = format!("/admin/users/{}/password-reset", ada.id);
        world.post(&path).bearer(world.admin().await).send().await.expect(200);
        let first = world.mail_to("ada@acme.example").await.token();
        let second = mailed(&world).await;
        reset(&world, "acme", &first, NEW).await.problem(401, "invalid_link");
        reset(&world, "acme", &second, NEW).await.expect(204);
        world.try_login("acme", "ada", NEW).await.expect(200);
    }

    async fn nobody_takes_the_password_of_somebody_who_may_do_more_or_of_the_last_owner(world) {
        let (tenant, ada) = ada(&world).await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let above = world.partner_admin(&tenant, "above").await;
        let signed = world.login(&boss).await;
        let path = |id: &str| format!("/tenants/{}/users/{id}/password-reset", tenant.id);
        world.post(&path(&above.id)).bearer(&signed).send().await.problem(403, "missing_permission");
        world.login(&above).await;
        let root = world.admin().await;
        world.post(&format!("/admin/users/{}/password-reset", root.user())).bearer(&root).send().await.problem(409, "conflict");
        assert_eq!(world.me(&root).await, 200);
        world.set_status("users", &ada.id, "SUSPENDED").await;
        world.post(&path(&ada.id)).bearer(&signed).send().await.problem(409, "conflict");
    }

    async fn suspended_tenant_mails_and_resets_nothing(world) {
        let (tenant, _) = ada(&world).await;
        let token = mailed(&world).await;
        forgot(&world, "acme", "ada@acme.example").await.expect(202);
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        assert_eq!(world.mails().await.len(), 0);
        forgot(&world, "acme", "ada@acme.example").await.problem(403, "tenant_suspended");
        reset(&world, "acme", &token, NEW).await.problem(403, "tenant_suspended");
    }
}
