//! A cache that never shows a state older than a second, and none older than a commit of this process.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::app::process_start;

/// How long an entry may be shown, counted from before it was read. Other processes' commits show within this time,
/// plus what a request itself takes: the promise is one second.
const LIFE: Duration = Duration::from_millis(900);
/// Keys share a floor with others, so that remembering an invalidation costs a store and never space. Who shares is
/// loaded once more than needed; with a thousand invalidations a second that is one entry in twenty.
const FLOORS: usize = 1 << 14;

/// Values by key, each with the instant before which it was read.
#[derive(Debug)]
pub struct TtlCache<K: Hash + Eq + Send + Sync + 'static, V: Send + Sync + 'static> {
    entries: Cache<K, (Instant, Arc<V>)>,
    /// Nothing read before this instant counts, by the hash of the key; in nanoseconds since the process began.
    floors: Box<[AtomicU64]>,
    hasher: RandomState,
    /// The same for all keys.
    floor: AtomicU64,
}

fn nanos(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(process_start()).as_nanos()).unwrap_or(u64::MAX)
}

impl<K: Hash + Eq + Copy + Send + Sync + 'static, V: Send + Sync + 'static> TtlCache<K, V> {
    /// A cache of at most so many entries.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        process_start();
        Self {
            entries: Cache::builder().max_capacity(capacity).time_to_live(LIFE).build(),
            floors: (0..FLOORS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            floor: AtomicU64::new(0),
        }
    }

    fn floor_of(&self, key: &K) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let at = self.hasher.hash_one(key) as usize;
        &self.floors[at % FLOORS]
    }

    fn counts(&self, key: &K, read_at: Instant) -> bool {
        let floor = Ord::max(self.floor.load(Ordering::Acquire), self.floor_of(key).load(Ordering::Acquire));
        nanos(read_at) >= floor
    }

    /// The value, if it is fresh.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let (read_at, value) = self.entries.get(key)?;
        (read_at.elapsed() < LIFE && self.counts(key, read_at)).then_some(value)
    }

    /// Loads and keeps the value. One that was invalidated while it was loaded is loaded once more and not kept.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn load<E>(&self, key: K, load: impl AsyncFn() -> Result<Option<V>, E>) -> Result<Option<Arc<V>>, E> {
        let read_at = Instant::now();
        let Some(value) = load().await?.map(Arc::new) else { return Ok(None) };
        if !self.counts(&key, read_at) {
            return Ok(load().await?.map(Arc::new));
        }
        // What is invalidated between the check and this is kept, and does not count.
        self.entries.insert(key, (read_at, Arc::clone(&value)));
        Ok(Some(value))
    }

    /// Invalidates one key.
    pub fn forget(&self, key: &K) {
        self.floor_of(key).fetch_max(nanos(Instant::now()) + 1, Ordering::AcqRel);
    }

    /// Invalidates everything.
    pub fn forget_all(&self) {
        self.floor.fetch_max(nanos(Instant::now()) + 1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, convert::Infallible};

    async fn load(cache: &TtlCache<u8, u32>, value: u32) -> u32 {
        *cache.load(1, async || Ok::<_, Infallible>(Some(value))).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn loaded_value_is_shown_until_it_is_forgotten() {
        let cache = TtlCache::<u8, u32>::new(10);
        assert_eq!(load(&cache, 7).await, 7);
        assert_eq!(cache.get(&1).as_deref(), Some(&7));
        cache.forget(&1);
        assert_eq!(cache.get(&1), None);
        assert_eq!(load(&cache, 8).await, 8);
        cache.forget_all();
        assert_eq!(cache.get(&1), None);
    }

    #[tokio::test]
    async fn value_forgotten_while_it_is_loaded_is_loaded_again_and_not_kept() {
        for all in [false, true] {
            let cache = TtlCache::<u8, u32>::new(10);
            let round = Cell::new(0);
            let value = cache
                .load(1, async || {
                    round.set(round.get() + 1);
                    if round.get() == 1 {
                        if all { cache.forget_all() } else { cache.forget(&1) }
                    }
                    Ok::<_, Infallible>(Some(round.get()))
                })
                .await
                .unwrap();
            assert_eq!((value.as_deref(), cache.get(&1)), (Some(&2), None));
        }
    }

    #[tokio::test]
    async fn absence_is_not_kept() {
        let cache = TtlCache::<u8, u32>::new(10);
        assert!(cache.load(1, async || Ok::<_, Infallible>(None)).await.unwrap().is_none());
        assert_eq!(load(&cache, 7).await, 7);
    }
}
