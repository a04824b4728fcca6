//! How failed attempts slow down further ones.
//!
//! Two counters: *consecutive* failures of one account (NIST SP 800-63B-4, 3.2.2) and failures of one network address
//! within a window. Both are decided when an attempt gets its answer, not when it begins, so that racing attempts
//! learn exactly as much as sequential ones.

use std::time::Duration;

use crate::time::Timestamp;

/// The longest delay between two attempts on an account.
pub const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// So many consecutive failures lock an account until an administrator unlocks it.
pub const LOCK_AFTER: u32 = 100;

/// The counter of an account or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Failures so far.
    pub failures: u32,
    /// When the first of them, or the window, began.
    pub since: Timestamp,
    /// When the next attempt gets an answer.
    pub blocked_until: Timestamp,
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

/// The rule for consecutive failures of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountRule {
    /// Failures that cost nothing.
    pub free: u32,
}

impl AccountRule {
    /// Whether an attempt now gets an answer.
    #[must_use]
    pub fn gate(self, counter: &Counter, now: Timestamp) -> Gate {
        if counter.failures >= LOCK_AFTER {
            return Gate::Locked;
        }
        let wait = counter.blocked_until.since(now);
        // No delay is longer than that, so the clock was set back: nobody waits for what it showed before.
        if counter.failures >= self.free && !wait.is_zero() && wait <= LONGEST_DELAY {
            return Gate::Wait(wait);
        }
        Gate::Open
    }

    /// The counter after one more failure. From the last free failure on, each doubles the delay, from one second.
    #[must_use]
    pub fn failed(self, counter: &Counter, now: Timestamp) -> Counter {
        let failures = counter.failures.saturating_add(1);
        let since = if counter.failures == 0 { now } else { counter.since };
        let blocked_until = match failures.checked_sub(self.free) {
            None => now,
            Some(beyond) => {
                let delay = Duration::from_secs(1u64.checked_shl(beyond).unwrap_or(u64::MAX));
                now.plus(Ord::min(delay, LONGEST_DELAY))
            }
        };
        Counter { failures, since, blocked_until }
    }
}

/// The rule for events of one address within a window.
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
            return Counter { failures: 0, since: now, blocked_until: now };
        }
        *counter
    }

    /// Whether one more now gets through.
    #[must_use]
    pub fn gate(self, counter: &Counter, now: Timestamp) -> Gate {
        let current = self.current(counter, now);
        if current.failures < self.limit {
            return Gate::Open;
        }
        Gate::Wait(current.since.plus(self.window).since(now))
    }

    /// The counter after one more.
    #[must_use]
    pub fn counted(self, counter: &Counter, now: Timestamp) -> Counter {
        let current = self.current(counter, now);
        Counter {
            failures: current.failures.saturating_add(1),
            blocked_until: current.since.plus(self.window),
            ..current
        }
    }

    /// How many are left, and when the window ends.
    #[must_use]
    pub fn remaining(self, counter: &Counter, now: Timestamp) -> (u32, Duration) {
        let current = self.current(counter, now);
        (self.limit.saturating_sub(current.failures), current.since.plus(self.window).since(now))
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
