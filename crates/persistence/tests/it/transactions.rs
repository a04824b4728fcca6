//! Transactions: all or nothing, whoever else shares the commit.

use gatehouse_persistence::{Db, Error, db_tests};

use crate::fixture::*;

async fn count_users(db: &Db) -> u64 {
    use gatehouse_domain::{
        authz::{Area, ReadUsers},
        page::Direction,
    };
    let scope = db.scope(&grant::<ReadUsers>(&Area::Directory));
    scope
        .users(
            &gatehouse_persistence::UserFilter::default(),
            gatehouse_persistence::UserSort::CreatedAt,
            Direction::Descending,
            &page(1, 1),
            NOW,
        )
        .await
        .unwrap()
        .total
}

db_tests! {
    async fn failure_after_a_write_undoes_that_transaction_and_no_other(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let at = tenant.reference();
        let attempts = (0..40).map(|i| {
            let changed = new_user(at, &format!("user{i}"));
            write(&db, NOW, async move |tx| {
                tx.system(SYSTEM).insert(changed.clone()).await?;
                if i % 4 == 0 { Err(Error::Stale) } else { Ok(()) }
            })
        });
        let kept = futures_util::future::join_all(attempts).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(kept, 30);
        assert_eq!(count_users(&db).await, 30);
    }

    #[expect(clippy::panic, reason = "the point of the test")]
    async fn panic_in_a_transaction_costs_that_one(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let at = tenant.reference();
        let changed = new_user(at, "ghost");
        let attempt = {
            let db = db.clone();
            tokio::task::LocalSet::new().run_until(async move {
                tokio::task::spawn_local(async move {
                    write(&db, NOW, async move |tx| {
                        tx.system(SYSTEM).insert(changed.clone()).await?;
                        if changed.value().user.email_verified { Ok(()) } else { panic!("on purpose") }
                    })
                    .await
                })
                .await
            }).await
        };
        assert!(!matches!(attempt, Ok(Ok(()))));
        user(&db, &tenant, "ada").await;
        assert_eq!(count_users(&db).await, 1);
    }

    async fn statements_are_counted_and_can_be_overheard(db) {
        let before = db.statements().0;
        let ((), heard) = db.overhear(async { assert!(db.system(SYSTEM).installation().await.unwrap().is_none()) }).await;
        assert_eq!((db.statements().0 - before, heard.len()), (1, 1));
        assert!(heard[0].contains(r#"FROM "installation""#));
    }
}

#[tokio::test]
async fn second_server_process_on_one_sqlite_file_is_refused() {
    let fresh = gatehouse_persistence::testing::Fresh::new(gatehouse_persistence::testing::Engine::Sqlite).unwrap();
    let gatehouse_persistence::Target::Sqlite(path) = &fresh.target else { unreachable!() };
    let first = gatehouse_persistence::ServeLock::take(path).unwrap();
    assert!(matches!(gatehouse_persistence::ServeLock::take(path), Err(Error::InUse(_))));
    drop(first);
    assert!(gatehouse_persistence::ServeLock::take(path).is_ok());
}
