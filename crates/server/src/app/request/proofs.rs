//! Which DPoP proofs were shown here of late (RFC 9449, section 11.1): each counts once in this process.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gatehouse_domain::{secret::TokenHash, time::Timestamp};
use uuid::Uuid;

use crate::{
    app::{Error, Result},
    security::dpop::LIFETIME_SECONDS,
};

/// How long a generation of them grows: no shorter than a proof counts, so that what is in neither of the two that are kept
/// counts no more.
const GENERATION: Duration = Duration::from_secs(LIFETIME_SECONDS.unsigned_abs());
/// The most of a generation: some 7,000 requests a second.
const MOST: usize = 500_000;
/// The most of them that are of one user or application, so that nobody uses up what all others need.
const SHARE: u32 = 20_000;

/// Proofs that were shown.
#[derive(Debug, Default)]
pub(super) struct SeenProofs(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    began_at: Timestamp,
    current: HashSet<u128>,
    former: HashSet<u128>,
    /// How many of the current ones are whose.
    shares: HashMap<Uuid, u32>,
}

impl SeenProofs {
    /// Notes a proof that a user or an application shows; whether it is the first time.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when they have shown too many of late, [`Error::Overloaded`] when all have. A proof that is not
    /// noted would count again.
    pub(super) fn take(&self, id: TokenHash, of: Uuid, now: Timestamp) -> Result<bool> {
        // Half of a digest tells them apart.
        let (half, _) = id.as_bytes().split_at(16);
        let id = half.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.since(seen.began_at);
        if age >= GENERATION {
            let current = std::mem::take(&mut seen.current);
            seen.former = if age < GENERATION * 2 { current } else { HashSet::new() };
            seen.shares.clear();
            seen.began_at = now;
        }
        if seen.current.contains(&id) || seen.former.contains(&id) {
            return Ok(false);
        }
        if seen.current.len() >= MOST {
            return Err(Error::Overloaded);
        }
        let wait = GENERATION.saturating_sub(now.since(seen.began_at));
        let share = seen.shares.entry(of).or_default();
        if *share >= SHARE {
            return Err(Error::RateLimited(wait));
        }
        *share += 1;
        Ok(seen.current.insert(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn id(number: u64) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        TokenHash::new(bytes)
    }

    /// Whose a proof is, where that does not matter: everybody has but a few.
    fn somebody(number: u64) -> Uuid {
        Uuid::from_u128(u128::from(number / 1_000))
    }

    #[test]
    fn nobody_uses_up_what_others_need() {
        let (seen, greedy, other) = (SeenProofs::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        for number in 0..u64::from(SHARE) {
            assert!(seen.take(id(number), greedy, NOW).unwrap());
        }
        let soon = NOW.plus(Duration::from_secs(1));
        let refused = seen.take(id(u64::MAX), greedy, soon);
        assert!(matches!(refused, Err(Error::RateLimited(wait)) if wait == GENERATION - Duration::from_secs(1)));
        assert!(seen.take(id(u64::MAX), other, soon).unwrap());
        assert!(seen.take(id(u64::MAX - 1), greedy, NOW.plus(GENERATION)).unwrap());
    }

    #[test]
    fn proof_counts_once_for_as_long_as_it_could_count() {
        let seen = SeenProofs::default();
        // Whenever in a generation it comes.
        for (number, start) in (0..GENERATION.as_secs() * 3).enumerate() {
            let (number, at) = (number as u64, NOW.plus(Duration::from_secs(start)));
            assert!(seen.take(id(number), somebody(number), at).unwrap());
            assert!(!seen.take(id(number), somebody(number), at).unwrap());
            if let Some(older) = number.checked_sub(GENERATION.as_secs()) {
                assert!(!seen.take(id(older), somebody(older), at).unwrap(), "{older} at {number}");
            }
        }
    }

    #[test]
    fn proofs_that_do_not_count_any_more_take_no_room() {
        let seen = SeenProofs::default();
        for number in 0..MOST as u64 {
            assert!(seen.take(id(number), somebody(number), NOW).unwrap());
        }
        assert!(matches!(seen.take(id(MOST as u64), somebody(MOST as u64), NOW), Err(Error::Overloaded)));
        assert!(!seen.take(id(0), somebody(0), NOW).unwrap(), "one that is known is still refused");
        assert!(seen.take(id(MOST as u64), somebody(MOST as u64), NOW.plus(GENERATION)).unwrap());
        assert!(seen.take(id(0), somebody(0), NOW.plus(GENERATION * 4)).unwrap());
        assert!(seen.0.lock().unwrap().former.is_empty());
    }
}
