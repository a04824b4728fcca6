//! Nobody gives what they do not hold, or where they do not hold it; and the platform never loses its last
//! administrator.

use serde_json::{Value, json};

use super::cast::{Actor, Cast, Whose};
use crate::harness::{Answer, PASSWORD, Person, Tenant, World, api_tests};

async fn as_actor(cast: &Cast, name: &str) -> (String, String) {
    let actor = cast.actor(name);
    (cast.token(actor).await.unwrap(), actor.person.as_ref().unwrap().id.clone())
}

async fn assign(world: &World, token: &str, user: &str, role: &str, anchor: &Value) -> Answer {
    let body = json!({"user_id": user, "role_id": role, "anchor": anchor});
    world.post("/admin/role-assignments").bearer(token).json(body).send().await
}

/// The assignment of the built-in role to a person.
async fn held(world: &World, person: &str, role: &str) -> String {
    let role = world.builtin(role).await;
    let path = format!("/admin/role-assignments?user_id={person}&role_id={role}");
    world.get(&path).bearer(world.admin().await).send().await.expect(200).ids().remove(0)
}

/// A user of the partner's own tenant who administers the platform.
async fn operator_among_the_users(cast: &Cast) -> Person {
    let world = &cast.world;
    let operator = world.person(&cast.home, "operator").await;
    world.give(&operator, &world.builtin("super_admin").await, json!({"level": "platform"})).await;
    operator
}

fn person(actor: &Actor) -> &Person {
    actor.person.as_ref().unwrap()
}

api_tests! {
    async fn administrators_of_a_tenant_give_no_roles_at_all(world) {
        let cast = Cast::new(&world).await;
        let target = cast.target(cast.actor("tenant"), Whose::Another, false).await;
        let mut callers = Vec::new();
        for name in ["plain", "reader", "deleter", "tenant", "sibling"] {
            callers.push(as_actor(&cast, name).await);
        }
        let before = cast.everything().await;
        for (token, own) in callers {
            for (role, anchor) in [
                ("super_admin", json!({"level": "platform"})),
                ("partner_admin", json!({"level": "partner", "partner_id": cast.home.partner_id})),
                ("tenant_admin", json!({"level": "tenant", "tenant_id": cast.home.id})),
            ] {
                let role = world.builtin(role).await;
                for user in [&own, &target.user] {
                    assign(&world, &token, user, &role, &anchor).await.problem(403, "missing_permission");
                }
            }
            let body = json!({"name": "all", "tenant_id": cast.home.id, "permissions": ["*:*"]});
            world.post("/admin/roles").bearer(&token).json(body).send().await.problem(403, "missing_permission");
            let path = format!("/admin/roles/{}", target.role);
            let body = json!({"permissions": ["*:*"]});
            world.patch(&path).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        }
        assert_eq!(cast.everything().await, before);
    }

    async fn permissions_to_give_roles_in_a_tenant_open_nothing_across_tenants(world) {
        let cast = Cast::new(&world).await;
        let role = world.role(&cast.home, "givers", &["role-assignments:*", "roles:*", "users:*"]).await;
        let giver = world.person(&cast.home, "giver").await;
        world.give(&giver, &role, json!({"level": "tenant", "tenant_id": cast.home.id})).await;
        let token = world.login(&giver).await.access;
        let before = cast.everything().await;
        let in_home = json!({"level": "tenant", "tenant_id": cast.home.id});
        let tenant_admin = world.builtin("tenant_admin").await;
        assign(&world, &token, &giver.id, &tenant_admin, &in_home).await.problem(403, "missing_permission");
        let body = json!({"name": "more", "tenant_id": cast.home.id, "permissions": ["tenants:write"]});
        world.post("/admin/roles").bearer(&token).json(body).send().await.problem(403, "missing_permission");
        assert_eq!(cast.everything().await, before);
    }

    async fn administrators_of_a_partner_give_nothing_above_or_beside_it(world) {
        let cast = Cast::new(&world).await;
        let (token, own) = as_actor(&cast, "partner").await;
        let target = cast.target(cast.actor("partner"), Whose::Another, false).await;
        let stranger = person(cast.actor("foreign")).id.clone();
        let before = cast.everything().await;
        let [above, beside, below] =
            [world.builtin("super_admin").await, world.builtin("partner_admin").await, world.builtin("tenant_admin").await];
        for user in [&own, &target.user] {
            let anchor = json!({"level": "platform"});
            assign(&world, &token, user, &above, &anchor).await.problem(403, "missing_permission");
            let anchor = json!({"level": "partner", "partner_id": cast.foreign.partner_id});
            assert_eq!(assign(&world, &token, user, &beside, &anchor).await.faults(), ["body.anchor not_found"]);
            let anchor = json!({"level": "tenant", "tenant_id": cast.foreign.id});
            assert_eq!(assign(&world, &token, user, &below, &anchor).await.faults(), ["body.anchor not_found"]);
        }
        let anchor = json!({"level": "tenant", "tenant_id": cast.home.id});
        assert_eq!(assign(&world, &token, &stranger, &below, &anchor).await.faults(), ["body.user_id not_found"]);
        assert_eq!(cast.everything().await, before);
    }

    async fn administrators_of_a_partner_give_what_they_hold_below_it(world) {
        let cast = Cast::new(&world).await;
        let (token, _) = as_actor(&cast, "partner").await;
        let target = cast.target(cast.actor("partner"), Whose::Another, false).await;
        for (role, anchor) in [
            ("partner_admin", json!({"level": "partner", "partner_id": cast.home.partner_id})),
            ("tenant_admin", json!({"level": "tenant", "tenant_id": cast.home.id})),
        ] {
            assign(&world, &token, &target.user, &world.builtin(role).await, &anchor).await.expect(201);
        }
    }

    async fn administrators_of_a_partner_leave_the_roles_of_the_platform_alone(world) {
        let cast = Cast::new(&world).await;
        let operator = operator_among_the_users(&cast).await;
        let (token, _) = as_actor(&cast, "partner").await;
        let before = cast.everything().await;
        let path = format!("/admin/role-assignments/{}", held(&world, &operator.id, "super_admin").await);
        world.delete(&path).bearer(&token).send().await.problem(403, "missing_permission");
        for expires_at in [json!(null), json!("2100-01-01T00:00:00Z")] {
            let body = json!({"expires_at": expires_at});
            world.patch(&path).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        }
        assert_eq!(cast.everything().await, before);
    }

    async fn nobody_gives_a_role_for_longer_than_they_hold_it(world) {
        let cast = Cast::new(&world).await;
        let eve = world.partner_admin(&cast.home, "eve").await;
        let own = format!("/admin/role-assignments/{}", held(&world, &eve.id, "partner_admin").await);
        let until = |year: &str| json!({"expires_at": format!("{year}-01-01T00:00:00Z")});
        world.patch(&own).bearer(world.admin().await).json(until("2100")).send().await.expect(200);
        let token = world.login(&eve).await.access;
        let target = cast.target(cast.actor("partner"), Whose::Another, false).await;
        let before = cast.everything().await;
        let for_ever = json!({"expires_at": null});
        for body in [for_ever.clone(), until("2101")] {
            world.patch(&own).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        }
        for (role, anchor) in [
            ("partner_admin", json!({"level": "partner", "partner_id": cast.home.partner_id})),
            ("tenant_admin", json!({"level": "tenant", "tenant_id": cast.home.id})),
        ] {
            let role = world.builtin(role).await;
            assign(&world, &token, &target.user, &role, &anchor).await.problem(403, "missing_permission");
        }
        assert_eq!(cast.everything().await, before);
        let anchor = json!({"level": "tenant", "tenant_id": cast.home.id});
        let mut body = json!({"user_id": target.user, "role_id": world.builtin("tenant_admin").await, "anchor": anchor});
        body["expires_at"] = until("2100")["expires_at"].clone();
        world.post("/admin/role-assignments").bearer(&token).json(body).send().await.expect(201);
        let paula = format!("/admin/users/{}", person(cast.actor("partner")).id);
        let body = json!({"email": "mallory@example.com"});
        world.patch(&paula).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        // An earlier end is given by anybody who may give the role; and the way back is again an extension.
        let boss = world.tenant_admin(&cast.home, "boss").await;
        let theirs = format!("/admin/role-assignments/{}", held(&world, &boss.id, "tenant_admin").await);
        world.patch(&theirs).bearer(&token).json(until("2101")).send().await.expect(200);
        world.patch(&theirs).bearer(&token).json(until("2101")).send().await.expect(200);
        world.patch(&theirs).bearer(&token).json(for_ever.clone()).send().await.problem(403, "missing_permission");
        world.patch(&own).bearer(world.admin().await).json(for_ever).send().await.expect(200);
    }

    async fn nobody_takes_over_or_shuts_out_somebody_who_may_do_more(world) {
        let cast = Cast::new(&world).await;
        let operator = operator_among_the_users(&cast).await;
        let (token, _) = as_actor(&cast, "partner").await;
        let path = format!("/admin/users/{}", operator.id);
        let suspended = json!({"status": "SUSPENDED"});
        let before = cast.everything().await;
        // Whoever reads the mail of an account can become its owner; and whoever renames, suspends or unverifies it
        // keeps its owner out.
        for body in [
            json!({"email": "mallory@example.com"}), json!({"email_verified": true}), json!({"email_verified": false}),
            json!({"username": "nobody"}), suspended.clone(), json!({"display_name": "x", "status": "SUSPENDED"}),
        ] {
            world.patch(&path).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        }
        assert_eq!(cast.everything().await, before);
        world.patch(&path).bearer(world.admin().await).json(suspended).send().await.expect(200);
        let body = json!({"status": "ACTIVE"});
        world.patch(&path).bearer(&token).json(body.clone()).send().await.problem(403, "missing_permission");
        world.patch(&path).bearer(world.admin().await).json(body).send().await.expect(200);
    }

    async fn nobody_moves_a_tenant_to_another_partner_but_the_platform(world) {
        let cast = Cast::new(&world).await;
        let (token, _) = as_actor(&cast, "partner").await;
        let before = cast.everything().await;
        let path = format!("/admin/tenants/{}", cast.home.id);
        let body = json!({"partner_id": cast.foreign.partner_id});
        world.patch(&path).bearer(&token).json(body).send().await.problem(403, "missing_permission");
        assert_eq!(cast.everything().await, before);
    }

    async fn built_in_roles_change_for_nobody(world) {
        let cast = Cast::new(&world).await;
        let (token, _) = as_actor(&cast, "platform").await;
        for name in ["super_admin", "partner_admin", "tenant_admin"] {
            let path = format!("/admin/roles/{}", world.builtin(name).await);
            let body = json!({"permissions": ["sessions:read"]});
            world.patch(&path).bearer(&token).json(body).send().await.problem(409, "conflict");
            let body = json!({"name": name, "tenant_id": cast.home.id, "permissions": ["sessions:read"]});
            world.post("/admin/roles").bearer(&token).json(body).send().await.problem(409, "conflict");
        }
    }

    async fn last_administrator_of_the_platform_keeps_the_role(world) {
        let admin = world.admin().await;
        let path = format!("/admin/role-assignments/{}", held(&world, &admin.user(), "super_admin").await);
        world.delete(&path).bearer(&admin).send().await.problem(409, "conflict");
        let body = json!({"expires_at": "2100-01-01T00:00:00Z"});
        world.patch(&path).bearer(&admin).json(body).send().await.problem(409, "conflict");
        assert_eq!(world.get("/admin/partners").bearer(&admin).send().await.status, 200);
    }

    async fn last_administrators_of_the_platform_are_not_locked_out_by_any_suspension(world) {
        let admin = world.admin().await;
        let me = world.get("/me").bearer(&admin).send().await.expect(200).data();
        let text = |name: &str| me[name].as_str().unwrap().to_owned();
        let suspend = json!({"status": "SUSPENDED"});
        let user = format!("/admin/users/{}", admin.user());
        world.patch(&user).bearer(&admin).json(suspend.clone()).send().await.problem(409, "conflict");
        // Another one in the same tenant would go down with the first.
        let home = Tenant { id: text("tenant_id"), slug: "default".into(), partner_id: text("partner_id") };
        world.settings(&home, json!({"registration": "open"})).await;
        let second = world.person(&home, "second").await;
        world.give(&second, &world.builtin("super_admin").await, json!({"level": "platform"})).await;
        for path in [format!("/admin/tenants/{}", home.id), format!("/admin/partners/{}", home.partner_id)] {
            world.patch(&path).bearer(&admin).json(suspend.clone()).send().await.problem(409, "conflict");
        }
        assert_eq!(world.me(&admin).await, 200);
        world.patch(&user).bearer(&admin).json(suspend).send().await.expect(200);
        assert_eq!(world.me(&admin).await, 401);
    }

    async fn last_administrator_of_the_platform_is_one_who_can_sign_in(world) {
        let admin = world.admin().await;
        let me = world.get("/me").bearer(&admin).send().await.expect(200).data();
        assert_eq!(me["email_verified"], true, "whoever sets the installation up vouches for the address");
        let user = format!("/admin/users/{}", admin.user());
        let tenant = format!("/admin/tenants/{}", me["tenant_id"].as_str().unwrap());
        // An account without a password opens to nobody.
        let body = json!({"tenant_id": me["tenant_id"], "username": "ghost", "email": "ghost@mail.example"});
        let ghost = world.post("/admin/users").bearer(&admin).json(body).send().await.expect(201).data();
        let ghost = ghost["id"].as_str().unwrap();
        let body = json!({"status": "ACTIVE", "email_verified": true});
        world.patch(&format!("/admin/users/{ghost}")).bearer(&admin).json(body).send().await.expect(200);
        let super_admin = world.builtin("super_admin").await;
        assign(&world, &admin.access, ghost, &super_admin, &json!({"level": "platform"})).await.expect(201);
        let suspend = json!({"status": "SUSPENDED"});
        world.patch(&user).bearer(&admin).json(suspend).send().await.problem(409, "conflict");
        // Where an address must be verified, an account without that opens to nobody either.
        let required = |yes: bool| json!({"settings": {"require_verified_email": yes}});
        world.patch(&user).bearer(&admin).json(json!({"email_verified": false})).send().await.expect(200);
        world.patch(&tenant).bearer(&admin).json(required(true)).send().await.problem(409, "conflict");
        world.patch(&user).bearer(&admin).json(json!({"email_verified": true})).send().await.expect(200);
        world.patch(&tenant).bearer(&admin).json(required(true)).send().await.expect(200);
        for body in [json!({"email_verified": false}), json!({"email": "another@mail.example"})] {
            world.patch(&user).bearer(&admin).json(body).send().await.problem(409, "conflict");
        }
        let body = json!({"email": "another@mail.example", "email_verified": true});
        world.patch(&user).bearer(&admin).json(body).send().await.expect(200);
        world.try_login("default", "root", PASSWORD).await.expect(200);
        // Nor does one in a tenant whose partner is suspended.
        let closed = world.partner("closed").await;
        world.set_status("partners", &closed, "SUSPENDED").await;
        world.patch(&tenant).bearer(&admin).json(json!({"partner_id": closed})).send().await.problem(409, "conflict");
        world.patch(&tenant).bearer(&admin).json(required(false)).send().await.expect(200);
    }

    async fn administrator_of_the_platform_who_is_not_the_last_may_go(world) {
        let cast = Cast::new(&world).await;
        let (token, _) = as_actor(&cast, "platform").await;
        let admin = world.admin().await;
        let me = world.get("/me").bearer(&admin).send().await.expect(200).data();
        let path = format!("/admin/partners/{}", me["partner_id"].as_str().unwrap());
        for status in ["SUSPENDED", "ACTIVE"] {
            world.patch(&path).bearer(&token).json(json!({"status": status})).send().await.expect(200);
        }
        let path = format!("/admin/role-assignments/{}", held_by(&world, &token, &admin.user()).await);
        world.delete(&path).bearer(&token).send().await.expect(204);
    }
}

/// As [`held`], asked by somebody whose session still stands.
async fn held_by(world: &World, token: &str, user: &str) -> String {
    let path = format!("/admin/role-assignments?user_id={user}");
    world.get(&path).bearer(token).send().await.expect(200).ids().remove(0)
}
