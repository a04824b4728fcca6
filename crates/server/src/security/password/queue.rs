//! A bounded, fair queue of jobs, and the threads that do them.
//!
//! Tenants take turns, and no tenant gets more than half of the places; what has no place is refused at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gatehouse_domain::id::TenantId;
use tokio::sync::oneshot;

use super::{Kit, Overloaded};

type Job = Box<dyn FnOnce(&mut Kit) + Send>;

#[derive(Default)]
struct Jobs {
    lanes: HashMap<TenantId, VecDeque<Job>>,
    turns: VecDeque<TenantId>,
    waiting: usize,
    closed: bool,
}

struct Shared {
    jobs: Mutex<Jobs>,
    wake: Condvar,
    capacity: usize,
    busy: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue; its threads end with it, after the jobs that wait.
pub(super) struct Queue(Arc<Shared>);

/// How long an idle thread keeps its memory.
const KEEP_MEMORY: Duration = Duration::from_secs(2);

impl Queue {
    /// Starts a thread with each of these kits. What they do yields to what has a lower `nice`.
    pub(super) fn start(name: &str, capacity: usize, nice: i32, kits: Vec<Kit>) -> std::io::Result<Self> {
        let (jobs, wake, busy) = (Mutex::default(), Condvar::new(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { jobs, wake, capacity: Ord::max(capacity, 2), busy });
        for (number, kit) in kits.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || work(&shared, nice, kit))?;
        }
        Ok(Self(shared))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Relaxed) > 0
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// Gives a job its place. Who no longer waits for the answer when its turn comes loses the turn.
    pub(super) fn enqueue<T: Send + 'static>(
        &self,
        tenant: TenantId,
        job: impl FnOnce(&mut Kit) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Overloaded> {
        let (reply, answer) = oneshot::channel();
        let mut jobs = self.0.lock();
        if jobs.waiting >= self.0.capacity {
            return Err(Overloaded);
        }
        let lane = jobs.lanes.entry(tenant).or_default();
        if lane.len() >= self.0.capacity / 2 {
            return Err(Overloaded);
        }
        let first = lane.is_empty();
        lane.push_back(Box::new(move |kit| {
            if !reply.is_closed() {
                drop(reply.send(job(kit)));
            }
        }));
        jobs.waiting += 1;
        if first {
            jobs.turns.push_back(tenant);
        }
        drop(jobs);
        self.0.wake.notify_one();
        Ok(answer)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        tenant: TenantId,
        job: impl FnOnce(&mut Kit) -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        self.enqueue(tenant, job)?.await.map_err(|_| Overloaded)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_all();
    }
}

fn work(shared: &Shared, nice: i32, mut kit: Kit) {
    // It is no loss if the system does not allow it.
    let _ = rustix::process::nice(nice);
    while let Some(job) = next(shared, &mut kit) {
        // A panic costs the job, not the thread.
        shared.busy.fetch_add(1, Ordering::Relaxed);
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut kit))));
        shared.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The next job: tenants take turns, whatever the length of their lanes.
fn next(shared: &Shared, kit: &mut Kit) -> Option<Job> {
    let mut jobs = shared.lock();
    loop {
        if let Some(tenant) = jobs.turns.pop_front() {
            let lane = jobs.lanes.get_mut(&tenant)?;
            let job = lane.pop_front()?;
            if lane.is_empty() {
                jobs.lanes.remove(&tenant);
            } else {
                jobs.turns.push_back(tenant);
            }
            jobs.waiting -= 1;
            return Some(job);
        }
        if jobs.closed {
            return None;
        }
        let (woken, timeout) = shared.wake.wait_timeout(jobs, KEEP_MEMORY).unwrap_or_else(PoisonError::into_inner);
        jobs = woken;
        if timeout.timed_out() && !kit.memory.is_empty() {
            kit.memory = Vec::new();
        }
    }
}
