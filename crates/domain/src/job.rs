//! Work that is done after the change that causes it: its kinds, who has it, and when it is tried again or given up.
//!
//! A job is a row of the transaction that causes it. Whoever is free takes it for as long as a lease lasts, so it is done
//! at least once, and what does it must bear being repeated.

use std::time::Duration;

use crate::{
    time::{HOUR, MINUTE, Timestamp},
    word::words,
};

words! {
    /// A kind of job.
    JobKind {
        /// A mail is sent.
        Mail = "mail",
        /// A file of users is read in.
        UserImport = "user_import",
        /// Users of a tenant who wait for it are invited, so many at a time.
        Invitations = "invitations",
    }
}

/// How often a job is taken up at most without getting on. One that ends the process of whoever does it, each time, would
/// never come to its end otherwise.
pub const MOST_ATTEMPTS: u32 = 100;
const FIRST_DELAY: Duration = Duration::from_secs(15);

impl JobKind {
    /// How many jobs of the kind a process does at the same time.
    #[must_use]
    pub const fn at_once(self) -> usize {
        match self {
            Self::Mail => 8,
            Self::UserImport | Self::Invitations => 1,
        }
    }

    /// How long whoever takes a job has it for itself: longer than the job takes, or than a step of it after which the
    /// lease is renewed. After that the job was lost with the process that had it, and another does it.
    #[must_use]
    pub const fn lease(self) -> Duration {
        match self {
            Self::Mail => Duration::from_secs(5 * 60),
            Self::UserImport | Self::Invitations => MINUTE,
        }
    }
}

/// Why a job was not done: a slug, as operators see it. What the other side says besides may repeat what the job says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub reason: &'static str,
    /// Whether trying again is of no use.
    pub is_final: bool,
}

impl Failure {
    /// One that may be mended meanwhile.
    #[must_use]
    pub const fn again(reason: &'static str) -> Self {
        Self { reason, is_final: false }
    }

    /// One that stays.
    #[must_use]
    pub const fn never(reason: &'static str) -> Self {
        Self { reason, is_final: true }
    }
}

/// How often a job has been taken up, and until when it is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often it has been taken up without getting on.
    pub attempts: u32,
    /// When it is given up, if that is a matter of time.
    pub give_up_at: Option<Timestamp>,
}

/// What becomes of a job after an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    At(Timestamp),
    /// It is given up.
    Never,
}

impl Patience {
    /// Why a job that has just been taken up is not even tried, if it is not.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> Option<Failure> {
        if self.give_up_at.is_some_and(|end| now >= end) {
            return Some(Failure::never("too_late"));
        }
        (self.attempts > MOST_ATTEMPTS).then_some(Failure::never("too_often"))
    }

    /// What becomes of a job after an attempt has failed: each delay is twice the one before, up to an hour.
    #[must_use]
    pub fn after(self, failure: Failure, now: Timestamp) -> Next {
        let doublings = self.attempts.saturating_sub(1);
        let doubled = FIRST_DELAY.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let next = now.plus(Ord::min(doubled, HOUR));
        if failure.is_final || self.give_up_at.is_some_and(|end| next >= end) { Next::Never } else { Next::At(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
    const BUSY: Failure = Failure::again("busy");

    fn until(attempts: u32, give_up_at: Timestamp) -> Patience {
        Patience { attempts, give_up_at: Some(give_up_at) }
    }

    #[test]
    fn delay_doubles_up_to_an_hour() {
        let delay = |attempts| match until(attempts, NOW.plus(DAY)).after(BUSY, NOW) {
            Next::At(at) => at.since(NOW).as_secs(),
            Next::Never => 0,
        };
        assert_eq!([1, 2, 3, 8, 9, 10, 40, u32::MAX].map(delay), [15, 30, 60, 1_920, 3_600, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn job_is_given_up_when_its_time_is_over_or_trying_is_of_no_use() {
        assert_eq!(until(1, NOW.plus(Duration::from_secs(15))).after(BUSY, NOW), Next::Never);
        assert_eq!(until(1, NOW.plus(DAY)).after(Failure::never("refused"), NOW), Next::Never);
        let timeless = Patience { attempts: 1, give_up_at: None };
        assert!(matches!(timeless.after(BUSY, NOW), Next::At(_)));
    }

    #[test]
    fn job_is_not_tried_too_late_or_too_often() {
        assert_eq!(until(1, NOW.plus(DAY)).is_over(NOW), None);
        assert_eq!(until(1, NOW).is_over(NOW), Some(Failure::never("too_late")));
        let timeless = |attempts| Patience { attempts, give_up_at: None }.is_over(NOW);
        assert_eq!((timeless(100), timeless(101)), (None, Some(Failure::never("too_often"))));
    }
}
