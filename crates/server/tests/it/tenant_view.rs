//! What administrators of a tenant do under `/tenants/{tenant_id}`, without any right outside it.

use serde_json::{Value, json};

use crate::harness::{Signed, Tenant, World, api_tests};

/// A tenant with its administrator, signed in.
async fn administered(world: &World, slug: &str) -> (Tenant, Signed) {
    let tenant = world.tenant(slug).await;
    let boss = world.tenant_admin(&tenant, "boss").await;
    (tenant, world.login(&boss).await)
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

api_tests! {
    async fn role_made_and_given_in_the_tenant_holds_there(world) {
        let (tenant, boss) = administered(&world, "acme").await;
        let ada = world.person(&tenant, "ada").await;
        let at = format!("/tenants/{}", tenant.id);
        let body = json!({"name": "support", "permissions": ["sessions:read"]});
        let role = world.post(&format!("{at}/roles")).bearer(&boss).json(body).send().await.expect(201).data();
        let body = json!({"user_id": ada.id, "role_id": id(&role), "anchor": {"level": "tenant", "tenant_id": tenant.id}});
        let given = world.post(&format!("{at}/role-assignments")).bearer(&boss).json(body).send().await.expect(201).data();
        let ada = world.login(&ada).await;
        world.get(&format!("{at}/sessions")).bearer(&ada).send().await.expect(200);
        world.get(&format!("{at}/users")).bearer(&ada).send().await.problem(403, "missing_permission");
        world.delete(&format!("{at}/role-assignments/{}", id(&given))).bearer(&boss).send().await.expect(204);
        world.get(&format!("{at}/sessions")).bearer(&ada).send().await.expect(403);
    }

    async fn lists_have_what_is_in_the_tenant_and_nothing_else(world) {
        let (acme, boss) = administered(&world, "acme").await;
        let (globex, other) = administered(&world, "globex").await;
        for (tenant, by) in [(&acme, &boss), (&globex, &other)] {
            let body = json!({"name": "support", "permissions": ["sessions:read"]});
            world.post(&format!("/tenants/{}/roles", tenant.id)).bearer(by).json(body).send().await.expect(201);
        }
        let at = format!("/tenants/{}", acme.id);
        for (list, count) in [("users", 1), ("role-assignments", 1)] {
            let answer = world.get(&format!("{at}/{list}")).bearer(&boss).send().await.expect(200);
            assert_eq!(answer.total(), count, "{list}");
            assert!(answer.data().as_array().unwrap().iter().all(|item| item["tenant_id"] == json!(acme.id)));
        }
        let roles = world.get(&format!("{at}/roles")).bearer(&boss).send().await.expect(200).data();
        let own: Vec<_> = roles.as_array().unwrap().iter().filter(|role| role["built_in"] == json!(false)).collect();
        assert_eq!((own.len(), &own[0]["tenant_id"]), (1, &json!(acme.id)));
    }

    async fn ids_of_another_tenant_are_unknown(world) {
        let (acme, boss) = administered(&world, "acme").await;
        let (globex, _) = administered(&world, "globex").await;
        let eve = world.person(&globex, "eve").await;
        let role = world.role(&globex, "support", &["sessions:read"]).await;
        for path in [format!("users/{}", eve.id), format!("roles/{role}")] {
            let path = format!("/tenants/{}/{path}", acme.id);
            world.get(&path).bearer(&boss).send().await.problem(404, "not_found");
            world.patch(&path).bearer(&boss).json(json!({})).send().await.problem(404, "not_found");
            // Nor does the platform's administrator find it by the wrong tenant.
            world.get(&path).bearer(world.admin().await).send().await.problem(404, "not_found");
        }
        let body = json!({"user_id": eve.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": acme.id}});
        let faults = world.post(&format!("/tenants/{}/role-assignments", acme.id)).bearer(&boss).json(body).send().await.faults();
        assert!(faults[0].starts_with("body.user_id "), "{faults:?}");
    }

    async fn settings_merge_and_null_inherits(world) {
        let (tenant, boss) = administered(&world, "acme").await;
        let path = format!("/tenants/{}/settings", tenant.id);
        let patch = async |body| world.patch(&path).bearer(&boss).json(body).send().await.expect(200).data();
        let before = world.get(&path).bearer(&boss).send().await.expect(200).data();
        patch(json!({"session_idle_minutes": 30})).await;
        let both = patch(json!({"max_sessions_per_user": 5})).await;
        assert_eq!((&both["session_idle_minutes"], &both["max_sessions_per_user"]), (&json!(30), &json!(5)));
        patch(json!({"session_idle_minutes": null, "max_sessions_per_user": before["max_sessions_per_user"]})).await;
        assert_eq!(world.get(&path).bearer(&boss).send().await.expect(200).data(), before);
        let faults = world.patch(&path).bearer(&boss).json(json!({"session_idle_minutes": 0})).send().await.faults();
        assert!(faults[0].starts_with("body.session_idle_minutes "), "{faults:?}");
    }

    async fn right_that_holds_elsewhere_is_not_taken_through_the_tenant(world) {
        let (tenant, boss) = administered(&world, "acme").await;
        let paula = world.partner_admin(&tenant, "paula").await;
        let path = format!("/tenants/{}/role-assignments", tenant.id);
        let list = world.get(&format!("{path}?user_id={}", paula.id)).bearer(&boss).send().await.expect(200).data();
        let assignment = format!("{path}/{}", id(&list[0]));
        world.delete(&assignment).bearer(&boss).send().await.problem(403, "missing_permission");
        let body = json!({"expires_at": "2100-01-01T00:00:00Z"});
        world.patch(&assignment).bearer(&boss).json(body).send().await.problem(403, "missing_permission");
        world.patch(&format!("/tenants/{}/users/{}", tenant.id, paula.id)).bearer(&boss).json(json!({"status": "SUSPENDED"})).send().await.problem(403, "missing_permission");
    }

    async fn settings_need_no_right_to_suspend_the_tenant(world) {
        let (tenant, _) = administered(&world, "acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.role(&tenant, "policy", &["settings:read", "settings:write"]).await;
        world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        let ada = world.login(&ada).await;
        let path = format!("/tenants/{}/settings", tenant.id);
        world.patch(&path).bearer(&ada).json(json!({"session_idle_minutes": 30})).send().await.expect(200);
        world.get(&format!("/tenants/{}/users", tenant.id)).bearer(&ada).send().await.expect(403);
    }
}
