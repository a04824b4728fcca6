//! What authenticates the audit trail.

use std::sync::Arc;

use gatehouse_persistence::{Mac, RootPart, TrailKey};

use super::{Keyring, whole};

/// What authenticates the audit trail: events and seals with the oldest part of the master key, which stays, and the root
/// over them with the one that seals.
pub(super) struct Trail(pub Arc<Keyring>);

impl TrailKey for Trail {
    fn code(&self, message: &[u8]) -> [u8; 32] {
        whole(&self.0.audit, message)
    }

    fn root(&self, message: &[u8], part: RootPart) -> [u8; 32] {
        let part = self.0.parts(|parts| {
            let n = match part {
                RootPart::Newest => 0,
                RootPart::Current => parts.current,
                RootPart::Nth(nth) => parts.place(nth).map_or(parts.current, |n| n.min(parts.current)),
            };
            Arc::clone(&parts.all[n])
        });
        whole(&part.root, message)
    }

    fn part_of(&self, message: &[u8], code: &[u8; 32], past: bool) -> Option<RootPart> {
        self.0.parts(|parts| {
            let most = if past { parts.all.len() } else { parts.current + 1 };
            let part = parts.all.iter().take(most).position(|part| whole(&part.root, message) == *code);
            part.map(|n| RootPart::Nth(parts.nth(n)))
        })
    }
}

/// What authenticates the audit trail.
#[must_use]
pub fn trail_mac(keyring: Arc<Keyring>) -> Mac {
    Mac::new(Trail(keyring))
}
