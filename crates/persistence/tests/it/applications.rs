//! Applications: who can use them, and what the database itself refuses.

use gatehouse_domain::{
    application::{Application, Owner},
    authz::{Area, ReadApplications, authorize},
    id::SessionId,
    page::Direction,
    tenant::{Tenant, TenantPatch},
};
use gatehouse_persistence::{ApplicationFilter, Db, Error, db_tests};

use crate::fixture::*;

/// Uses an application in a session of a tenant.
async fn uses(db: &Db, tenant: &Tenant, session: SessionId, application: &Application) -> Result<(), Error> {
    let (at, application) = (tenant.reference(), application.clone());
    write(db, NOW, async move |tx| tx.system(SYSTEM).add_session_application(at, session, &application).await).await
}

db_tests! {
    async fn database_refuses_to_join_a_tenant_to_an_application_outside_its_owner(db) {
        let (p, q) = (partner(&db, "p").await, partner(&db, "q").await);
        let (ours, sibling, far) = (tenant(&db, &p, "ours").await, tenant(&db, &p, "sibling").await, tenant(&db, &q, "far").await);
        let owners = [
            (Owner::Platform, true), (Owner::Partner(p.id), true), (Owner::Tenant(ours.reference()), true),
            (Owner::Tenant(sibling.reference()), false), (Owner::Tenant(far.reference()), false), (Owner::Partner(q.id), false),
        ];
        let ada = user(&db, &ours, "ada").await;
        let session = session(&db, &ada, NOW).await.id;
        for (owner, is_joined) in owners {
            let application = application(&db, owner, "wiki").await;
            assert_eq!(uses(&db, &ours, session, &application).await.is_ok(), is_joined, "{owner:?}");
        }
        // Whoever lies about the owner is refused by the reference to the application.
        let theirs = application(&db, Owner::Tenant(far.reference()), "theirs").await;
        for owner in [Owner::Platform, Owner::Partner(p.id), Owner::Tenant(ours.reference())] {
            let lie = Application { owner, ..theirs.clone() };
            assert!(matches!(uses(&db, &ours, session, &lie).await, Err(Error::Stale)), "{owner:?}");
        }
    }

    async fn tenant_that_moves_loses_the_applications_of_the_partner_it_leaves_and_keeps_the_others(db) {
        let (p, q) = (partner(&db, "p").await, partner(&db, "q").await);
        let ours = tenant(&db, &p, "ours").await;
        let ada = user(&db, &ours, "ada").await;
        let session = session(&db, &ada, NOW).await.id;
        let mut kept = Vec::new();
        for owner in [Owner::Platform, Owner::Partner(p.id), Owner::Tenant(ours.reference())] {
            let application = application(&db, owner, &format!("{}", owner.level()).to_lowercase()).await;
            uses(&db, &ours, session, &application).await.unwrap();
            if owner != Owner::Partner(p.id) {
                kept.push(application.id);
            }
        }
        let moves = |loses: bool| {
            let (tenant, to, from) = (ours.clone(), q.id, ours.reference());
            async move |tx: &gatehouse_persistence::WriteTx<'_>| {
                if loses {
                    tx.system(SYSTEM).leave_applications(from).await?;
                }
                let patch = TenantPatch { partner_id: Some(to), ..TenantPatch::default() };
                tx.system(SYSTEM).update(tenant.clone().update(patch, &by(), NOW).0).await
            }
        };
        assert!(write(&db, NOW, moves(false)).await.is_err(), "the database lets nobody forget it");
        let moved = write(&db, NOW, moves(true)).await.unwrap();
        let used = db.system(SYSTEM).session_view(session).await.unwrap().unwrap().1;
        let mut used: Vec<_> = used.into_iter().map(|app| app.application_id).collect();
        used.sort();
        assert_eq!(used, kept);
        let grant = in_tenant::<ReadApplications>(&moved);
        let list = db.scope(&grant).applications(&ApplicationFilter::default(), Direction::Ascending, &page(1, 50)).await.unwrap();
        let mut seen: Vec<_> = list.items.iter().map(|application| application.id).collect();
        seen.sort();
        assert_eq!(seen, kept);
        assert!(list.items.iter().any(|it| it.owner.partner() == Some(q.id)), "its own went along");
    }

    async fn applications_are_seen_from_below_their_owner_and_from_nowhere_else(db) {
        let (p, q) = (partner(&db, "p").await, partner(&db, "q").await);
        let (ours, far) = (tenant(&db, &p, "ours").await, tenant(&db, &q, "far").await);
        let me = user(&db, &ours, "me").await;
        for owner in [Owner::Platform, Owner::Partner(p.id), Owner::Partner(q.id), Owner::Tenant(ours.reference()), Owner::Tenant(far.reference())] {
            application(&db, owner, "wiki").await;
        }
        let admin = authorize::<ReadApplications>(&partner_admin(&p, &me), &Area::Directory).unwrap();
        for (who, grant, expected) in [
            ("the platform", grant::<ReadApplications>(&Area::Directory), 5),
            ("a partner", admin, 3),
            ("a tenant", in_tenant::<ReadApplications>(&ours), 3),
            ("another tenant", in_tenant::<ReadApplications>(&far), 3),
        ] {
            let list = db.scope(&grant).applications(&ApplicationFilter::default(), Direction::Descending, &page(1, 50)).await.unwrap();
            assert_eq!((list.total, list.items.len()), (expected, usize::try_from(expected).unwrap()), "{who}");
        }
    }
}
