//! Who sees and who changes applications of the platform, of a partner and of a tenant.

use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

struct Cast {
    home: Tenant,
    /// The applications of the platform, of the partner and of the tenant; those of another partner and its tenant.
    applications: Vec<(&'static str, String)>,
    people: Vec<(&'static str, Signed)>,
}

async fn cast(world: &World) -> Cast {
    let home = world.tenant("home").await;
    let (sibling, foreign) = (world.tenant_of(&home.partner_id, "sibling").await, world.tenant("foreign").await);
    let mut applications = Vec::new();
    for (name, owner) in [
        ("global", json!({"scope_level": "GLOBAL"})),
        ("partner", json!({"scope_level": "PARTNER", "partner_id": home.partner_id})),
        ("tenant", json!({"scope_level": "TENANT", "tenant_id": home.id})),
        ("sibling", json!({"tenant_id": sibling.id})),
        ("other partner", json!({"scope_level": "PARTNER", "partner_id": foreign.partner_id})),
    ] {
        let made = create(world, &world.admin().await, "/admin/applications", owner).await.expect(201);
        assert_eq!(made.data()["scope_level"] == "TENANT", made.data()["tenant_id"].is_string(), "{name}");
        applications.push((name, made.data()["id"].as_str().unwrap().to_owned()));
    }
    let plain = world.login(&world.person(&home, "plain").await).await;
    let tenant = world.login(&world.tenant_admin(&home, "boss").await).await;
    let partner = world.login(&world.partner_admin(&sibling, "partner").await).await;
    let people = vec![("plain", plain), ("tenant", tenant), ("partner", partner), ("platform", world.admin().await)];
    Cast { home, applications, people }
}

async fn create(world: &World, token: &Signed, path: &str, owner: Value) -> Answer {
    let mut body = json!({"name": "x", "application_type": "SERVICE"});
    body.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
    world.post(path).bearer(token).json(body).send().await
}

api_tests! {
    async fn applications_are_seen_from_below_and_changed_where_they_belong(world) {
        let cast = cast(&world).await;
        let in_home = format!("/tenants/{}/applications", cast.home.id);
        // What reading and changing answer, application by application.
        let expected = [
            ("plain", "/admin/applications", [(403, 403); 5]),
            ("plain", &*in_home, [(403, 403); 5]),
            ("tenant", "/admin/applications", [(403, 403); 5]),
            ("tenant", &*in_home, [(200, 403), (200, 403), (200, 200), (404, 404), (404, 404)]),
            ("partner", "/admin/applications", [(200, 403), (200, 200), (200, 200), (200, 200), (404, 404)]),
            ("partner", &*in_home, [(200, 403), (200, 403), (200, 200), (404, 404), (404, 404)]),
            ("platform", "/admin/applications", [(200, 200); 5]),
            ("platform", &*in_home, [(200, 403), (200, 403), (200, 200), (404, 404), (404, 404)]),
        ];
        for (who, path, answers) in expected {
            let token = &cast.people.iter().find(|(name, _)| *name == who).unwrap().1;
            for ((what, id), (reading, changing)) in cast.applications.iter().zip(answers) {
                let case = format!("{who} at {path}: {what}");
                let one = format!("{path}/{id}");
                assert_eq!(world.get(&one).bearer(token).send().await.status, reading, "{case}");
                for answer in [
                    world.patch(&one).bearer(token).json(json!({"name": "y"})).send().await,
                    world.post(&format!("{one}/rotate-secret")).bearer(token).json(json!({})).send().await,
                    world.delete(&format!("{one}?dry_run=true")).bearer(token).send().await,
                ] {
                    assert_eq!(answer.status, changing, "{case}: {}", answer.text);
                }
            }
        }
    }

    async fn lists_have_what_can_be_seen(world) {
        let cast = cast(&world).await;
        let in_home = format!("/tenants/{}/applications", cast.home.id);
        for (who, path, expected) in [
            ("tenant", &*in_home, 3),
            ("partner", &*in_home, 3),
            ("partner", "/admin/applications", 4),
            ("platform", "/admin/applications", 5),
        ] {
            let token = &cast.people.iter().find(|(name, _)| *name == who).unwrap().1;
            assert_eq!(world.get(path).bearer(token).send().await.expect(200).total(), expected, "{who} at {path}");
        }
    }

    async fn applications_are_made_for_an_owner_that_the_caller_administers(world) {
        let cast = cast(&world).await;
        let foreign = world.tenant("beyond").await;
        let [.., (_, partner), (_, platform)] = &cast.people[..] else { unreachable!() };
        let path = "/admin/applications";
        create(&world, partner, path, json!({"scope_level": "GLOBAL"})).await.problem(403, "missing_permission");
        create(&world, partner, path, json!({"scope_level": "PARTNER", "partner_id": cast.home.partner_id})).await.expect(201);
        create(&world, partner, path, json!({"tenant_id": cast.home.id})).await.expect(201);
        let unknown = create(&world, partner, path, json!({"tenant_id": foreign.id})).await;
        assert_eq!(unknown.faults(), ["body.tenant_id not_found"]);
        let unknown = create(&world, partner, path, json!({"scope_level": "PARTNER", "partner_id": foreign.partner_id})).await;
        assert_eq!(unknown.faults(), ["body.partner_id not_found"]);
        for owner in [
            json!({}),
            json!({"scope_level": "GLOBAL", "tenant_id": cast.home.id}),
            json!({"scope_level": "GLOBAL", "partner_id": cast.home.partner_id}),
            json!({"scope_level": "PARTNER"}),
            json!({"scope_level": "PARTNER", "tenant_id": cast.home.id, "partner_id": cast.home.partner_id}),
            json!({"scope_level": "TENANT", "partner_id": cast.home.partner_id}),
            json!({"tenant_id": cast.home.id, "partner_id": cast.home.partner_id}),
        ] {
            assert_eq!(create(&world, platform, path, owner.clone()).await.faults(), ["body.scope_level application_owner"], "{owner}");
        }
        let in_home = format!("/tenants/{}/applications", cast.home.id);
        let level = create(&world, platform, &in_home, json!({"scope_level": "GLOBAL"})).await;
        assert_eq!(level.faults(), ["body.scope_level extra_forbidden"]);
    }

    async fn deleted_tenant_and_partner_take_their_applications_along(world) {
        let cast = cast(&world).await;
        let admin = world.admin().await;
        world.delete(&format!("/admin/tenants/{}", cast.home.id)).bearer(&admin).send().await.expect(204);
        let seen = async || world.get("/admin/applications").bearer(&admin).send().await.expect(200).total();
        assert_eq!(seen().await, 4);
        world.delete(&format!("/admin/partners/{}", cast.home.partner_id)).bearer(&admin).send().await.expect(204);
        assert_eq!(seen().await, 2, "the platform's and another partner's");
    }
}
