//! The ids of events.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use gatehouse_domain::{id::AuditEventId, time::Timestamp};
use uuid::Uuid;

/// Makes the ids of events: each is greater than all that this process made before, also within one millisecond and when
/// the clock goes back, so that events of one instant are in the order in which they were recorded.
#[derive(Clone)]
pub struct EventIds(Arc<Inner>);

struct Inner {
    random: Box<dyn Fn() -> [u8; 10] + Send + Sync>,
    last: Mutex<Uuid>,
}

impl fmt::Debug for EventIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventIds")
    }
}

impl EventIds {
    /// Ids whose random part comes from a function.
    #[must_use]
    pub fn new(random: impl Fn() -> [u8; 10] + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { random: Box::new(random), last: Mutex::default() }))
    }

    pub(crate) fn next(&self, now: Timestamp) -> AuditEventId {
        let fresh = AuditEventId::from_parts(now.unix_millis(), (self.0.random)()).uuid();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = if fresh > *last { fresh } else { Uuid::from_u128(last.as_u128().wrapping_add(1)) };
        AuditEventId::from_uuid(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_events_ascend_within_an_instant_and_when_the_clock_goes_back() {
        let ids = EventIds::new(|| [7; 10]);
        let made: Vec<_> = [5_000, 5_000, 9_000, 2_000, 9_000]
            .map(|millis| ids.next(Timestamp::from_micros(millis * 1_000)).uuid())
            .into();
        assert!(made.is_sorted() && made.windows(2).all(|pair| pair[0] != pair[1]), "{made:?}");
        let again = EventIds::new(|| [7; 10]).next(Timestamp::from_micros(5_000_000));
        assert_eq!(again.uuid(), made[0], "the same instant and the same randomness make the same id");
    }
}
