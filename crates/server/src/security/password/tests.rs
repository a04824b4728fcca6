use super::*;
use gatehouse_domain::issue::Parse;

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

fn hasher(cost: Cost, permits: usize, queue: usize) -> Hasher {
    Hasher::start(HasherOptions { permits, queue, cost }, &Env::system()).unwrap()
}

fn tenant(n: u8) -> TenantId {
    TenantId::from_parts(1, [n; 10])
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

type Waiting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<u8, Overloaded>> + 'a>>;

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
    assert_eq!(hasher.verify(tenant(1), password(GOOD), Some(&hash)).await.unwrap(), Verified::Yes);
    assert_eq!(hasher.verify(tenant(1), password("another"), Some(&hash)).await.unwrap(), Verified::No);
    assert_eq!(hasher.verify(tenant(1), password(GOOD), None).await.unwrap(), Verified::No);
}

#[tokio::test]
async fn last_character_of_a_long_password_counts() {
    let hasher = hasher(CHEAP, 1, 8);
    let long: String = (0..128).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
    let hash = hasher.choose(tenant(1), password(&long), vec![]).await.unwrap().unwrap();
    let other = format!("{}!", &long[..127]);
    assert_eq!(hasher.verify(tenant(1), password(&other), Some(&hash)).await.unwrap(), Verified::No);
    assert_eq!(hasher.verify(tenant(1), password(&long), Some(&hash)).await.unwrap(), Verified::Yes);
}

#[tokio::test]
async fn raised_cost_upgrades_the_hash_at_the_next_check() {
    let old = hasher(CHEAP, 1, 8).choose(tenant(1), password(GOOD), vec![]).await.unwrap().unwrap();
    let dearer = hasher(Cost { memory_kib: 128, passes: 2 }, 1, 8);
    let Verified::Upgrade(new) = dearer.verify(tenant(1), password(GOOD), Some(&old)).await.unwrap() else {
        panic!("no upgrade")
    };
    assert!(new.as_str().contains("m=128,t=2"));
    assert_eq!(dearer.verify(tenant(1), password(GOOD), Some(&new)).await.unwrap(), Verified::Yes);
    assert_eq!(dearer.verify(tenant(1), password("wrong"), Some(&old)).await.unwrap(), Verified::No);
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
    let blocker = hasher.run(tenant(0), move |_| {
        let _ = started.send(());
        let _ = held.recv();
    });
    let check = async {
        busy.await.unwrap();
        let mut waiting = Vec::<Waiting<'_>>::new();
        for _ in 0..5 {
            let mut job: Waiting<'_> = Box::pin(hasher.run(tenant(1), |_| 1));
            let refused = enqueue(&mut job).await;
            assert_eq!(refused, waiting.len() == 4, "half the queue");
            if !refused {
                waiting.push(job);
            }
        }
        for _ in 0..4 {
            let mut job: Waiting<'_> = Box::pin(hasher.run(tenant(2), |_| 2));
            assert!(!enqueue(&mut job).await);
            waiting.push(job);
        }
        assert_eq!(hasher.run(tenant(3), |_| 3).await, Err(Overloaded));
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
    let blocker = hasher.run(tenant(0), move |_| {
        let _ = started.send(());
        let _ = held.recv();
    });
    let check = async {
        busy.await.unwrap();
        let mut waiting = Vec::<Waiting<'_>>::new();
        for n in [1, 1, 1, 1, 2, 2] {
            let order = Arc::clone(&order);
            let mut job: Waiting<'_> = Box::pin(hasher.run(tenant(n), move |_| {
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
    assert_eq!(hasher.run(tenant(1), |_| -> u8 { panic!("on purpose") }).await, Err(Overloaded));
    assert_eq!(hasher.run(tenant(1), |_| 7).await, Ok(7));
}
