//! Passwords that users bring along from another system, and those that were hashed with less than today.

use gatehouse_domain::job::JobKind;
use serde_json::json;

use crate::harness::{PASSWORD, Person, World, api_tests};

/// The hash of "correct horse", as Django makes it.
const DJANGO: &str = "pbkdf2_sha256$1000$NaClSalt$1Aq0hLa8l35XikIQ7eNc9xzo+EiW2MAOyMtZ4Qh+haA=";

/// Ada, whose password is "correct horse" and was hashed elsewhere.
async fn ada(world: &World) -> Person {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    world.execute(format!("UPDATE users SET password_hash = '{DJANGO}' WHERE username_key = 'ada'")).await;
    ada
}

async fn stored(world: &World) -> String {
    world.text("SELECT password_hash FROM users WHERE username_key = 'ada'").await.remove(0)
}

async fn rehashed(world: &World) -> i64 {
    world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'user.password_rehashed'").await
}

api_tests! {
    async fn first_sign_in_replaces_the_hash_of_another_system_and_says_so(world) {
        ada(&world).await;
        world.try_login("acme", "ada", "correct horse").await.expect(200);
        let ours = stored(&world).await;
        assert!(ours.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{ours}");
        assert_eq!(rehashed(&world).await, 1);
        world.try_login("acme", "ada", "correct horse").await.expect(200);
        assert_eq!((stored(&world).await, rehashed(&world).await), (ours, 1));
    }

    async fn wrong_password_leaves_the_hash_of_another_system(world) {
        ada(&world).await;
        world.try_login("acme", "ada", "wrong horse").await.expect(401);
        assert_eq!((stored(&world).await, rehashed(&world).await), (DJANGO.to_owned(), 0));
    }

    async fn password_is_changed_from_the_hash_of_another_system(world) {
        ada(&world).await;
        let signed = crate::harness::Signed::of(&world.try_login("acme", "ada", "correct horse").await.expect(200));
        world.execute(format!("UPDATE users SET password_hash = '{DJANGO}' WHERE username_key = 'ada'")).await;
        let body = json!({"current_password": "correct horse", "new_password": PASSWORD});
        world.post("/me/password").bearer(&signed).json(body).send().await.expect(204);
        world.try_login("acme", "ada", "correct horse").await.expect(401);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
    }

    async fn what_a_hash_of_another_system_costs_is_known_until_it_is_replaced(world) {
        let (tenant, admin) = (world.tenant("acme").await, world.admin().await);
        let line = json!({"username": "ada", "email": "ada@mail.example", "password_hash": DJANGO});
        let import = world.post(&format!("/admin/tenants/{}/user-imports", tenant.id)).bearer(&admin);
        import.body("application/x-ndjson", line.to_string()).send().await.expect(202);
        world.work(JobKind::UserImport).await;
        let known = "SELECT COUNT(*) FROM users WHERE password_hash_cost IS NOT NULL";
        assert_eq!(world.number(known).await, 1);
        world.try_login("acme", "ada", "wrong horse").await.expect(401);
        assert_eq!(world.number(known).await, 1);
        world.try_login("acme", "ada", "correct horse").await.expect(200);
        assert_eq!(world.number(known).await, 0);
    }

    async fn hash_that_is_too_dear_is_not_computed_and_the_trail_says_why(world) {
        ada(&world).await;
        let dear = DJANGO.replace("$1000$", "$4000000000$");
        world.execute(format!("UPDATE users SET password_hash = '{dear}' WHERE username_key = 'ada'")).await;
        let before = world.app.hashing().0;
        world.try_login("acme", "ada", "correct horse").await.problem(401, "invalid_credentials");
        assert_eq!(world.app.hashing().0, before + 1);
        let failures = world.text("SELECT failure FROM audit_events WHERE action = 'session.login_failed'").await;
        assert_eq!(failures, ["password_hash_cost"]);
    }

    async fn dearer_parameters_replace_the_hash_at_the_next_sign_in(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let dearer = world.replica(|config| config.hasher.cost.memory_kib = 16).await;
        dearer.try_login("acme", "ada", PASSWORD).await.expect(200);
        assert!(stored(&world).await.starts_with("$argon2id$v=19$m=16,t=1,p=1$"));
        assert_eq!(rehashed(&world).await, 1);
        // Cheaper ones do not.
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
        assert_eq!(rehashed(&world).await, 1);
    }
}
