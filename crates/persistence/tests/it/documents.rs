//! Applications that documents describe: found by the address, as many as a tenant may have, and forgotten in time.

use std::time::Duration;

use gatehouse_domain::{
    application::{Application, MOST_DESCRIBED, Owner, RegistrationKind},
    authz::TenantRef,
    issue::Parse,
    text::Name,
    time::DAY,
};
use gatehouse_persistence::{Db, Error, db_tests};

use crate::fixture::*;

async fn let_in(db: &Db, tenant: TenantRef, number: usize) -> Result<Application, Error> {
    let made = described_application(Owner::Tenant(tenant), number);
    write(db, NOW, async move |tx| tx.system(SYSTEM).insert(made.clone().let_in(&by(), NOW)).await).await
}

async fn forget(db: &Db, after: Duration) -> usize {
    write(db, NOW.plus(after), async |tx| tx.system(SYSTEM).forget_unused_applications().await).await.unwrap()
}

db_tests! {
    async fn document_describes_one_application_of_a_tenant_until_it_is_deleted(db) {
        let p = partner(&db, "p").await;
        let (ours, other) = (tenant(&db, &p, "ours").await.reference(), tenant(&db, &p, "other").await.reference());
        let first = let_in(&db, ours, 1).await.unwrap();
        let url = first.document.clone().unwrap();
        let system = || db.system(SYSTEM);
        assert_eq!(system().described_application(ours, &url).await.unwrap().unwrap().id, first.id);
        assert!(system().described_application(other, &url).await.unwrap().is_none());
        assert!(matches!(let_in(&db, ours, 1).await, Err(Error::Conflict("uq_applications_document"))));
        let_in(&db, other, 1).await.unwrap();
        let gone = first.clone();
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(gone.clone().forget(&by(), NOW)).await).await.unwrap();
        assert!(system().described_application(ours, &url).await.unwrap().is_none());
        assert_ne!(let_in(&db, ours, 1).await.unwrap().id, first.id);
    }

    async fn application_that_was_added_is_found_before_one_that_was_let_in(db) {
        let p = partner(&db, "p").await;
        let ours = tenant(&db, &p, "ours").await.reference();
        let known = let_in(&db, ours, 1).await.unwrap();
        let url = known.document.clone().unwrap();
        let added = Application { registration: RegistrationKind::Manual, ..described_application(Owner::Partner(p.id), 1) };
        let added = write(&db, NOW, async move |tx| tx.system(SYSTEM).insert(added.clone().let_in(&by(), NOW)).await).await.unwrap();
        assert_eq!(db.system(SYSTEM).described_application(ours, &url).await.unwrap().unwrap().id, added.id);
        let name = Name::parse("Known").unwrap();
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(known.clone().add(name.clone(), &caller(), NOW).unwrap()).await).await.unwrap();
        let found = db.system(SYSTEM).described_application(ours, &url).await.unwrap().unwrap();
        assert_eq!((found.owner, found.registration, found.name.as_str()), (Owner::Tenant(ours), RegistrationKind::Manual, "Known"));
    }

    async fn tenant_has_a_thousand_applications_that_users_let_in_and_no_more(db) {
        let p = partner(&db, "p").await;
        let (ours, other) = (tenant(&db, &p, "ours").await.reference(), tenant(&db, &p, "other").await.reference());
        let has_room = async |at: TenantRef| write(&db, NOW, async move |tx| tx.system(SYSTEM).has_room_for_described(at).await).await.unwrap();
        let all: Vec<_> = (1..usize::try_from(MOST_DESCRIBED).unwrap()).map(|n| described_application(Owner::Tenant(ours), n)).collect();
        for some in all.chunks(100).map(<[_]>::to_vec) {
            let work = async move |tx: &gatehouse_persistence::WriteTx<'_>| {
                let some = some.iter().cloned().map(|it| it.let_in(&by(), NOW)).collect();
                tx.system(SYSTEM).insert_many(some).await.map(drop)
            };
            write(&db, NOW, work).await.unwrap();
        }
        assert!(has_room(ours).await);
        let last = let_in(&db, ours, 2_000).await.unwrap();
        assert!(!has_room(ours).await && has_room(other).await);
        let quota = write(&db, NOW, async move |tx| tx.system(SYSTEM).application_quota(ours).await).await.unwrap();
        assert_eq!(quota.used, 0, "they count for no other limit");
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(last.clone().forget(&by(), NOW)).await).await.unwrap();
        assert!(has_room(ours).await);
    }

    async fn applications_are_forgotten_after_ninety_days_without_use_unless_somebody_added_them(db) {
        let p = partner(&db, "p").await;
        let ours = tenant(&db, &p, "ours").await.reference();
        for number in 0..60 {
            let_in(&db, ours, number).await.unwrap();
        }
        let added = let_in(&db, ours, 100).await.unwrap();
        let used = let_in(&db, ours, 101).await.unwrap();
        let name = added.name.clone();
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(added.clone().add(name.clone(), &caller(), NOW).unwrap()).await).await.unwrap();
        write(&db, NOW.plus(DAY), async move |tx| tx.system(SYSTEM).note_use_of_described(&used).await).await.unwrap();
        assert_eq!(forget(&db, DAY * 90).await, 0);
        let later = DAY * 90 + Duration::from_secs(1);
        assert_eq!((forget(&db, later).await, forget(&db, later).await, forget(&db, later).await), (50, 10, 0));
        assert_eq!((forget(&db, later + DAY).await, forget(&db, DAY * 9_000).await), (1, 0));
    }
}
