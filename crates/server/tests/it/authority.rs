//! Nobody changes, renames, empties, deletes or takes away what they do not hold.

use serde_json::{Value, json};

use crate::harness::{Person, Signed, Tenant, World, api_tests};

fn in_tenant(tenant: &Tenant) -> Value {
    json!({"level": "tenant", "tenant_id": tenant.id})
}

/// Somebody who holds a role with these permissions in the tenant.
async fn holder(world: &World, tenant: &Tenant, name: &str, permissions: &[&str]) -> (Person, Signed, String) {
    let (person, role) = (world.person(tenant, name).await, world.role(tenant, name, permissions).await);
    let assignment = world.give(&person, &role, in_tenant(tenant)).await;
    let signed = world.login(&person).await;
    (person, signed, assignment)
}

api_tests! {
    async fn user_holds_fifty_roles_however_many_are_given_at_once(world) {
        let (tenant, admin) = (world.tenant("acme").await, world.admin().await);
        let ada = world.person(&tenant, "ada").await;
        let anchor = json!({"level": "tenant", "tenant_id": tenant.id});
        let mut roles = Vec::new();
        for n in 0..52 {
            roles.push(world.role(&tenant, &format!("{n:02}{}", "\u{10400}".repeat(98)), &["sessions:read"]).await);
        }
        let give = async |role: &String| {
            let body = json!({"user_id": ada.id, "role_id": role, "anchor": anchor});
            world.post("/admin/role-assignments").bearer(&admin).json(body).send().await
        };
        let mut given = Vec::new();
        for role in &roles[..48] {
            given.push(give(role).await.expect(201).data()["id"].as_str().unwrap().to_owned());
        }
        let answers = futures_util::future::join_all(roles[48..].iter().map(give)).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 201, 409, 409]);
        for refused in answers.into_iter().filter(|answer| answer.status == 409) {
            refused.problem(409, "limit_reached");
        }
        let attributes: serde_json::Map<_, _> =
            (0..35).map(|n| (format!("attribute_{n}"), json!("\u{10400}".repeat(200)))).collect();
        world.patch(&format!("/admin/users/{}", ada.id)).bearer(&admin).json(json!({"attributes": attributes})).send().await.expect(200);
        let me = world.get("/me").bearer(world.login(&ada).await).send().await.expect(200);
        assert!(me.text.len() <= 64 << 10 && me.data()["roles"].as_array().unwrap().len() == 50, "{}", me.text.len());
        world.delete(&format!("/admin/role-assignments/{}", given[0])).bearer(&admin).send().await.expect(204);
        give(&roles[0]).await.expect(201);
    }

    async fn role_that_allows_more_than_the_caller_holds_is_neither_renamed_nor_emptied(world) {
        let tenant = world.tenant("acme").await;
        let (_, clerk, _) = holder(&world, &tenant, "clerk", &["roles:*", "users:read"]).await;
        let strong = world.role(&tenant, "strong", &["users:*", "settings:*"]).await;
        let weak = world.role(&tenant, "weak", &["users:read"]).await;
        let bodies = [
            json!({"name": "harmless"}), json!({"permissions": ["users:read"]}),
            json!({"name": "harmless", "permissions": ["users:read"]}),
        ];
        for door in ["/admin/roles".to_owned(), format!("/tenants/{}/roles", tenant.id)] {
            for body in &bodies {
                let answer = world.patch(&format!("{door}/{strong}")).bearer(&clerk).json(body.clone()).send().await;
                answer.problem(403, "missing_permission");
            }
        }
        world.delete(&format!("/tenants/{}/roles/{strong}", tenant.id)).bearer(&clerk).send().await.problem(403, "missing_permission");
        let path = format!("/tenants/{}/roles/{weak}", tenant.id);
        world.patch(&path).bearer(&clerk).json(json!({"name": "weaker", "permissions": ["users:read"]})).send().await.expect(200);
        world.delete(&path).bearer(&clerk).send().await.expect(204);
    }

    async fn assignment_of_a_role_that_allows_more_is_neither_ended_nor_taken_away(world) {
        let tenant = world.tenant("acme").await;
        let (_, clerk, _) = holder(&world, &tenant, "clerk", &["role-assignments:*", "users:read"]).await;
        let (boss, _, strong) = holder(&world, &tenant, "boss", &["settings:write"]).await;
        let administers = world.give(&boss, &world.builtin("tenant_admin").await, in_tenant(&tenant)).await;
        let (_, _, weak) = holder(&world, &tenant, "weak", &["users:read"]).await;
        let path = |id: &str| format!("/tenants/{}/role-assignments/{id}", tenant.id);
        let end = json!({"expires_at": "2100-01-01T00:00:00Z"});
        for id in [&strong, &administers] {
            world.delete(&path(id)).bearer(&clerk).send().await.problem(403, "missing_permission");
            world.delete(&format!("{}?dry_run=true", path(id))).bearer(&clerk).send().await.problem(403, "missing_permission");
            world.patch(&path(id)).bearer(&clerk).json(end.clone()).send().await.problem(403, "missing_permission");
        }
        world.patch(&path(&weak)).bearer(&clerk).json(end).send().await.expect(200);
        world.delete(&path(&weak)).bearer(&clerk).send().await.expect(204);
    }

    async fn move_of_a_tenant_ends_what_ties_it_to_the_partner_that_it_leaves(world) {
        world.tick();
        let acme = world.tenant("acme").await;
        let beta = world.tenant_of(&acme.partner_id, "beta").await;
        let [owner, outsider] = [world.tenant_admin(&acme, "owner").await, world.person(&beta, "outsider").await];
        let [paula, ines] = [world.partner_admin(&acme, "paula").await, world.person(&acme, "ines").await];
        let admins = world.builtin("tenant_admin").await;
        world.give(&outsider, &admins, json!({"level": "tenant", "tenant_id": acme.id})).await;
        world.give(&ines, &admins, json!({"level": "tenant", "tenant_id": beta.id})).await;
        let users = |tenant: &Tenant| format!("/tenants/{}/users", tenant.id);
        let mut asked = Vec::new();
        for (person, path, after) in [
            (&owner, users(&acme), 200),
            (&outsider, users(&acme), 404),
            (&ines, users(&beta), 404),
            (&paula, "/admin/tenants".to_owned(), 403),
        ] {
            let signed = world.login(person).await;
            world.get(&path).bearer(&signed).send().await.expect(200);
            asked.push((signed, path, after));
        }
        let target = world.partner("globex").await;
        let admin = world.admin().await;
        let path = format!("/admin/tenants/{}", acme.id);
        world.patch(&path).bearer(&admin).json(json!({"partner_id": target})).send().await.expect(200);
        for (signed, path, after) in asked {
            assert_eq!(world.get(&path).bearer(&signed).send().await.status, after, "{path}");
        }
        let ended = "SELECT COUNT(*) FROM audit_events WHERE action = 'role_assignment.deleted' AND reason = 'tenant_moved'";
        assert_eq!(world.number(ended).await, 3);
    }

    async fn role_that_is_given_while_its_tenant_moves_is_left_to_nobody(world) {
        world.tick();
        let home = world.tenant("home").await;
        let paula = world.login(&world.partner_admin(&home, "paula").await).await;
        let (outsider, admins) = (world.person(&home, "outsider").await, world.builtin("tenant_admin").await);
        let (target, admin) = (world.partner("globex").await, world.admin().await);
        for round in 0..8 {
            let moving = world.tenant_of(&home.partner_id, &format!("moving{round}")).await;
            let role = json!({"user_id": outsider.id, "role_id": admins, "anchor": in_tenant(&moving)});
            let gives = world.post("/admin/role-assignments").bearer(&paula).json(role).send();
            let path = format!("/admin/tenants/{}", moving.id);
            let tag = world.get(&path).bearer(&admin).send().await.header("etag").unwrap().to_owned();
            let moves = world.patch(&path).header("if-match", &tag).bearer(&admin).json(json!({"partner_id": target})).send();
            let (given, moved) = tokio::join!(gives, moves);
            assert_eq!(moved.status, 200, "{}", moved.text);
            assert!([201, 404, 422].contains(&given.status), "{}", given.text);
        }
        let ties = "SELECT COUNT(*) FROM role_assignments a JOIN tenants t ON t.id = a.anchor_tenant_id \
                    WHERE a.deleted_at IS NULL AND a.partner_id <> t.partner_id";
        assert_eq!(world.number(ties).await, 0);
    }

    async fn role_that_has_run_out_is_given_again(world) {
        let tenant = world.tenant("acme").await;
        let (ada, role) = (world.person(&tenant, "ada").await, world.role(&tenant, "support", &["users:read"]).await);
        let end = world.app.env().now().plus(std::time::Duration::from_secs(300)).to_string();
        let body = json!({"user_id": ada.id, "role_id": role, "anchor": in_tenant(&tenant), "expires_at": end});
        let path = "/admin/role-assignments";
        let admin = world.admin().await;
        let first = world.post(path).bearer(&admin).json(body.clone()).send().await.expect(201).data()["id"].clone();
        world.post(path).bearer(&admin).json(body).send().await.problem(409, "conflict");
        world.clock.advance(std::time::Duration::from_secs(301));
        let admin = world.fresh_admin().await;
        let body = json!({"user_id": ada.id, "role_id": role, "anchor": in_tenant(&tenant)});
        let again = world.post(path).bearer(&admin).json(body).send().await.expect(201).data()["id"].clone();
        assert_ne!(first, again);
        let held = world.get(&format!("{path}?user_id={}", ada.id)).bearer(&admin).send().await.expect(200);
        assert_eq!(held.ids(), [again.as_str().unwrap()]);
    }

    async fn refusal_names_the_permission_that_the_caller_lacks(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let boss = world.login(&boss).await;
        let (_, _, auditor) = holder(&world, &tenant, "auditor", &["audit:write"]).await;
        let path = format!("/tenants/{}/role-assignments/{auditor}", tenant.id);
        let refused = world.delete(&path).bearer(&boss).send().await.problem(403, "missing_permission");
        assert_eq!(refused.json()["detail"], "Missing permission audit:write");
        let body = json!({"name": "editor", "permissions": ["users:read", "audit:write"]});
        let refused = world.post(&format!("/tenants/{}/roles", tenant.id)).bearer(&boss).json(body).send().await;
        assert_eq!(refused.json()["detail"], "Missing permission audit:write");
    }
}
