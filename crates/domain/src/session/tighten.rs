//! Bringing the sessions that are there within settings that became stricter.

use std::time::Duration;

use super::revocation::bulk;
use crate::{
    audit::{Action, Event, Resource, ResourceKind},
    authz::{By, TenantRef},
    id::PartnerId,
    settings::{Policy, Settings, Values},
};

/// The most that a session may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap<T> {
    /// The most.
    pub most: T,
    /// Only where no level below decides this setting itself: a decision binds everybody below, a default nobody who
    /// decides.
    pub unless_decided: Option<&'static str>,
}

/// What sessions that are there may have at most; `None` leaves them what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// The time from the beginning to the end of a session that somebody signed in to.
    pub lifetime: Option<Cap<Duration>>,
    /// The same of a session of an application's own.
    pub offline: Option<Cap<Duration>>,
    /// The time from one exchange of its refresh token to the next.
    pub refresh: Option<Cap<Duration>>,
    /// The time without activity.
    pub idle: Option<Cap<Duration>>,
    /// The number of a user's sessions.
    pub per_user: Option<Cap<u32>>,
}

impl Caps {
    /// Whether nothing became stricter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What became stricter in a tenant.
    #[must_use]
    pub fn between(before: &Policy, after: &Policy) -> Self {
        fn stricter<T: Ord + Copy>(before: Option<T>, after: Option<T>) -> Option<Cap<T>> {
            let after = after?;
            before.is_none_or(|before| after < before).then_some(Cap { most: after, unless_decided: None })
        }
        Self {
            lifetime: stricter(Some(before.session_lifetime), Some(after.session_lifetime)),
            offline: stricter(Some(before.offline_lifetime), Some(after.offline_lifetime)),
            refresh: stricter(Some(before.refresh_token_lifetime), Some(after.refresh_token_lifetime)),
            idle: stricter(before.session_idle, after.session_idle),
            per_user: stricter(Some(before.max_sessions_per_user), Some(after.max_sessions_per_user)),
        }
    }

    /// What a new decision of the platform or a partner makes stricter below it, given what holds at its level then.
    /// What it decides binds all. Where it takes a decision back, what holds instead may be a default that is less than
    /// was allowed: that is for those who decide nothing.
    #[must_use]
    pub fn below(before: &Settings, after: &Settings, values: &Values) -> Self {
        fn stricter<S: Ord + Copy, T>(
            field: &'static str,
            before: Option<S>,
            after: Option<S>,
            held: Option<S>,
            most: Option<T>,
        ) -> Option<Cap<T>> {
            let unless_decided = match (before, after) {
                (None, Some(_)) => None,
                (Some(before), Some(after)) if after < before => None,
                (Some(before), None) if held.is_some_and(|held| held < before) => Some(field),
                _ => return None,
            };
            Some(Cap { most: most?, unless_decided })
        }
        let policy = Policy::from(*values);
        Self {
            lifetime: stricter(
                "session_max_days",
                before.session_max_days,
                after.session_max_days,
                Some(values.session_max_days),
                Some(policy.session_lifetime),
            ),
            offline: stricter(
                "offline_max_days",
                before.offline_max_days,
                after.offline_max_days,
                Some(values.offline_max_days),
                Some(policy.offline_lifetime),
            ),
            refresh: stricter(
                "refresh_token_days",
                before.refresh_token_days,
                after.refresh_token_days,
                Some(values.refresh_token_days),
                Some(policy.refresh_token_lifetime),
            ),
            idle: stricter(
                "session_idle_minutes",
                before.session_idle_minutes,
                after.session_idle_minutes,
                values.session_idle_minutes,
                policy.session_idle,
            ),
            per_user: stricter(
                "max_sessions_per_user",
                before.max_sessions_per_user,
                after.max_sessions_per_user,
                Some(values.max_sessions_per_user),
                Some(policy.max_sessions_per_user),
            ),
        }
    }
}

/// Whose sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Everybody's.
    Platform,
    /// Those of a partner's tenants.
    Partner(PartnerId),
    /// Those of a tenant.
    Tenant(TenantRef),
}

/// Shortens sessions that have more than they may, and ends those that have had it: one event.
#[derive(Debug, Clone, Copy)]
#[must_use = "sessions are shortened only when it is saved"]
pub struct Tighten {
    /// Whose.
    pub within: Within,
    /// To what.
    pub caps: Caps,
    /// Who made the settings stricter.
    pub by: By,
}

impl Tighten {
    /// The event, once it is known how many sessions ended.
    #[must_use]
    pub fn event(&self, ended: u64) -> Event {
        let resource = match self.within {
            Within::Platform => Resource::set(ResourceKind::Platform),
            Within::Partner(id) => Resource::of(ResourceKind::Partner, id.uuid()).in_partner(id),
            Within::Tenant(it) => Resource::of(ResourceKind::Tenant, it.id.uuid()).in_tenant(it.partner_id, it.id),
        };
        bulk(Action::SessionRevokedAll, resource, self.by, Some("settings"), ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        settings::{Bounded, Defaults, Layers},
        time::DAY,
    };

    fn defaults() -> Defaults {
        Defaults { access_token_minutes: Bounded::new(15).unwrap(), refresh_token_days: Bounded::new(7).unwrap() }
    }

    fn refresh(days: Option<u64>) -> Settings {
        Settings { refresh_token_days: days.map(|n| Bounded::new(n).unwrap()), ..Settings::default() }
    }

    #[test]
    fn decision_binds_all_below_and_a_default_only_those_who_decide_nothing() {
        let cap = |days: u32, unless_decided| Some(Cap { most: DAY * days, unless_decided });
        for (before, after, expected) in [
            (None, Some(3), cap(3, None)),
            // More than the default, and yet less than a tenant may have decided that nobody bound.
            (None, Some(20), cap(20, None)),
            (Some(20), Some(10), cap(10, None)),
            (Some(10), Some(20), None),
            (Some(20), None, cap(7, Some("refresh_token_days"))),
            (Some(3), None, None),
            (None, None, None),
        ] {
            let (before, after) = (refresh(before), refresh(after));
            let values = Layers::of_platform(after).values(&defaults());
            let caps = Caps::below(&before, &after, &values);
            assert_eq!(caps.refresh, expected, "{before:?} {after:?}");
            assert_eq!(Caps { refresh: None, ..caps }, Caps::default());
        }
    }

    #[test]
    fn tenant_is_bound_by_what_holds_in_it() {
        let policy = |days| Layers::of_platform(refresh(days)).policy(&defaults());
        let most = |before, after| Caps::between(&policy(before), &policy(after)).refresh.map(|cap| cap.most);
        assert_eq!(most(Some(20), None), Some(DAY * 7));
        assert_eq!(most(None, Some(20)), None);
        assert!(Caps::between(&policy(None), &policy(None)).is_empty());
    }
}
