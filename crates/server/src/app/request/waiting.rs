//! What applications have waiting, counted once in a second where they push so often that counting with each push would cost
//! more than the push.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gatehouse_domain::id::ApplicationId;
use moka::sync::Cache;

/// So often an application pushes in a second before what it has waiting is counted on its own.
pub(crate) const OFTEN: u64 = 16;
/// How long a count is relied on.
const LIFE: Duration = Duration::from_secs(1);
/// For how many applications at most.
const MOST: u64 = 10_000;

/// What an application has waiting, as far as this second knows.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pushed: AtomicU64,
    counted: OnceLock<u64>,
}

impl Waiting {
    /// Takes what was counted.
    pub(crate) fn count(&self, count: u64) {
        self.counted.get_or_init(|| count);
    }

    /// Whether there are known to be fewer than so many, with those that this replica has taken since. Where that is half of
    /// what may be, other replicas do not make up for it within a second.
    pub(crate) fn are_fewer_than(&self, most: u64, pushed: u64) -> bool {
        self.counted.get().is_some_and(|counted| counted + pushed < most)
    }
}

/// The same for every application that pushes.
#[derive(Debug)]
pub(super) struct Counts(Cache<ApplicationId, Arc<Waiting>>);

impl Default for Counts {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(LIFE).build())
    }
}

impl Counts {
    /// Counts a push, and says how many came before it in this second.
    pub(super) fn push(&self, application: ApplicationId) -> (Arc<Waiting>, u64) {
        let waiting = self.0.get_with(application, Arc::default);
        let before = waiting.pushed.fetch_add(1, Ordering::Relaxed);
        (waiting, before)
    }
}
