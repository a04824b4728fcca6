//! How long evidence is kept, and what it takes to keep it for a shorter time.

use std::time::Duration;

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    settings::{Defaults, Layers, Policy, Values},
    time::{DAY, HOUR, Timestamp},
    word::words,
};

words! {
    /// What is kept for some time after it has happened.
    Evidence {
        /// Events of the audit trail.
        AuditEvents = "audit_events",
        /// Sessions that have ended.
        Sessions = "sessions",
    }
}

/// That what is there is kept for some time. It is renewed as long as that is what is decided, and once it is no more,
/// it stands until the last of what was there then has been kept for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// What is kept.
    pub evidence: Evidence,
    /// For how long.
    pub kept: Duration,
    /// How long the promise stands.
    pub until: Timestamp,
}

impl Promise {
    /// How much longer than needed a promise stands. It is renewed when half of that is over, so that it covers what
    /// happens until then.
    const AHEAD: Duration = DAY;

    /// For how long something is kept: as long as is decided now, or as the longest promise says that still stands.
    /// Also the promise of now, where there is none or it has to be renewed.
    #[must_use]
    pub fn keep(evidence: Evidence, decided: Duration, promises: &[Self], now: Timestamp) -> (Duration, Option<Self>) {
        let stands = promises.iter().filter(|it| it.evidence == evidence && it.until > now);
        let longest = stands.clone().map(|it| it.kept).fold(decided, Ord::max);
        let is_fresh = stands.into_iter().any(|it| it.kept == decided && it.until >= now.plus(decided + 12 * HOUR));
        let until = now.plus(decided + Self::AHEAD);
        (longest, (!is_fresh).then_some(Self { evidence, kept: decided, until }))
    }
}

impl Policy {
    /// That what is there is kept as long as is decided now.
    #[must_use]
    pub fn promises(&self, now: Timestamp) -> [Promise; 2] {
        [(Evidence::AuditEvents, self.audit_retention), (Evidence::Sessions, self.session_retention)]
            .map(|(evidence, kept)| Promise { evidence, kept, until: now.plus(kept + Promise::AHEAD) })
    }
}

impl Values {
    /// What is kept for a shorter time than before, by field.
    #[must_use]
    pub fn shortened(&self, next: &Self) -> Fields {
        let mut fields = Fields::default();
        if next.audit_retention_days < self.audit_retention_days {
            fields.change("audit_retention_days", self.audit_retention_days, next.audit_retention_days);
        }
        if next.session_retention_days < self.session_retention_days {
            fields.change("session_retention_days", self.session_retention_days, next.session_retention_days);
        }
        fields
    }
}

impl Layers {
    /// What the lowest level keeps, or decides to be kept, for a shorter time than before. A decision that has no
    /// effect counts too: it would have one as soon as what stands above it goes.
    #[must_use]
    pub fn shortened(&self, next: &Self, defaults: &Defaults) -> Fields {
        let held = self.values(defaults).shortened(&next.values(defaults));
        let alone = |layers: &Self| Self::of_platform(layers.own()).values(defaults);
        if held.is_empty() { alone(self).shortened(&alone(next)) } else { held }
    }
}

/// The event of a tenant keeping something for a shorter time. It belongs to the partner, not to the tenant.
#[must_use]
pub fn retention_shortened(tenant: TenantRef, fields: Fields, by: By) -> Event {
    let resource = Resource::of(ResourceKind::Tenant, tenant.id.uuid()).in_partner(tenant.partner_id);
    Event { action: Action::TenantRetentionShortened, resource, by, failure: None, reason: None, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Bounded, Level, Settings};

    const DEFAULTS: Defaults = Defaults { access_token_minutes: Bounded(15), refresh_token_days: Bounded(7) };

    fn audit(days: Option<u32>) -> Settings {
        Settings { audit_retention_days: days.map(Bounded), ..Settings::default() }
    }

    #[test]
    fn retention_is_shorter_when_less_holds_or_less_is_decided() {
        for (above, before, after, shorter) in [
            (None, None, Some(364), true),
            (None, Some(400), None, true),
            (None, Some(90), None, false),
            (None, None, Some(365), false),
            (None, Some(100), Some(90), true),
            (Some(500), Some(400), Some(300), true),
            (Some(500), Some(400), Some(400), false),
            (Some(500), None, Some(500), false),
        ] {
            let partner = Level::Partner(crate::id::PartnerId::from_parts(1, [1; 10]));
            let layers = Layers::of_platform(audit(above)).with(partner, audit(before));
            let fields = layers.shortened(&layers.replaced(audit(after)), &DEFAULTS);
            assert_eq!(!fields.is_empty(), shorter, "{above:?} {before:?} {after:?}");
        }
    }

    #[test]
    fn promise_stands_until_what_was_there_has_been_kept_for_so_long() {
        let start = Timestamp::from_micros(0);
        let at = |days: u32| start.plus(DAY * days);
        let keep = |days: u32, promises: &[Promise], now| Promise::keep(Evidence::Sessions, DAY * days, promises, now);
        let (kept, promise) = keep(30, &[], at(0));
        let long = promise.unwrap();
        assert_eq!((kept, long.until), (DAY * 30, at(31)));
        assert_eq!(keep(30, &[long], start.plus(12 * HOUR)), (DAY * 30, None));
        assert!(keep(30, &[long], at(1)).1.is_some());
        let short = keep(7, &[long], at(1)).1.unwrap();
        assert_eq!(keep(7, &[long, short], at(1)), (DAY * 30, None));
        assert_eq!(keep(7, &[long, short], at(30)).0, DAY * 30);
        assert_eq!(keep(7, &[long, short], at(31)).0, DAY * 7);
        assert_eq!(keep(60, &[long, short], at(1)).0, DAY * 60);
        assert_eq!(Promise::keep(Evidence::AuditEvents, DAY, &[long], at(1)).0, DAY);
    }

    #[test]
    fn longer_time_for_one_thing_does_not_hide_a_shorter_one_for_another() {
        let before = Settings { session_retention_days: Some(Bounded(30)), ..Settings::default() };
        let after =
            Settings { session_retention_days: Some(Bounded(7)), audit_retention_days: Some(Bounded(999)), ..before };
        let layers = Layers::of_platform(before);
        assert_eq!(
            layers.shortened(&layers.replaced(after), &DEFAULTS).to_json(),
            r#"{"session_retention_days":{"new":7,"old":30}}"#
        );
    }
}
