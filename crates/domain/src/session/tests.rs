use super::*;
use crate::{
    authz::SystemReason,
    settings::{Bounded, Defaults, Settings},
    time::{DAY, HOUR},
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

fn policy(idle_minutes: Option<u64>) -> Policy {
    Settings { session_idle_minutes: idle_minutes.map(|n| Bounded::new(n).unwrap()), ..Settings::default() }.policy(
        &Defaults { access_token_minutes: Bounded::new(15).unwrap(), refresh_token_days: Bounded::new(7).unwrap() },
    )
}

fn session(policy: &Policy, administers: bool) -> Session {
    let new = NewSession {
        id: SessionId::from_parts(1, [0; 10]),
        tenant_id: TenantId::from_parts(1, [0; 10]),
        partner_id: PartnerId::from_parts(1, [0; 10]),
        user_id: UserId::from_parts(1, [0; 10]),
        administers,
        cookie: None,
        client: Client {
            ip: None,
            user_agent: None,
            device: Device { kind: DeviceKind::Unknown, name: None },
            location: None,
        },
        authentication: Authentication::with_password(),
        refresh_hash: TokenHash::new([0; 32]),
    };
    Session::start(new, policy, NOW).into_parts().0
}

fn rotate(session: Session, policy: &Policy, at: Timestamp) -> Session {
    session.rotate(Successor { hash: TokenHash::new([1; 32]), replay: None }, policy, false, at).into_parts().0
}

#[test]
fn expiry_slides_with_each_rotation_up_to_the_absolute_limit() {
    let policy = policy(None);
    let mut session = session(&policy, false);
    assert_eq!(session.expires_at, NOW.plus(DAY * 7));
    for day in [5, 10, 15, 20, 24, 29] {
        session = rotate(session, &policy, NOW.plus(DAY * day));
        assert_eq!(session.expires_at, NOW.plus(DAY * Ord::min(day + 7, 30)));
    }
}

#[test]
fn session_that_may_administer_lasts_a_day_and_an_idle_hour() {
    let policy = policy(None);
    let session = session(&policy, true);
    assert_eq!(session.expires_at, NOW.plus(DAY));
    assert_eq!(session.ends_at(), NOW.plus(HOUR + ACTIVITY_LAG));
}

#[test]
fn idle_timeout_ends_a_session_before_its_expiry_but_never_early() {
    let session = session(&policy(Some(5)), false);
    let deadline = NOW.plus(Duration::from_secs(300) + ACTIVITY_LAG);
    assert_eq!(session.status(deadline.minus(Duration::from_micros(1))), SessionStatus::Active);
    assert_eq!(session.status(deadline), SessionStatus::Expired);
}

#[test]
fn rotation_counts_as_activity_and_keeps_the_id() {
    let policy = policy(Some(5));
    let before = session(&policy, false);
    let after = rotate(before.clone(), &policy, NOW.plus(HOUR));
    assert_eq!((after.id, after.last_activity_at, after.chain.generation), (before.id, NOW.plus(HOUR), 1));
}

#[test]
fn ended_session_cannot_be_ended_again() {
    let by = By::system(SystemReason::Job);
    let policy = policy(None);
    let ended = session(&policy, false).revoke(EndReason::Admin, &by, NOW).unwrap().into_parts().0;
    assert_eq!(ended.status(NOW), SessionStatus::Revoked);
    assert_eq!(ended.revoke(EndReason::Admin, &by, NOW).unwrap_err(), AlreadyEnded);
    assert_eq!(session(&policy, false).revoke(EndReason::Admin, &by, NOW.plus(DAY * 8)).unwrap_err(), AlreadyEnded);
}

#[test]
fn reuse_is_named_in_the_event() {
    let by = By::system(SystemReason::Authentication);
    let changed = session(&policy(None), false).revoke(EndReason::ReuseDetected, &by, NOW).unwrap();
    let (_, event) = changed.into_parts();
    assert_eq!((event.action, event.reason), (Action::SessionRefreshReuseDetected, Some("reuse_detected")));
}
