//! The queue of events that wait for their seal, and whether what is in it is what Gatehouse put there.

use gatehouse_domain::{
    audit::{Damage, Finding, Verification},
    id::{AuditEventId, TenantId},
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{
        audit_seal::SEALED_AT_ONCE,
        audit_tag::{Code, tag},
        audit_verify::{Check, ROWS, tenant},
        tuned::audit_queue::{Part, Queued},
    },
    scope::system::WriteSystem,
};

/// How long an event may wait for its seal.
const LATE: std::time::Duration = std::time::Duration::from_secs(60);

/// An event from the queue.
pub(crate) struct Waiting {
    pub id: Uuid,
    pub tenant: Uuid,
    /// When it happened; none if somebody has removed it from the trail.
    pub at: Option<i64>,
    pub tag: Code,
    /// Whether it is to go where it does not belong, or has a seal already.
    pub is_misplaced: bool,
}

impl WriteSystem<'_> {
    /// What waits, the oldest first; or only what has no tag, from before there were tags, with those that it would have.
    pub(crate) async fn waiting(&self, tagless: bool) -> Result<Vec<Waiting>> {
        let mac = self.tx.mac()?;
        let part = if tagless { Part::Tagless } else { Part::After(None) };
        let mut waiting = Vec::new();
        for Queued { id, tenant, event, is_misplaced } in self.read().queued(part, SEALED_AT_ONCE).await? {
            let tag = event.as_ref().and_then(|event| match tagless {
                true => tag(mac, event),
                false => event.tag.clone()?.try_into().ok(),
            });
            let at = event.map(|event| event.occurred_at);
            waiting.push(Waiting { id, tenant, at, tag: tag.unwrap_or_default(), is_misplaced });
        }
        Ok(waiting)
    }
}

impl Check<'_> {
    /// Whether what waits is there, in its place, as it was recorded, and not for long.
    pub(crate) async fn queue(&self, only: Option<TenantId>, now: Timestamp, report: &mut Verification) -> Result<()> {
        let late = now.minus(LATE).micros();
        let mut last: Option<Uuid> = None;
        loop {
            let queued = self.system.queued(Part::After(last), ROWS).await?;
            let Some(end) = queued.last().map(|one| one.id) else { return Ok(()) };
            for Queued { id, tenant: queued_in, event, is_misplaced } in queued {
                if only.is_some_and(|only| only.uuid() != queued_in) {
                    continue;
                }
                report.unsealed += 1;
                let damage = match &event {
                    None => Some(Damage::EventMissing),
                    Some(_) if is_misplaced => Some(Damage::QueueChanged),
                    Some(event) if event.tag.is_none() || event.tag != tag(self.mac, event).map(Vec::from) => {
                        Some(Damage::EventChanged)
                    }
                    Some(event) if event.occurred_at < late => Some(Damage::EventLate),
                    Some(_) => None,
                };
                if let Some(damage) = damage {
                    let event_id = Some(AuditEventId::from_uuid(id));
                    report.found(Finding { tenant_id: tenant(queued_in), event_id, ..Finding::new(damage) });
                }
            }
            if last.is_some_and(|last| end <= last) {
                return Ok(());
            }
            last = Some(end);
        }
    }
}
