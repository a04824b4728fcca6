//! Sessions begin, rotate, end, run out and go.

use gatehouse_domain::{
    authz::ReadSessions,
    secret::TokenHash,
    session::{EndReason, RevokeMany, RevokeTarget, SessionStatus, Successor},
    settings::{Bounded, Settings},
    time::{DAY, HOUR},
};
use gatehouse_persistence::{Error, db_tests};

use crate::fixture::*;

fn successor(n: u8) -> Successor {
    Successor { hash: TokenHash::new([n; 32]), replay: Some(vec![n]) }
}

db_tests! {
    async fn stored_session_reads_back_as_it_was(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let session = session(&db, &ada, NOW).await;
        assert_eq!(db.system(SYSTEM).session(session.id).await.unwrap(), Some(session.clone()));
        let (view, apps) = db.scope(&in_tenant::<ReadSessions>(&tenant)).session_view(session.id).await.unwrap().unwrap();
        assert_eq!((view.session, view.user_email.as_str(), view.app_count, apps.len()), (session, "ada@example.com", 0, 0));
    }

    async fn only_the_current_refresh_token_rotates_and_only_once(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let session = session(&db, &ada, NOW).await;
        let presented = session.chain.current;
        let (first, second) = (session.clone().rotate(successor(1), &policy(), false, NOW), session.clone().rotate(successor(2), &policy(), false, NOW));
        let rotated = write(&db, NOW, async move |tx| tx.system(SYSTEM).rotate(presented, first.clone()).await).await.unwrap();
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).rotate(presented, second.clone()).await).await;
        assert!(matches!(result, Err(Error::Stale)));
        assert_eq!(db.system(SYSTEM).session(session.id).await.unwrap(), Some(rotated));
    }

    async fn ended_session_neither_rotates_nor_ends_again(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let session = session(&db, &ada, NOW).await;
        end(&db, &session, EndReason::Logout, NOW).await;
        let presented = session.chain.current;
        let (again, rotation) = (session.clone().revoke(EndReason::Admin, &by(), NOW).unwrap(), session.clone().rotate(successor(1), &policy(), false, NOW));
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).end(again.clone()).await).await;
        assert!(matches!(result, Err(Error::Stale)));
        let result = write(&db, NOW, async move |tx| tx.system(SYSTEM).rotate(presented, rotation.clone()).await).await;
        assert!(matches!(result, Err(Error::Stale)));
        assert_eq!(db.system(SYSTEM).session(session.id).await.unwrap().unwrap().ended.unwrap().reason, EndReason::Logout);
    }

    async fn bulk_revocation_ends_what_it_targets_and_nothing_else(db) {
        let partner = partner(&db, "p").await;
        let (tenant, other) = (tenant(&db, &partner, "t").await, tenant(&db, &partner, "other").await);
        let (ada, bob, eve) = (user(&db, &tenant, "ada").await, user(&db, &tenant, "bob").await, user(&db, &other, "eve").await);
        let mut adas = Vec::new();
        for _ in 0..3 {
            adas.push(session(&db, &ada, NOW).await.id);
        }
        session(&db, &bob, NOW).await;
        session(&db, &eve, NOW).await;
        let run = async |target, except| {
            let many = RevokeMany { target, except, reason: EndReason::RevokeAll, by: by() };
            let grant = revoking(&tenant);
            let mut revoked = write(&db, NOW, async move |tx| tx.scope(&grant).await?.revoke_many(&many).await).await.unwrap();
            revoked.ids.sort();
            (revoked.count, revoked.ids)
        };
        let at = tenant.reference();
        assert_eq!(run(RevokeTarget::Named(at, bob.id, vec![adas[0]]), None).await, (0, vec![]));
        assert_eq!(run(RevokeTarget::Named(at, ada.id, vec![adas[0]]), None).await, (1, vec![adas[0]]));
        assert_eq!(run(RevokeTarget::User(at, ada.id), Some(adas[1])).await, (1, vec![adas[2]]));
        assert_eq!(run(RevokeTarget::Tenant(at), None).await.0, 2);
        assert_eq!(run(RevokeTarget::Tenant(at), None).await.0, 0);
        // The scope is that of one tenant: naming another ends nothing.
        assert_eq!(run(RevokeTarget::Tenant(other.reference()), None).await.0, 0);
        assert_eq!(run(RevokeTarget::Partner(partner.id), None).await.0, 0);
    }

    async fn sessions_past_their_end_are_swept_with_the_instant_they_ended(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let (old, young) = (session(&db, &ada, NOW).await, session(&db, &ada, NOW.plus(DAY)).await);
        let late = NOW.plus(DAY * 7 + HOUR);
        let swept = write(&db, late, async |tx| tx.system(SYSTEM).expire_due().await).await.unwrap();
        assert_eq!(swept, 1);
        let old = db.system(SYSTEM).session(old.id).await.unwrap().unwrap();
        assert_eq!((old.status(late), old.ended.unwrap().at), (SessionStatus::Expired, old.expires_at));
        assert_eq!(db.system(SYSTEM).session(young.id).await.unwrap().unwrap().status(late), SessionStatus::Active);
    }

    async fn activity_moves_the_idle_deadline_forward_and_never_back(db) {
        let partner = partner(&db, "p").await;
        let idle = Settings { session_idle_minutes: Some(Bounded::new(30).unwrap()), ..Settings::default() };
        let tenant = tenant_with(&db, &partner, "t", idle).await;
        let ada = user(&db, &tenant, "ada").await;
        let changed = gatehouse_domain::session::Session::start(new_session(&ada, NOW), &policy_of(&idle), NOW);
        let session = write(&db, NOW, async move |tx| tx.system(SYSTEM).insert(changed.clone()).await).await.unwrap();
        let id = session.id;
        for (seen, expected) in [(NOW.plus(HOUR), NOW.plus(HOUR)), (NOW.plus(SECOND), NOW.plus(HOUR))] {
            write(&db, NOW, async move |tx| tx.system(SYSTEM).note_activity(&[(id, seen), (id, seen), (id, seen)]).await).await.unwrap();
            let stored = db.system(SYSTEM).session(id).await.unwrap().unwrap();
            assert_eq!(stored.last_activity_at, expected);
        }
        let due = NOW.plus(HOUR + SECOND * 1_810);
        assert_eq!(write(&db, due.minus(SECOND), async |tx| tx.system(SYSTEM).expire_due().await).await.unwrap(), 0);
        assert_eq!(write(&db, due, async |tx| tx.system(SYSTEM).expire_due().await).await.unwrap(), 1);
    }

    async fn ended_sessions_are_removed_after_their_retention_in_bounded_batches(db) {
        let partner = partner(&db, "p").await;
        let tenant = tenant(&db, &partner, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        let kept = session(&db, &ada, NOW).await;
        for _ in 0..(gatehouse_persistence::BATCH + 1) {
            session(&db, &ada, NOW).await;
        }
        let many = RevokeMany { target: RevokeTarget::User(tenant.reference(), ada.id), except: Some(kept.id), reason: EndReason::Admin, by: by() };
        write(&db, NOW, async move |tx| tx.system(SYSTEM).revoke_many(&many).await).await.unwrap();
        let at = tenant.reference();
        for expected in [gatehouse_persistence::BATCH, 1, 0] {
            let removed = write(&db, NOW, async move |tx| tx.system(SYSTEM).purge_sessions(at, NOW.plus(SECOND)).await).await.unwrap();
            assert_eq!(removed, expected);
        }
        assert!(db.system(SYSTEM).session(kept.id).await.unwrap().is_some());
    }
}
