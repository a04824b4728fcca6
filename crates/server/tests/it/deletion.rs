//! Deleting users, roles, tenants and partners, and erasing people.

use futures_util::{future::join_all, join};
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Tenant, World, api_tests};

async fn delete(world: &World, path: &str) -> Answer {
    world.delete(path).bearer(world.admin().await).send().await
}

async fn show(world: &World, path: &str) -> Answer {
    world.get(path).bearer(world.admin().await).send().await
}

async fn total(world: &World, list: &str) -> u64 {
    show(world, list).await.expect(200).total()
}

async fn give_quota(world: &World, tenant: &Tenant, users: u64) {
    let path = format!("/admin/partners/{}", tenant.partner_id);
    let body = json!({"max_users_per_tenant": users});
    world.patch(&path).bearer(world.admin().await).json(body).send().await.expect(200);
}

async fn invited(world: &World, tenant: &Tenant, name: &str) -> Value {
    let body =
        json!({"tenant_id": tenant.id, "username": name, "email": format!("{name}@acme.example"), "delivery": "link"});
    world.post("/admin/users").bearer(world.admin().await).json(body).send().await.expect(201).data()
}

api_tests! {
    async fn name_of_a_deleted_user_belongs_to_somebody_else(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let old = world.login(&ada).await;
        delete(&world, &format!("/admin/users/{}", ada.id)).await.expect(204);
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
        world.try_login("acme", "ada@acme.example", PASSWORD).await.problem(401, "invalid_credentials");
        let another = world.person(&tenant, "ada").await;
        assert_ne!(another.id, ada.id);
        assert_eq!(world.login(&another).await.user(), another.id);
        world.get("/me").bearer(&old).send().await.problem(401, "session_revoked");
        world.refresh("acme", &old.refresh).await.problem(401, "session_revoked");
    }

    async fn invitation_of_a_deleted_account_lets_nobody_in(world) {
        let tenant = world.tenant("acme").await;
        for (path, id) in [("users", None), ("tenants", Some(&tenant.id)), ("partners", Some(&tenant.partner_id))] {
            let user = invited(&world, &tenant, "eve").await;
            let id = id.map_or_else(|| user["id"].as_str().unwrap(), String::as_str);
            delete(&world, &format!("/admin/{path}/{id}")).await.expect(204);
            assert_eq!(world.number("SELECT COUNT(*) FROM user_tokens").await, 0, "{path}");
            let body = json!({"token": user["invitation"]["token"], "password": PASSWORD});
            let answer = world.post("/auth/tenants/acme/invitations/accept").json(body).send().await;
            assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.text);
            if path != "users" {
                break;
            }
        }
    }

    async fn slug_of_a_deleted_tenant_belongs_to_another_whom_no_old_token_opens(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let old = world.login(&boss).await;
        delete(&world, &format!("/admin/tenants/{}", tenant.id)).await.expect(204);
        world.try_login("acme", "boss", PASSWORD).await.problem(404, "not_found");
        let anew = world.tenant_of(&tenant.partner_id, "acme").await;
        assert_ne!(anew.id, tenant.id);
        world.try_login("acme", "boss", PASSWORD).await.problem(401, "invalid_credentials");
        for path in ["/me".to_owned(), format!("/tenants/{}/sessions", anew.id), format!("/tenants/{}/users", tenant.id)] {
            world.get(&path).bearer(&old).send().await.expect(401);
        }
        world.refresh("acme", &old.refresh).await.expect(401);
    }

    async fn deleted_partner_takes_its_tenants_users_roles_and_keys_along(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "reading", &["sessions:read"]).await;
        world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        // Somebody elsewhere who administers the tenant.
        let helper = world.person(&world.tenant("helpers").await, "helper").await;
        world.give(&helper, &world.builtin("tenant_admin").await, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        delete(&world, &format!("/admin/partners/{}", tenant.partner_id)).await.expect(204);
        for path in [
            format!("/admin/partners/{}", tenant.partner_id),
            format!("/admin/tenants/{}", tenant.id),
            format!("/admin/users/{}", ada.id),
            format!("/admin/roles/{role}"),
        ] {
            show(&world, &path).await.problem(404, "not_found");
        }
        for list in ["tenants", "users", "roles", "role-assignments"] {
            assert_eq!(total(&world, &format!("/admin/{list}?partner_id={}", tenant.partner_id)).await, 0, "{list}");
        }
        assert_eq!(total(&world, &format!("/admin/role-assignments?user_id={}", helper.id)).await, 0);
        let sql = "SELECT COUNT(*) FROM signing_keys k JOIN tenants t ON t.id = k.tenant_id WHERE t.slug = 'acme' AND k.state <> 'withdrawn'";
        assert_eq!(world.number(sql).await, 0);
    }

    async fn deleting_again_changes_nothing_and_what_never_was_is_not_found(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "reading", &["sessions:read"]).await;
        for (path, action, id, unknown) in [
            ("roles", "role.deleted", &role, "rol_01h455vb4pex5vsknk084sn02q"),
            ("users", "user.deleted", &ada.id, "usr_01h455vb4pex5vsknk084sn02q"),
            ("tenants", "tenant.deleted", &tenant.id, "tnt_01h455vb4pex5vsknk084sn02q"),
            ("partners", "partner.deleted", &tenant.partner_id, "prt_01h455vb4pex5vsknk084sn02q"),
        ] {
            for _ in 0..2 {
                delete(&world, &format!("/admin/{path}/{id}")).await.expect(204);
            }
            assert_eq!(world.events(action, id).await, 1, "{path}");
            delete(&world, &format!("/admin/{path}/{unknown}")).await.problem(404, "not_found");
        }
    }

    async fn deletion_that_is_tried_says_what_it_would_end_and_deletes_nothing(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "reading", &["sessions:read"]).await;
        let signed = [world.login(&ada).await, world.login(&ada).await];
        let events = world.number("SELECT COUNT(*) FROM audit_events").await;
        for (path, users, sessions) in [
            (format!("users/{}", ada.id), 1, 2),
            (format!("tenants/{}", tenant.id), 1, 2),
            (format!("partners/{}", tenant.partner_id), 1, 2),
            (format!("roles/{role}"), 0, 0),
        ] {
            let path = format!("/admin/{path}");
            let tried = delete(&world, &format!("{path}?dry_run=true")).await.expect(200).json();
            let effects = json!({"users": users, "sessions": sessions, "refresh_chains": sessions, "applications": 0});
            assert_eq!((&tried["meta"]["effects"], &tried["data"]["id"]), (&effects, &json!(path.rsplit('/').next())), "{path}");
            show(&world, &path).await.expect(200);
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM audit_events").await, events);
        assert_eq!(world.me(&signed[0]).await, 200);
    }

    async fn last_administrator_of_the_platform_is_deleted_by_no_way(world) {
        let admin = world.admin().await;
        let own = show(&world, &format!("/admin/users/{}", admin.user())).await.data();
        let tenant = show(&world, &format!("/admin/tenants/{}", own["tenant_id"].as_str().unwrap())).await.data();
        for path in [
            format!("users/{}", admin.user()),
            format!("users/{}?erase=true", admin.user()),
            format!("tenants/{}", tenant["id"].as_str().unwrap()),
            format!("partners/{}", tenant["partner_id"].as_str().unwrap()),
        ] {
            for path in [path.clone(), format!("{path}{}dry_run=true", if path.contains('?') { '&' } else { '?' })] {
                delete(&world, &format!("/admin/{path}")).await.problem(409, "conflict");
            }
        }
        assert_eq!(world.me(&admin).await, 200);
    }

    async fn two_last_administrators_who_delete_each_other_leave_one(world) {
        let tenant = world.tenant("acme").await;
        let other = world.person(&tenant, "other").await;
        world.give(&other, &world.builtin("super_admin").await, json!({"level": "platform"})).await;
        let (root, other) = (world.admin().await, world.login(&other).await);
        let by = |who, whom: &crate::harness::Signed| world.delete(&format!("/admin/users/{}", whom.user())).bearer(who).send();
        let (a, b) = join!(by(&root, &other), by(&other, &root));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert!(statuses[0] == 204 && statuses[1] != 204, "{statuses:?}");
    }

    async fn nobody_deletes_somebody_who_may_do_more(world) {
        let tenant = world.tenant("acme").await;
        let (clerk, boss) = (world.person(&tenant, "clerk").await, world.tenant_admin(&tenant, "boss").await);
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "clerk", &["users:*", "roles:delete"]).await;
        let more = world.role(&tenant, "more", &["settings:write"]).await;
        world.give(&clerk, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let clerk = world.login(&clerk).await;
        let path = |what: &str, id: &str| format!("/tenants/{}/{what}/{id}", tenant.id);
        for path in [path("users", &boss.id), format!("{}?dry_run=true", path("users", &boss.id)), path("roles", &more)] {
            world.delete(&path).bearer(&clerk).send().await.problem(403, "missing_permission");
        }
        world.delete(&path("users", &ada.id)).bearer(&clerk).send().await.expect(204);
        world.delete(&path("roles", &role)).bearer(&clerk).send().await.expect(204);
    }

    async fn deleted_role_is_held_by_nobody_and_its_name_is_free(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "reading", &["sessions:read"]).await;
        world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let (signed, sessions) = (world.login(&ada).await, format!("/tenants/{}/sessions/stats", tenant.id));
        world.get(&sessions).bearer(&signed).send().await.expect(200);
        delete(&world, &format!("/admin/roles/{role}")).await.expect(204);
        world.get(&sessions).bearer(&signed).send().await.problem(403, "missing_permission");
        let anew = world.role(&tenant, "reading", &["sessions:read"]).await;
        assert_ne!(anew, role);
        let held = show(&world, &format!("/admin/users/{}", ada.id)).await.data()["roles"].clone();
        assert_eq!(held, json!([]));
    }

    async fn built_in_roles_cannot_be_deleted(world) {
        let role = world.builtin("tenant_admin").await;
        delete(&world, &format!("/admin/roles/{role}")).await.problem(409, "conflict");
    }

    async fn what_is_deleted_makes_room_within_the_limits(world) {
        let tenant = world.tenant("acme").await;
        let people = [world.person(&tenant, "ada").await, world.person(&tenant, "bob").await];
        give_quota(&world, &tenant, 2).await;
        let make = async |name: &str| {
            let body = json!({"tenant_id": tenant.id, "username": name, "email": format!("{name}@acme.example")});
            world.post("/admin/users").bearer(world.admin().await).json(body).send().await
        };
        make("eve").await.problem(409, "limit_reached");
        delete(&world, &format!("/admin/users/{}", people[0].id)).await.expect(204);
        make("eve").await.expect(201);
        make("mallory").await.problem(409, "limit_reached");
        let shown = show(&world, &format!("/admin/tenants/{}", tenant.id)).await.data();
        assert_eq!(shown["usage"], json!({"users": 2}));
        delete(&world, &format!("/admin/tenants/{}", tenant.id)).await.expect(204);
        let shown = show(&world, &format!("/admin/partners/{}", tenant.partner_id)).await.data();
        assert_eq!(shown["usage"], json!({"tenants": 0}));
    }

    async fn nobody_is_made_in_a_tenant_that_is_being_deleted(world) {
        let tenant = world.tenant("acme").await;
        world.admin().await;
        let path = format!("/admin/tenants/{}", tenant.id);
        let made = join_all((0..32).map(|n| {
            let (world, tenant) = (&world, &tenant);
            async move {
                let body = json!({"tenant_id": tenant.id, "username": format!("u{n}"), "email": format!("u{n}@acme.example")});
                world.post("/admin/users").bearer(world.admin().await).json(body).send().await.status
            }
        }));
        let (statuses, deleted) = join!(made, delete(&world, &path));
        deleted.expect(204);
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409 | 422)), "{statuses:?}");
        let sql = "SELECT COUNT(*) FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE t.deleted_at IS NOT NULL AND u.deleted_at IS NULL";
        assert_eq!(world.number(sql).await, 0, "{statuses:?}");
    }

    async fn no_role_is_made_or_given_below_what_is_being_deleted(world) {
        let admin = world.admin().await;
        let make = async |path: &str, body: Value| world.post(path).bearer(&admin).json(body).send().await;
        for round in 0..12 {
            let slug = format!("t{round}");
            let tenant = world.tenant(&slug).await;
            let (ada, bob) = (world.person(&tenant, "ada").await, world.person(&tenant, "bob").await);
            let (role, other) = (world.role(&tenant, "role", &["users:read"]).await, world.role(&tenant, "other", &["users:read"]).await);
            let anchor = json!({"level": "tenant", "tenant_id": tenant.id});
            let give = |user: &str, role: &str| json!({"user_id": user, "role_id": role, "anchor": anchor});
            let path = |what: &str, id: &str| format!("/admin/{what}/{id}");
            let (role_path, user_path, tenant_path) = (path("roles", &role), path("users", &bob.id), path("tenants", &tenant.id));
            let (given, gone) = join!(make("/admin/role-assignments", give(&ada.id, &role)), delete(&world, &role_path));
            assert!(matches!((given.status, gone.status), (201 | 422, 204)), "{} {}", given.status, gone.status);
            let (given, gone) = join!(make("/admin/role-assignments", give(&bob.id, &other)), delete(&world, &user_path));
            assert!(matches!((given.status, gone.status), (201 | 422, 204)), "{} {}", given.status, gone.status);
            let body = json!({"tenant_id": tenant.id, "name": "late", "permissions": ["users:read"]});
            let (made, given, gone) = join!(make("/admin/roles", body), make("/admin/role-assignments", give(&ada.id, &other)), delete(&world, &tenant_path));
            let statuses = (made.status, given.status, gone.status);
            assert!(matches!(statuses, (201 | 422, 201 | 422, 204)), "{statuses:?}");
        }
        let orphans = [
            "SELECT COUNT(*) FROM roles r JOIN tenants t ON t.id = r.tenant_id WHERE t.deleted_at IS NOT NULL AND r.deleted_at IS NULL",
            "SELECT COUNT(*) FROM role_assignments a JOIN roles r ON r.id = a.role_id WHERE r.deleted_at IS NOT NULL AND a.deleted_at IS NULL",
            "SELECT COUNT(*) FROM role_assignments a JOIN users u ON u.id = a.user_id WHERE u.deleted_at IS NOT NULL AND a.deleted_at IS NULL",
        ];
        for sql in orphans {
            assert_eq!(world.number(sql).await, 0, "{sql}");
        }
    }

    async fn sessions_of_a_deleted_user_stay_in_the_history(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        delete(&world, &format!("/admin/users/{}", ada.id)).await.expect(204);
        let shown = show(&world, &format!("/admin/sessions/{}", signed.session())).await.expect(200).data();
        assert_eq!((&shown["revoke_reason"], &shown["user_id"]), (&json!("deleted"), &json!(ada.id)));
    }

    async fn nothing_personal_is_left_of_whoever_is_erased(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "lovelace").await;
        let path = format!("/admin/users/{}", ada.id);
        let more = json!({"display_name": "Countess lovelace", "phone": "+441234567890", "attributes": {"town": "lovelace-town"}});
        world.patch(&path).bearer(world.admin().await).json(more).send().await.expect(200);
        let login = world.post("/auth/tenants/acme/login").from([198, 51, 100, 77]).header("user-agent", "lovelace-phone");
        login.form(&[("username", "lovelace"), ("password", PASSWORD)]).send().await.expect(200);
        world.try_login("acme", "lovelace", "wrong").await.expect(401);
        let forgot = json!({"email": "lovelace@acme.example"});
        world.post("/auth/tenants/acme/password/forgot").json(forgot).send().await.expect(202);
        world.mails().await;
        let words = ["lovelace", "1234567", "198.51.100.77"];
        for word in words {
            assert!(!world.whereabouts(word).await.is_empty(), "{word} was nowhere");
        }
        delete(&world, &path).await.expect(204);
        for _ in 0..2 {
            delete(&world, &format!("{path}?erase=true")).await.expect(204);
        }
        for word in words {
            assert_eq!(world.whereabouts(word).await, Vec::<String>::new(), "{word}");
        }
        world.app.maintenance().clean_up().await.unwrap();
        for word in words {
            assert!(!world.is_in_files(word), "{word}");
        }
        assert_eq!(world.events("user.erased", &ada.id).await, 1);
        let sql = "SELECT COUNT(*) FROM sessions WHERE user_agent IS NOT NULL OR ip_address IS NOT NULL OR location IS NOT NULL OR device_name IS NOT NULL";
        let (personal, all) = (world.number(sql).await, world.number("SELECT COUNT(*) FROM sessions").await);
        assert!(personal < all && all > 0, "only the administrator's sessions say where they came from");
        assert!(world.events("user.updated", &ada.id).await == 1, "what happened is still told");
    }

    async fn erasure_is_recorded_after_everything_that_belongs_to_it(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        delete(&world, &format!("/admin/users/{}?erase=true", ada.id)).await.expect(204);
        let redacted = "SELECT COUNT(*) FROM audit_events r, audit_events e WHERE e.action = 'user.erased' AND r.action = 'audit_event.redacted'";
        let (all, later) = (world.number(redacted).await, world.number(format!("{redacted} AND r.id > e.id")).await);
        assert!(all > 0 && later == 0, "{later} of {all}");
    }

    async fn mail_that_waits_for_whoever_is_erased_and_answers_that_are_kept_are_gone(world) {
        let tenant = world.tenant("acme").await;
        let (ada, bob) = (world.person(&tenant, "ada").await, world.person(&tenant, "bob").await);
        let signed = world.login(&ada).await;
        world.mails().await;
        let body = json!({"current_password": PASSWORD, "new_password": format!("{PASSWORD} once more")});
        world.post("/me/password").bearer(&signed).header("idempotency-key", "k").json(body).send().await.expect(204);
        let jobs = async || world.number("SELECT COUNT(*) FROM jobs").await;
        let answers = async || world.number("SELECT COUNT(*) FROM idempotency_keys").await;
        assert_eq!((jobs().await, answers().await), (1, 1));
        delete(&world, &format!("/admin/users/{}?erase=true", ada.id)).await.expect(204);
        assert_eq!((jobs().await, answers().await), (0, 0));
        // What strangers ask for waits without a name, and comes to nothing.
        for email in ["ada@acme.example", "bob@acme.example"] {
            world.post("/auth/tenants/acme/password/forgot").json(json!({"email": email})).send().await.expect(202);
        }
        assert_eq!(world.mails().await.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["bob@acme.example"]);
        assert_eq!((jobs().await, world.me(&world.login(&bob).await).await), (0, 200));
    }

    async fn who_erases_oneself_leaves_no_address_behind(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let token = world.login(&boss).await;
        let path = format!("/tenants/{}/users/{}?erase=true", tenant.id, boss.id);
        world.delete(&path).bearer(&token).from([198, 51, 100, 78]).send().await.expect(204);
        assert_eq!(world.whereabouts("198.51.100.78").await, Vec::<String>::new());
        assert_eq!((world.events("user.erased", &boss.id).await, world.events("audit_event.redacted", &boss.id).await), (1, 1));
    }

    async fn deletion_at_once_and_erasure_are_one_call(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        delete(&world, &format!("/tenants/{}/users/{}?erase=true", tenant.id, ada.id)).await.expect(204);
        assert_eq!((world.events("user.deleted", &ada.id).await, world.events("user.erased", &ada.id).await), (1, 1));
        let anew = json!({"tenant_id": tenant.id, "username": "ada", "email": "ada@acme.example"});
        let made = world.post("/admin/users").bearer(world.admin().await).json(anew).send().await.expect(201);
        assert_ne!(made.data()["id"], json!(ada.id));
    }
}
