//! What a second use of a refresh token means: a lost race, a lost answer, or theft.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, PASSWORD, Signed, Tenant, World, api_tests};

/// The window of a lost race, as it is unless a tenant says otherwise.
const WINDOW: Duration = Duration::from_secs(10);
const MODES: [&str; 2] = ["reject", "replay"];
const REUSE: &str = "session.refresh_reuse_detected";

/// A tenant with a user `ada`, where second uses get what the mode says.
async fn tenant(world: &World, slug: &str, mode: &str) -> Tenant {
    let tenant = world.tenant(slug).await;
    world.settings(&tenant, json!({"refresh_reuse": mode})).await;
    world.person(&tenant, "ada").await;
    tenant
}

async fn sign_in(world: &World, slug: &str) -> Signed {
    Signed::of(&world.try_login(slug, "ada", PASSWORD).await.expect(200))
}

async fn rotate(world: &World, slug: &str, token: &str) -> Signed {
    Signed::of(&world.refresh(slug, token).await.expect(200))
}

/// Nothing of a session opens anything any more, and it says that it was ended because of a second use.
async fn assert_stolen(world: &World, slug: &str, pairs: &[&Signed]) {
    for pair in pairs {
        world.refresh(slug, &pair.refresh).await.problem(401, "session_revoked");
        world.get("/me").bearer(&pair.access).send().await.problem(401, "session_revoked");
    }
    let session = pairs[0].session();
    assert_eq!(world.events(REUSE, &session).await, 1, "one theft, one event, however often it is tried again");
    let shown = world.get(&format!("/admin/sessions/{session}")).bearer(world.admin().await).send().await.expect(200);
    assert_eq!(shown.data()["revoke_reason"], "reuse_detected");
    assert_eq!(shown.data()["revoked_by"], "system");
}

async fn assert_alive(world: &World, slug: &str, pair: &Signed) -> Signed {
    assert_eq!(world.me(pair).await, 200);
    assert_eq!(world.events(REUSE, &pair.session()).await, 0);
    rotate(world, slug, &pair.refresh).await
}

api_tests! {
    async fn second_use_within_the_window_is_refused_and_changes_nothing(world) {
        tenant(&world, "acme", "reject").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        world.refresh("acme", &first.refresh).await.problem(401, "refresh_token_spent");
        world.clock.advance(WINDOW);
        let answer = world.refresh("acme", &first.refresh).await.problem(401, "refresh_token_spent");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        assert_eq!(world.generation(&first.session()).await, 1);
        // The access token of before the exchange is no second use of anything.
        assert_eq!(world.me(&first).await, 200);
        assert_alive(&world, "acme", &next).await;
    }

    async fn second_use_after_the_window_ends_the_session(world) {
        for mode in MODES {
            tenant(&world, mode, mode).await;
            let first = sign_in(&world, mode).await;
            let next = rotate(&world, mode, &first.refresh).await;
            world.clock.advance(WINDOW + Duration::from_micros(1));
            world.refresh(mode, &first.refresh).await.problem(401, "session_revoked");
            assert_stolen(&world, mode, &[&first, &next]).await;
        }
    }

    async fn use_of_a_token_two_generations_back_ends_the_session_at_once(world) {
        for mode in MODES {
            tenant(&world, mode, mode).await;
            let first = sign_in(&world, mode).await;
            let second = rotate(&world, mode, &first.refresh).await;
            let third = rotate(&world, mode, &second.refresh).await;
            world.refresh(mode, &first.refresh).await.problem(401, "session_revoked");
            assert_stolen(&world, mode, &[&first, &second, &third]).await;
        }
    }

    async fn theft_ends_one_session_and_no_other_of_the_user(world) {
        tenant(&world, "acme", "reject").await;
        let (stolen, other) = (sign_in(&world, "acme").await, sign_in(&world, "acme").await);
        rotate(&world, "acme", &stolen.refresh).await;
        world.clock.advance(WINDOW * 2);
        world.refresh("acme", &stolen.refresh).await.problem(401, "session_revoked");
        assert_alive(&world, "acme", &other).await;
    }

    async fn replay_answers_a_lost_answer_with_the_same_pair(world) {
        tenant(&world, "acme", "replay").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        world.clock.advance(WINDOW);
        for _ in 0..3 {
            let again = rotate(&world, "acme", &first.refresh).await;
            assert_eq!((again.access, again.refresh), (next.access.clone(), next.refresh.clone()));
        }
        assert_eq!(world.generation(&first.session()).await, 1);
        assert_alive(&world, "acme", &next).await;
    }

    async fn replay_holds_across_restarts_and_replicas(world) {
        tenant(&world, "acme", "replay").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        world.app.db().close().await;
        for _ in 0..2 {
            let replica = world.replica(|_| {}).await;
            let again = rotate(&replica, "acme", &first.refresh).await;
            assert_eq!((&again.access, &again.refresh), (&next.access, &next.refresh));
            assert_eq!(replica.me(&again).await, 200);
        }
        assert_eq!(world.generation(&first.session()).await, 1);
    }

    async fn replay_opens_no_second_branch(world) {
        tenant(&world, "acme", "replay").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        let again = rotate(&world, "acme", &first.refresh).await;
        // Whoever got the pair first or second: one exchange follows, and who comes late gets its answer.
        let third = rotate(&world, "acme", &again.refresh).await;
        let late = rotate(&world, "acme", &next.refresh).await;
        assert_eq!(third.refresh, late.refresh);
        assert_eq!(world.generation(&first.session()).await, 2);
        assert_eq!(world.events("session.refreshed", &first.session()).await, 1);
        assert_eq!(world.unrecorded_refreshes(&first.session()).await, 1);
    }

    async fn mode_changed_to_replay_invents_no_answer_for_a_token_spent_before(world) {
        let tenant = tenant(&world, "acme", "reject").await;
        let first = sign_in(&world, "acme").await;
        rotate(&world, "acme", &first.refresh).await;
        world.settings(&tenant, json!({"refresh_reuse": "replay"})).await;
        world.refresh("acme", &first.refresh).await.problem(401, "refresh_token_spent");
    }

    async fn stored_replay_says_nothing_to_who_reads_the_database(world) {
        tenant(&world, "acme", "replay").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        let id = world.literal(&first.session());
        for secret in [&next.access, &next.refresh, &first.refresh] {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
            let column = if world.app.db().is_sqlite() { "hex(refresh_replay)" } else { "upper(encode(refresh_replay, 'hex'))" };
            let found = format!("SELECT COUNT(*) FROM sessions WHERE id = {id} AND {column} LIKE '%{}%'", &hex[..40]);
            assert_eq!(world.number(found).await, 0);
        }
    }

    async fn token_under_another_tenant_is_refused_and_stays_unspent(world) {
        for (mode, other) in [("reject", "other-a"), ("replay", "other-b")] {
            tenant(&world, mode, mode).await;
            tenant(&world, other, mode).await;
            let first = sign_in(&world, mode).await;
            world.refresh(other, &first.refresh).await.problem(401, "refresh_token_invalid");
            let next = assert_alive(&world, mode, &first).await;
            // Nor is a spent one a theft there.
            world.clock.advance(WINDOW * 2);
            world.refresh(other, &first.refresh).await.problem(401, "refresh_token_invalid");
            assert_alive(&world, mode, &next).await;
        }
    }

    async fn mutilated_token_is_refused(world) {
        tenant(&world, "acme", "reject").await;
        let signed = sign_in(&world, "acme").await;
        let token = &signed.refresh;
        let mut bad: Vec<String> = (1..token.len()).map(|end| token[..end].to_owned()).collect();
        bad.extend((1..token.len()).map(|start| token[start..].to_owned()));
        bad.extend(["A", "=", "==", " ", ".", "AAAA", "é"].iter().flat_map(|s| [format!("{token}{s}"), format!("{s}{token}")]));
        bad.extend((0..token.len()).filter(|i| token.as_bytes()[*i].is_ascii_alphabetic()).map(|i| {
            let mut bytes = token.clone().into_bytes();
            bytes[i] ^= 32;
            String::from_utf8(bytes).unwrap()
        }));
        bad.extend([token.to_uppercase(), token.to_lowercase(), token.replace('_', "-"), signed.access.clone(), signed.session()]);
        bad.extend(["null", "ghr_", "ghr_====", "' OR 1=1 --", "\u{feff}", "😀"].map(str::to_owned));
        bad.retain(|text| text != token);
        for text in bad {
            let Answer { status, text: body, .. } = world.refresh("acme", &text).await;
            assert_eq!(status, 401, "{text}: {body}");
            world.logout("acme", &text).await.expect(200);
        }
        assert_alive(&world, "acme", &signed).await;
    }

    async fn logout_takes_any_token_of_the_chain(world) {
        for (generation, slug) in ["gen-a", "gen-b", "gen-c"].into_iter().enumerate() {
            tenant(&world, slug, "reject").await;
            let mut pairs = vec![sign_in(&world, slug).await];
            for _ in 0..2 {
                pairs.push(rotate(&world, slug, &pairs[pairs.len() - 1].refresh).await);
            }
            // Long after it was spent, too: signing out is no exchange, and so no theft.
            world.clock.advance(WINDOW * 2);
            world.logout(slug, &pairs[generation].refresh).await.expect(200);
            for pair in &pairs {
                world.refresh(slug, &pair.refresh).await.problem(401, "session_revoked");
                world.get("/me").bearer(pair).send().await.problem(401, "session_revoked");
            }
            assert_eq!(world.events(REUSE, &pairs[0].session()).await, 0);
            world.logout(slug, &pairs[2].refresh).await.expect(200);
        }
    }

    async fn logout_under_another_tenant_ends_nothing(world) {
        tenant(&world, "acme", "reject").await;
        world.tenant("other").await;
        let signed = sign_in(&world, "acme").await;
        world.logout("other", &signed.refresh).await.expect(200);
        assert_alive(&world, "acme", &signed).await;
    }

    async fn expired_token_is_invalid_and_no_theft(world) {
        tenant(&world, "acme", "reject").await;
        let first = sign_in(&world, "acme").await;
        let next = rotate(&world, "acme", &first.refresh).await;
        world.clock.advance(Duration::from_secs(7 * 86_400));
        for token in [&next.refresh, &first.refresh] {
            world.refresh("acme", token).await.problem(401, "refresh_token_invalid");
        }
        assert_eq!(world.events(REUSE, &first.session()).await, 0);
    }

    async fn exchange_slides_the_expiry_up_to_the_absolute_limit(world) {
        let acme = tenant(&world, "acme", "reject").await;
        world.settings(&acme, json!({"session_max_days": 14})).await;
        let mut signed = sign_in(&world, "acme").await;
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(6 * 86_400));
            signed = rotate(&world, "acme", &signed.refresh).await;
        }
        world.clock.advance(Duration::from_secs(2 * 86_400));
        world.refresh("acme", &signed.refresh).await.problem(401, "refresh_token_invalid");
    }
}
