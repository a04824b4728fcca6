//! The counters that triggers keep equal what counting the rows gives, whatever happened.

use gatehouse_domain::{
    authz::ReadSessions,
    page::Direction,
    session::{DeviceKind, EndReason, RevokeMany, RevokeTarget, Session, SessionStatus},
    time::{DAY, HOUR, Timestamp},
};
use gatehouse_persistence::{Db, SessionFilter, SessionSort, db_tests};

use crate::fixture::*;

/// Three users, sessions spread over nine days, some ended in various ways, some swept, some due.
async fn busy_tenant(db: &Db) -> (gatehouse_domain::tenant::Tenant, Vec<gatehouse_domain::user::User>, Timestamp) {
    let partner = partner(db, "p").await;
    let tenant = tenant(db, &partner, "t").await;
    let other = crate::fixture::tenant(db, &partner, "other").await;
    let mut users = Vec::new();
    for name in ["ada", "bob", "cyd"] {
        users.push(user(db, &tenant, name).await);
    }
    let stranger = user(db, &other, "eve").await;
    session(db, &stranger, NOW).await;
    let kinds = [DeviceKind::Desktop, DeviceKind::Mobile, DeviceKind::Bot];
    let mut sessions = Vec::<Session>::new();
    for i in 0..60u32 {
        let began = NOW.plus(HOUR * (i * 3));
        let kind = kinds[(i % 3) as usize];
        let made = session_with(db, &users[(i % 5 % 3) as usize], began, |new| new.client.device.kind = kind).await;
        sessions.push(made);
        if i % 4 == 3 {
            let victim = sessions.remove((i % 7) as usize % sessions.len());
            if victim.status(began) == SessionStatus::Active {
                end(db, &victim, [EndReason::Logout, EndReason::Admin][(i % 2) as usize], began.plus(SECOND)).await;
            }
        }
    }
    let midway = NOW.plus(DAY * 8);
    write(db, midway, async |tx| tx.system(SYSTEM).expire_due().await).await.unwrap();
    let at = tenant.reference();
    write(db, midway, async move |tx| tx.system(SYSTEM).purge_sessions(at, NOW.plus(DAY * 2)).await).await.unwrap();
    let bob = RevokeMany {
        target: RevokeTarget::User(at, users[1].id),
        except: None,
        reason: EndReason::RevokeAll,
        by: by(),
    };
    write(db, midway, async move |tx| tx.system(SYSTEM).revoke_many(&bob).await).await.unwrap();
    (tenant, users, NOW.plus(DAY * 9))
}

async fn all(db: &Db, tenant: &gatehouse_domain::tenant::Tenant, now: Timestamp) -> Vec<Session> {
    let grant = in_tenant::<ReadSessions>(tenant);
    let (scope, filter) = (db.scope(&grant), SessionFilter::default());
    let list =
        scope.sessions(&filter, SessionSort::CreatedAt, Direction::Descending, &page(1, 200), now).await.unwrap();
    list.items.into_iter().map(|view| view.session).collect()
}

db_tests! {
    async fn totals_equal_the_rows_at_every_instant(db) {
        let (tenant, ..) = busy_tenant(&db).await;
        let scope = db.scope(&in_tenant::<ReadSessions>(&tenant));
        let rows = all(&db, &tenant, NOW).await;
        assert!(rows.len() > 30);
        // Later instants make more and more sessions due that nobody has swept.
        for now in [NOW.plus(DAY * 9), NOW.plus(DAY * 12), NOW.plus(DAY * 40)] {
            for device in [None, Some(DeviceKind::Mobile)] {
                let filter = SessionFilter {
                    active_only: true,
                    devices: device.iter().map(DeviceKind::to_string).collect(),
                    ..SessionFilter::default()
                };
                let list = scope.sessions(&filter, SessionSort::CreatedAt, Direction::Descending, &page(1, 200), now).await.unwrap();
                let expected: Vec<_> = rows
                    .iter()
                    .filter(|s| s.status(now) == SessionStatus::Active && device.is_none_or(|d| d == s.client.device.kind))
                    .map(|s| s.id)
                    .collect();
                assert_eq!(list.items.iter().map(|v| v.session.id).collect::<Vec<_>>(), expected);
                assert_eq!(list.total, expected.len() as u64);
            }
        }
    }

    async fn statistics_equal_the_rows(db) {
        let (tenant, users, now) = busy_tenant(&db).await;
        let stats = db.scope(&in_tenant::<ReadSessions>(&tenant)).session_stats(now).await.unwrap();
        let rows = all(&db, &tenant, now).await;
        let active: Vec<_> = rows.iter().filter(|s| s.status(now) == SessionStatus::Active).collect();
        assert_eq!(stats.active_sessions, active.len() as u64);
        assert_eq!(stats.active_users, users.iter().filter(|u| active.iter().any(|s| s.user_id == u.id)).count() as u64);
        for (kind, n) in &stats.by_device {
            assert_eq!(*n, active.iter().filter(|s| s.client.device.kind == *kind).count() as u64);
        }
        let day_ago = now.minus(DAY);
        let end_of = |s: &Session| s.ended.map_or((s.ends_at() <= now).then_some((s.ends_at(), EndReason::Expired)), |e| Some((e.at, e.reason)));
        assert_eq!(stats.created_last_24h, rows.iter().filter(|s| s.created_at >= day_ago && s.created_at <= now).count() as u64);
        let ended = |reason| rows.iter().filter_map(end_of).filter(|(at, r)| *at >= day_ago && *r == reason).count() as u64;
        assert!(stats.ended_last_24h.iter().any(|(reason, _)| *reason == EndReason::Expired));
        for (reason, n) in &stats.ended_last_24h {
            assert_eq!(*n, ended(*reason), "{reason}");
        }
        assert_eq!((stats.logins.len(), stats.active.len()), (168, 168));
        for ((hour, logins), (_, live)) in stats.logins.iter().zip(&stats.active) {
            assert_eq!(*logins, rows.iter().filter(|s| s.created_at.hour() == hour.hour()).count() as u64);
            let close = Ord::min(hour.plus(HOUR), now.plus(std::time::Duration::from_micros(1)));
            let expected = rows.iter().filter(|s| s.created_at < close && end_of(s).is_none_or(|(at, _)| at >= close)).count() as u64;
            assert_eq!(*live, expected, "{hour}");
        }
    }

    async fn signed_in_users_are_counted_through_every_way_a_session_ends(db) {
        let (tenant, users, now) = busy_tenant(&db).await;
        // Everything is due by then, though nothing has been swept; sweeping must not change the answer.
        let late = now.plus(DAY * 40);
        for sweep in [false, true] {
            if sweep {
                write(&db, late, async |tx| tx.system(SYSTEM).expire_due().await).await.unwrap();
            }
            let stats = db.scope(&in_tenant::<ReadSessions>(&tenant)).session_stats(late).await.unwrap();
            assert_eq!((stats.active_sessions, stats.active_users, stats.by_device.len()), (0, 0, 0));
        }
        session(&db, &users[0], late).await;
        let stats = db.scope(&in_tenant::<ReadSessions>(&tenant)).session_stats(late).await.unwrap();
        assert_eq!((stats.active_sessions, stats.active_users), (1, 1));
    }
}
