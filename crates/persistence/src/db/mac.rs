//! The key of the audit trail, which storage uses and does not know.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::EventIds;
use crate::error::{Error, Result};

/// What a message is authenticated for; no two uses can be played against each other.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Use {
    Origin = 1,
    Changes,
    Event,
    Seal,
    /// The root before there was a history of it.
    Root,
    Chain,
    RootState,
    RootLink,
    Acceptance,
}

/// A part of the master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootPart {
    /// The one that came last.
    Newest,
    /// The one that seals.
    Current,
    /// The one that came when the key was replaced for the nth time; 0 is the first key.
    Nth(usize),
}

/// Knows the key.
pub trait TrailKey: Send + Sync {
    /// The code of a message: of an event, a seal, a chain. Its key stays when the master key is replaced.
    fn code(&self, message: &[u8]) -> [u8; 32];

    /// The code of a root by a part of the master key. A part that is older than the one that seals signs nothing: then it
    /// is the code by the one that seals.
    fn root(&self, message: &[u8], part: RootPart) -> [u8; 32];

    /// The part of the master key that has made the code of a root. None where that part may not sign it: the present
    /// root is signed by the part that seals or a newer one, a past root by any.
    fn part_of(&self, message: &[u8], code: &[u8; 32], past: bool) -> Option<RootPart>;
}

/// Computes keyed authentication codes.
#[derive(Clone)]
pub struct Mac(Arc<dyn TrailKey>);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

impl Mac {
    /// One that is computed by what knows the key.
    #[must_use]
    pub fn new(key: impl TrailKey + 'static) -> Self {
        Self(Arc::new(key))
    }

    pub(crate) fn of(&self, message: &Message) -> [u8; 32] {
        self.0.code(&message.0)
    }

    pub(crate) fn root(&self, message: &Message, part: RootPart) -> [u8; 32] {
        self.0.root(&message.0, part)
    }

    pub(crate) fn part_of(&self, message: &Message, code: &[u8; 32], past: bool) -> Option<RootPart> {
        self.0.part_of(&message.0, code, past)
    }
}

/// A message without two readings: what has no fixed length goes behind its length.
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new(of: Use) -> Self {
        Self(vec![of as u8])
    }

    pub(crate) fn fixed<const N: usize>(mut self, bytes: &[u8; N]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.fixed(&number.to_be_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    pub(crate) fn maybe(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.fixed(&[1]).bytes(bytes),
            None => self.fixed(&[0]),
        }
    }
}

/// The place of a [`Mac`] that is set once the master key is known, with what makes the ids of events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authentication(Arc<OnceLock<(Mac, EventIds)>>);

impl Authentication {
    pub(crate) fn set(&self, mac: Mac, ids: EventIds) {
        // Whoever comes second brings the same key.
        drop(self.0.set((mac, ids)));
    }

    pub(crate) fn mac(&self) -> Result<&Mac> {
        Ok(&self.0.get().ok_or(Error::NoKey)?.0)
    }

    pub(crate) fn ids(&self) -> Result<&EventIds> {
        Ok(&self.0.get().ok_or(Error::NoKey)?.1)
    }
}
