//! How long mail is tried, and the event of one that is given up. When it is tried again is the rule of all [jobs](crate::job).

use std::time::Duration;

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, SystemReason, TenantRef},
    id::MailId,
    time::{DAY, Timestamp},
};

/// How long a mail is tried at most; one whose link ends earlier no longer than that.
pub const PATIENCE: Duration = DAY;

/// When a mail is given up whose link, if it has one, ends then.
#[must_use]
pub fn give_up_at(now: Timestamp, link_ends_at: Option<Timestamp>) -> Timestamp {
    let patience = now.plus(PATIENCE);
    link_ends_at.map_or(patience, |end| Ord::min(end, patience))
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
    use crate::time::HOUR;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    #[test]
    fn mail_is_tried_for_a_day_unless_its_link_ends_before() {
        assert_eq!(give_up_at(NOW, None), NOW.plus(DAY));
        assert_eq!(give_up_at(NOW, Some(NOW.plus(HOUR))), NOW.plus(HOUR));
        assert_eq!(give_up_at(NOW, Some(NOW.plus(DAY * 7))), NOW.plus(DAY));
    }
}
