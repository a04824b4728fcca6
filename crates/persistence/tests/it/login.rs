//! What happens before anyone is known.

use gatehouse_domain::{
    authz::TenantRef,
    issue::Parse,
    partner::{PartnerPatch, Status},
    secret::{PasswordHash, TokenHash},
    tenant::TenantPatch,
    text::LoginName,
    throttle::{AccountRule, Counter, DEVICE_LIFETIME, Gate, KNOWN_DEVICES},
    time::Timestamp,
    user::{User, UserPatch, UserStatus},
};
use gatehouse_persistence::{AttemptKeys, Db, ThrottleKey, db_tests};

use crate::fixture::*;

/// Sets the failures of a counter.
async fn fail(db: &Db, key: ThrottleKey, failures: u32) {
    write(db, NOW, async move |tx| {
        let change = |[counter]: [Counter; 1]| ([Counter { failures, kept: SECOND, ..counter }], ());
        tx.system(SYSTEM).update_throttles([Some(key)], change).await
    })
    .await
    .unwrap();
}

/// Makes a device known.
async fn know(db: &Db, user: &User, hash: TokenHash, at: Timestamp) {
    let user = user.clone();
    write(db, at, async move |tx| tx.system(SYSTEM).know_device(device(&user, hash, at)).await).await.unwrap();
}

db_tests! {
    async fn credentials_are_found_by_user_name_and_by_email_without_case(db) {
        let partner = partner(&db, "p").await;
        let (tenant, other) = (tenant(&db, &partner, "t").await, tenant(&db, &partner, "other").await);
        let ada = user(&db, &tenant, "ada").await;
        for name in ["ada", "ADA", " ada ", "Ada@Example.com"] {
            let found = db.system(SYSTEM).attempt(tenant.reference(), &LoginName::parse(name).unwrap(), None, &KEYS, NOW).await.unwrap().found.unwrap();
            assert_eq!((found.user.id, found.hash.unwrap().as_str()), (ada.id, HASH), "{name}");
        }
        for (at, name) in [(tenant.reference(), "eve"), (other.reference(), "ada")] {
            assert!(db.system(SYSTEM).attempt(at, &LoginName::parse(name).unwrap(), None, &KEYS, NOW).await.unwrap().found.is_none());
        }
    }

    async fn dearest_hash_that_was_brought_along_is_that_of_the_tenant_until_it_is_replaced(db) {
        let partner = partner(&db, "p").await;
        let (tenant, other) = (tenant(&db, &partner, "t").await, tenant(&db, &partner, "other").await);
        let dearest = async |at: &gatehouse_domain::tenant::Tenant| {
            db.system(SYSTEM).attempt(at.reference(), &LoginName::parse("eve").unwrap(), None, &KEYS, NOW).await.unwrap().dearest
        };
        let set = async |user: &gatehouse_domain::user::User, cost: Option<u32>| {
            let hash = PasswordHash::new(HASH.into()).brought_along(cost);
            let (changed, _) = user.clone().reset_password(&user.email, hash, NOW).unwrap();
            write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap().user
        };
        let (ada, bob) = (user(&db, &tenant, "ada").await, user(&db, &tenant, "bob").await);
        assert_eq!(dearest(&tenant).await, None);
        let (ada, _) = (set(&ada, Some(700)).await, set(&bob, Some(300)).await);
        assert_eq!((dearest(&tenant).await, dearest(&other).await), (Some(700), None));
        let found = db.system(SYSTEM).attempt_of(tenant.reference(), ada.id, &KEYS, NOW).await.unwrap();
        assert_eq!((found.found.unwrap().hash.unwrap().cost(), found.dearest), (Some(700), Some(700)));
        let hash = PasswordHash::new(HASH.into());
        write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).rehash_password(ada.clone().rehash_password(hash.clone()), &hash).await
        }).await.unwrap();
        assert_eq!(dearest(&tenant).await, Some(300));
    }

    async fn sign_in_is_admitted_only_while_user_tenant_and_partner_are_active_and_the_password_is_the_same(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let admit = async |hash: &str| {
            let (ada, hash) = (ada.clone(), PasswordHash::new(hash.into()));
            write(&db, NOW, async move |tx| tx.system(SYSTEM).admit(&ada, &hash, &KEYS).await).await.unwrap().is_some()
        };
        assert!(admit(HASH).await);
        assert!(!admit("another").await);
        for status in [Status::Suspended, Status::Active] {
            let stored = db.system(SYSTEM).partner(partner.id).await.unwrap().unwrap();
            let (changed, _) = stored.update(PartnerPatch { status: Some(status), ..Default::default() }, &by(), NOW);
            write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap();
            assert_eq!(admit(HASH).await, status == Status::Active);
        }
        for status in [Status::Suspended, Status::Active] {
            let stored = db.system(SYSTEM).tenant(tenant.id).await.unwrap().unwrap();
            let (changed, _) = stored.update(TenantPatch { status: Some(status), ..Default::default() }, &by(), NOW);
            write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap();
            assert_eq!(admit(HASH).await, status == Status::Active);
        }
        let (changed, _) = ada.clone().update(UserPatch { status: Some(UserStatus::Suspended), ..Default::default() }, true, &[], &caller(), NOW).unwrap();
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap();
        assert!(!admit(HASH).await);
    }

    async fn racing_failures_are_counted_exactly(db) {
        const RULE: AccountRule = AccountRule { free: 10 };
        let key = ThrottleKey::Digest([7; 32]);
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let attempts = (0..64).map(|_| {
            write(&db, NOW, async move |tx| {
                tx.system(SYSTEM)
                    .update_throttles([Some(key)], |[counter]| match RULE.gate(&counter, NOW) {
                        Gate::Open => ([RULE.failed(&counter, NOW)], true),
                        Gate::Wait(_) | Gate::Locked => ([counter], false),
                    })
                    .await
            })
        });
        let answers = futures_util::future::join_all(attempts).await;
        let answered = answers.into_iter().filter(|answer| *answer.as_ref().unwrap()).count();
        assert_eq!(answered, 10);
        let keys = AttemptKeys { networks: [Some(key), None, None], ..KEYS };
        let attempt = db.system(SYSTEM).attempt(tenant.reference(), &LoginName::parse("eve").unwrap(), None, &keys, NOW).await.unwrap();
        assert_eq!((attempt.failures.account.failures, attempt.failures.networks.map(|counter| counter.failures)), (0, [10, 0, 0]));
    }

    async fn failures_are_counted_by_user_whatever_the_name_and_by_name_where_there_is_no_user(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        fail(&db, ThrottleKey::User(ada.id), 2).await;
        for (key, failures) in [Some(KEYS.account), KEYS.networks[0], KEYS.networks[1], KEYS.networks[2], Some(KEYS.tenant)].into_iter().zip(3..) {
            fail(&db, key.unwrap(), failures).await;
        }
        for (name, failures) in [("ada", 2), ("ada@example.com", 2), ("eve", 3)] {
            let attempt = db.system(SYSTEM).attempt(tenant.reference(), &LoginName::parse(name).unwrap(), None, &KEYS, NOW).await.unwrap();
            let found = attempt.failures;
            assert_eq!((found.account.failures, found.networks.map(|counter| counter.failures), found.tenant.failures), (failures, [4, 5, 6], 7), "{name}");
            assert_eq!(found.known, None);
        }
        let (user, hash) = (ada.clone(), PasswordHash::new(HASH.into()));
        let keys = AttemptKeys { account: ThrottleKey::User(ada.id), ..KEYS };
        let admission = write(&db, NOW, async move |tx| tx.system(SYSTEM).admit(&user, &hash, &keys).await).await.unwrap().unwrap();
        let found = admission.failures;
        assert_eq!((found.account.failures, found.networks.map(|counter| counter.failures), found.tenant.failures), (2, [4, 5, 6], 7));
    }

    async fn success_forgives_the_account_and_the_device_but_no_lock(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let keys = AttemptKeys { account: ThrottleKey::User(ada.id), known: Some(ThrottleKey::Digest([9; 32])), ..KEYS };
        for (before, after) in [(99, 0), (100, 100)] {
            fail(&db, keys.account, before).await;
            fail(&db, keys.known.unwrap(), 7).await;
            write(&db, NOW, async move |tx| tx.system(SYSTEM).forgive(&keys).await).await.unwrap();
            let left = db.system(SYSTEM).throttles([Some(keys.account), keys.known]).await.unwrap();
            assert_eq!(left.map(|counter| counter.failures), [after, 0]);
        }
    }

    async fn counters_are_kept_for_as_long_as_they_say(db) {
        tenant(&db, &partner(&db, "p").await, "t").await;
        fail(&db, KEYS.tenant, 5).await;
        let purge = async |at| write(&db, at, async |tx| tx.system(SYSTEM).purge_throttles().await).await.unwrap();
        assert_eq!(purge(NOW.plus(SECOND)).await, 0);
        assert_eq!(purge(NOW.plus(SECOND * 2)).await, 1);
    }

    async fn device_is_known_to_its_user_in_its_tenant_until_it_expires(db) {
        let partner = partner(&db, "p").await;
        let (tenant, other) = (tenant(&db, &partner, "t").await, tenant(&db, &partner, "other").await);
        let (ada, bob, twin) = (user(&db, &tenant, "ada").await, user(&db, &tenant, "bob").await, user(&db, &other, "ada").await);
        let hash = TokenHash::new([5; 32]);
        know(&db, &ada, hash, NOW).await;
        let known = async |user: &User, hash, at| {
            let name = LoginName::parse(user.username.as_str()).unwrap();
            let home = TenantRef { id: user.tenant_id, partner_id: user.partner_id };
            db.system(SYSTEM).attempt(home, &name, Some(hash), &KEYS, at).await.unwrap().failures.known.is_some()
        };
        assert!(known(&ada, hash, NOW.plus(DEVICE_LIFETIME - SECOND)).await);
        assert!(!known(&ada, hash, NOW.plus(DEVICE_LIFETIME)).await);
        assert!(!known(&ada, TokenHash::new([6; 32]), NOW).await);
        assert!(!known(&bob, hash, NOW).await);
        assert!(!known(&twin, hash, NOW).await);
        let purge = async |at| write(&db, at, async |tx| tx.system(SYSTEM).purge_devices().await).await.unwrap();
        assert_eq!((purge(NOW).await, purge(NOW.plus(DEVICE_LIFETIME)).await), (0, 1));
    }

    async fn oldest_device_makes_room_for_one_more(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let (ada, bob) = (user(&db, &tenant, "ada").await, user(&db, &tenant, "bob").await);
        know(&db, &bob, TokenHash::new([200; 32]), NOW).await;
        for n in 0..=KNOWN_DEVICES {
            know(&db, &ada, TokenHash::new([u8::try_from(n).unwrap(); 32]), NOW.plus(SECOND * n)).await;
        }
        for (name, n, expected) in [("ada", 0, false), ("ada", 1, true), ("ada", 10, true), ("bob", 200, true)] {
            let attempt = db.system(SYSTEM).attempt(tenant.reference(), &LoginName::parse(name).unwrap(), Some(TokenHash::new([n; 32])), &KEYS, NOW).await.unwrap();
            assert_eq!(attempt.failures.known.is_some(), expected, "{name} {n}");
        }
    }

    async fn setup_token_is_spent_once_before_it_expires(db) {
        let (good, late) = (TokenHash::new([1; 32]), TokenHash::new([2; 32]));
        write(&db, NOW, async move |tx| {
            tx.system(SYSTEM).install(&[0]).await?;
            tx.system(SYSTEM).add_setup_token(late, NOW.plus(SECOND)).await?;
            tx.system(SYSTEM).add_setup_token(good, NOW.plus(SECOND * 60)).await
        })
        .await
        .unwrap();
        let spend = async |hash| write(&db, NOW.plus(SECOND), async move |tx| tx.system(SYSTEM).spend_setup_token(hash).await).await.unwrap();
        assert!(!spend(late).await);
        assert!(spend(good).await);
        assert!(!spend(good).await);
        let finish = async || write(&db, NOW, async |tx| tx.system(SYSTEM).finish_setup().await).await.unwrap();
        assert!(finish().await);
        assert!(!finish().await);
    }

    async fn facts_of_a_tenant_name_the_keys_that_verify(db) {
        use gatehouse_domain::{id::KeyId, key::{KeyMaterial, OVERLAP, SigningKey}};
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let make = |tenant: TenantRef| SigningKey::create(
            KeyId::from_parts(NOW.unix_millis(), bytes()), tenant.into(),
            KeyMaterial { algorithm: gatehouse_domain::application::SigningAlgorithm::Es256, public_jwk: "{}".into(), private_sealed: vec![1] }, &by(), NOW);
        let (first, second) = (make(tenant.reference()), make(tenant.reference()));
        let (old, new) = write(&db, NOW, async move |tx| {
            let system = tx.system(SYSTEM);
            let old = system.insert(first.clone()).await?;
            let old = system.update(old.retire(&by(), NOW)).await?;
            Ok((old, system.insert(second.clone()).await?))
        })
        .await
        .unwrap();
        let kids = async |now| {
            let facts = db.system(SYSTEM).tenant_facts(tenant.id, now).await.unwrap().unwrap();
            facts.keys.iter().map(|key| key.id).collect::<Vec<_>>()
        };
        assert_eq!(kids(NOW).await, [new.id, old.id]);
        assert_eq!(kids(NOW.plus(OVERLAP)).await, [new.id]);
        let third = make(tenant.reference());
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).insert(third.clone()).await).await;
        assert!(matches!(result, Err(gatehouse_persistence::Error::Conflict("uq_signing_keys_current"))));
    }
}
