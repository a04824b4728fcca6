//! Secrets of confidential applications, of which digests are kept.

use std::time::Duration;

use crate::{
    secret::TokenHash,
    settings::Bounded,
    time::{DAY, Timestamp},
};

/// For how many seconds the secret before a new one goes on working: up to a week, and a day where nothing is said.
pub type PreviousSecret = Bounded<0, 604_800>;

/// A secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSecret {
    /// What is kept of it.
    pub hash: TokenHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last shown. It may be some seconds behind.
    pub last_used_at: Option<Timestamp>,
}

impl ClientSecret {
    fn works(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The secrets of an application, newest first: two at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientSecrets(Vec<ClientSecret>);

impl ClientSecrets {
    /// The first secret.
    pub(super) fn first(hash: TokenHash, now: Timestamp) -> Self {
        Self(vec![ClientSecret { hash, created_at: now, expires_at: None, last_used_at: None }])
    }

    /// Takes stored secrets back.
    #[must_use]
    pub const fn from_stored(secrets: Vec<ClientSecret>) -> Self {
        Self(secrets)
    }

    /// All that are kept, whether they still work or not.
    pub fn iter(&self) -> std::slice::Iter<'_, ClientSecret> {
        self.0.iter()
    }

    /// Those that work.
    pub fn working(&self, now: Timestamp) -> impl Iterator<Item = &ClientSecret> {
        self.0.iter().filter(move |secret| secret.works(now))
    }

    /// One of them was used.
    pub fn note_use(&mut self, used: Option<TokenHash>, at: Timestamp) {
        for secret in self.0.iter_mut().filter(|secret| Some(secret.hash) == used) {
            secret.last_used_at = secret.last_used_at.max(Some(at));
        }
    }

    /// A new one beside the newest, which goes on working for a while, but for no longer than it would have.
    pub(super) fn rotate(&self, hash: TokenHash, previous: Option<PreviousSecret>, now: Timestamp) -> Self {
        let end = now.plus(previous.map_or(DAY, |seconds| Duration::from_secs(u64::from(seconds.get()))));
        let until = |secret: &ClientSecret| secret.expires_at.map_or(end, |earlier| earlier.min(end));
        let newest = self.working(now).next();
        let newest = newest.map(|secret| ClientSecret { expires_at: Some(until(secret)), ..*secret });
        let mut secrets = Self::first(hash, now);
        secrets.0.extend(newest.filter(|secret| secret.works(now)));
        secrets
    }
}
