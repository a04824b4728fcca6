//! What it costs to check a hash: in thousandths of the time that a hash of ours takes, at the cost that is ours without
//! any setting.
//!
//! What a function does is a number that grows as its time does. How long it takes for so much is measured once in a
//! process, when the first hash of it comes, as processor time of the thread: so it does not depend on what else the
//! machine does, and a file of any number of lines is measured once.

use std::{sync::OnceLock, time::Duration};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::pbkdf2;
use rustix::time::{ClockId, clock_gettime};

use super::{Cost, stored::Stored};

/// A hash of ours, in the unit of this module.
const OWN: u128 = 1_000;

/// What is measured of a function.
struct Sample {
    work: u128,
    once: fn(),
    taken: OnceLock<u128>,
}

/// Each is taken as often as this, and the shortest time counts.
const TIMES: u32 = 3;

impl Sample {
    const fn new(work: u128, once: fn()) -> Self {
        Self { work, once, taken: OnceLock::new() }
    }

    fn nanos(&self) -> u128 {
        *self.taken.get_or_init(|| {
            let shortest = (0..TIMES).map(|_| {
                let begun = processor_time();
                (self.once)();
                processor_time().saturating_sub(begun).as_nanos()
            });
            Ord::max(shortest.min().unwrap_or_default(), 1)
        })
    }

    /// The cost of so much of it.
    fn cost(&self, work: u128) -> u32 {
        let own = ARGON2.nanos();
        let cost = work.saturating_mul(self.nanos()).saturating_mul(OWN) / (self.work * own);
        u32::try_from(cost).unwrap_or(u32::MAX)
    }
}

pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

// KiB filled.
static ARGON2: Sample = Sample::new(Cost::OWASP.memory_kib as u128 * Cost::OWASP.passes as u128, || {
    let Ok(params) = Params::new(Cost::OWASP.memory_kib, Cost::OWASP.passes, 1, Some(32)) else { return };
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let _ = argon2.hash_password_into_with_memory(b"password", &[0; 16], &mut [0; 32], &mut memory);
});
// Rounds.
static BCRYPT: Sample = Sample::new(1 << 6, || {
    std::hint::black_box(bcrypt::bcrypt(6, [0; 16], b"password"));
});
// Rounds for every block of output.
const ROUNDS: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(4_095);
static SHA1: Sample = Sample::new(4_096, || pbkdf2_once(pbkdf2::PBKDF2_HMAC_SHA1));
static SHA256: Sample = Sample::new(4_096, || pbkdf2_once(pbkdf2::PBKDF2_HMAC_SHA256));
static SHA512: Sample = Sample::new(4_096, || pbkdf2_once(pbkdf2::PBKDF2_HMAC_SHA512));
// Bytes mixed.
static SCRYPT: Sample = Sample::new(scrypt_work(1 << 14, 8, 1), || {
    let Ok(params) = scrypt::Params::new(14, 8, 1) else { return };
    let _ = scrypt::scrypt(b"password", &[0; 16], &params, &mut [0; 32]);
});

fn pbkdf2_once(algorithm: pbkdf2::Algorithm) {
    pbkdf2::derive(algorithm, ROUNDS, &[0; 16], b"password", &mut [0; 16]);
}

/// Before and after the mixing, PBKDF2 goes over all lanes; for so much that takes as long as this many more steps.
const SCRYPT_ENDS: u64 = 16;

const fn scrypt_work(n: u64, r: u32, p: u32) -> u128 {
    (n as u128 + SCRYPT_ENDS as u128) * 128 * r as u128 * p as u128
}

impl Stored {
    /// What a check costs; the most that the type holds stands for everything above, too.
    pub(super) fn cost(&self) -> u32 {
        match self {
            // Both forms of a password are tried. Small lanes have addresses that are as much work as the lanes.
            Self::Argon2 { params, .. } => {
                let filled = u128::from(params.m_cost()) + 8 * u128::from(params.p_cost());
                ARGON2.cost(2 * filled * u128::from(params.t_cost()))
            }
            Self::Bcrypt { rounds, .. } => BCRYPT.cost((*rounds).into()),
            Self::Pbkdf2 { algorithm, rounds, output, .. } => {
                let (sample, digest) = if *algorithm == pbkdf2::PBKDF2_HMAC_SHA512 {
                    (&SHA512, 64)
                } else if *algorithm == pbkdf2::PBKDF2_HMAC_SHA256 {
                    (&SHA256, 32)
                } else {
                    (&SHA1, 20)
                };
                sample.cost(u128::from(rounds.get()) * output.len().div_ceil(digest) as u128)
            }
            Self::Scrypt { params, .. } => SCRYPT.cost(scrypt_work(params.n(), params.r(), params.p())),
        }
    }

    /// How many bytes it takes at once.
    pub(super) fn memory(&self) -> u128 {
        match self {
            Self::Argon2 { params, .. } => u128::from(params.m_cost()) << 10,
            Self::Scrypt { params, .. } => {
                let (r, p) = (u128::from(params.r()), u128::from(params.p()));
                // One lane is mixed at a time; all lanes are kept, and one block is being worked on.
                (u128::from(params.n()) + p + 1).saturating_mul(128 * r)
            }
            Self::Bcrypt { .. } | Self::Pbkdf2 { .. } => 0,
        }
    }
}

/// Measures every function, so that no hash shows later by the time for that.
pub(super) fn measure() {
    for sample in [&ARGON2, &BCRYPT, &SHA1, &SHA256, &SHA512, &SCRYPT] {
        sample.nanos();
    }
}

/// How long a turn must be for hashes of this cost: twice what it takes a thread that has a processor for itself.
pub(super) fn turn(cost: u32) -> Duration {
    let nanos = u128::from(cost).saturating_mul(2 * ARGON2.nanos()) / OWN;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatehouse_domain::{issue::Parse, password::Password};

    #[test]
    fn cost_is_what_a_check_takes() {
        let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M");
        let typed = Password::parse("wrong e\u{301}").unwrap();
        for text in [
            format!("$argon2id$v=19$m=65536,t=3,p=1${salt}${output}"),
            format!("$argon2i$v=19$m=4096,t=20,p=4${salt}${output}"),
            format!("$argon2i$v=19$m=8,t=10000,p=1${salt}${output}"),
            format!("$pbkdf2-sha1$i=100000${salt}${output}"),
            format!("$pbkdf2-sha256$i=200000${salt}${output}"),
            format!("$pbkdf2-sha512$i=200000${salt}${output}"),
            format!("$scrypt$ln=16,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=32${salt}${output}"),
            format!("$scrypt$ln=1,r=1,p=8000${salt}${output}"),
            "$2b$10$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e".to_owned(),
        ] {
            let stored = Stored::read(&text).unwrap();
            let cost = stored.cost();
            let begun = processor_time();
            assert!(!stored.fits(&typed, &mut Vec::new(), &crate::security::password::pepper::Peppers::default()));
            let taken = (processor_time() - begun).as_nanos() * OWN / ARGON2.nanos();
            println!("{text}: {cost} for {taken}");
            assert!(taken <= 2 * u128::from(cost), "{text}: {cost} for {taken}");
        }
    }
}
