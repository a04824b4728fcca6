//! Refresh token rotation: one use each, and what a second use means (RFC 9700 section 4.14.2).
//!
//! A session holds one chain of refresh tokens. Every token names its generation and is authenticated by a keyed
//! digest, so a spent token is recognised without being stored: only the digest of the current one is.

use std::time::Duration;

use crate::{
    secret::TokenHash,
    settings::{Policy, RefreshReuse},
    time::Timestamp,
};

/// The state of a session's chain of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How many rotations there have been.
    pub generation: u32,
    /// The digest of the one token that may be used.
    pub current: TokenHash,
    /// When that token was issued, which is when its predecessor was spent.
    pub rotated_at: Timestamp,
    /// The pair that the predecessor was exchanged for, sealed with a key that only its holder can derive.
    pub replay: Option<Vec<u8>>,
}

/// A refresh token that is known to be ours, though perhaps spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The generation it names.
    pub generation: u32,
    /// Its digest.
    pub hash: TokenHash,
}

/// What a tenant decides about second uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReuseRules {
    /// Refuse or answer again.
    pub mode: RefreshReuse,
    /// How long after its first use a token may lose a race.
    pub window: Duration,
}

impl From<&Policy> for ReuseRules {
    fn from(policy: &Policy) -> Self {
        Self { mode: policy.refresh_reuse, window: policy.refresh_reuse_window }
    }
}

/// What a presented token gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the current one: exchange it.
    Rotate,
    /// It lost a race, and the tenant answers losers with the winner's pair.
    Replay(Vec<u8>),
    /// It lost a race.
    Spent,
    /// It is used again long after, or two generations late: it was stolen, and the session ends.
    Reused,
    /// It is none of this chain: its generation is still to come, as after a restore from an older backup.
    Unknown,
}

impl Chain {
    /// Judges a token. In both modes only the immediate predecessor, within the window, is taken for a race.
    #[must_use]
    pub fn judge(&self, presented: &Presented, rules: ReuseRules, now: Timestamp) -> Verdict {
        if presented.generation == self.generation {
            return if presented.hash == self.current { Verdict::Rotate } else { Verdict::Unknown };
        }
        if presented.generation > self.generation {
            return Verdict::Unknown;
        }
        let predecessor = presented.generation + 1 == self.generation;
        if !predecessor || now.since(self.rotated_at) > rules.window {
            return Verdict::Reused;
        }
        match (rules.mode, &self.replay) {
            (RefreshReuse::Replay, Some(sealed)) => Verdict::Replay(sealed.clone()),
            _ => Verdict::Spent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn chain(generation: u32, replay: bool) -> Chain {
        Chain {
            generation,
            current: TokenHash::new([generation as u8; 32]),
            rotated_at: Timestamp::from_micros(0),
            replay: replay.then(|| vec![7]),
        }
    }

    fn presented(generation: u32) -> Presented {
        Presented { generation, hash: TokenHash::new([generation as u8; 32]) }
    }

    fn judge(chain: &Chain, generation: u32, mode: RefreshReuse, after: Duration) -> Verdict {
        chain.judge(&presented(generation), ReuseRules { mode, window: WINDOW }, Timestamp::from_micros(0).plus(after))
    }

    #[test]
    fn current_token_rotates_at_any_time() {
        assert_eq!(judge(&chain(3, false), 3, RefreshReuse::Reject, WINDOW * 100), Verdict::Rotate);
    }

    #[test]
    fn predecessor_within_the_window_loses_a_race() {
        assert_eq!(judge(&chain(3, true), 2, RefreshReuse::Reject, WINDOW), Verdict::Spent);
        assert_eq!(judge(&chain(3, true), 2, RefreshReuse::Replay, WINDOW), Verdict::Replay(vec![7]));
        assert_eq!(judge(&chain(3, false), 2, RefreshReuse::Replay, WINDOW), Verdict::Spent);
    }

    #[test]
    fn predecessor_after_the_window_is_theft_in_both_modes() {
        let late = WINDOW + Duration::from_micros(1);
        for mode in [RefreshReuse::Reject, RefreshReuse::Replay] {
            assert_eq!(judge(&chain(3, true), 2, mode, late), Verdict::Reused);
        }
    }

    #[test]
    fn two_generations_back_is_theft_even_within_the_window() {
        for mode in [RefreshReuse::Reject, RefreshReuse::Replay] {
            assert_eq!(judge(&chain(3, true), 1, mode, Duration::ZERO), Verdict::Reused);
        }
    }

    #[test]
    fn token_from_the_future_or_with_another_digest_is_unknown() {
        assert_eq!(judge(&chain(3, true), 4, RefreshReuse::Replay, Duration::ZERO), Verdict::Unknown);
        let forged = Presented { generation: 3, hash: TokenHash::new([9; 32]) };
        let rules = ReuseRules { mode: RefreshReuse::Reject, window: WINDOW };
        assert_eq!(chain(3, false).judge(&forged, rules, Timestamp::default()), Verdict::Unknown);
    }
}
