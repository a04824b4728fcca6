//! Clocks that are wrong: of replicas that differ, and one that jumps.

use std::time::Duration;

use gatehouse_domain::authz::SystemReason;

use crate::harness::{PASSWORD, Signed, World, api_tests};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

async fn assert_sound(world: &World) {
    world.app.trail().seal().await.unwrap();
    let report = world.app.trail().verify(None, None, SystemReason::Cli).await.unwrap();
    assert_eq!(report.damages, 0, "{report:?}");
}

api_tests! {
    async fn replicas_whose_clocks_differ_by_less_than_a_minute_let_everybody_in_and_nobody_longer(world) {
        let ahead = world.ahead_by(Duration::from_secs(50)).await;
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let (here, there) = (world.login(&ada).await, ahead.login(&ada).await);
        for signed in [&here, &there] {
            assert_eq!((world.me(signed).await, ahead.me(signed).await), (200, 200));
        }
        // Each replica goes by its own clock, and by a minute more at most.
        world.clock.advance(14 * MINUTE + Duration::from_secs(11));
        ahead.clock.advance(14 * MINUTE + Duration::from_secs(11));
        assert_eq!((world.me(&here).await, ahead.me(&here).await), (200, 401));
        let rotated = Signed::of(&ahead.refresh("acme", &here.refresh).await.expect(200));
        assert_eq!(world.me(&rotated).await, 200);
        world.delete(&format!("/me/sessions/{}", rotated.session())).bearer(&there).send().await.expect(200);
        world.clock.advance(MINUTE);
        ahead.clock.advance(MINUTE);
        for replica in [&world, &ahead] {
            assert_eq!(replica.me(&rotated).await, 401);
            for token in [&here.refresh, &rotated.refresh] {
                assert_eq!(replica.refresh("acme", token).await.status, 401);
            }
            assert_sound(replica).await;
        }
    }

    async fn clock_that_jumps_an_hour_and_back_revives_nothing_and_shuts_nobody_out(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        let (ended, before) = (world.login(&ada).await, world.login(&ada).await);
        world.delete(&format!("/me/sessions/{}", ended.session())).bearer(&before).send().await.expect(200);
        world.clock.advance(HOUR);
        assert_eq!(world.me(&before).await, 401);
        let during = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        while world.try_login("acme", "ada", "wrong").await.status != 429 {}
        world.clock.set_back(HOUR);
        assert_eq!(world.me(&ended).await, 401);
        assert_eq!(world.refresh("acme", &ended.refresh).await.status, 401);
        let after = Signed::of(&world.refresh("acme", &during.refresh).await.expect(200));
        assert_eq!(world.me(&after).await, 200);
        // As long as a wait can be.
        world.clock.advance(15 * MINUTE);
        world.try_login("acme", "ada", PASSWORD).await.expect(200);
        assert_sound(&world).await;
    }
}
