//! A request that names two owners: the id that was authorised is the id acted on, or nothing is. Path, query and body
//! never contradict each other with effect.

use serde_json::{Value, json};

use super::cast::{Cast, Whose};
use crate::harness::{Signed, api_tests};

api_tests! {
    async fn session_of_somebody_else_among_those_named_spares_all_of_them(world) {
        let cast = Cast::new(&world).await;
        let stranger = world.login(&world.person(&cast.foreign, "stranger").await).await;
        let (ada, bob) = (world.person(&cast.home, "ada").await, world.person(&cast.home, "bob").await);
        let (adas, bobs) = (world.login(&ada).await, world.login(&bob).await);
        for name in ["deleter", "tenant", "partner", "platform"] {
            let token = cast.token(cast.actor(name)).await.unwrap();
            for other in [&bobs, &stranger] {
                let path = format!("/tenants/{}/sessions/users/{}/revoke", cast.home.id, ada.id);
                let body = json!({"session_ids": [adas.session(), other.session()]});
                world.post(&path).bearer(&token).json(body).send().await.problem(404, "not_found");
            }
        }
        for signed in [&adas, &bobs, &stranger] {
            assert_eq!(world.me(signed).await, 200);
        }
    }

    async fn session_of_somebody_else_cannot_be_ended_through_ones_own_user_id(world) {
        let cast = Cast::new(&world).await;
        let (ada, bob) = (world.person(&cast.home, "ada").await, world.person(&cast.home, "bob").await);
        let (adas, bobs) = (world.login(&ada).await, world.login(&bob).await);
        let path = format!("/tenants/{}/sessions/users/{}/revoke", cast.home.id, ada.id);
        let body = json!({"session_ids": [adas.session(), bobs.session()]});
        world.post(&path).bearer(&adas).json(body).send().await.problem(404, "not_found");
        let path = format!("/me/sessions/{}", bobs.session());
        world.delete(&path).bearer(&adas).send().await.problem(404, "not_found");
        assert_eq!((world.me(&adas).await, world.me(&bobs).await), (200, 200));
    }

    async fn user_of_another_tenant_is_not_found_under_this_one(world) {
        let cast = Cast::new(&world).await;
        let person = world.person(&cast.foreign, "stranger").await;
        let stranger = world.login(&person).await;
        // The platform may see both, and still the path must name one owner.
        for name in ["tenant", "partner", "platform"] {
            let token = cast.token(cast.actor(name)).await.unwrap();
            let base = format!("/tenants/{}/sessions", cast.home.id);
            let users = format!("{base}/users/{}", person.id);
            world.get(&users).bearer(&token).send().await.problem(404, "not_found");
            let body = json!({"revoke_all": true});
            world.post(&format!("{users}/revoke")).bearer(&token).json(body).send().await.problem(404, "not_found");
            let session = format!("{base}/{}", stranger.session());
            world.get(&session).bearer(&token).send().await.problem(404, "not_found");
            world.delete(&session).bearer(&token).send().await.problem(404, "not_found");
        }
        assert_eq!(world.me(&stranger).await, 200);
    }

    async fn query_cannot_name_another_owner_than_the_path(world) {
        let cast = Cast::new(&world).await;
        let victim = world.login(&world.person(&cast.home, "ada").await).await;
        let token = cast.token(cast.actor("platform")).await.unwrap();
        let (home, foreign) = (&cast.home.id, &cast.foreign.id);
        for (method, path, key) in [
            ("DELETE", format!("/tenants/{home}/sessions/{}?tenant_id={foreign}", victim.session()), "tenant_id"),
            ("DELETE", format!("/admin/sessions/{}?tenant_id={foreign}", victim.session()), "tenant_id"),
            ("DELETE", format!("/admin/sessions/{0}?session_id={0}", victim.session()), "session_id"),
            ("GET", format!("/tenants/{home}/sessions?tenant_id={foreign}"), "tenant_id"),
            ("GET", format!("/tenants/{home}/sessions/users/{0}?user_id={0}", victim.user()), "user_id"),
            ("POST", format!("/tenants/{home}/sessions/revoke-all?tenant_id={foreign}"), "tenant_id"),
            ("GET", format!("/me/sessions?user_id={}", victim.user()), "user_id"),
            ("POST", format!("/me/sessions/revoke-all?user_id={}", victim.user()), "user_id"),
        ] {
            let answer = world.call(method.parse().unwrap(), &path).bearer(&token).send().await;
            assert_eq!(answer.faults(), [format!("query.{key} extra_forbidden")], "{method} {path}");
        }
        assert_eq!(world.me(&victim).await, 200);
    }

    async fn body_cannot_name_another_owner_than_the_path(world) {
        let cast = Cast::new(&world).await;
        let ada = world.person(&cast.home, "ada").await;
        let victim = world.login(&ada).await;
        let actor = cast.actor("platform");
        let token = cast.token(actor).await.unwrap();
        let target = cast.target(actor, Whose::Another, false).await;
        let before = cast.everything().await;
        let (home, foreign) = (&cast.home.id, &cast.foreign.id);
        for (method, path, body, key) in [
            ("POST", format!("/tenants/{home}/sessions/users/{}/revoke", ada.id), json!({"revoke_all": true, "user_id": target.user}), "user_id"),
            ("POST", format!("/tenants/{home}/sessions/users/{}/revoke", ada.id), json!({"revoke_all": true, "tenant_id": foreign}), "tenant_id"),
            ("PATCH", format!("/admin/users/{}", ada.id), json!({"status": "SUSPENDED", "id": target.user}), "id"),
            ("PATCH", format!("/admin/users/{}", ada.id), json!({"status": "SUSPENDED", "tenant_id": foreign}), "tenant_id"),
            ("PATCH", format!("/admin/roles/{}", target.role), json!({"name": "x", "tenant_id": foreign}), "tenant_id"),
            ("PATCH", format!("/admin/role-assignments/{}", target.assignment), json!({"expires_at": null, "user_id": ada.id}), "user_id"),
            ("PATCH", "/me".to_owned(), json!({"display_name": "x", "user_id": ada.id}), "user_id"),
        ] {
            let answer = world.call(method.parse().unwrap(), &path).bearer(&token).json(body).send().await;
            assert_eq!(answer.faults(), [format!("body.{key} extra_forbidden")], "{method} {path}");
        }
        assert_eq!(cast.everything().await, before);
        assert_eq!(world.me(&victim).await, 200);
    }

    async fn body_that_names_two_owners_is_refused(world) {
        let cast = Cast::new(&world).await;
        let actor = cast.actor("platform");
        let token = cast.token(actor).await.unwrap();
        let target = cast.target(actor, Whose::Another, false).await;
        let before = cast.everything().await;
        let both = json!({"user_id": target.user, "tenant_id": target.tenant});
        let answer = world.post("/admin/sessions/revoke-all").bearer(&token).json(both).send().await;
        assert_eq!(answer.faults(), ["body exclusive"]);
        for anchor in [
            json!({"level": "tenant", "tenant_id": target.tenant, "partner_id": target.partner}),
            json!({"level": "partner", "partner_id": target.partner, "tenant_id": target.tenant}),
            json!({"level": "platform", "tenant_id": target.tenant}),
            json!({"level": "tenant"}),
        ] {
            let body = json!({"user_id": target.user, "role_id": target.spare_role, "anchor": anchor});
            let answer = world.post("/admin/role-assignments").bearer(&token).json(body).send().await;
            assert_eq!(answer.faults(), ["body.anchor anchor"]);
        }
        assert_eq!(cast.everything().await, before);
    }

    async fn keys_given_twice_are_refused_wherever_they_are(world) {
        let cast = Cast::new(&world).await;
        let actor = cast.actor("platform");
        let token = cast.token(actor).await.unwrap();
        let target = cast.target(actor, Whose::Another, false).await;
        let before = cast.everything().await;
        let call = |path: &str, body: String| world.post(path).bearer(&token).body("application/json", body);
        let twice = format!(r#"{{"user_id":"{}","user_id":"{}"}}"#, target.user, Signed::user(&world.admin().await));
        let answer = call("/admin/sessions/revoke-all", twice).send().await;
        assert_eq!(answer.faults(), ["body.user_id duplicate_key"]);
        let nested = format!(
            r#"{{"user_id":"{}","role_id":"{}","anchor":{{"level":"tenant","tenant_id":"{}","tenant_id":"{}"}}}}"#,
            target.user, target.spare_role, target.tenant, cast.foreign.id
        );
        let answer = call("/admin/role-assignments", nested).send().await;
        assert_eq!(answer.faults(), ["body.anchor.tenant_id duplicate_key"]);
        let path = format!("/tenants/{}/sessions?active_only=true&active_only=false", cast.home.id);
        let answer = world.get(&path).bearer(&token).send().await;
        assert_eq!(answer.faults(), ["query.active_only duplicate_key"]);
        assert_eq!(cast.everything().await, before);
    }

    async fn role_of_a_tenant_cannot_be_given_in_another_one(world) {
        let cast = Cast::new(&world).await;
        let actor = cast.actor("platform");
        let token = cast.token(actor).await.unwrap();
        let target = cast.target(actor, Whose::Another, false).await;
        let before = cast.everything().await;
        for anchor in [
            json!({"level": "tenant", "tenant_id": cast.foreign.id}),
            json!({"level": "partner", "partner_id": target.partner}),
            json!({"level": "platform"}),
        ] {
            let body: Value = json!({"user_id": target.user, "role_id": target.spare_role, "anchor": anchor});
            let answer = world.post("/admin/role-assignments").bearer(&token).json(body).send().await;
            assert_eq!(answer.faults(), ["body.anchor role_anchor"]);
        }
        assert_eq!(cast.everything().await, before);
    }
}
