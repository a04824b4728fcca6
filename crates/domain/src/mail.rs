//! When mail that cannot be sent is tried again, and when it is given up.

use std::time::Duration;

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, SystemReason, TenantRef},
    id::MailId,
    time::{DAY, HOUR, Timestamp},
};

/// How long whoever sends a mail has it for itself: longer than sending may take. After that it was lost with the
/// process that had it, and another sends it.
pub const LEASE: Duration = Duration::from_secs(5 * 60);
/// How long a mail is tried at most; one whose link ends earlier no longer than that.
pub const PATIENCE: Duration = DAY;
const FIRST_DELAY: Duration = Duration::from_secs(15);

/// Why a mail was not sent: a slug, as operators see it. What a mail server says besides may repeat the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub reason: &'static str,
    /// Whether trying again is of no use.
    pub is_final: bool,
}

/// What becomes of a mail after an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    At(Timestamp),
    /// It is given up.
    Never,
}

/// When a mail is given up whose link, if it has one, ends then.
#[must_use]
pub fn give_up_at(now: Timestamp, link_ends_at: Option<Timestamp>) -> Timestamp {
    let patience = now.plus(PATIENCE);
    link_ends_at.map_or(patience, |end| Ord::min(end, patience))
}

/// What becomes of a mail after its `attempts`th attempt has failed: each delay is twice the one before, up to an hour.
#[must_use]
pub fn after(failure: Failure, attempts: u32, give_up_at: Timestamp, now: Timestamp) -> Next {
    let doubled = FIRST_DELAY.saturating_mul(1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    let next = now.plus(Ord::min(doubled, HOUR));
    if failure.is_final || next >= give_up_at { Next::Never } else { Next::At(next) }
}

/// The event of a mail that is given up. To whom it was is not recorded: what caused it is an event of its own.
#[must_use]
pub fn given_up(tenant: TenantRef, id: MailId, attempts: u32, reason: &'static str) -> Event {
    let mut fields = Fields::default();
    fields.set("attempts", attempts);
    Event {
        action: Action::MailGivenUp,
        resource: Resource::of(ResourceKind::Mail, id.uuid()).in_tenant(tenant.partner_id, tenant.id),
        by: By::system(SystemReason::Job),
        failure: Some(reason),
        reason: None,
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const BUSY: Failure = Failure { reason: "busy", is_final: false };

    #[test]
    fn delay_doubles_up_to_an_hour() {
        let delay = |attempts| match after(BUSY, attempts, NOW.plus(PATIENCE), NOW) {
            Next::At(at) => at.since(NOW).as_secs(),
            Next::Never => 0,
        };
        assert_eq!([1, 2, 3, 8, 9, 10, 40, u32::MAX].map(delay), [15, 30, 60, 1_920, 3_600, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn mail_is_given_up_when_its_time_is_over_or_trying_is_of_no_use() {
        assert_eq!(after(BUSY, 1, NOW.plus(Duration::from_secs(15)), NOW), Next::Never);
        assert_eq!(after(Failure { is_final: true, ..BUSY }, 1, NOW.plus(PATIENCE), NOW), Next::Never);
    }

    #[test]
    fn mail_is_tried_for_a_day_unless_its_link_ends_before() {
        assert_eq!(give_up_at(NOW, None), NOW.plus(DAY));
        assert_eq!(give_up_at(NOW, Some(NOW.plus(HOUR))), NOW.plus(HOUR));
        assert_eq!(give_up_at(NOW, Some(NOW.plus(DAY * 7))), NOW.plus(DAY));
    }
}
