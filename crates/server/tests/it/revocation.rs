//! The end of a session: at once where it happened, within a second everywhere, whoever ended it and however.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Ending, PASSWORD, Signed, Victim, World, api_tests};

/// What a dead refresh token is answered, and where its tenant is gone.
const DEAD: [u16; 2] = [401, 404];
/// What every API of ours is promised.
const PROMISE: Duration = Duration::from_secs(1);

/// Asks until the answer is the wanted one; that must be within a second of `since`.
async fn within_a_second(since: Instant, what: &str, wanted: u16, mut ask: impl AsyncFnMut() -> u16) {
    loop {
        let asked = since.elapsed();
        let got = ask().await;
        if got == wanted {
            return;
        }
        assert!(asked <= PROMISE, "{what}: still {got} instead of {wanted} after {asked:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn assert_dead(world: &World, slug: &str, pair: &Signed, what: &str) {
    assert_eq!(world.me(pair).await, 401, "{what}: access token");
    let refreshed = world.refresh(slug, &pair.refresh).await.status;
    assert!(DEAD.contains(&refreshed), "{what}: refresh token: {refreshed}");
}

async fn count_and_ids(world: &World, path: &str, who: &Signed, body: Option<serde_json::Value>) -> (u64, Vec<String>) {
    let call = world.post(path).bearer(who);
    let answer = match body {
        Some(body) => call.json(body),
        None => call,
    };
    let data = answer.send().await.expect(200).data();
    let mut ids: Vec<_> =
        data["session_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    (data["revoked_count"].as_u64().unwrap(), ids)
}

fn sorted(pairs: &[&Signed]) -> Vec<String> {
    let mut ids: Vec<_> = pairs.iter().map(|pair| pair.session()).collect();
    ids.sort();
    ids
}

/// Ends a session and looks how fast both replicas follow.
async fn ends_everywhere(world: &World, replica: &World, ending: Ending, slug: String) {
    let what = format!("{ending:?}");
    let victim = Victim::new(world, &slug).await;
    let doomed = victim.doom(world, ending).await;
    // Warm on both: what is cached is what could outlive the end.
    assert_eq!((world.me(&doomed.signed).await, replica.me(&doomed.signed).await), (200, 200), "{what}");
    victim.end(world, ending, &doomed).await;
    let ended = Instant::now();
    assert_dead(world, &slug, &doomed.signed, &what).await;
    let refreshed = replica.refresh(&slug, &doomed.signed.refresh).await.status;
    assert!(DEAD.contains(&refreshed), "{what}: {refreshed}");
    within_a_second(ended, &what, 401, async || replica.me(&doomed.signed).await).await;
    let path = format!("/admin/sessions/{}", doomed.signed.session());
    let shown = world.get(&path).bearer(world.admin().await).send().await.expect(200).data();
    assert_eq!((&shown["status"], &shown["revoke_reason"]), (&json!("revoked"), &json!(ending.reason())), "{what}");
}

api_tests! {
    async fn every_ending_takes_effect_here_at_once_and_on_a_replica_within_a_second(world) {
        let replica = world.replica(|_| {}).await;
        world.admin().await;
        // Four at a time, because most of it is waiting for the replica.
        for (group, endings) in Ending::ALL.chunks(4).enumerate() {
            let each = endings.iter().enumerate().map(|(i, ending)| ends_everywhere(&world, &replica, *ending, format!("t{group}{i}")));
            join_all(each).await;
        }
    }

    async fn nothing_revives_an_ended_session(world) {
        let mut victim = Victim::new(&world, "acme").await;
        for ending in [
            Ending::SuspendUser,
            Ending::SuspendTenant,
            Ending::SuspendPartner,
            Ending::PasswordChange,
            Ending::DeleteUser,
            Ending::DeleteTenant,
            Ending::DeletePartner,
        ] {
            let what = format!("{ending:?}");
            let doomed = victim.doom(&world, ending).await;
            victim.end(&world, ending, &doomed).await;
            victim.recover(&world, ending).await;
            assert_dead(&world, "acme", &doomed.signed, &what).await;
            // Only a new sign-in helps, and it leaves the old session dead.
            let anew = victim.sign_in(&world).await;
            assert_eq!(world.me(&anew).await, 200, "{what}");
            assert_dead(&world, "acme", &doomed.signed, &what).await;
        }
    }

    async fn suspended_user_can_neither_sign_in_nor_refresh(world) {
        let victim = Victim::new(&world, "acme").await;
        let signed = victim.sign_in(&world).await;
        world.set_status("users", &victim.user.id, "SUSPENDED").await;
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
        world.refresh("acme", &signed.refresh).await.problem(401, "session_revoked");
        world.get("/me").bearer(&signed).send().await.problem(401, "session_revoked");
    }

    async fn suspended_tenant_or_partner_lets_nobody_in(world) {
        let victim = Victim::new(&world, "acme").await;
        for (what, id) in [("tenants", &victim.tenant.id), ("partners", &victim.tenant.partner_id)] {
            let signed = victim.sign_in(&world).await;
            world.set_status(what, id, "SUSPENDED").await;
            world.try_login("acme", "ada", PASSWORD).await.problem(403, "tenant_suspended");
            let body = json!({"username": "eve", "email": "eve@acme.example", "password": PASSWORD});
            world.post("/auth/tenants/acme/register").json(body).send().await.problem(403, "tenant_suspended");
            world.refresh("acme", &signed.refresh).await.problem(401, "session_revoked");
            world.get("/me").bearer(&signed).send().await.problem(401, "session_revoked");
            world.logout("acme", &signed.refresh).await.expect(200);
            world.set_status(what, id, "ACTIVE").await;
        }
    }

    async fn suspended_partner_spares_the_tenants_of_others(world) {
        let (victim, other) = (Victim::new(&world, "acme").await, Victim::new(&world, "other").await);
        let (gone, stays) = (victim.sign_in(&world).await, other.sign_in(&world).await);
        world.set_status("partners", &victim.tenant.partner_id, "SUSPENDED").await;
        assert_eq!((world.me(&gone).await, world.me(&stays).await), (401, 200));
        world.refresh("other", &stays.refresh).await.expect(200);
    }

    async fn password_change_spares_the_session_that_asked(world) {
        let victim = Victim::new(&world, "acme").await;
        let doomed = victim.doom(&world, Ending::PasswordChange).await;
        victim.end(&world, Ending::PasswordChange, &doomed).await;
        assert_eq!(world.me(doomed.by()).await, 200);
        world.refresh("acme", &doomed.by().refresh).await.expect(200);
        world.try_login("acme", "ada", PASSWORD).await.problem(401, "invalid_credentials");
    }

    async fn deleting_a_session_again_changes_nothing(world) {
        let victim = Victim::new(&world, "acme").await;
        let doomed = victim.doom(&world, Ending::OwnDelete).await;
        let (id, manager) = (doomed.signed.session(), world.login(&victim.manager).await);
        let own = format!("/me/sessions/{id}");
        for (count, ids) in [(1, json!([id])), (0, json!([])), (0, json!([]))] {
            let data = world.delete(&own).bearer(doomed.by()).send().await.expect(200).data();
            assert_eq!((&data["revoked_count"], &data["session_ids"]), (&json!(count), &ids));
        }
        for _ in 0..2 {
            let path = format!("/tenants/{}/sessions/{id}", victim.tenant.id);
            world.delete(&path).bearer(&manager).send().await.expect(204);
            world.delete(&format!("/admin/sessions/{id}")).bearer(world.admin().await).send().await.expect(204);
        }
        assert_eq!(world.events("session.revoked", &id).await, 1);
        let shown = world.get(&format!("/admin/sessions/{id}")).bearer(world.admin().await).send().await.expect(200);
        assert_eq!(shown.data()["revoke_reason"], "user", "the first end is the one that counts");
    }

    async fn revoking_many_answers_the_sessions_that_it_really_ended(world) {
        let victim = Victim::new(&world, "acme").await;
        let (a, b, c) = (victim.sign_in(&world).await, victim.sign_in(&world).await, victim.sign_in(&world).await);
        let manager = world.login(&victim.manager).await;
        let (sessions, admin) = (format!("/tenants/{}/sessions", victim.tenant.id), world.admin().await);
        let of_user = format!("{sessions}/users/{}/revoke", victim.user.id);
        world.logout("acme", &a.refresh).await.expect(200);
        // Named twice it counts once, and what has ended before not at all.
        let named = json!({"session_ids": [b.session(), b.session(), a.session()]});
        assert_eq!(count_and_ids(&world, &of_user, &manager, Some(named.clone())).await, (1, sorted(&[&b])));
        assert_eq!(count_and_ids(&world, &of_user, &manager, Some(named)).await, (0, vec![]));
        let all = || Some(json!({"revoke_all": true}));
        assert_eq!(count_and_ids(&world, &of_user, &manager, all()).await, (1, sorted(&[&c])));
        assert_eq!(count_and_ids(&world, &of_user, &manager, all()).await, (0, vec![]));
        let (d, e) = (victim.sign_in(&world).await, victim.sign_in(&world).await);
        assert_eq!(count_and_ids(&world, "/me/sessions/revoke-all", &d, None).await, (1, sorted(&[&e])));
        assert_eq!(count_and_ids(&world, "/me/sessions/revoke-all", &d, None).await, (0, vec![]));
        let everywhere = "/admin/sessions/revoke-all";
        let user = || Some(json!({"user_id": victim.user.id}));
        assert_eq!(count_and_ids(&world, everywhere, &admin, user()).await, (1, sorted(&[&d])));
        assert_eq!(count_and_ids(&world, everywhere, &admin, user()).await, (0, vec![]));
        let f = victim.sign_in(&world).await;
        assert_eq!(count_and_ids(&world, &format!("{sessions}/revoke-all"), &manager, None).await, (2, sorted(&[&f, &manager])));
        let g = victim.sign_in(&world).await;
        let tenant = || Some(json!({"tenant_id": victim.tenant.id}));
        assert_eq!(count_and_ids(&world, everywhere, &admin, tenant()).await, (1, sorted(&[&g])));
        assert_eq!(count_and_ids(&world, everywhere, &admin, tenant()).await, (0, vec![]));
    }

    async fn revocation_that_is_refused_ends_nothing(world) {
        let (victim, other) = (Victim::new(&world, "acme").await, Victim::new(&world, "other").await);
        let (own, foreign) = (victim.sign_in(&world).await, other.sign_in(&world).await);
        let (manager, admin) = (world.login(&victim.manager).await, world.admin().await);
        let of_user = format!("/tenants/{}/sessions/users/{}/revoke", victim.tenant.id, victim.user.id);
        let unknown = "ses_01h455vb4pex5vsknk084sn02q";
        for ids in [json!([own.session(), foreign.session()]), json!([own.session(), manager.session()]), json!([own.session(), unknown])] {
            let body = json!({"session_ids": ids});
            world.post(&of_user).bearer(&manager).json(body).send().await.problem(404, "not_found");
        }
        let vague = [json!({}), json!({"session_ids": []}), json!({"revoke_all": false}), json!({"except_current": false}),
            json!({"session_ids": [own.session()], "revoke_all": true})];
        for body in vague {
            world.post(&of_user).bearer(&manager).json(body).send().await.expect(422);
        }
        world.post(&of_user).bearer(&manager).send().await.expect(422);
        for body in [json!({}), json!({"user_id": victim.user.id, "tenant_id": victim.tenant.id}), json!({"except_current": false})] {
            world.post("/admin/sessions/revoke-all").bearer(&admin).json(body).send().await.expect(422);
        }
        world.post("/admin/sessions/revoke-all").bearer(&admin).send().await.expect(422);
        for pair in [&own, &foreign, &manager, &admin] {
            assert_eq!(world.me(pair).await, 200);
        }
    }
}
