//! How often something may be done in a time, in this process, counted from the first time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use gatehouse_domain::{
    throttle::{Counter, Gate, WindowRule},
    time::Timestamp,
};
use uuid::Uuid;

use crate::app::{Error, Result};

/// The most that is remembered.
const MOST: usize = 65_536;

/// Counters of one rule by what they are for.
#[derive(Debug)]
pub(super) struct Windows {
    rule: Option<WindowRule>,
    counters: Mutex<HashMap<Uuid, Counter>>,
}

impl Windows {
    pub(super) fn new(rule: Option<WindowRule>) -> Self {
        Self { rule, counters: Mutex::default() }
    }

    /// Counts one more, if there may be one.
    pub(super) fn take(&self, id: Uuid, now: Timestamp) -> Result<()> {
        let Some(rule) = self.rule else { return Ok(()) };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= MOST {
            counters.retain(|_, counter| counter.blocked_until > now);
            // Nobody may be shut out for want of space.
            if counters.len() > MOST / 2 {
                counters.clear();
            }
        }
        let counter = counters.entry(id).or_default();
        match rule.gate(counter, now) {
            Gate::Open => {
                *counter = rule.counted(counter, now);
                Ok(())
            }
            Gate::Wait(time) => Err(Error::RateLimited(time)),
            Gate::Locked => Err(Error::RateLimited(rule.window)),
        }
    }

    /// Takes one back.
    pub(super) fn give_back(&self, id: Uuid) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get_mut(&id) {
            counter.failures = counter.failures.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatehouse_domain::time::MINUTE;

    #[test]
    fn so_many_pass_in_a_window_and_those_that_were_taken_back_do_not_count() {
        let (windows, id) = (Windows::new(Some(WindowRule { limit: 2, window: MINUTE })), Uuid::from_u128(1));
        let now = Timestamp::from_micros(1_000_000_000_000);
        assert!(windows.take(id, now).is_ok() && windows.take(id, now).is_ok() && windows.take(id, now).is_err());
        windows.give_back(id);
        assert!(windows.take(id, now).is_ok() && windows.take(id, now).is_err());
        assert!(windows.take(Uuid::from_u128(2), now).is_ok() && windows.take(id, now.plus(MINUTE)).is_ok());
        assert!((0..1_000).all(|_| Windows::new(None).take(id, now).is_ok()));
    }
}
