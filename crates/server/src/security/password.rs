//! Password hashing: argon2id behind a bounded number of threads and a bounded, fair queue. Hashes that users brought
//! along from other systems (`stored`) are checked by the same threads.
//!
//! Hashing is the one expensive thing strangers can ask for. It therefore has threads of its own, as many as there are
//! permits and at a lower priority than those that answer requests; each reuses one memory buffer, because faulting in
//! a fresh one costs up to a third more. The queue takes so many jobs as can be done well within a second, and from
//! one tenant at most half of them; the rest is refused at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Block, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use gatehouse_domain::{id::TenantId, issue::Fault, password::Password, secret::PasswordHash};

use crate::env::Env;

mod cost;
pub mod pepper;
mod queue;
mod stored;
mod strength;
mod wrapper;

use pepper::Peppers;
use queue::Queue;
use stored::Stored;
pub use stored::adopt;
use strength::check_strength;

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
#[derive(Debug, Clone)]
pub struct HasherOptions {
    /// Threads that hash.
    pub permits: usize,
    /// Jobs that may wait.
    pub queue: usize,
    /// The cost of new hashes.
    pub cost: Cost,
    /// What goes into them beside the password.
    pub peppers: Peppers,
}

/// Too many passwords are being checked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked")]
pub struct Overloaded;

/// What a password is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The hash that is stored.
    pub hash: Option<&'a PasswordHash>,
    /// Whether the right password is let in.
    pub lets_in: bool,
    /// What the dearest hash costs that a user of the tenant brought along.
    pub dearest: Option<u32>,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong, or there is none.
    No,
    /// The stored hash would cost too much to check.
    TooDear,
    /// The password is wrong, or there was no time to find out.
    Crowded,
    /// It is right.
    Yes,
    /// It is right, and the stored hash was cheaper than new ones are or came from elsewhere: store this one instead.
    Upgrade(PasswordHash),
}

impl Verified {
    /// Whether the password is known to be right.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        matches!(self, Self::Yes | Self::Upgrade(_))
    }

    /// Why nobody is let in, for the trail.
    #[must_use]
    pub const fn refusal(&self) -> &'static str {
        match self {
            Self::TooDear => "password_hash_cost",
            Self::Crowded => "overloaded",
            Self::No | Self::Yes | Self::Upgrade(_) => "invalid_credentials",
        }
    }
}

/// The outcome of choosing a password.
pub type Chosen = Result<PasswordHash, Fault>;

/// What a hashing thread works with.
struct Kit {
    memory: Vec<Block>,
    env: Env,
    cost: Cost,
    peppers: Peppers,
    hashes: Arc<AtomicU64>,
}

/// Hashes and checks passwords.
pub struct Hasher {
    own: Queue,
    foreign: Queue,
    strength: Queue,
    hashes: Arc<AtomicU64>,
    cost: Cost,
    peppers: Peppers,
    dummy: PasswordHash,
    longest_turn: Duration,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher(…)")
    }
}

/// How long a check waits for its turn among the hashes of other systems, and takes it.
const LONGEST_TURN: Duration = Duration::from_secs(5);

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system has no threads left.
    pub fn start(options: HasherOptions, env: &Env) -> std::io::Result<Self> {
        let HasherOptions { permits, queue, cost, peppers } = options;
        let hashes = Arc::new(AtomicU64::new(0));
        let kit = || Kit {
            memory: Vec::new(),
            env: env.clone(),
            cost,
            peppers: peppers.clone(),
            hashes: Arc::clone(&hashes),
        };
        let own = (0..Ord::max(permits, 1)).map(|_| kit()).collect();
        Ok(Self {
            // Requests that need no hash go first. A turn among the hashes of other systems has a length, so it does
            // not wait for ours.
            own: Queue::start("argon2", queue, 10, own)?,
            foreign: Queue::start("foreign", queue, 5, vec![kit()])?,
            strength: Queue::start("strength", queue, 15, vec![kit()])?,
            // Checked when there is no user of that name, so that it takes as long as when there is one. Its text is
            // random and its output too: no password matches.
            dummy: phc(&Peppers::default(), cost, &env.random(), &env.random()),
            hashes,
            cost,
            peppers,
            longest_turn: LONGEST_TURN,
        })
    }

    /// How many hashes have been computed.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Whether passwords are being hashed at the moment.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.own.is_busy()
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.own.waiting()
    }

    /// Checks a password.
    ///
    /// Each check costs one hash of ours. Where there is nobody, it is of nobody's password; where another system made
    /// the hash, it is the one that would replace it. In a tenant that has hashes of other systems a check also takes a
    /// turn among these, as long for all: whoever brought one along has it checked then, and the others wait for as
    /// long. Only who is let in leaves before the end of the turn. So a wrong password is answered after the same time
    /// whosever it is, also where others wait before it.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full.
    pub async fn verify(&self, tenant: TenantId, password: Password, check: Check<'_>) -> Result<Verified, Overloaded> {
        let Check { hash, lets_in, dearest } = check;
        let stored = hash.and_then(|hash| Stored::read(hash.as_str()).ok());
        let (ours, theirs) = match stored {
            Some(stored) if stored.is_of(self.cost) => (hash, None),
            stored => (None, stored),
        };
        let brought = theirs.is_some();
        let has_turn = brought || dearest.is_some();
        let made_here = hash.is_some_and(|hash| hash.cost().is_none());
        let stays = made_here && theirs.as_ref().is_some_and(|stored| stored.is_as_good_as(self.cost, &self.peppers));
        let (ours, typed) = (ours.unwrap_or(&self.dummy).clone(), password.clone());
        let own = self.own.enqueue(tenant, move |kit| match brought {
            true => Verified::Upgrade(kit.replacement(&typed)),
            // No password fits nobody's.
            false => kit.verify(&typed, &ours, lets_in),
        })?;
        // Whoever leaves drops their end of it.
        let (_stays, leaves) = std::sync::mpsc::channel();
        let turn = has_turn.then(|| {
            let turn = Turn { theirs, length: dearest.unwrap_or(0), lets_in, leaves };
            self.foreign.enqueue(tenant, move |kit| kit.take(&turn, &password))
        });
        let begun = tokio::time::Instant::now();

        let own = own.await.map_err(|_| Overloaded)?;
        let Some(turn) = turn else { return Ok(own) };
        if !brought && own.is_right() && lets_in {
            return Ok(own);
        }
        let Ok(turn) = turn else { return Ok(Verified::Crowded) };
        match tokio::time::timeout_at(begun + self.longest_turn, turn).await {
            Ok(Ok(_)) if !brought => Ok(own),
            Ok(Ok(Verified::Yes)) if !stays => Ok(own),
            Ok(Ok(verified)) => Ok(verified),
            _ => Ok(Verified::Crowded),
        }
    }

    /// Whether a new password is strong enough: zxcvbn's score at least 3 of 4, with the words an attacker would try
    /// first for this user.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full; the inner fault when the password is weak.
    pub async fn judge(
        &self,
        tenant: TenantId,
        password: Password,
        context: Vec<String>,
    ) -> Result<Result<(), Fault>, Overloaded> {
        self.strength.run(tenant, move |_| check_strength(&password, &context)).await
    }

    /// Hashes a new password, if it is strong enough.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full; the inner fault when the password is weak.
    pub async fn choose(
        &self,
        tenant: TenantId,
        password: Password,
        context: Vec<String>,
    ) -> Result<Chosen, Overloaded> {
        if let Err(fault) = self.judge(tenant, password.clone(), context).await? {
            return Ok(Err(fault));
        }
        self.own.run(tenant, move |kit| kit.hash(&password)).await.map(Ok)
    }
}

/// A turn among the hashes of other systems.
struct Turn {
    /// The hash to check, if it is one of these.
    theirs: Option<Stored>,
    /// For hashes of which cost the turn is long enough.
    length: u32,
    lets_in: bool,
    /// Ends when nobody waits any longer.
    leaves: std::sync::mpsc::Receiver<()>,
}

impl Kit {
    fn output(&mut self, password: &[u8], salt: &[u8]) -> Option<[u8; 32]> {
        let params = self.peppers.params(self.cost)?;
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory = vec![Block::default(); blocks];
        }
        let mut out = [0; 32];
        let (argon2, _) = self.peppers.argon2(Algorithm::Argon2id, Version::V0x13, params);
        self.hashes.fetch_add(1, Ordering::Relaxed);
        argon2.hash_password_into_with_memory(password, salt, &mut out, &mut self.memory[..blocks]).ok()?;
        Some(out)
    }

    fn hash(&mut self, password: &Password) -> PasswordHash {
        let salt: [u8; 16] = self.env.random();
        match self.output(password.expose().as_bytes(), &salt) {
            Some(output) => phc(&self.peppers, self.cost, &salt, &output),
            None => unreachable!("argon2id takes any password of at most 1 KiB with checked parameters"),
        }
    }

    /// The hash that replaces another system's, if that fits. It takes as long as checking one of ours: a password that
    /// has two forms is hashed twice there.
    fn replacement(&mut self, password: &Password) -> PasswordHash {
        if password.typed() != password.expose() {
            self.hash(password);
        }
        self.hash(password)
    }

    /// Whether a hash fits that is made as ours are. Whoever is not let in costs no second hash: its time would tell.
    fn verify(&mut self, password: &Password, hash: &PasswordHash, lets_in: bool) -> Verified {
        let Ok(stored) = Stored::read(hash.as_str()) else { return Verified::No };
        self.hashes.fetch_add(1, Ordering::Relaxed);
        match stored.fits(password, &mut self.memory, &self.peppers) {
            false => Verified::No,
            true if !lets_in => Verified::Yes,
            true if hash.cost().is_none() && stored.is_peppered(&self.peppers) => Verified::Yes,
            true => Verified::Upgrade(self.hash(password)),
        }
    }

    fn take(&mut self, turn: &Turn, password: &Password) -> Verified {
        cost::measure();
        let begun = Instant::now();
        let (length, verified) = match &turn.theirs {
            None => (turn.length, Verified::No),
            Some(stored) if !stored.is_checked() => (turn.length, Verified::TooDear),
            Some(stored) => {
                self.hashes.fetch_add(1, Ordering::Relaxed);
                let fits = stored.fits(password, &mut self.memory, &self.peppers);
                self.memory = Vec::new();
                (Ord::max(turn.length, stored.cost()), if fits { Verified::Yes } else { Verified::No })
            }
        };
        if !(verified.is_right() && turn.lets_in) {
            let rest = cost::turn(length).saturating_sub(begun.elapsed());
            let _ = turn.leaves.recv_timeout(rest);
        }
        verified
    }
}

fn phc(peppers: &Peppers, cost: Cost, salt: &[u8; 16], output: &[u8; 32]) -> PasswordHash {
    let build = || {
        let params = peppers.params(cost)?;
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

#[cfg(test)]
mod tests;
