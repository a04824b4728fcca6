//! Where an attempt to prove a password is counted, and what is made of it.

use super::{
    AccountRule, Counter, FORGET_AFTER, Gate, LONGEST_DELAY, NETWORKS, NetworkRule, WindowRule, counted, gate,
};
use crate::time::Timestamp;

/// What failed before, wherever an attempt to prove a password is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// Of the account, or of the name that nobody has.
    pub account: Counter,
    /// Of the device or session, if its user signed in there before.
    pub known: Option<Counter>,
    /// Of the address and the networks around it.
    pub networks: [Counter; NETWORKS],
    /// Of the tenant.
    pub tenant: Counter,
}

/// The rules for attempts to prove a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptRules {
    /// Of an account, and of each device and session that is known.
    pub account: AccountRule,
    /// Of the address and the networks around it.
    pub networks: NetworkRule,
    /// Of the tenant.
    pub tenant: WindowRule,
}

impl AttemptRules {
    /// Whether an attempt now gets an answer. For a device or session that is known its own failures count in place of
    /// those of the account and of the tenant, which are anybody's, and twice the limits of its networks hold.
    #[must_use]
    pub fn gate(&self, failures: &Failures, now: Timestamp) -> Gate {
        let networks = gate(self.networks_of(failures).rules(), &failures.networks, now);
        match &failures.known {
            Some(known) => self.account.gate(known, now).and(networks),
            None => self.account.gate(&failures.account, now).and(networks).and(self.tenant_gate(failures, now)),
        }
    }

    /// The rule of the networks for this attempt. What strangers fail in a network ends at its limit, so there is as much
    /// again for devices and sessions that are known.
    #[must_use]
    pub fn networks_of(&self, failures: &Failures) -> NetworkRule {
        if failures.known.is_some() { self.networks.twice() } else { self.networks }
    }

    /// Beyond the limit of a tenant those addresses wait that have failed themselves. One that has not gets its answer,
    /// so that strangers cannot shut a tenant out; but it gets one wrong answer only, not as many as otherwise.
    fn tenant_gate(&self, failures: &Failures, now: Timestamp) -> Gate {
        let [address, ..] = self.networks.rules();
        let of_address = address.current(&failures.networks[0], now);
        match self.tenant.gate(&failures.tenant, now) {
            Gate::Wait(delay) if of_address.failures > 0 => Gate::Wait(Ord::min(delay, address.rest(&of_address, now))),
            _ => Gate::Open,
        }
    }

    /// The counters after an attempt that failed, and whether it gets that answer. One that has to wait counts for
    /// nothing; one that finds its account locked is no guess, and only counts for the networks and the tenant.
    #[must_use]
    pub fn failed(&self, failures: &Failures, now: Timestamp) -> (Failures, Gate) {
        let gate = self.gate(failures, now);
        let mut after = *failures;
        if let Gate::Wait(_) = gate {
            return (after, gate);
        }
        after.networks = counted(self.networks.rules(), after.networks, now);
        after.tenant = self.tenant.counted(&after.tenant, now);
        if gate == Gate::Open {
            after.account = self.account.failed(&after.account, now);
            // It ends with its device or session, so it is not kept for ever.
            after.known = after.known.map(|known| Counter {
                kept: FORGET_AFTER.saturating_add(LONGEST_DELAY),
                ..self.account.failed(&known, now)
            });
        }
        (after, gate)
    }
}

impl Failures {
    /// The counter that decides: of the device or session where it is known, else of the account.
    #[must_use]
    pub const fn own(&self) -> &Counter {
        match &self.known {
            Some(known) => known,
            None => &self.account,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::throttle::LOCK_AFTER;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const RULES: AttemptRules = AttemptRules {
        account: AccountRule { free: 10 },
        networks: NetworkRule::of(100, Duration::from_secs(600)),
        tenant: WindowRule { limit: 5, window: Duration::from_secs(600) },
    };

    fn locked() -> Counter {
        (0..LOCK_AFTER).fold(Counter::default(), |counter, _| RULES.account.failed(&counter, NOW))
    }

    #[test]
    fn known_device_is_judged_by_its_own_failures_and_counts_for_the_account_too() {
        let (locked, now) = (locked(), NOW);
        let mut failures = Failures { account: locked, known: Some(Counter::default()), ..Failures::default() };
        for _ in 0..10 {
            assert_eq!(RULES.gate(&failures, now), Gate::Open);
            (failures, _) = RULES.failed(&failures, now);
        }
        assert_eq!(RULES.gate(&failures, now), Gate::Wait(Duration::from_secs(1)));
        assert_eq!(failures.account, locked);
        let one = Failures { known: Some(Counter::default()), ..Failures::default() };
        assert_eq!(RULES.failed(&one, now).0.account.failures, 1);
    }

    #[test]
    fn beyond_the_limit_of_a_tenant_addresses_that_failed_wait_until_either_window_ends() {
        let tenant = (0..5).fold(Counter::default(), |counter, _| RULES.tenant.counted(&counter, NOW));
        let fresh = Failures { tenant, ..Failures::default() };
        let later = NOW.plus(Duration::from_secs(60));
        assert_eq!(RULES.gate(&fresh, later), Gate::Open);
        let (failed, gate) = RULES.failed(&fresh, later);
        assert_eq!((gate, RULES.gate(&failed, later)), (Gate::Open, Gate::Wait(Duration::from_secs(540))));
        assert_eq!(RULES.gate(&Failures { known: Some(Counter::default()), ..failed }, later), Gate::Open);
        let other = Failures { tenant: Counter::default(), ..failed };
        assert_eq!(RULES.gate(&other, later), Gate::Open);
    }

    #[test]
    fn failures_of_strangers_in_its_network_leave_a_known_device_as_many() {
        let name = |failures: Failures| Failures { account: Counter::default(), ..failures };
        let mut failures = Failures::default();
        let rules = AttemptRules { tenant: WindowRule { limit: 1_000, ..RULES.tenant }, ..RULES };
        for _ in 0..100 {
            assert_eq!(rules.gate(&failures, NOW), Gate::Open);
            failures = name(rules.failed(&failures, NOW).0);
        }
        assert_eq!(rules.gate(&failures, NOW), Gate::Wait(Duration::from_secs(600)));
        for _ in 0..100 {
            let known = Failures { known: Some(Counter::default()), ..failures };
            assert_eq!(rules.gate(&known, NOW), Gate::Open);
            failures = name(Failures { known: None, ..rules.failed(&known, NOW).0 });
        }
        let known = Failures { known: Some(Counter::default()), ..failures };
        assert_eq!(rules.gate(&known, NOW), Gate::Wait(Duration::from_secs(600)));
    }

    #[test]
    fn what_waits_is_counted_nowhere() {
        let mut failures = Failures::default();
        for _ in 0..10 {
            (failures, _) = RULES.failed(&failures, NOW);
        }
        let (after, gate) = RULES.failed(&failures, NOW);
        assert!(matches!(gate, Gate::Wait(_)));
        assert_eq!(after, failures);
    }
}
