//! What checking the audit trail finds.

use crate::{
    id::{AuditEventId, TenantId},
    settings::words,
    time::Timestamp,
};

words! {
    /// How the audit trail is not as Gatehouse left it.
    Damage {
        /// An event is not what was recorded, or was never recorded by Gatehouse.
        EventChanged = "event_changed",
        /// An event is gone.
        EventMissing = "event_missing",
        /// An event is there that no seal covers and that does not wait for one.
        EventUnsealed = "event_unsealed",
        /// A seal is not what was made, or not in its place.
        SealChanged = "seal_changed",
        /// A seal is gone.
        SealMissing = "seal_missing",
        /// The ends of a chain of seals are not what was noted, or seals at its end are gone.
        ChainChanged = "chain_changed",
        /// The ends of some chain, or the note of all ends, are not those that belong together: a chain was turned back,
        /// removed or added.
        RootChanged = "root_changed",
        /// The whole trail is older than it was known to be.
        TurnedBack = "turned_back",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub damage: Damage,
    /// In the chain of this tenant; none for that of no tenant, and for all of them.
    pub tenant_id: Option<TenantId>,
    /// At this seal.
    pub seal: Option<i64>,
    /// This event.
    pub event_id: Option<AuditEventId>,
}

/// What checking the audit trail found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// How many chains were checked: one for each tenant, one for what concerns none.
    pub chains: u64,
    /// How many seals.
    pub seals: u64,
    /// How many events they cover.
    pub events: u64,
    /// How many of these have had personal data erased.
    pub redacted: u64,
    /// How many of these are from before events were authenticated when they were written.
    pub adopted: u64,
    /// How many events wait for a seal.
    pub unsealed: u64,
    /// When the oldest sealed event happened.
    pub oldest: Option<Timestamp>,
    /// How often the note of all ends has changed. It never goes back.
    pub version: i64,
    /// How much is wrong.
    pub damages: u64,
    /// What is wrong, as far as [`Verification::NAMED_MAX`] goes.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// How many findings are named.
    pub const NAMED_MAX: usize = 100;

    /// Adds a finding.
    pub fn found(&mut self, finding: Finding) {
        self.damages += 1;
        if self.findings.len() < Self::NAMED_MAX {
            self.findings.push(finding);
        }
    }
}
