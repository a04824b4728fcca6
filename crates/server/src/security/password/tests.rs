use super::*;
use gatehouse_domain::issue::Parse;
use std::sync::Mutex;
use tokio::sync::oneshot;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

fn hasher(cost: Cost, permits: usize, queue: usize) -> Hasher {
    Hasher::start(HasherOptions { permits, queue, cost, peppers: Peppers::default() }, &Env::system()).unwrap()
}

fn tenant(n: u8) -> TenantId {
    TenantId::from_parts(1, [n; 10])
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

type Waiting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<u8, Overloaded>> + 'a>>;

/// A check of a user who may sign in, in a tenant without hashes of other systems.
fn of(hash: &PasswordHash) -> Check<'_> {
    Check { hash: Some(hash), lets_in: true, dearest: None }
}

const NOBODY: Check<'_> = Check { hash: None, lets_in: false, dearest: None };

/// Lets a job take its place in the queue; says whether it was refused.
async fn enqueue(job: &mut Waiting<'_>) -> bool {
    match futures_util::poll!(job) {
        std::task::Poll::Pending => false,
        std::task::Poll::Ready(result) => result == Err(Overloaded),
    }
}

const GOOD: &str = "mountain otter juggles 42 lamps";

#[tokio::test]
async fn hash_is_an_argon2id_phc_string_that_verifies_its_password_only() {
    let hasher = hasher(CHEAP, 1, 8);
    let hash = hasher.choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
    assert_eq!(hasher.verify(tenant(1), password(GOOD), of(&hash)).await.unwrap(), Verified::Yes);
    assert_eq!(hasher.verify(tenant(1), password("another"), of(&hash)).await.unwrap(), Verified::No);
    assert_eq!(hasher.verify(tenant(1), password(GOOD), NOBODY).await.unwrap(), Verified::No);
}

#[tokio::test]
async fn last_character_of_a_long_password_counts() {
    let hasher = hasher(CHEAP, 1, 8);
    let long: String = (0..128).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
    let hash = hasher.choose(tenant(1), password(&long), vec![]).await.unwrap().unwrap();
    let other = format!("{}!", &long[..127]);
    assert_eq!(hasher.verify(tenant(1), password(&other), of(&hash)).await.unwrap(), Verified::No);
    assert_eq!(hasher.verify(tenant(1), password(&long), of(&hash)).await.unwrap(), Verified::Yes);
}

#[tokio::test]
async fn raised_cost_upgrades_the_hash_at_the_next_check() {
    let old = hasher(CHEAP, 1, 8).choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    let dearer = hasher(Cost { memory_kib: 128, passes: 2 }, 1, 8);
    let Verified::Upgrade(new) = dearer.verify(tenant(1), password(GOOD), of(&old)).await.unwrap() else {
        panic!("no upgrade")
    };
    assert!(new.as_str().contains("m=128,t=2"));
    assert_eq!(dearer.verify(tenant(1), password(GOOD), of(&new)).await.unwrap(), Verified::Yes);
    assert_eq!(dearer.verify(tenant(1), password("wrong"), of(&old)).await.unwrap(), Verified::No);
}

fn peppered(text: &str) -> Hasher {
    let text = text.replace('a', &"0a".repeat(32)).replace('b', &"0b".repeat(32));
    let peppers = Peppers::parse(&text).unwrap();
    Hasher::start(HasherOptions { permits: 1, queue: 8, cost: CHEAP, peppers }, &Env::system()).unwrap()
}

#[tokio::test]
async fn hash_with_a_pepper_fits_nothing_without_it() {
    let hash = peppered("a").choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    for (known, verified) in [("a", Verified::Yes), ("b", Verified::No)] {
        assert_eq!(peppered(known).verify(tenant(1), password(GOOD), of(&hash)).await.unwrap(), verified, "{known}");
    }
    assert_eq!(hasher(CHEAP, 1, 8).verify(tenant(1), password(GOOD), of(&hash)).await.unwrap(), Verified::No);
    assert!(adopt(hash.as_str()).is_err(), "a pepper stays where it is");
}

#[tokio::test]
async fn another_pepper_goes_into_the_hash_at_the_next_check() {
    let plain = hasher(CHEAP, 1, 8).choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    let mut hash = plain;
    // It comes, is replaced, and goes; the servers that check with it are told before those that make hashes with it.
    for known in ["a", "b,a", ",b"] {
        let hasher = peppered(known);
        assert_eq!(hasher.verify(tenant(1), password("another"), of(&hash)).await.unwrap(), Verified::No, "{known}");
        let Verified::Upgrade(new) = hasher.verify(tenant(1), password(GOOD), of(&hash)).await.unwrap() else {
            panic!("no upgrade: {known}")
        };
        assert_eq!(hasher.verify(tenant(1), password(GOOD), of(&new)).await.unwrap(), Verified::Yes, "{known}");
        hash = new;
    }
    assert!(!hash.as_str().contains("keyid"));
}

#[tokio::test]
async fn who_is_not_let_in_costs_one_hash_whatever_the_pepper() {
    let plain = hasher(CHEAP, 1, 8).choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    let hasher = peppered("a");
    let suspended = Check { lets_in: false, ..of(&plain) };
    assert_eq!(hasher.verify(tenant(1), password(GOOD), suspended).await.unwrap(), Verified::Yes);
    assert_eq!(hasher.hashes(), 1);
    let unknown = peppered("b").choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    assert_eq!(hasher.verify(tenant(1), password(GOOD), of(&unknown)).await.unwrap(), Verified::No);
    assert_eq!(hasher.hashes(), 2);
}

#[test]
fn pepper_is_32_bytes_and_there_are_a_few_of_them() {
    for good in ["00".repeat(32), format!(",{0}", "00".repeat(32)), format!("{0}, {0}", "00".repeat(32))] {
        assert!(Peppers::parse(&good).is_some(), "{good}");
    }
    for bad in ["", ",", "x", &format!("{},", "00".repeat(32)), &vec!["00".repeat(32); 9].join(",")] {
        assert!(Peppers::parse(bad).is_none(), "{bad}");
    }
}

#[tokio::test]
async fn weak_and_personal_passwords_are_refused() {
    let hasher = hasher(CHEAP, 1, 8);
    let context = || {
        vec![
            "ada.lovelace".to_owned(),
            "ada@analytical.example".to_owned(),
            "analytical".to_owned(),
            "gatehouse".to_owned(),
        ]
    };
    for weak in [
        "passwordpassword",
        "aaaaaaaaaaaaaaaaaaaa",
        "123456789012345678",
        "ada.lovelace.ada.lovelace",
        "analyticalanalytical",
        "gatehousegatehouse",
        "qwertyuiopasdfghjkl",
    ] {
        let fault = hasher.choose(tenant(1), password(weak), context()).await.unwrap().unwrap_err();
        assert_eq!(fault.kind, "password_too_weak", "{weak}");
    }
    for good in
        [GOOD, "correct horse battery staple", "🦀🐙🦑🐡🦈🐳🦞🐬🦐🐠🦭🐟🐚🪸🐋", "пингвины летают на луну по утрам"]
    {
        assert!(hasher.choose(tenant(1), password(good), context()).await.unwrap().is_ok(), "{good}");
    }
}

#[tokio::test]
async fn jobs_beyond_the_queue_are_refused_at_once_and_one_tenant_cannot_fill_it() {
    let hasher = hasher(CHEAP, 1, 8);
    // The one thread is kept busy until the queue has been looked at.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, busy) = oneshot::channel();
    let blocker = hasher.own.run(tenant(0), move |_| {
        let _ = started.send(());
        let _ = held.recv();
    });
    let check = async {
        busy.await.unwrap();
        let mut waiting = Vec::<Waiting<'_>>::new();
        for _ in 0..5 {
            let mut job: Waiting<'_> = Box::pin(hasher.own.run(tenant(1), |_| 1));
            let refused = enqueue(&mut job).await;
            assert_eq!(refused, waiting.len() == 4, "half the queue");
            if !refused {
                waiting.push(job);
            }
        }
        for _ in 0..4 {
            let mut job: Waiting<'_> = Box::pin(hasher.own.run(tenant(2), |_| 2));
            assert!(!enqueue(&mut job).await);
            waiting.push(job);
        }
        assert_eq!(hasher.own.run(tenant(3), |_| 3).await, Err(Overloaded));
        release.send(()).unwrap();
        for job in waiting {
            job.await.unwrap();
        }
    };
    let (blocked, ()) = tokio::join!(blocker, check);
    blocked.unwrap();
    assert_eq!(hasher.waiting(), 0);
}

#[tokio::test]
async fn tenants_take_turns_whatever_the_length_of_their_lanes() {
    let hasher = hasher(CHEAP, 1, 20);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, busy) = oneshot::channel();
    let order = Arc::new(Mutex::new(Vec::new()));
    let blocker = hasher.own.run(tenant(0), move |_| {
        let _ = started.send(());
        let _ = held.recv();
    });
    let check = async {
        busy.await.unwrap();
        let mut waiting = Vec::<Waiting<'_>>::new();
        for n in [1, 1, 1, 1, 2, 2] {
            let order = Arc::clone(&order);
            let mut job: Waiting<'_> = Box::pin(hasher.own.run(tenant(n), move |_| {
                order.lock().unwrap().push(n);
                n
            }));
            assert!(!enqueue(&mut job).await);
            waiting.push(job);
        }
        release.send(()).unwrap();
        for job in waiting {
            job.await.unwrap();
        }
    };
    let _ = tokio::join!(blocker, check);
    assert_eq!(*order.lock().unwrap(), [1, 2, 1, 2, 1, 1]);
}

#[test]
fn default_cost_is_one_of_those_that_owasp_recommends() {
    assert!(Cost::OWASP.is_enough());
    assert!(!Cost { memory_kib: 19_456, passes: 1 }.is_enough() && !CHEAP.is_enough());
}

#[tokio::test]
async fn panic_in_a_job_costs_that_job() {
    let hasher = hasher(CHEAP, 1, 8);
    assert_eq!(hasher.own.run(tenant(1), |_| -> u8 { panic!("on purpose") }).await, Err(Overloaded));
    assert_eq!(hasher.own.run(tenant(1), |_| 7).await, Ok(7));
}

/// Of "correct horse", as Django makes it.
const DJANGO: &str = "pbkdf2_sha256$1000$NaClSalt$1Aq0hLa8l35XikIQ7eNc9xzo+EiW2MAOyMtZ4Qh+haA=";

/// Two hashes of "correct horse": ours, and that of another system.
async fn two(hasher: &Hasher) -> [PasswordHash; 2] {
    let ours = hasher.own.run(tenant(1), |kit| kit.hash(&password("correct horse"))).await.unwrap();
    [ours, adopt(DJANGO).unwrap()]
}

/// Keeps the one thread of a queue busy until what is returned is dropped.
async fn hold(queue: &Queue) -> (std::sync::mpsc::Sender<()>, oneshot::Receiver<()>) {
    let (release, held) = std::sync::mpsc::channel();
    let (started, busy) = oneshot::channel();
    let job = queue
        .enqueue(tenant(9), move |_| {
            let _ = (started.send(()), held.recv());
        })
        .unwrap();
    busy.await.unwrap();
    (release, job)
}

#[tokio::test]
async fn whoever_is_not_let_in_waits_for_a_turn_of_the_dearest_hash_of_the_tenant() {
    let hasher = hasher(CHEAP, 1, 8);
    let [ours, theirs] = two(&hasher).await;
    let dearest = Some(2_000);
    for (right, hash, lets_in) in [
        (false, None, false),
        (false, Some(&ours), true),
        (false, Some(&theirs), true),
        (true, Some(&ours), false),
        (true, Some(&theirs), false),
    ] {
        let begun = Instant::now();
        let typed = password(if right { "correct horse" } else { "wrong horse" });
        let verified = hasher.verify(tenant(1), typed, Check { hash, lets_in, dearest }).await.unwrap();
        assert_eq!(verified.is_right(), right);
        assert!(begun.elapsed() >= cost::turn(2_000), "{right} {lets_in}");
    }
}

#[tokio::test]
async fn whoever_is_let_in_waits_for_no_turn() {
    let hasher = hasher(CHEAP, 1, 8);
    let [ours, theirs] = two(&hasher).await;
    let of = |hash| Check { hash: Some(hash), lets_in: true, dearest: Some(u32::MAX) };
    assert!(matches!(hasher.verify(tenant(1), password("correct horse"), of(&theirs)).await, Ok(Verified::Upgrade(_))));
    let held = hold(&hasher.foreign).await;
    assert_eq!(hasher.verify(tenant(1), password("correct horse"), of(&ours)).await, Ok(Verified::Yes));
    drop(held);
}

#[tokio::test]
async fn hashes_of_other_systems_hold_up_none_of_ours() {
    let hasher = hasher(CHEAP, 1, 8);
    let [ours, theirs] = two(&hasher).await;
    let held = hold(&hasher.foreign).await;
    let mut waiting = Box::pin(hasher.verify(tenant(1), password("correct horse"), of(&theirs)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(hasher.verify(tenant(1), password("correct horse"), of(&ours)).await, Ok(Verified::Yes));
    assert_eq!(hasher.verify(tenant(1), password("wrong horse"), of(&ours)).await, Ok(Verified::No));
    drop(held);
    assert!(matches!(waiting.await, Ok(Verified::Upgrade(_))));
}

#[tokio::test]
async fn without_a_place_for_a_turn_the_answer_is_the_same_for_all_who_are_not_let_in() {
    let hasher = hasher(CHEAP, 1, 2);
    let [ours, theirs] = two(&hasher).await;
    let held = hold(&hasher.foreign).await;
    let place = hasher.foreign.enqueue(tenant(1), |_| ()).unwrap();
    for hash in [None, Some(&ours), Some(&theirs)] {
        let check = Check { hash, lets_in: true, dearest: Some(1) };
        assert_eq!(hasher.verify(tenant(1), password("wrong horse"), check).await, Ok(Verified::Crowded));
    }
    let check = Check { hash: Some(&ours), lets_in: true, dearest: Some(1) };
    assert_eq!(hasher.verify(tenant(1), password("correct horse"), check).await, Ok(Verified::Yes));
    drop((held, place));
}

#[tokio::test]
async fn nobody_waits_for_a_turn_without_end() {
    let mut hasher = hasher(CHEAP, 1, 8);
    assert_eq!(hasher.longest_turn, Duration::from_secs(5));
    hasher.longest_turn = Duration::from_millis(10);
    let held = hold(&hasher.foreign).await;
    let check = Check { dearest: Some(1), ..NOBODY };
    assert_eq!(hasher.verify(tenant(1), password("wrong horse"), check).await, Ok(Verified::Crowded));
    drop(held);
}

#[tokio::test]
async fn whoever_leaves_gives_the_turn_back() {
    let hasher = hasher(CHEAP, 1, 8);
    let check = Check { dearest: Some(u32::MAX), ..NOBODY };
    let mut leaving = Box::pin(hasher.verify(tenant(1), password("wrong horse"), check));
    assert!(futures_util::poll!(&mut leaving).is_pending());
    drop(leaving);
    assert_eq!(hasher.foreign.run(tenant(2), |_| 7).await, Ok(7));
}

#[tokio::test]
async fn hash_that_is_too_dear_is_not_computed() {
    let hasher = hasher(CHEAP, 1, 8);
    let stored = PasswordHash::new(DJANGO.replace("1000", "4000000000"));
    assert_eq!(hasher.verify(tenant(1), password("correct horse"), of(&stored)).await, Ok(Verified::TooDear));
    assert_eq!(hasher.hashes(), 1);
}

#[tokio::test]
async fn judging_new_passwords_holds_up_no_check() {
    let hasher = hasher(CHEAP, 1, 8);
    let [ours, _] = two(&hasher).await;
    let held = hold(&hasher.strength).await;
    let mut choosing = Box::pin(hasher.choose(tenant(1), password(GOOD), vec![]));
    assert!(futures_util::poll!(&mut choosing).is_pending());
    assert_eq!(hasher.verify(tenant(1), password("correct horse"), of(&ours)).await, Ok(Verified::Yes));
    drop(held);
    assert!(choosing.await.unwrap().is_ok());
}

#[tokio::test]
async fn hash_that_was_brought_along_is_always_replaced() {
    let hasher = hasher(CHEAP, 1, 8);
    let [ours, _] = two(&hasher).await;
    let brought = ours.brought_along(Some(1));
    assert!(matches!(
        hasher.verify(tenant(1), password("correct horse"), of(&brought)).await,
        Ok(Verified::Upgrade(hash)) if hash.cost().is_none()
    ));
}
