//! How often somebody may do something: a token bucket, kept as one instant.
//!
//! The state is when the bucket is full again (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T
//! I.371): each token that is taken moves it one period on, and once it is past nothing needs to be remembered.

use std::time::Duration;

use crate::{
    throttle::{LATE, WindowRule},
    time::Timestamp,
};

/// The rule of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketRule {
    /// How many tokens a full bucket holds.
    pub burst: u32,
    /// After which time it has one more.
    pub period: Duration,
}

/// What is left of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How many tokens.
    pub tokens: u32,
    /// When it is full again.
    pub full_at: Timestamp,
}

impl BucketRule {
    /// A bucket of `burst` tokens that gets `rate` of them in each `time`; none where there is no limit.
    #[must_use]
    pub fn of(burst: u32, rate: u32, time: Duration) -> Option<Self> {
        let period = time.checked_div(rate)?;
        (burst > 0).then_some(Self { burst, period })
    }

    /// The same as a rule for a window: the time in which an empty bucket fills.
    #[must_use]
    pub const fn window(self) -> WindowRule {
        WindowRule { limit: self.burst, window: self.period.saturating_mul(self.burst) }
    }

    /// Takes a token out of a bucket that is full at an instant.
    ///
    /// # Errors
    /// After which time there will be one.
    pub fn take(self, full_at: Timestamp, now: Timestamp) -> Result<Left, Duration> {
        let whole = self.period.saturating_mul(self.burst);
        let lacking = full_at.since(now);
        // No bucket lacks more than all, so the clock was set back: nobody waits for what it showed before.
        let is_set_back = lacking > whole.saturating_add(LATE);
        let lacking = if is_set_back { Duration::ZERO } else { lacking } + self.period;
        match lacking.checked_sub(whole) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(Left { tokens: self.tokens(whole.saturating_sub(lacking)), full_at: now.plus(lacking) }),
        }
    }

    fn tokens(self, time: Duration) -> u32 {
        u32::try_from(time.as_micros() / self.period.as_micros().max(1)).unwrap_or(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const RULE: BucketRule = BucketRule { burst: 5, period: Duration::from_millis(100) };

    /// Takes as many as there are at an instant.
    fn drain(mut full_at: Timestamp, now: Timestamp) -> (u32, Timestamp, Duration) {
        let mut taken = 0;
        loop {
            match RULE.take(full_at, now) {
                Ok(left) => (taken, full_at) = (taken + 1, left.full_at),
                Err(wait) => return (taken, full_at, wait),
            }
        }
    }

    #[test]
    fn full_bucket_gives_its_burst_and_says_when_the_next_token_comes() {
        assert_eq!(RULE.take(Timestamp::default(), NOW).unwrap().tokens, 4);
        let (taken, _, wait) = drain(Timestamp::default(), NOW);
        assert_eq!((taken, wait), (5, RULE.period));
    }

    #[test]
    fn empty_bucket_fills_token_by_token_and_no_further_than_its_burst() {
        let (_, empty, wait) = drain(Timestamp::default(), NOW);
        assert_eq!(drain(empty, NOW.plus(wait)).0, 1);
        assert_eq!(drain(empty, NOW.plus(RULE.period * 3)).0, 3);
        assert_eq!(drain(empty, NOW.plus(RULE.period * 500)).0, 5);
    }

    #[test]
    fn refused_taking_moves_nothing() {
        let (_, empty, wait) = drain(Timestamp::default(), NOW);
        for _ in 0..10 {
            assert_eq!(RULE.take(empty, NOW), Err(wait));
        }
    }

    #[test]
    fn clock_that_is_set_back_shuts_nobody_out() {
        let (_, empty, _) = drain(Timestamp::default(), NOW);
        assert_eq!(drain(empty, NOW.minus(LATE + RULE.period)).0, 5);
    }

    #[test]
    fn request_that_is_late_takes_nothing_from_an_empty_bucket_and_does_not_fill_it() {
        let (_, empty, _) = drain(Timestamp::default(), NOW);
        for late in [Duration::from_micros(1), Duration::from_millis(20), RULE.period * 20, LATE] {
            assert_eq!(RULE.take(empty, NOW.minus(late)), Err(RULE.period + late));
        }
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(BucketRule::of(5, 0, Duration::from_secs(1)), None);
        assert_eq!(BucketRule::of(0, 5, Duration::from_secs(1)), None);
        assert_eq!(BucketRule::of(5, 10, Duration::from_secs(1)), Some(RULE));
        assert_eq!(RULE.window(), WindowRule { limit: 5, window: Duration::from_millis(500) });
    }
}
