//! What administrators of the platform and of partners learn of what they administer.

use serde_json::{Value, json};

use crate::harness::{Signed, World, api_tests};

const PATH: &str = "/admin/me/scope";

async fn scope(world: &World, who: &Signed) -> Value {
    world.get(PATH).bearer(who).send().await.expect(200).data()
}

fn names(scope: &Value, list: &str) -> Vec<String> {
    let items = scope[list]["items"].as_array().unwrap();
    assert_eq!(scope[list]["total"], items.len());
    let mut names: Vec<_> = items.iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

api_tests! {
    async fn administrator_of_a_partner_learns_of_that_partner_and_nothing_else(world) {
        let acme = world.tenant("acme").await;
        world.tenant_of(&acme.partner_id, "beta").await;
        world.tenant("other").await;
        let carla = world.login(&world.partner_admin(&acme, "carla").await).await;
        let scope = scope(&world, &carla).await;
        assert_eq!((&scope["level"], names(&scope, "partners"), names(&scope, "tenants")), (&json!("partner"), vec!["acme".to_owned()], vec!["acme".into(), "beta".into()]));
        let anchor = json!({"level": "partner", "partner_id": acme.partner_id});
        assert_eq!(scope["permissions"], json!([{"anchor": anchor, "permissions": ["*:*"]}]));
        assert_eq!((&scope["roles"][0]["name"], &scope["roles"][0]["anchor"], &scope["roles"][0]["expires_at"]), (&json!("partner_admin"), &anchor, &Value::Null));
        let collections = scope["collections"].as_array().unwrap();
        assert!(collections.iter().all(|it| it["name"] != "partners"), "partners are the platform's");
        assert!(collections.contains(&json!({"name": "sessions", "actions": ["delete", "read"]})), "{scope}");
    }

    async fn administrator_of_the_platform_learns_of_everything(world) {
        world.tenant("acme").await;
        let scope = scope(&world, &world.admin().await).await;
        assert_eq!((&scope["level"], names(&scope, "partners"), names(&scope, "tenants")), (&json!("platform"), vec!["acme".to_owned(), "platform".into()], vec!["acme".into(), "default".into()]));
        assert!(scope["collections"].as_array().unwrap().contains(&json!({"name": "partners", "actions": ["delete", "read", "write"]})), "{scope}");
    }

    async fn who_administers_no_more_than_a_tenant_is_refused(world) {
        let acme = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&acme, "boss").await).await;
        let ada = world.login(&world.person(&acme, "ada").await).await;
        for who in [&boss, &ada] {
            world.get(PATH).bearer(who).send().await.problem(403, "missing_permission");
        }
        world.get(PATH).send().await.problem(401, "unauthenticated");
    }

    async fn administrator_of_a_tenant_learns_of_that_tenant_by_its_own_path(world) {
        let acme = world.tenant("acme").await;
        world.tenant_of(&acme.partner_id, "beta").await;
        let path = format!("/tenants/{}/me/scope", acme.id);
        let boss = world.login(&world.tenant_admin(&acme, "boss").await).await;
        let carla = world.login(&world.partner_admin(&acme, "carla").await).await;
        let ask = async |who: &Signed| world.get(&path).bearer(who).send().await;
        let scope = ask(&boss).await.expect(200).data();
        assert_eq!((&scope["level"], names(&scope, "partners"), names(&scope, "tenants")), (&json!("tenant"), vec![], vec!["acme".to_owned()]));
        let anchor = json!({"level": "tenant", "tenant_id": acme.id});
        assert_eq!(scope["permissions"], json!([{"anchor": anchor, "permissions": ["*:*"]}]));
        let collections = scope["collections"].as_array().unwrap();
        assert!(collections.contains(&json!({"name": "users", "actions": ["delete", "read", "write"]})), "{scope}");
        assert!(collections.iter().all(|it| it["name"] != "partners"), "{scope}");
        let above = ask(&carla).await.expect(200).data();
        assert_eq!((&above["level"], names(&above, "tenants"), &above["roles"][0]["name"]), (&json!("tenant"), vec!["acme".to_owned()], &json!("partner_admin")));
        let ada = world.login(&world.person(&acme, "ada").await).await;
        ask(&ada).await.problem(403, "missing_permission");
        let other = world.tenant("other").await;
        let eve = world.login(&world.tenant_admin(&other, "eve").await).await;
        ask(&eve).await.problem(404, "not_found");
        world.get(&path).send().await.problem(401, "unauthenticated");
    }

    async fn end_of_a_role_is_told_and_ends_the_scope(world) {
        let acme = world.tenant("acme").await;
        let carla = world.person(&acme, "carla").await;
        let role = world.builtin("partner_admin").await;
        let anchor = json!({"level": "partner", "partner_id": acme.partner_id});
        let id = world.give(&carla, &role, anchor).await;
        let carla = world.login(&carla).await;
        let set = async |end: &str| {
            let path = format!("/admin/role-assignments/{id}");
            world.patch(&path).bearer(world.admin().await).json(json!({"expires_at": end})).send().await.expect(200);
        };
        set("2100-01-01T00:00:00Z").await;
        assert_eq!(scope(&world, &carla).await["roles"][0]["expires_at"], "2100-01-01T00:00:00.000000Z");
        set("2001-01-01T00:00:00Z").await;
        world.get(PATH).bearer(&carla).send().await.problem(403, "missing_permission");
    }
}
