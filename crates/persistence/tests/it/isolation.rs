//! What one tenant's scope shows of another: nothing.

use gatehouse_domain::issue::Parse;
use gatehouse_domain::{
    authz::{Area, Oneself, ReadSessions, ReadUsers, TenantRef, WriteUsers, authorize},
    page::Direction,
    text::DisplayName,
    user::{User, UserPatch},
};
use gatehouse_persistence::{Error, SessionFilter, SessionSort, UserFilter, UserSort, db_tests};

use crate::fixture::*;

db_tests! {
    async fn scope_of_a_tenant_shows_nothing_of_another(db) {
        let partner = partner(&db, "p").await;
        let (ours, theirs) = (tenant(&db, &partner, "ours").await, tenant(&db, &partner, "theirs").await);
        let stranger = user(&db, &theirs, "eve").await;
        let foreign = session(&db, &stranger, NOW).await;

        let scope = db.scope(&in_tenant::<ReadUsers>(&ours));
        assert_eq!(scope.user(stranger.id).await.unwrap(), None);
        assert_eq!(scope.session(foreign.id).await.unwrap(), None);
        assert!(scope.session_view(foreign.id).await.unwrap().is_none());
        assert_eq!(scope.tenant(theirs.id).await.unwrap(), None);
        assert_eq!(scope.users(&UserFilter::default(), UserSort::CreatedAt, Direction::Descending, &page(1, 50), NOW).await.unwrap().total, 0);
        let filter = SessionFilter { users: vec![stranger.id], ..SessionFilter::default() };
        let list = scope.sessions(&filter, SessionSort::CreatedAt, Direction::Descending, &page(1, 50), NOW).await.unwrap();
        assert_eq!((list.total, list.items.len()), (0, 0));
        assert_eq!(db.scope(&in_tenant::<ReadUsers>(&theirs)).user(stranger.id).await.unwrap(), Some(stranger));
    }

    async fn scope_of_a_partner_shows_its_tenants_only(db) {
        let (ours, theirs) = (partner(&db, "ours").await, partner(&db, "theirs").await);
        let (a, b) = (tenant(&db, &ours, "a").await, tenant(&db, &theirs, "b").await);
        let (mine, stranger) = (user(&db, &a, "ada").await, user(&db, &b, "eve").await);
        let (seen, hidden) = (session(&db, &mine, NOW).await, session(&db, &stranger, NOW).await);

        let admin = partner_admin(&ours, &mine);
        let grant = gatehouse_domain::authz::authorize::<ReadSessions>(&admin, &Area::Directory).unwrap();
        let scope = db.scope(&grant);
        assert!(scope.session(seen.id).await.unwrap().is_some() && scope.session(hidden.id).await.unwrap().is_none());
        let filter = SessionFilter { active_only: true, ..SessionFilter::default() };
        let list = scope.sessions(&filter, SessionSort::CreatedAt, Direction::Descending, &page(1, 50), NOW).await.unwrap();
        assert_eq!((list.total, list.items[0].session.id), (1, seen.id));
    }

    async fn figures_are_those_of_the_one_tenant_that_the_scope_is_for(db) {
        let partner = partner(&db, "p").await;
        let (ours, theirs) = (tenant(&db, &partner, "ours").await, tenant(&db, &partner, "theirs").await);
        let stranger = user(&db, &theirs, "eve").await;
        session(&db, &stranger, NOW).await;

        let active = async |tenant| {
            db.scope(&in_tenant::<ReadSessions>(tenant)).session_stats(NOW).await.unwrap().active_sessions
        };
        assert_eq!((active(&ours).await, active(&theirs).await), (0, 1));
        let own = authorize::<Oneself>(&partner_admin(&partner, &stranger), &()).unwrap();
        for other in [db.scope(&grant::<ReadSessions>(&Area::Directory)), db.scope(&own)] {
            assert!(matches!(other.session_stats(NOW).await, Err(Error::ScopeViolation)));
        }
    }

    async fn value_of_another_tenant_cannot_be_saved_through_a_scope(db) {
        let partner = partner(&db, "p").await;
        let (ours, theirs) = (tenant(&db, &partner, "ours").await, tenant(&db, &partner, "theirs").await);
        let stranger = user(&db, &theirs, "eve").await;
        let patch = UserPatch { display_name: Some(Some(DisplayName::parse("Owned").unwrap())), ..UserPatch::default() };
        let (changed, _) = stranger.clone().update(patch, true, &[], &caller(), NOW).unwrap();
        let grant = in_tenant::<WriteUsers>(&ours);
        let result = write(&db, NOW, async move |tx| tx.scope(&grant).await?.update(changed.clone()).await).await;
        assert!(matches!(result, Err(Error::ScopeViolation)));
        assert_eq!(db.scope(&in_tenant::<ReadUsers>(&theirs)).user(stranger.id).await.unwrap(), Some(stranger));
    }

    async fn database_itself_refuses_a_row_that_crosses_tenants(db) {
        let partner = partner(&db, "p").await;
        let (ours, theirs) = (tenant(&db, &partner, "ours").await, tenant(&db, &partner, "theirs").await);
        let stranger = user(&db, &theirs, "eve").await;
        let crossed = User { tenant_id: ours.id, ..stranger };
        let changed = gatehouse_domain::session::Session::start(new_session(&crossed, NOW), &policy(), NOW);
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await;
        // As if the user had moved away meanwhile; whoever retries finds out that it is in another tenant.
        assert!(matches!(result, Err(Error::Stale)), "{result:?}");
    }

    async fn same_names_in_two_tenants_are_two_users_and_in_one_tenant_a_conflict(db) {
        let partner = partner(&db, "p").await;
        let (a, b) = (tenant(&db, &partner, "a").await, tenant(&db, &partner, "b").await);
        let (first, second) = (user(&db, &a, "ada").await, user(&db, &b, "ada").await);
        assert_ne!(first.id, second.id);
        let changed = new_user(a.reference(), "ADA");
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await;
        assert!(matches!(result, Err(Error::Conflict("uq_users_username" | "uq_users_email"))), "{result:?}");
    }

    async fn tenant_that_moves_takes_everything_below_it_along(db) {
        let (old, new) = (partner(&db, "old").await, partner(&db, "new").await);
        let tenant = tenant(&db, &old, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let session = session(&db, &ada, NOW).await;
        let patch = gatehouse_domain::tenant::TenantPatch { partner_id: Some(new.id), ..Default::default() };
        let (changed, _) = tenant.clone().update(patch, &by(), NOW);
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(changed.clone()).await).await.unwrap();

        let moved = TenantRef { id: tenant.id, partner_id: new.id };
        let scope = db.system(SYSTEM);
        assert_eq!(scope.user(ada.id).await.unwrap().unwrap().tenant(), moved);
        assert_eq!(scope.session(session.id).await.unwrap().unwrap().tenant(), moved);
    }

    async fn stale_value_is_not_saved(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let rename = |name: &str| {
            let patch = UserPatch { display_name: Some(Some(DisplayName::parse(name).unwrap())), ..UserPatch::default() };
            ada.clone().update(patch, true, &[], &caller(), NOW).unwrap().0
        };
        let (first, second) = (rename("First"), rename("Second"));
        write(&db, NOW, async move |tx| tx.system(SYSTEM).update(first.clone()).await).await.unwrap();
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).update(second.clone()).await).await;
        assert!(matches!(result, Err(Error::Stale)));
        let stored = db.system(SYSTEM).user(ada.id).await.unwrap().unwrap();
        assert_eq!(stored.display_name.unwrap().as_str(), "First");
    }
}
