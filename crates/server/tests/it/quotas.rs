//! What a partner may have at most.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Tenant, World, api_tests};

async fn limit(world: &World, partner: &str, limits: Value) {
    world
        .patch(&format!("/admin/partners/{partner}"))
        .bearer(world.admin().await)
        .json(limits)
        .send()
        .await
        .expect(200);
}

async fn make_tenant(world: &World, partner: &str, slug: &str) -> Answer {
    let body = json!({"name": slug, "slug": slug, "partner_id": partner});
    world.post("/admin/tenants").bearer(world.admin().await).json(body).send().await
}

async fn make_user(world: &World, tenant: &Tenant, name: &str) -> Answer {
    let body = json!({"tenant_id": tenant.id, "username": name, "email": format!("{name}@mail.example")});
    world.post("/admin/users").bearer(world.admin().await).json(body).send().await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

api_tests! {
    async fn sixty_four_users_made_at_once_are_as_many_as_the_tenant_may_have(world) {
        let tenant = world.tenant("acme").await;
        limit(&world, &tenant.partner_id, json!({"max_users_per_tenant": 10})).await;
        let answers = join_all((0..64).map(|n| {
            let (world, tenant) = (&world, &tenant);
            async move { make_user(world, tenant, &format!("user{n}")).await }
        }))
        .await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (10, 54));
        assert!(answers.into_iter().all(|answer| answer.status == 201 || answer.json()["code"] == json!("limit_reached")));
        let tenant = world.get(&format!("/admin/tenants/{}", tenant.id)).bearer(world.admin().await).send().await.data();
        assert_eq!(tenant["usage"], json!({"users": 10}));
    }

    async fn sixty_four_tenants_made_at_once_are_as_many_as_the_partner_may_have(world) {
        let partner = world.partner("acme").await;
        limit(&world, &partner, json!({"max_tenants": 5})).await;
        let answers = join_all((0..64).map(|n| {
            let (world, partner) = (&world, &partner);
            async move { make_tenant(world, partner, &format!("tenant{n}")).await }
        }))
        .await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (5, 59));
        let partner = world.get(&format!("/admin/partners/{partner}")).bearer(world.admin().await).send().await.data();
        assert_eq!((&partner["usage"], &partner["max_tenants"]), (&json!({"tenants": 5}), &json!(5)));
    }

    async fn whoever_registers_counts_as_well(world) {
        let tenant = world.tenant("acme").await;
        world.settings(&tenant, json!({"registration": "open"})).await;
        limit(&world, &tenant.partner_id, json!({"max_users_per_tenant": 1})).await;
        make_user(&world, &tenant, "ada").await.expect(201);
        let body = json!({"username": "eve", "email": "eve@mail.example", "password": PASSWORD});
        world.post("/auth/tenants/acme/register").json(body).send().await.problem(409, "limit_reached");
    }

    async fn limit_below_what_is_there_ends_nothing_and_lets_nothing_in(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let users = json!({"max_users_per_tenant": 0});
        limit(&world, &tenant.partner_id, users).await;
        world.login(&ada).await;
        make_user(&world, &tenant, "eve").await.problem(409, "limit_reached");
        limit(&world, &tenant.partner_id, json!({"max_users_per_tenant": null})).await;
        make_user(&world, &tenant, "eve").await.expect(201);
    }

    async fn tenant_with_more_users_than_a_partner_allows_is_not_given_to_it(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        world.person(&tenant, "bob").await;
        let small = world.partner("globex").await;
        limit(&world, &small, json!({"max_users_per_tenant": 1})).await;
        let path = format!("/admin/tenants/{}", tenant.id);
        let give = async |query: &str| {
            let body = json!({"partner_id": small});
            world.patch(&format!("{path}{query}")).bearer(world.admin().await).json(body).send().await
        };
        give("").await.problem(409, "limit_reached");
        assert_eq!(world.get(&path).bearer(world.admin().await).send().await.data()["partner_id"], json!(tenant.partner_id));
        limit(&world, &small, json!({"max_users_per_tenant": 2})).await;
        give("").await.expect(200);
    }

    async fn tenant_is_not_given_to_a_partner_that_has_all_it_may_have(world) {
        let tenant = world.tenant("acme").await;
        let full = world.partner("globex").await;
        limit(&world, &full, json!({"max_tenants": 1})).await;
        make_tenant(&world, &full, "only").await.expect(201);
        let path = format!("/admin/tenants/{}", tenant.id);
        let give = async |to: &str| world.patch(&path).bearer(world.admin().await).json(json!({"partner_id": to})).send().await;
        give(&full).await.problem(409, "limit_reached");
        limit(&world, &full, json!({"max_tenants": 2})).await;
        give(&full).await.expect(200);
        let usage = async |id: &str| world.get(&format!("/admin/partners/{id}")).bearer(world.admin().await).send().await.data()["usage"].clone();
        assert_eq!((usage(&full).await, usage(&tenant.partner_id).await), (json!({"tenants": 2}), json!({"tenants": 0})));
    }
}
