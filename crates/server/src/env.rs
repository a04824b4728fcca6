//! Time and randomness: the two things that tests must be able to replace, and that nothing else reads by itself.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use gatehouse_domain::time::Timestamp;
use gatehouse_persistence::ChangeContext;

/// What the server takes from its surroundings.
#[derive(Debug, Clone)]
pub struct Env {
    clock: Clock,
    random: Arc<SystemRandom>,
}

#[derive(Debug, Clone)]
enum Clock {
    System,
    Manual(Arc<AtomicI64>),
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::SeqCst);
    }

    /// Sets the clock back.
    pub fn set_back(&self, by: std::time::Duration) {
        self.0.fetch_sub(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Env {
    /// The real surroundings.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Clock::System, random: Arc::new(SystemRandom::new()) }
    }

    /// Real randomness, and a clock that begins now and moves by hand.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let micros = Arc::new(AtomicI64::new(Self::system().now().micros()));
        (Self { clock: Clock::Manual(Arc::clone(&micros)), random: Arc::new(SystemRandom::new()) }, ManualClock(micros))
    }

    /// The instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Clock::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// The same, for a transaction to look at.
    #[must_use]
    pub fn clock(&self) -> gatehouse_persistence::Clock {
        let env = self.clone();
        gatehouse_persistence::Clock::new(move || env.now())
    }

    /// The context of a change that no request asked for.
    pub(crate) fn ctx(&self) -> ChangeContext {
        ChangeContext { clock: Some(self.clock()), ..ChangeContext::at(self.now()) }
    }

    /// The ids of events, from this randomness.
    #[must_use]
    pub fn event_ids(&self) -> gatehouse_persistence::EventIds {
        let env = self.clone();
        gatehouse_persistence::EventIds::new(move || env.random())
    }

    /// Random bytes from the operating system.
    ///
    /// # Panics
    /// When the operating system has none: nothing secure can be done then.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without randomness every answer would be insecure")]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }

    /// A new id of any kind: `env.id(SessionId::from_parts)`.
    #[must_use]
    pub fn id<T>(&self, from_parts: impl FnOnce(u64, [u8; 10]) -> T) -> T {
        from_parts(self.now().unix_millis(), self.random())
    }
}
