//! A refresh that races the end of its session: once both have their answers, nothing of the session works.

use std::time::{Duration, Instant};

use futures_util::join;

use crate::harness::{Ending, Signed, Victim, World, api_tests};

/// What a dead refresh token is answered, and where its tenant is gone.
const DEAD: [u16; 2] = [401, 404];
/// Rounds of each ending on each engine: a thousand in all.
const ROUNDS: u64 = 32;

/// Lets the other side go first, for up to two milliseconds that differ from round to round. No two rounds interleave
/// alike, and none waits for a timer, whose grain is too coarse.
async fn head_start(round: u64) {
    hold_back(Duration::from_micros(round * 7_919 % 2_000)).await;
}

/// Lets others go first for a while.
pub async fn hold_back(offset: Duration) {
    let began = Instant::now();
    while began.elapsed() < offset {
        tokio::task::yield_now().await;
    }
}

/// Races, and says whether the refresh got a new pair.
async fn race(world: &World, victim: &Victim, ending: Ending, round: u64) -> bool {
    let slug = &victim.tenant.slug;
    let doomed = victim.doom(world, ending).await;
    // Cached, as in use.
    assert_eq!(world.me(&doomed.signed).await, 200, "{ending:?}");
    let end = async {
        if round.is_multiple_of(2) {
            head_start(round).await;
        }
        victim.end(world, ending, &doomed).await
    };
    let refresh = async {
        if !round.is_multiple_of(2) {
            head_start(round).await;
        }
        world.refresh(slug, &doomed.signed.refresh).await
    };
    let (_, refreshed) = join!(end, refresh);
    let mut pairs = vec![doomed.signed];
    match refreshed.status {
        200 => pairs.push(Signed::of(&refreshed)),
        status => assert!(DEAD.contains(&status), "{ending:?} round {round}: {}", refreshed.text),
    }
    for pair in &pairs {
        assert_eq!(world.me(pair).await, 401, "{ending:?} round {round}: an access token survived");
        let again = world.refresh(slug, &pair.refresh).await;
        assert!(DEAD.contains(&again.status), "{ending:?} round {round}: a refresh token survived: {}", again.text);
    }
    pairs.len() == 2
}

async fn race_all(world: &World, endings: &[Ending]) {
    let mut victim = Victim::new(world, "acme").await;
    let (mut won, mut rounds) = (0, 0);
    for ending in endings {
        for round in 0..ROUNDS {
            won += u64::from(race(world, &victim, *ending, round).await);
            rounds += 1;
            victim.recover(world, *ending).await;
        }
    }
    // If one side always won, this would not be a race.
    assert!((1..rounds).contains(&won), "{won} of {rounds} refreshes came first");
}

/// A sign-in with the password of before races the ending; whichever came first, nobody is left signed in.
async fn race_sign_in(world: &World, victim: &Victim, ending: Ending, round: u64) -> bool {
    let slug = &victim.tenant.slug;
    let doomed = victim.doom(world, ending).await;
    let end = async {
        if round.is_multiple_of(2) {
            head_start(round).await;
        }
        victim.end(world, ending, &doomed).await
    };
    let sign_in = async {
        if !round.is_multiple_of(2) {
            head_start(round).await;
        }
        victim.try_sign_in(world, round).await
    };
    let (_, answer) = join!(end, sign_in);
    if answer.status != 200 {
        assert!([401, 403, 404].contains(&answer.status), "{ending:?} round {round}: {}", answer.text);
        return false;
    }
    let pair = Signed::of(&answer);
    assert_eq!(world.me(&pair).await, 401, "{ending:?} round {round}: signed in nevertheless");
    assert!(DEAD.contains(&world.refresh(slug, &pair.refresh).await.status), "{ending:?} round {round}");
    true
}

api_tests! {
    async fn nobody_is_left_signed_in_who_raced_suspension_deletion_or_a_new_password(world) {
        let mut victim = Victim::new(&world, "acme").await;
        let mut won = 0;
        let endings = [
            Ending::PasswordChange,
            Ending::SuspendUser,
            Ending::SuspendTenant,
            Ending::SuspendPartner,
            Ending::DeleteUser,
            Ending::DeleteTenant,
            Ending::DeletePartner,
        ];
        for ending in endings {
            for round in 0..ROUNDS {
                won += u64::from(race_sign_in(&world, &victim, ending, round).await);
                victim.recover(&world, ending).await;
            }
        }
        assert!((1..ROUNDS * endings.len() as u64).contains(&won), "{won} sign-ins came first");
    }

    async fn no_token_survives_its_user_ending_the_session(world) {
        race_all(&world, &Ending::ALL[..5]).await;
    }

    async fn no_token_survives_a_tenant_administrator_ending_the_session(world) {
        race_all(&world, &Ending::ALL[5..9]).await;
    }

    async fn no_token_survives_an_operator_ending_the_session(world) {
        race_all(&world, &Ending::ALL[9..12]).await;
    }

    async fn no_token_survives_suspension_or_theft(world) {
        race_all(&world, &Ending::ALL[12..16]).await;
    }

    async fn no_token_survives_deletion(world) {
        race_all(&world, &Ending::ALL[16..]).await;
    }
}
