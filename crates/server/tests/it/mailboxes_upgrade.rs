//! A database from before one mailbox had one key: whoever had it alone signs in by either spelling afterwards.

use crate::harness::{PASSWORD, World, api_tests};

/// Lets the address of a user be one that was stored before.
async fn before(world: &World, user: &str, email: &str) {
    world
        .execute(&format!("UPDATE users SET email = '{email}', email_key = '{email}' WHERE username_key = '{user}'"))
        .await;
}

async fn sign_in(world: &World, tenant: &str, name: &str) -> u16 {
    let form = [("username", name), ("password", PASSWORD)];
    world.post(&format!("/auth/tenants/{tenant}/login")).form(&form).send().await.status
}

api_tests! {
    async fn address_that_was_stored_in_one_spelling_is_found_by_the_other_and_a_double_keeps_its_user(world) {
        let (acme, zoo) = (world.tenant("acme").await, world.tenant("zoo").await);
        for (tenant, name) in [(&acme, "anna"), (&acme, "bert"), (&zoo, "carla")] {
            world.person(tenant, name).await;
        }
        before(&world, "anna", "anna@b\u{fc}cher.example").await;
        before(&world, "bert", "anna@xn--bcher-kva.example").await;
        before(&world, "carla", "carla@b\u{fc}cher.example").await;
        assert_eq!(sign_in(&world, "zoo", "carla@b\u{fc}cher.example").await, 401);
        world.execute("DELETE FROM seaql_migrations WHERE version = 'm20261129_000097_key_mailboxes'").await;
        let after = world.replica(|_| {}).await;
        for name in ["carla@b\u{fc}cher.example", "carla@xn--bcher-kva.example", "carla"] {
            assert_eq!(sign_in(&after, "zoo", name).await, 200, "{name}");
        }
        // Whose key was the right one already has the mailbox; the other still has a name.
        for name in ["anna@b\u{fc}cher.example", "anna@xn--bcher-kva.example", "anna", "bert"] {
            assert_eq!(sign_in(&after, "acme", name).await, 200, "{name}");
        }
        assert_eq!(after.number("SELECT COUNT(*) FROM users WHERE email_key = 'anna@b\u{fc}cher.example'").await, 1);
    }
}
