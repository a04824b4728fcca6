//! Password hashing: argon2id behind a bounded number of threads and a bounded, fair queue. Hashes that users brought
//! along from other systems (`stored`) are checked by the same threads.
//!
//! Hashing is the one expensive thing strangers can ask for. It therefore has threads of its own, as many as there are
//! permits and at a lower priority than those that answer requests; each reuses one memory buffer, because faulting in
//! a fresh one costs up to a third more. The queue takes so many jobs as can be done well within a second, and from
//! one tenant at most half of them; the rest is refused at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use gatehouse_domain::{id::TenantId, issue::Fault, password::Password, secret::PasswordHash};
use tokio::sync::oneshot;

use crate::env::Env;

mod stored;

use stored::Stored;
pub use stored::adopt;

/// How expensive a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// The second of OWASP's recommended argon2id settings: 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self { memory_kib: 19_456, passes: 2 };

    /// Whether the cost is one of OWASP's settings for argon2id with one lane, or more.
    #[must_use]
    pub fn is_enough(self) -> bool {
        [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)]
            .into_iter()
            .any(|(memory, passes)| self.memory_kib >= memory && self.passes >= passes)
    }
}

/// How the hasher works.
#[derive(Debug, Clone, Copy)]
pub struct HasherOptions {
    /// Threads that hash.
    pub permits: usize,
    /// Jobs that may wait.
    pub queue: usize,
    /// The cost of new hashes.
    pub cost: Cost,
}

/// Too many passwords are being checked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked")]
pub struct Overloaded;

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong, or there is none.
    No,
    /// It is right.
    Yes,
    /// It is right, and the stored hash was cheaper than new ones are or came from elsewhere: store this one instead.
    Upgrade(PasswordHash),
}

/// The outcome of choosing a password.
pub type Chosen = Result<PasswordHash, Fault>;

type Job = Box<dyn FnOnce(&mut Kit) + Send>;

/// What a hashing thread works with.
struct Kit {
    memory: Vec<Block>,
    env: Env,
    cost: Cost,
    hashes: Arc<AtomicU64>,
}

#[derive(Default)]
struct Queue {
    lanes: HashMap<TenantId, VecDeque<Job>>,
    turns: VecDeque<TenantId>,
    waiting: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    capacity: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashes and checks passwords.
pub struct Hasher {
    shared: Arc<Shared>,
    hashes: Arc<AtomicU64>,
    busy: Arc<AtomicUsize>,
    dummy: PasswordHash,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher(…)")
    }
}

/// How long an idle thread keeps its memory.
const KEEP_MEMORY: Duration = Duration::from_secs(2);

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system has no threads left.
    pub fn start(options: HasherOptions, env: &Env) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), capacity: Ord::max(options.queue, 2) });
        let hashes = Arc::new(AtomicU64::new(0));
        let busy = Arc::new(AtomicUsize::new(0));
        for number in 0..Ord::max(options.permits, 1) {
            let shared = Arc::clone(&shared);
            let kit = Kit { memory: Vec::new(), env: env.clone(), cost: options.cost, hashes: Arc::clone(&hashes) };
            std::thread::Builder::new().name(format!("argon2-{number}")).spawn({
                let busy = Arc::clone(&busy);
                move || work(&shared, &busy, kit)
            })?;
        }
        // Checked when there is no user of that name, so that it takes as long as when there is one. Its text is
        // random and its output too: no password matches.
        let dummy = phc(options.cost, &env.random(), &env.random());
        Ok(Self { shared, hashes, busy, dummy })
    }

    /// How many hashes have been computed.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Whether passwords are being hashed at the moment.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }

    async fn run<T: Send + 'static>(
        &self,
        tenant: TenantId,
        job: impl FnOnce(&mut Kit) -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = self.shared.lock();
            if queue.waiting >= self.shared.capacity {
                return Err(Overloaded);
            }
            let lane = queue.lanes.entry(tenant).or_default();
            if lane.len() >= self.shared.capacity / 2 {
                return Err(Overloaded);
            }
            let first = lane.is_empty();
            lane.push_back(Box::new(move |kit| {
                // Whoever asked may be gone; then the work is not worth doing.
                if !reply.is_closed() {
                    drop(reply.send(job(kit)));
                }
            }));
            queue.waiting += 1;
            if first {
                queue.turns.push_back(tenant);
            }
        }
        self.shared.wake.notify_one();
        answer.await.map_err(|_| Overloaded)
    }

    /// Checks a password. Takes as long for a missing hash as for a real one.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full.
    pub async fn verify(
        &self,
        tenant: TenantId,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verified, Overloaded> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).clone();
        let verified = self.run(tenant, move |kit| kit.verify(&password, &hash)).await?;
        Ok(if exists { verified } else { Verified::No })
    }

    /// Hashes a new password, if it is strong enough: zxcvbn's score at least 3 of 4, with the words an attacker
    /// would try first for this user.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full; the inner fault when the password is weak.
    pub async fn choose(
        &self,
        tenant: TenantId,
        password: Password,
        context: Vec<String>,
    ) -> Result<Chosen, Overloaded> {
        self.run(tenant, move |kit| {
            check_strength(&password, &context)?;
            Ok(kit.hash(&password))
        })
        .await
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

fn work(shared: &Shared, busy: &AtomicUsize, mut kit: Kit) {
    // Requests that need no hash go first. It is no loss if the system does not allow it.
    let _ = rustix::process::nice(10);
    while let Some(job) = next(shared, &mut kit) {
        // A panic costs the job, not the thread.
        busy.fetch_add(1, Ordering::Relaxed);
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut kit))));
        busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The next job: tenants take turns, whatever the length of their lanes.
fn next(shared: &Shared, kit: &mut Kit) -> Option<Job> {
    let mut queue = shared.lock();
    loop {
        if let Some(tenant) = queue.turns.pop_front() {
            let lane = queue.lanes.get_mut(&tenant)?;
            let job = lane.pop_front()?;
            if lane.is_empty() {
                queue.lanes.remove(&tenant);
            } else {
                queue.turns.push_back(tenant);
            }
            queue.waiting -= 1;
            return Some(job);
        }
        if queue.closed {
            return None;
        }
        let (woken, timeout) = shared.wake.wait_timeout(queue, KEEP_MEMORY).unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        if timeout.timed_out() && !kit.memory.is_empty() {
            kit.memory = Vec::new();
        }
    }
}

impl Kit {
    fn output(&mut self, password: &[u8], salt: &[u8], cost: Cost) -> Option<[u8; 32]> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory = vec![Block::default(); blocks];
        }
        let mut out = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        self.hashes.fetch_add(1, Ordering::Relaxed);
        argon2.hash_password_into_with_memory(password, salt, &mut out, &mut self.memory[..blocks]).ok()?;
        Some(out)
    }

    fn hash(&mut self, password: &Password) -> PasswordHash {
        let salt: [u8; 16] = self.env.random();
        match self.output(password.expose().as_bytes(), &salt, self.cost) {
            Some(output) => phc(self.cost, &salt, &output),
            None => unreachable!("argon2id takes any password of at most 1 KiB with checked parameters"),
        }
    }

    fn verify(&mut self, password: &Password, hash: &PasswordHash) -> Verified {
        let Ok(stored) = Stored::read(hash.as_str()) else { return Verified::No };
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let fits = stored.fits(password, &mut self.memory);
        let own = usize::try_from(self.cost.memory_kib).unwrap_or(usize::MAX);
        if self.memory.len() > own {
            // One that came from elsewhere took more; nobody else needs that much.
            self.memory = Vec::new();
        }
        match fits {
            false => Verified::No,
            true if stored.is_as_good_as(self.cost) => Verified::Yes,
            true => Verified::Upgrade(self.hash(password)),
        }
    }
}

fn phc(cost: Cost, salt: &[u8; 16], output: &[u8; 32]) -> PasswordHash {
    let build = || {
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
        Some(Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(output).ok()?),
        })
    };
    match build() {
        Some(phc) => PasswordHash::new(phc.to_string()),
        None => unreachable!("checked parameters make a PHC string"),
    }
}

/// zxcvbn takes time that grows faster than its input; what an attacker would guess shows at the beginning.
const STRENGTH_CHARS: usize = 100;

fn check_strength(password: &Password, context: &[String]) -> Result<(), Fault> {
    let head: String = password.expose().chars().take(STRENGTH_CHARS).collect();
    let words: Vec<&str> = context
        .iter()
        .flat_map(|word| [word.as_str()].into_iter().chain(word.split(['@', '.', '-', '_', ' '])))
        .filter(|word| word.len() > 2)
        .collect();
    if is_mostly(&head, &words) {
        let why = "is too easy to guess: it is made of names that anyone knows";
        return Err(Fault::new("password_too_weak", why));
    }
    let estimate = zxcvbn::zxcvbn(&head, &words);
    if estimate.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let why =
        estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning).map(|w| format!(": {w}")).unwrap_or_default();
    Err(Fault::new("password_too_weak", format!("is too easy to guess{why}")))
}

/// How many letters and digits a password must have besides the words that an attacker would try first.
const OWN_CHARS: usize = 8;

/// Whether little is left of a password without these words: zxcvbn knows that each is a poor guess, but not that two of
/// them in a row are.
fn is_mostly(password: &str, words: &[&str]) -> bool {
    let whole = password.to_lowercase();
    let mut longest_first = words.to_vec();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = longest_first.iter().fold(whole.clone(), |rest, word| rest.replace(word, ""));
    rest.len() < whole.len() && rest.chars().filter(|c| c.is_alphanumeric()).count() < OWN_CHARS
}

#[cfg(test)]
mod tests;
