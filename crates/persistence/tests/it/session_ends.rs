//! Every way in which sessions end says which ones ended, in the transaction that ends them.

use std::collections::HashSet;

use gatehouse_domain::{
    authz::{Area, WriteSettings},
    session::{Cap, Caps, EndReason, EndedSession, RevokeMany, RevokeTarget, Session, Tighten, Within},
    time::{DAY, HOUR},
};
use gatehouse_persistence::{BATCH, Db, WriteTx, db_tests, testing::fill_sessions};

use crate::fixture::*;

fn told(session: &Session, reason: EndReason) -> EndedSession {
    EndedSession { id: session.id, tenant: session.tenant(), user: session.user_id, reason }
}

/// Which sessions a transaction is told of.
async fn ends(
    db: &Db,
    at: gatehouse_domain::time::Timestamp,
    work: impl AsyncFn(&WriteTx<'_>) + Send + 'static,
) -> Vec<EndedSession> {
    let told = async move |tx: &WriteTx<'_>| {
        work(tx).await;
        Ok(tx.sessions_ended().clone())
    };
    let mut told = write(db, at, told).await.unwrap();
    told.sort_by_key(|session| session.id);
    told
}

/// Whom two partners have, each with two tenants of two users, and a session of each.
async fn sessions_of_two_partners(db: &Db) -> Vec<Session> {
    let mut sessions = Vec::new();
    for slug in ["p", "q"] {
        let partner = partner(db, slug).await;
        for n in 0..2 {
            let tenant = tenant(db, &partner, &format!("{slug}{n}")).await;
            for name in ["ada", "bob"] {
                sessions.push(session(db, &user(db, &tenant, name).await, NOW).await);
            }
        }
    }
    sessions
}

db_tests! {
    async fn end_of_one_session_is_told(db) {
        let session = sessions_of_two_partners(&db).await.remove(0);
        let expected = told(&session, EndReason::Logout);
        let told = ends(&db, NOW, async move |tx| {
            tx.system(SYSTEM).end(session.clone().revoke(EndReason::Logout, &by(), NOW).unwrap()).await.unwrap();
        }).await;
        assert_eq!(told, [expected]);
    }

    async fn revocation_tells_which_sessions_it_ended_whomever_it_was_for(db) {
        let all = sessions_of_two_partners(&db).await;
        let (first, second, of_tenant) = (&all[0], &all[2], all[4].tenant());
        for (target, expected) in [
            (RevokeTarget::Named(first.tenant(), first.user_id, vec![first.id]), &all[..1]),
            (RevokeTarget::User(second.tenant(), second.user_id), &all[2..3]),
            (RevokeTarget::Partner(first.partner_id), &[all[1].clone(), all[3].clone()]),
            (RevokeTarget::Tenant(of_tenant), &all[4..6]),
        ] {
            let many = RevokeMany { target, except: None, reason: EndReason::Admin, by: by() };
            let told_of = ends(&db, NOW, async move |tx| {
                tx.system(SYSTEM).revoke_many(&many).await.unwrap();
            }).await;
            let expected: Vec<_> = expected.iter().map(|session| told(session, EndReason::Admin)).collect();
            assert_eq!(told_of, expected);
        }
    }

    async fn sessions_that_are_swept_are_told(db) {
        let all = sessions_of_two_partners(&db).await;
        let told_of = ends(&db, NOW.plus(DAY * 8), async |tx| {
            assert_eq!(tx.system(SYSTEM).expire_due().await.unwrap(), 8);
        }).await;
        assert!(told_of.len() < BATCH);
        let expected: Vec<_> = all.iter().map(|session| told(session, EndReason::Expired)).collect();
        assert_eq!(told_of, expected);
    }

    async fn stricter_settings_tell_what_has_run_out_by_them_and_what_is_one_too_many(db) {
        let old = sessions_of_two_partners(&db).await.remove(0);
        let at = NOW.plus(HOUR * 2);
        let ada = db.system(SYSTEM).user(old.user_id).await.unwrap().unwrap();
        let (older, newer) = (session(&db, &ada, NOW.plus(HOUR + SECOND)).await, session(&db, &ada, at).await);
        let cap = |most| Some(Cap { most, unless_decided: None });
        let caps = Caps { lifetime: cap(HOUR), per_user: Some(Cap { most: 1, unless_decided: None }), ..Caps::default() };
        let tighten = Tighten { within: Within::Tenant(old.tenant()), caps, by: by() };
        let others = db.system(SYSTEM);
        let bob = sessions_of(&others, &old, at).await;
        let grant = grant::<WriteSettings>(&Area::Directory);
        let mut told_of = ends(&db, at, async move |tx| tx.scope(&grant).await.unwrap().tighten(&tighten).await.unwrap()).await;
        told_of.retain(|session| session.user == ada.id);
        assert_eq!(told_of, [told(&old, EndReason::Expired), told(&older, EndReason::SessionLimit)]);
        let left = sessions_of(&others, &old, at).await;
        assert_eq!((bob.len(), left), (4, vec![newer.id]));
    }

    async fn as_many_sessions_as_a_tenant_has_end_a_batch_at_a_time_with_one_event(db) {
        let tenant = tenant(&db, &partner(&db, "p").await, "t").await;
        let ada = user(&db, &tenant, "ada").await;
        fill_sessions(&db, &ada, 12_000, NOW).await.unwrap();
        let many = RevokeMany {
            target: RevokeTarget::Tenant(tenant.reference()),
            except: None,
            reason: EndReason::Admin,
            by: by(),
        };
        let before = db.statements().0;
        let told_of = ends(&db, NOW, async move |tx| {
            assert_eq!(tx.system(SYSTEM).revoke_many(&many).await.unwrap().count, 12_000);
        }).await;
        // On PostgreSQL the tenant is locked first.
        assert_eq!(db.statements().0 - before, if db.is_sqlite() { 4 } else { 5 });
        assert_eq!(told_of.iter().map(|session| session.id).collect::<HashSet<_>>().len(), 12_000);
    }
}

/// The active sessions of a tenant, by when they began.
async fn sessions_of(
    scope: &gatehouse_persistence::Scope<'_>,
    of: &Session,
    at: gatehouse_domain::time::Timestamp,
) -> Vec<gatehouse_domain::id::SessionId> {
    use gatehouse_persistence::{SessionFilter, SessionSort};
    let filter = SessionFilter { tenants: vec![of.tenant_id], active_only: true, ..SessionFilter::default() };
    let way = gatehouse_domain::page::Direction::Ascending;
    let page = scope.sessions(&filter, SessionSort::CreatedAt, way, &page(1, 50), at).await.unwrap();
    page.items.iter().map(|view| view.session.id).collect()
}

/// Looking for the text that ends a session, in the sources.
#[test]
fn only_one_file_ends_sessions() {
    let files = crate::text::sources("src").into_iter();
    let found: Vec<_> = files.filter(|(_, text)| text.contains("SET ended_at")).map(|(path, _)| path).collect();
    assert!(matches!(found.as_slice(), [one] if one.ends_with("/tuned/session_end.rs")), "{found:?}");
}
