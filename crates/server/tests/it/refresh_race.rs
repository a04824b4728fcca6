//! One refresh token, many clients at once, over two replicas.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::json;

use gatehouse_persistence::testing::Engine;

use crate::harness::{Answer, PASSWORD, Signed, World, api_tests};

const CLIENTS: usize = 64;
const ROUNDS: i64 = 12;

/// Everybody presents the token, half of them to each replica.
async fn race(replicas: [&World; 2], token: &str) -> Vec<Answer> {
    join_all((0..CLIENTS).map(|i| replicas[i % 2].refresh("acme", token))).await
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.status).or_default() += 1;
        counts
    })
}

async fn sign_in(world: &World, mode: &str) -> (World, Signed) {
    let tenant = world.tenant("acme").await;
    world.settings(&tenant, json!({"refresh_reuse": mode})).await;
    world.person(&tenant, "ada").await;
    let signed = Signed::of(&world.try_login("acme", "ada", PASSWORD).await.expect(200));
    (world.replica(|_| {}).await, signed)
}

/// The row and the trail agree that each token had one successor: what the trail does not have yet is counted in the row.
async fn assert_one_chain(world: &World, session: &str, rotations: i64) {
    assert_eq!(world.generation(session).await, rotations);
    let recorded = world.happened("session.refreshed", session).await;
    assert_eq!(recorded + world.unrecorded_refreshes(session).await, rotations);
    assert_eq!(world.events("session.refresh_reuse_detected", session).await, 0);
}

api_tests! {
    async fn of_racing_exchanges_exactly_one_wins_and_the_others_are_told_so(world) {
        let (other, mut signed) = sign_in(&world, "reject").await;
        let session = signed.session();
        for round in 1..=ROUNDS {
            let answers = race([&world, &other], &signed.refresh).await;
            assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (401, CLIENTS - 1)]), "round {round}");
            for loser in answers.iter().filter(|answer| answer.status == 401) {
                assert_eq!(loser.json()["code"], "refresh_token_spent");
            }
            signed = Signed::of(answers.iter().find(|answer| answer.status == 200).unwrap());
            assert_one_chain(&world, &session, round).await;
            assert_eq!((world.me(&signed).await, other.me(&signed).await), (200, 200));
        }
    }

    async fn racing_exchanges_with_replay_all_get_the_one_successor(world) {
        let (other, mut signed) = sign_in(&world, "replay").await;
        let session = signed.session();
        for round in 1..=ROUNDS {
            let answers = race([&world, &other], &signed.refresh).await;
            assert_eq!(statuses(&answers), BTreeMap::from([(200, CLIENTS)]), "round {round}");
            let pairs: BTreeSet<_> = answers.iter().map(|answer| answer.json().to_string()).collect();
            assert_eq!(pairs.len(), 1, "round {round}: more than one successor");
            signed = Signed::of(&answers[0]);
            assert_one_chain(&world, &session, round).await;
        }
    }

    async fn racing_uses_of_a_token_two_generations_back_end_the_session_once(world) {
        for mode in ["reject", "replay"] {
            // Each in a world of its own: both want the same tenant.
            let Some(world) = World::new(if world.app.db().is_sqlite() { Engine::Sqlite } else { Engine::Postgres }).await else { return };
            let (other, first) = sign_in(&world, mode).await;
            let second = Signed::of(&world.refresh("acme", &first.refresh).await.expect(200));
            let third = Signed::of(&other.refresh("acme", &second.refresh).await.expect(200));
            let answers = race([&world, &other], &first.refresh).await;
            assert_eq!(statuses(&answers), BTreeMap::from([(401, CLIENTS)]));
            assert!(answers.iter().all(|answer| answer.json()["code"] == "session_revoked"));
            assert_eq!(world.events("session.refresh_reuse_detected", &first.session()).await, 1);
            world.refresh("acme", &third.refresh).await.problem(401, "session_revoked");
            assert_eq!(world.me(&third).await, 401);
        }
    }

    async fn racing_thief_and_owner_leave_no_usable_token(world) {
        let (other, first) = sign_in(&world, "reject").await;
        let second = Signed::of(&world.refresh("acme", &first.refresh).await.expect(200));
        world.clock.advance(std::time::Duration::from_secs(11));
        // The owner exchanges the current token while a thief presents the one before, long after its window.
        let (owner, thief) = futures_util::join!(world.refresh("acme", &second.refresh), other.refresh("acme", &first.refresh));
        thief.problem(401, "session_revoked");
        if owner.status == 200 {
            let third = Signed::of(&owner);
            assert_eq!(world.me(&third).await, 401);
            world.refresh("acme", &third.refresh).await.problem(401, "session_revoked");
        } else {
            owner.problem(401, "session_revoked");
        }
    }
}
