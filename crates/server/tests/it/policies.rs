//! What a tenant decides for itself: lifetimes, idleness, numbers of sessions, retention.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Person, Signed, Tenant, World, api_tests};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

async fn with(world: &World, settings: Value) -> (Tenant, Person) {
    let tenant = world.tenant_with("acme", settings).await;
    let ada = world.person(&tenant, "ada").await;
    (tenant, ada)
}

/// The sessions of a person as an operator sees them, ended ones included.
async fn all_sessions(world: &World, person: &Person) -> Vec<Value> {
    // Time may have passed since the operator signed in.
    let admin = world.fresh_admin().await;
    let path = format!("/admin/sessions?active_only=false&per_page=200&user_id={}", person.id);
    world.get(&path).bearer(&admin).send().await.expect(200).data().as_array().unwrap().clone()
}

api_tests! {
    async fn idle_session_ends_and_a_used_one_does_not(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"session_idle_minutes": 30})).await;
        let (idle, used) = (world.login(&ada).await, world.login(&ada).await);
        let mut used = used;
        for _ in 0..4 {
            world.clock.advance(10 * MINUTE);
            used = Signed::of(&world.refresh("acme", &used.refresh).await.expect(200));
        }
        world.refresh("acme", &idle.refresh).await.problem(401, "refresh_token_invalid");
        assert_eq!(world.me(&used).await, 200);
        let listed = world.get("/me/sessions").bearer(&used).send().await.expect(200);
        assert_eq!(listed.ids(), [used.session()]);
        assert_eq!(all_sessions(&world, &ada).await[1]["status"], "expired");
    }

    async fn requests_alone_keep_a_session_from_being_idle(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"session_idle_minutes": 10})).await;
        let signed = world.login(&ada).await;
        let other = world.replica(|_| {}).await;
        world.clock.advance(6 * MINUTE);
        assert_eq!(other.me(&signed).await, 200);
        other.app.maintenance().flush_activity().await.unwrap();
        world.clock.advance(6 * MINUTE);
        let third = world.replica(|_| {}).await;
        assert_eq!(third.me(&signed).await, 200, "12 minutes after sign-in, 6 after the last use");
    }

    async fn session_ends_at_its_absolute_limit_however_it_is_used(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"session_max_days": 2})).await;
        let mut signed = world.login(&ada).await;
        for _ in 0..3 {
            world.clock.advance(15 * HOUR);
            signed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        }
        world.clock.advance(3 * HOUR + MINUTE);
        assert_eq!(world.me(&signed).await, 401);
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
    }

    async fn session_of_an_administrator_lives_a_day_and_idles_an_hour(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let boss = world.tenant_admin(&tenant, "boss").await;
        let idle = world.login(&boss).await;
        world.clock.advance(HOUR + MINUTE);
        world.refresh("acme", &idle.refresh).await.problem(401, "refresh_token_invalid");
        let mut signed = world.login(&boss).await;
        for _ in 0..28 {
            world.clock.advance(50 * MINUTE);
            signed = Signed::of(&world.refresh("acme", &signed.refresh).await.expect(200));
        }
        world.clock.advance(45 * MINUTE);
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
    }

    async fn giving_a_role_shortens_the_sessions_that_are_there(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let signed = world.login(&ada).await;
        let role = world.builtin("tenant_admin").await;
        world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id})).await;
        world.clock.advance(HOUR + MINUTE);
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
    }

    async fn role_that_is_given_while_a_sign_in_is_on_its_way_shortens_its_session(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let role = world.builtin("tenant_admin").await;
        let mut signed = Vec::new();
        for n in 0..8 {
            let ada = world.person(&tenant, &format!("ada-{n}")).await;
            let give = world.give(&ada, &role, json!({"level": "tenant", "tenant_id": tenant.id}));
            signed.push(futures_util::future::join(world.login(&ada), give).await.0);
        }
        world.clock.advance(HOUR + MINUTE);
        for signed in signed {
            world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
        }
    }

    async fn role_that_holds_again_shortens_the_sessions_that_are_there(world) {
        world.tick();
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let role = world.builtin("tenant_admin").await;
        let soon = world.app.env().now().plus(MINUTE).to_string();
        let body = json!({"user_id": ada.id, "role_id": role, "anchor": {"level": "tenant", "tenant_id": tenant.id}, "expires_at": soon});
        let given = world.post("/admin/role-assignments").bearer(world.admin().await).json(body).send().await.expect(201).data();
        world.clock.advance(2 * MINUTE);
        let signed = world.login(&ada).await;
        let path = format!("/admin/role-assignments/{}", given["id"].as_str().unwrap());
        world.patch(&path).bearer(world.admin().await).json(json!({"expires_at": null})).send().await.expect(200);
        world.clock.advance(HOUR + MINUTE);
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
    }

    async fn one_session_more_than_the_limit_ends_the_oldest(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"max_sessions_per_user": 2})).await;
        let signed = [world.login(&ada).await, world.login(&ada).await, world.login(&ada).await];
        assert_eq!((world.me(&signed[0]).await, world.me(&signed[1]).await, world.me(&signed[2]).await), (401, 200, 200));
        let oldest = all_sessions(&world, &ada).await[2].clone();
        assert_eq!(oldest["revoke_reason"], "session_limit");
    }

    async fn one_session_more_than_the_limit_is_refused_where_the_tenant_wants_that(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"max_sessions_per_user": 2, "session_limit_action": "refuse"})).await;
        let first = world.login(&ada).await;
        world.login(&ada).await;
        world.try_login("acme", "ada", crate::harness::PASSWORD).await.problem(409, "limit_reached");
        world.logout("acme", &first.refresh).await.expect(200);
        world.login(&ada).await;
    }

    async fn limit_holds_for_64_concurrent_logins(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"max_sessions_per_user": 3})).await;
        let roomy = world.replica(|config| config.hasher.queue = 200).await;
        let logins = (0..64).map(|_| roomy.try_login("acme", "ada", crate::harness::PASSWORD));
        for answer in futures_util::future::join_all(logins).await {
            answer.expect(200);
        }
        let sessions = all_sessions(&world, &ada).await;
        assert_eq!(sessions.len(), 64);
        assert_eq!(sessions.iter().filter(|session| session["status"] == "active").count(), 3);
    }

    async fn ended_sessions_stay_visible_for_the_retention_and_then_go(world) {
        world.tick();
        let (_, ada) = with(&world, json!({"session_retention_days": 7, "session_max_days": 1})).await;
        let revoked = world.login(&ada).await;
        world.logout("acme", &revoked.refresh).await.expect(200);
        world.login(&ada).await;
        world.clock.advance(DAY + MINUTE);
        assert!(world.app.maintenance().sweep().await.unwrap() >= 1);
        world.clock.advance(DAY);
        world.app.maintenance().clean_up().await.unwrap();
        let statuses: Vec<_> = all_sessions(&world, &ada).await.iter().map(|session| session["status"].clone()).collect();
        assert_eq!(statuses, ["expired", "revoked"]);
        world.clock.advance(Duration::from_secs(86_400 * 7));
        assert_eq!(world.app.maintenance().clean_up().await.unwrap(), 2);
        assert_eq!(all_sessions(&world, &ada).await.len(), 0);
    }

    async fn events_stay_for_the_retention_of_their_tenant_and_then_go(world) {
        world.tick();
        let (_, short) = with(&world, json!({"audit_retention_days": 90})).await;
        let long = world.person(&world.tenant("other").await, "eve").await;
        let about = async |person: &Person| {
            let path = format!("/admin/audit-events?action=user.registered&resource_id={}", person.id);
            world.get(&path).bearer(world.fresh_admin().await).send().await.expect(200).total()
        };
        world.clock.advance(90 * DAY - HOUR);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!((about(&short).await, about(&long).await), (1, 1));
        world.clock.advance(2 * HOUR);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!((about(&short).await, about(&long).await), (0, 1));
        let removed = world.get("/admin/audit-events?action=audit_event.purged").bearer(world.fresh_admin().await).send().await.expect(200);
        let changes = removed.data()[0]["changes"].clone();
        assert_eq!(removed.total(), 1);
        for (n, field) in ["event_count", "first_occurred_at", "last_occurred_at"].into_iter().enumerate() {
            assert_eq!(changes[n]["field"], field);
        }
        world.clock.advance(Duration::from_secs(86_400 * 365));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(about(&long).await, 0);
    }

    async fn events_of_no_tenant_go_after_a_year(world) {
        world.tick();
        world.partner("acme").await;
        let made = async || {
            let path = "/admin/audit-events?action=partner.created";
            world.get(path).bearer(world.fresh_admin().await).send().await.expect(200).total()
        };
        let before = made().await;
        world.clock.advance(Duration::from_secs(86_400 * 364));
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(made().await, before);
        world.clock.advance(2 * DAY);
        world.app.maintenance().clean_up().await.unwrap();
        assert_eq!(made().await, 0);
    }

    async fn expired_session_never_shows_as_active_before_it_is_swept(world) {
        world.tick();
        let (tenant, ada) = with(&world, json!({"session_max_days": 1})).await;
        world.login(&ada).await;
        world.clock.advance(DAY + MINUTE);
        let admin = world.fresh_admin().await;
        let list = world.get(&format!("/tenants/{}/sessions", tenant.id)).bearer(&admin).send().await.expect(200);
        assert_eq!((list.total(), list.len()), (0, 0));
        let stats = world.get(&format!("/tenants/{}/sessions/stats", tenant.id)).bearer(&admin).send().await.expect(200).data();
        assert_eq!((&stats["active_sessions"], &stats["active_users"]), (&json!(0), &json!(0)));
    }

    async fn last_activity_is_written_in_batches_and_starts_at_login(world) {
        world.tick();
        let (_, ada) = with(&world, json!({})).await;
        let signed = world.login(&ada).await;
        let at_login = all_sessions(&world, &ada).await[0].clone();
        assert_eq!(at_login["last_activity_at"], at_login["created_at"]);
        world.clock.advance(5 * MINUTE);
        let replica = world.replica(|_| {}).await;
        assert_eq!(replica.me(&signed).await, 200);
        let (before, _) = replica.app.db().statements();
        assert_eq!(replica.me(&signed).await, 200);
        assert_eq!(replica.app.db().statements().0, before, "a request writes nothing by itself");
        assert_eq!(replica.app.maintenance().flush_activity().await.unwrap(), 1);
        let later = all_sessions(&world, &ada).await[0].clone();
        assert!(later["last_activity_at"].as_str() > later["created_at"].as_str(), "{later}");
    }

    async fn settings_are_bounded_and_null_inherits(world) {
        world.tick();
        let (tenant, _) = with(&world, json!({"access_token_minutes": 5})).await;
        let admin = world.admin().await;
        let path = format!("/admin/tenants/{}", tenant.id);
        for (field, wrong) in [
            ("access_token_minutes", json!(0)), ("access_token_minutes", json!(16)), ("access_token_minutes", json!("5")), ("access_token_minutes", json!(1.5)),
            ("refresh_token_days", json!(31)), ("session_max_days", json!(0)), ("session_idle_minutes", json!(-1)), ("max_sessions_per_user", json!(0)),
            ("session_limit_action", json!("ignore")), ("refresh_reuse", json!("allow")), ("refresh_reuse_window_seconds", json!(61)),
            ("password_min_length", json!(14)), ("registration", json!("sometimes")), ("session_retention_days", json!(4_000)), ("session_retention_days", json!(6)), ("audit_retention_days", json!(89)), ("require_verified_email", json!("yes")),
            ("unheard_of", json!(1)),
        ] {
            let faults = world.patch(&path).bearer(&admin).json(json!({"settings": {field: wrong}})).send().await.faults();
            assert_eq!(faults.len(), 1, "{field} {wrong}");
            assert!(faults[0].starts_with(&format!("body.settings.{field} ")), "{faults:?}");
        }
        let settings = world.get(&path).bearer(&admin).send().await.data()["settings"].clone();
        assert_eq!((&settings["access_token_minutes"], &settings["session_max_days"]), (&json!(5), &Value::Null));
        let body = json!({"settings": {"access_token_minutes": null}});
        let settings = world.patch(&path).bearer(&admin).json(body).send().await.expect(200).data()["settings"].clone();
        assert_eq!((&settings["access_token_minutes"], &settings["registration"]), (&Value::Null, &json!("open")));
    }
}
