//! How failed attempts slow down further ones.
//!
//! Counted are *consecutive* failures of one account (NIST SP 800-63B-4, 3.2.2), and failures of networks and of a tenant
//! within a window. Who signed in before from a device or goes on in a session has a counter of its own, so that the
//! failures of strangers do not shut it out. All is decided when an attempt gets its answer, not when it begins, so that
//! racing attempts learn exactly as much as sequential ones.

mod attempt;
mod device;

use std::time::Duration;

pub use attempt::{AttemptRules, Failures};
pub use device::KnownDevice;

use crate::time::{DAY, MINUTE, Timestamp};

/// The longest delay between two attempts on an account.
pub const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// How much older the time of a request may be than what another one has stored: it waited for the database, or came to a
/// replica whose clock is behind. Only what is later than that by a clock is of one that was set back.
pub const LATE: Duration = MINUTE;
/// So many consecutive failures lock an account until an administrator unlocks it.
pub const LOCK_AFTER: u32 = 100;
/// Consecutive failures are forgotten when so long there was none. Those that lock are not.
pub const FORGET_AFTER: Duration = DAY.saturating_mul(90);
/// Longer than any installation lasts.
const FOREVER: Duration = DAY.saturating_mul(365 * 1_000);
/// How many networks an address is counted in: the /64, the /56 and the /48 of IPv6, or just the address of IPv4.
pub const NETWORKS: usize = 3;
/// How many devices of a user are known; the oldest makes room for one more.
pub const KNOWN_DEVICES: u32 = 10;
/// How long a device stays known.
pub const DEVICE_LIFETIME: Duration = DAY.saturating_mul(90);

/// The counter of an account, a network or anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Failures so far.
    pub failures: u32,
    /// When the first of them, or the window, began.
    pub since: Timestamp,
    /// When the next attempt gets an answer.
    pub blocked_until: Timestamp,
    /// How long it has to be kept after it was changed.
    pub kept: Duration,
}

/// Whether an attempt gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    Open,
    /// Not yet; try again after this time.
    Wait(Duration),
    /// Not until somebody unlocks it; looks like a wrong password.
    Locked,
}

impl Gate {
    /// Both together: whoever has to wait anywhere waits, the longest time.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Wait(a), Self::Wait(b)) => Self::Wait(Ord::max(a, b)),
            (Self::Wait(delay), _) | (_, Self::Wait(delay)) => Self::Wait(delay),
            (Self::Locked, _) | (_, Self::Locked) => Self::Locked,
            (Self::Open, Self::Open) => Self::Open,
        }
    }
}

/// The rule for consecutive failures of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountRule {
    /// Failures that cost nothing.
    pub free: u32,
}

impl AccountRule {
    fn current(counter: &Counter, now: Timestamp) -> Counter {
        let is_over = counter.failures < LOCK_AFTER && now.since(counter.blocked_until) >= FORGET_AFTER;
        if is_over { Counter::default() } else { *counter }
    }

    /// Whether an attempt now gets an answer.
    #[must_use]
    pub fn gate(self, counter: &Counter, now: Timestamp) -> Gate {
        let counter = Self::current(counter, now);
        if counter.failures >= LOCK_AFTER {
            return Gate::Locked;
        }
        let wait = counter.blocked_until.since(now);
        // No delay is longer, so the clock was set back: nobody waits for what it showed before.
        if counter.failures >= self.free && !wait.is_zero() && wait <= LONGEST_DELAY.saturating_add(LATE) {
            return Gate::Wait(wait);
        }
        Gate::Open
    }

    /// The counter after one more failure. From the last free failure on, each doubles the delay, from one second. What
    /// locks stays as it is.
    #[must_use]
    pub fn failed(self, counter: &Counter, now: Timestamp) -> Counter {
        let counter = Self::current(counter, now);
        if counter.failures >= LOCK_AFTER {
            return counter;
        }
        let failures = counter.failures.saturating_add(1);
        let since = if counter.failures == 0 { now } else { counter.since };
        let blocked_until = match failures.checked_sub(self.free) {
            None => now,
            Some(beyond) => {
                let delay = Duration::from_secs(1u64.checked_shl(beyond).unwrap_or(u64::MAX));
                now.plus(Ord::min(delay, LONGEST_DELAY))
            }
        };
        let kept = if failures < LOCK_AFTER { FORGET_AFTER.saturating_add(LONGEST_DELAY) } else { FOREVER };
        Counter { failures, since, blocked_until, kept }
    }
}

/// The rule for events of one kind within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRule {
    /// How many are let through.
    pub limit: u32,
    /// In which time.
    pub window: Duration,
}

impl WindowRule {
    fn current(self, counter: &Counter, now: Timestamp) -> Counter {
        // A window that begins later than the next one would is of a clock that was set back.
        let is_over = now.since(counter.since) >= self.window || counter.since.since(now) > self.window;
        if counter.failures == 0 || is_over {
            return Counter { since: now, blocked_until: now, ..Counter::default() };
        }
        *counter
    }

    /// Whether one more now gets through.
    #[must_use]
    pub fn gate(self, counter: &Counter, now: Timestamp) -> Gate {
        let current = self.current(counter, now);
        if current.failures < self.limit { Gate::Open } else { Gate::Wait(self.rest(&current, now)) }
    }

    fn rest(self, current: &Counter, now: Timestamp) -> Duration {
        current.since.plus(self.window).since(now)
    }

    /// The counter after one more.
    #[must_use]
    pub fn counted(self, counter: &Counter, now: Timestamp) -> Counter {
        let current = self.current(counter, now);
        Counter {
            failures: current.failures.saturating_add(1),
            blocked_until: current.since.plus(self.window),
            // Twice, for replicas whose clocks differ.
            kept: self.window.saturating_mul(2),
            ..current
        }
    }

    /// How many are left, and when the window ends.
    #[must_use]
    pub fn remaining(self, counter: &Counter, now: Timestamp) -> (u32, Duration) {
        let current = self.current(counter, now);
        (self.limit.saturating_sub(current.failures), self.rest(&current, now))
    }
}

/// Counts one more in every window, unless one of them is full: then it is counted nowhere.
#[must_use]
pub fn take<const N: usize>(rules: [WindowRule; N], counters: [Counter; N], now: Timestamp) -> ([Counter; N], Gate) {
    match gate(rules, &counters, now) {
        Gate::Open => (counted(rules, counters, now), Gate::Open),
        closed => (counters, closed),
    }
}

/// Whether one more gets through every window.
#[must_use]
pub fn gate<const N: usize>(rules: [WindowRule; N], counters: &[Counter; N], now: Timestamp) -> Gate {
    rules.iter().zip(counters).fold(Gate::Open, |gate, (rule, counter)| gate.and(rule.gate(counter, now)))
}

/// The rule of which least is left, and its counter; none if there is no rule.
#[must_use]
pub fn tightest<const N: usize>(
    rules: [WindowRule; N],
    counters: &[Counter; N],
    now: Timestamp,
) -> Option<(WindowRule, Counter)> {
    let all = rules.into_iter().zip(counters.iter().copied());
    all.min_by_key(|(rule, counter)| rule.remaining(counter, now).0)
}

fn counted<const N: usize>(rules: [WindowRule; N], mut counters: [Counter; N], now: Timestamp) -> [Counter; N] {
    for (rule, counter) in rules.iter().zip(&mut counters) {
        *counter = rule.counted(counter, now);
    }
    counters
}

/// The rule for events of one address and of the networks around it. A subscriber is given a /64 of IPv6 at least, many a
/// /56, and sites a /48 (RFC 6177): whoever has more addresses may fail more often, but not as many times more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRule {
    /// How many are let through: of an address (a /64 of IPv6), of a /56, of a /48.
    pub limits: [u32; NETWORKS],
    /// In which time.
    pub window: Duration,
}

impl NetworkRule {
    /// Three times as many for a /56 as for an address, and ten times as many for a /48.
    #[must_use]
    pub const fn of(limit: u32, window: Duration) -> Self {
        Self { limits: [limit, limit.saturating_mul(3), limit.saturating_mul(10)], window }
    }

    /// The same with twice the limits.
    #[must_use]
    pub fn twice(self) -> Self {
        Self { limits: self.limits.map(|limit| limit.saturating_mul(2)), ..self }
    }

    /// The rule of each network.
    #[must_use]
    pub fn rules(self) -> [WindowRule; NETWORKS] {
        self.limits.map(|limit| WindowRule { limit, window: self.window })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const ACCOUNT: AccountRule = AccountRule { free: 10 };
    const ADDRESS: WindowRule = WindowRule { limit: 3, window: Duration::from_secs(600) };

    fn fail_account(times: u32) -> (Counter, Timestamp) {
        let mut counter = Counter::default();
        let mut now = NOW;
        for _ in 0..times {
            if let Gate::Wait(delay) = ACCOUNT.gate(&counter, now) {
                now = now.plus(delay);
            }
            counter = ACCOUNT.failed(&counter, now);
        }
        (counter, now)
    }

    #[test]
    fn nine_failures_cost_nothing_and_the_tenth_a_second() {
        let (counter, now) = fail_account(9);
        assert_eq!(ACCOUNT.gate(&counter, now), Gate::Open);
        let (counter, now) = fail_account(10);
        assert_eq!(ACCOUNT.gate(&counter, now), Gate::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn delay_doubles_up_to_fifteen_minutes() {
        let delays: Vec<u64> = (10..24)
            .map(|n| {
                let (counter, now) = fail_account(n);
                match ACCOUNT.gate(&counter, now) {
                    Gate::Wait(delay) => delay.as_secs(),
                    Gate::Open | Gate::Locked => 0,
                }
            })
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    }

    #[test]
    fn attempt_that_is_late_waits_like_others() {
        let (counter, now) = fail_account(ACCOUNT.free + 20);
        for late in [Duration::from_millis(1), Duration::from_secs(5), LATE] {
            assert!(matches!(ACCOUNT.gate(&counter, now.minus(late)), Gate::Wait(_)), "{late:?}");
        }
        assert_eq!(ACCOUNT.gate(&counter, now.minus(LATE * 2)), Gate::Open, "of a clock that was set back");
    }

    #[test]
    fn hundred_consecutive_failures_lock_the_account_for_good() {
        let (counter, now) = fail_account(LOCK_AFTER);
        assert_eq!(ACCOUNT.gate(&counter, now.plus(LONGEST_DELAY * 100)), Gate::Locked);
    }

    #[test]
    fn address_is_let_through_again_when_its_window_ends() {
        let mut counter = Counter::default();
        for _ in 0..3 {
            assert_eq!(ADDRESS.gate(&counter, NOW), Gate::Open);
            counter = ADDRESS.counted(&counter, NOW);
        }
        assert_eq!(ADDRESS.gate(&counter, NOW), Gate::Wait(ADDRESS.window));
        assert_eq!(ADDRESS.gate(&counter, NOW.plus(ADDRESS.window)), Gate::Open);
        assert_eq!(ADDRESS.counted(&counter, NOW.plus(ADDRESS.window)).failures, 1);
    }

    #[test]
    fn failures_are_forgotten_ninety_days_after_the_last_unless_they_lock() {
        let (counter, now) = fail_account(50);
        let late = counter.blocked_until.plus(FORGET_AFTER);
        assert_eq!(ACCOUNT.failed(&counter, now.plus(FORGET_AFTER - LONGEST_DELAY)).failures, 51);
        assert_eq!(ACCOUNT.failed(&counter, late).failures, 1);
        let (locked, now) = fail_account(LOCK_AFTER);
        assert_eq!(ACCOUNT.failed(&locked, now.plus(FORGET_AFTER * 9)), locked);
    }

    #[test]
    fn wider_network_is_let_through_more_but_not_as_many_times_more() {
        let rules = NetworkRule::of(2, Duration::from_secs(600)).rules();
        let mut wide = [Counter::default(); 2];
        let mut counted = 0;
        for _ in 0..100 {
            // Each from an address of its own.
            let ([_, a, b], gate) = take(rules, [Counter::default(), wide[0], wide[1]], NOW);
            wide = [a, b];
            counted += u32::from(gate == Gate::Open);
        }
        assert_eq!(counted, 6);
    }

    #[test]
    fn clock_that_is_set_back_locks_nobody_out() {
        let later = NOW.plus(Duration::from_secs(7_200));
        let blocked = (0..12).fold(Counter::default(), |counter, _| ACCOUNT.failed(&counter, later));
        assert!(matches!(ACCOUNT.gate(&blocked, later), Gate::Wait(_)));
        assert_eq!(ACCOUNT.gate(&blocked, NOW), Gate::Open);
        let rule = WindowRule { limit: 1, window: Duration::from_secs(600) };
        let full = rule.counted(&Counter::default(), later);
        assert!(matches!(rule.gate(&full, later), Gate::Wait(_)));
        assert_eq!(rule.gate(&full, NOW), Gate::Open);
        // A replica whose clock is a little behind does not begin a new window.
        assert!(matches!(rule.gate(&full, Timestamp::from_micros(later.micros() - 90_000_000)), Gate::Wait(_)));
    }
}
