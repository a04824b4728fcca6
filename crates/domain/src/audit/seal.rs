//! What checking the audit trail finds.

use std::collections::BTreeSet;

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    id::{AuditEventId, TenantId},
    issue::{Fault, Parse},
    settings::AuditRetentionDays,
    time::{DAY, Timestamp},
    word::words,
};

/// No setting keeps events shorter than this, so nothing removes them earlier.
pub const LEAST_RETENTION: std::time::Duration = DAY.saturating_mul(AuditRetentionDays::LEAST);

words! {
    /// How the audit trail is not as Gatehouse left it.
    Damage {
        /// An event is not what was recorded, or was never recorded by Gatehouse.
        EventChanged = "event_changed",
        /// An event is gone.
        EventMissing = "event_missing",
        /// An event is there that no seal covers and that does not wait for one.
        EventUnsealed = "event_unsealed",
        /// An event has waited for its seal for more than a minute.
        EventLate = "event_late",
        /// An event waits for a seal in the wrong chain, or although it has one.
        QueueChanged = "queue_changed",
        /// A seal is not what was made, or not in its place.
        SealChanged = "seal_changed",
        /// A seal is gone.
        SealMissing = "seal_missing",
        /// A seal is there that belongs to no chain.
        SealUnknown = "seal_unknown",
        /// The ends of a chain of seals are not what was noted, or seals at its end are gone.
        ChainChanged = "chain_changed",
        /// The ends of some chain, or the note of all ends, are not those that belong together: a chain was turned back,
        /// removed or added.
        RootChanged = "root_changed",
        /// What the note of all ends was before is changed, gone, or more than there was.
        HistoryChanged = "history_changed",
        /// Retention has removed events that were younger than any setting allows.
        CutTooEarly = "cut_too_early",
        /// What was accepted is not what was noted of it, or that somebody accepted something is gone.
        AcceptanceChanged = "acceptance_changed",
        /// A trigger of the trail is gone, disabled or not what was made; or there is one too many.
        TriggerChanged = "trigger_changed",
        /// The trail does not go on from the root that it is known to have had: it was turned back.
        TurnedBack = "turned_back",
        /// The root that the trail is known to have had is older than the history that is kept, so nothing follows from it.
        RootForgotten = "root_forgotten",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub damage: Damage,
    /// In the chain of this tenant; none for that of no tenant, and for all of them.
    pub tenant_id: Option<TenantId>,
    /// At this seal.
    pub seal: Option<i64>,
    /// This event.
    pub event_id: Option<AuditEventId>,
    /// At this version of the root.
    pub version: Option<i64>,
    /// This trigger, behind the name of its table.
    pub trigger: Option<String>,
}

impl Finding {
    /// A damage of the trail as a whole.
    #[must_use]
    pub const fn new(damage: Damage) -> Self {
        Self { damage, tenant_id: None, seal: None, event_id: None, version: None, trigger: None }
    }

    /// Whether it is of the seals and events of one chain. What only waits for its seal is in no chain yet.
    const fn is_of_a_chain(&self) -> bool {
        use Damage::{
            ChainChanged, EventChanged, EventMissing, EventUnsealed, QueueChanged, SealChanged, SealMissing,
            SealUnknown,
        };
        matches!(
            self.damage,
            ChainChanged
                | EventChanged
                | EventMissing
                | EventUnsealed
                | QueueChanged
                | SealChanged
                | SealMissing
                | SealUnknown
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.damage.as_str())?;
        self.tenant_id.iter().try_for_each(|id| write!(f, "  tenant {id}"))?;
        self.seal.iter().try_for_each(|seal| write!(f, "  seal {seal}"))?;
        self.event_id.iter().try_for_each(|id| write!(f, "  event {id}"))?;
        self.version.iter().try_for_each(|version| write!(f, "  root {version}"))?;
        self.trigger.iter().try_for_each(|trigger| write!(f, "  {trigger}"))
    }
}

/// That an operator accepted what was wrong, so that the trail goes on from what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// When.
    pub accepted_at: Timestamp,
    /// Who, in the operator's own words.
    pub accepted_by: String,
    /// How much was wrong.
    pub damages: u64,
    /// What was wrong, a line each, as far as [`Verification::NAMED_MAX`] goes.
    pub findings: Vec<String>,
}

impl Acceptance {
    /// Its event, which is the platform's, whatever chains were damaged.
    #[must_use]
    pub fn event(&self, by: By) -> Event {
        let (action, resource) = (Action::AuditEventDamageAccepted, Resource::set(ResourceKind::AuditEvent));
        let mut fields = Fields::default();
        fields.set("accepted_by", &self.accepted_by).set("damage_count", self.damages).set("findings", &self.findings);
        Event { action, resource, by, failure: None, reason: None, fields }
    }
}

/// A state of the whole trail: how often the note of all ends had changed, and its code, which stands for all that was
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailRoot {
    /// How often the note of all ends had changed.
    pub version: i64,
    /// Its code.
    pub mac: [u8; 32],
}

impl std::fmt::Display for TrailRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.version)?;
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Parse for TrailRoot {
    fn parse(text: &str) -> Result<Self, Fault> {
        let root = || {
            let (version, digits) = text.split_once(':')?;
            let mut mac = [0; 32];
            if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            for (byte, at) in mac.iter_mut().zip((0..64).step_by(2)) {
                *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
            }
            Some(Self { version: version.parse().ok().filter(|version| *version >= 0)?, mac })
        };
        root().ok_or_else(|| {
            Fault::new("string_pattern_mismatch", "must be VERSION:MAC, as `gatehouse audit verify` prints it")
        })
    }
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
    /// The state of the whole trail; none where it is not what Gatehouse left.
    pub root: Option<TrailRoot>,
    /// How much is wrong.
    pub damages: u64,
    /// What is wrong, as far as [`Verification::NAMED_MAX`] goes.
    pub findings: Vec<Finding>,
    /// Whose chains are damaged; none for that of no tenant.
    pub damaged_chains: BTreeSet<Option<TenantId>>,
    /// What was wrong before, and was accepted.
    pub accepted: Vec<Acceptance>,
}

impl Verification {
    /// How many findings are named.
    pub const NAMED_MAX: usize = 100;

    /// Adds a finding.
    pub fn found(&mut self, finding: Finding) {
        self.damages += 1;
        if finding.is_of_a_chain() {
            self.damaged_chains.insert(finding.tenant_id);
        }
        if self.findings.len() < Self::NAMED_MAX {
            self.findings.push(finding);
        }
    }

    /// What is wrong and does not pass by itself: an event that waits for its seal for long may get it yet.
    pub fn lasting(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.damage != Damage::EventLate)
    }

    /// That somebody accepts what is wrong.
    #[must_use]
    pub fn accept(&self, accepted_by: &str, accepted_at: Timestamp) -> Acceptance {
        let findings = self.findings.iter().map(ToString::to_string).collect();
        Acceptance { accepted_at, accepted_by: accepted_by.to_owned(), damages: self.damages, findings }
    }
}

/// The event of `count` events of a tenant, or of none, being removed; the first and the last of them happened at these
/// instants.
#[must_use]
pub fn purged(tenant: Option<TenantRef>, by: By, count: u64, (first, last): (Timestamp, Timestamp)) -> Event {
    let set = Resource::set(ResourceKind::AuditEvent);
    let resource = match tenant {
        Some(tenant) => set.in_tenant(tenant.partner_id, tenant.id),
        None => set,
    };
    let mut fields = Fields::default();
    fields.set("event_count", count).set("first_occurred_at", first).set("last_occurred_at", last);
    Event { action: Action::AuditEventPurged, resource, by, failure: None, reason: None, fields }
}
