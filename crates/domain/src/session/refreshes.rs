//! How often a session is refreshed: what limits it, and what the audit trail says of it.

use crate::{
    throttle::{Counter, WindowRule},
    time::{MINUTE, Timestamp},
};

/// The refreshes in the minute that began with the last recorded one. Of each minute the first is recorded, with how many
/// came after the one before: refreshing costs nothing, and what costs nothing must not fill the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refreshes {
    /// When the minute began.
    pub since: Timestamp,
    /// How many there were, the recorded one among them.
    pub count: u32,
}

impl Refreshes {
    const RECORDED: WindowRule = WindowRule { limit: 1, window: MINUTE };

    /// The same, to be held against a rule.
    #[must_use]
    pub fn counter(self) -> Counter {
        Counter { failures: self.count, since: self.since, ..Counter::default() }
    }

    /// After one more.
    #[must_use]
    pub(crate) fn next(self, now: Timestamp) -> Self {
        let Counter { failures, since, .. } = Self::RECORDED.counted(&self.counter(), now);
        Self { since, count: failures }
    }

    /// Whether the last one is recorded.
    #[must_use]
    pub const fn is_recorded(self) -> bool {
        self.count == 1
    }

    /// How many came after the recorded one.
    #[must_use]
    pub const fn unrecorded(self) -> u32 {
        self.count.saturating_sub(1)
    }
}
