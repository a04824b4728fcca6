//! Pages of sessions: complete, without overlap, and the same however they are reached.

use gatehouse_domain::{
    authz::{Area, ReadSessions, ReadUsers},
    id::SessionId,
    issue::Parse,
    page::{Direction, PageNumber, PageRequest, PerPage, Start},
    session::EndReason,
    time::Timestamp,
};
use gatehouse_persistence::{Db, Scope, SessionFilter, SessionSort, UserFilter, UserSort, db_tests};

use crate::fixture::*;

async fn ids(scope: &Scope<'_>, filter: &SessionFilter, direction: Direction, request: &PageRequest) -> Vec<SessionId> {
    let page = scope.sessions(filter, SessionSort::CreatedAt, direction, request, NOW).await.unwrap();
    page.items.into_iter().map(|view| view.session.id).collect()
}

/// 1,200 sessions, several an hour, many at the same instant; every tenth ended.
async fn big_tenant(db: &Db) -> gatehouse_domain::tenant::Tenant {
    let partner = partner(db, "p").await;
    let tenant = tenant(db, &partner, "t").await;
    let ada = user(db, &tenant, "ada").await;
    for hour in 0..60u64 {
        let began = Timestamp::from_micros(NOW.micros() - 3_600_000_000 * 100)
            .plus(std::time::Duration::from_secs(hour * 3_600));
        let news: Vec<_> = (0..20).map(|i| (i, new_session(&ada, began))).collect();
        write(db, began, async move |tx| {
            for (i, new) in &news {
                let changed = gatehouse_domain::session::Session::start(new.clone(), &policy(), began);
                let session = tx.system(SYSTEM).insert(changed).await?;
                if i % 10 == 0 {
                    tx.system(SYSTEM).end(session.revoke(EndReason::Logout, &by(), began).unwrap()).await?;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    }
    tenant
}

db_tests! {
    async fn pages_by_number_and_by_cursor_give_the_same_list_without_gap_or_overlap(db) {
        let tenant = big_tenant(&db).await;
        let scope = db.scope(&in_tenant::<ReadSessions>(&tenant));
        for (active_only, total) in [(true, 1_080), (false, 1_200)] {
            let filter = SessionFilter { active_only, ..SessionFilter::default() };
            for direction in [Direction::Descending, Direction::Ascending] {
                let mut by_number = Vec::new();
                for number in 1..=17 {
                    by_number.extend(ids(&scope, &filter, direction, &page(number, 75)).await);
                }
                let mut by_cursor = Vec::new();
                let mut start = Start::Page(PageNumber::FIRST);
                loop {
                    let request = PageRequest { start, per_page: PerPage::parse("200").unwrap() };
                    let page = scope.sessions(&filter, SessionSort::CreatedAt, direction, &request, NOW).await.unwrap();
                    assert_eq!(page.total, total);
                    by_cursor.extend(page.items.iter().map(|view| view.session.id));
                    let Some(next) = page.next else { break };
                    start = Start::After(next, request.number().next());
                }
                assert_eq!(by_number, by_cursor);
                assert_eq!(by_number.len() as u64, total);
                let mut unique = by_number.clone();
                unique.sort();
                unique.dedup();
                assert_eq!(unique.len(), by_number.len());
            }
        }
    }

    async fn page_past_the_end_is_empty_and_knows_the_total(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        session(&db, &ada, NOW).await;
        let scope = db.scope(&in_tenant::<ReadSessions>(&tenant));
        for number in [2, 1_000_000, PageNumber::MAX] {
            let list = scope.sessions(&SessionFilter::default(), SessionSort::CreatedAt, Direction::Descending, &page(number, 200), NOW).await.unwrap();
            assert_eq!((list.total, list.items.len(), list.next), (1, 0, None));
        }
        let list = db.scope(&grant::<ReadUsers>(&Area::Directory)).users(&UserFilter::default(), UserSort::CreatedAt, Direction::Descending, &page(9, 50), NOW).await.unwrap();
        assert_eq!((list.total, list.items.len()), (1, 0));
    }

    async fn every_filter_finds_what_it_names(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let (ada, bob) = (user(&db, &tenant, "ada").await, user(&db, &tenant, "bob").await);
        let first = session_with(&db, &ada, NOW, |new| new.client.ip = Some("2001:db8::1".parse().unwrap())).await;
        let second = session_with(&db, &bob, NOW.plus(SECOND), |new| new.client.device.kind = gatehouse_domain::session::DeviceKind::Tablet).await;
        let scope = db.scope(&in_tenant::<ReadSessions>(&tenant));
        let of = async |filter: SessionFilter| ids(&scope, &filter, Direction::Descending, &page(1, 50)).await;
        let any = SessionFilter::default;
        assert_eq!(of(any()).await, [second.id, first.id]);
        assert_eq!(of(SessionFilter { users: vec![ada.id], ..any() }).await, [first.id]);
        assert_eq!(of(SessionFilter { users: vec![ada.id, bob.id], ..any() }).await, [second.id, first.id]);
        assert_eq!(of(SessionFilter { devices: vec!["tablet".into()], ..any() }).await, [second.id]);
        assert_eq!(of(SessionFilter { devices: vec!["toaster".into()], ..any() }).await, []);
        assert_eq!(of(SessionFilter { ips: vec!["2001:DB8:0::1".parse().unwrap()], ..any() }).await, [first.id]);
        assert_eq!(of(SessionFilter { created_after: Some(NOW.plus(SECOND)), ..any() }).await, [second.id]);
        assert_eq!(of(SessionFilter { created_before: Some(NOW.plus(SECOND)), ..any() }).await, [first.id]);
        assert_eq!(of(SessionFilter { last_activity_before: Some(NOW.plus(SECOND)), ..any() }).await, [first.id]);
        assert_eq!(of(SessionFilter { applications: vec![gatehouse_domain::id::ApplicationId::from_parts(1, [0; 10])], ..any() }).await, []);
    }
}
