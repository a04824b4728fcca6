//! The audit trail, for those who may see it. One implementation; the grant says how far it reaches.

use std::time::Duration;

use gatehouse_domain::{
    audit::AuditEvent,
    authz::{Area, Grant, ReadAudit},
    id::AuditEventId,
    page::{Direction, Page, PageRequest},
    time::Timestamp,
};

use crate::app::{Error, Result, audit::Trail};

pub use gatehouse_persistence::AuditFilter;

/// How many events an export reads at once.
const EXPORT_BATCH: u64 = 200;

/// Everything up to an instant that a filter finds, oldest first.
#[derive(Debug)]
pub struct AuditExport {
    grant: Grant<ReadAudit>,
    place: Area,
    filter: AuditFilter,
    last: Option<AuditEvent>,
    ended: bool,
}

impl AuditExport {
    /// What there is `now`. The grant must be one for the place.
    #[must_use]
    pub fn new(grant: &Grant<ReadAudit>, place: Area, filter: AuditFilter, now: Timestamp) -> Self {
        let end = now.plus(Duration::from_micros(1));
        let created_before = Some(filter.created_before.map_or(end, |before| Ord::min(before, end)));
        let filter = AuditFilter { created_before, ..filter };
        Self { grant: grant.clone(), place, filter, last: None, ended: false }
    }
}

impl Trail<'_> {
    /// The next events of an export; none at its end. Sending an export can take long, so each time its caller must
    /// still be allowed to see it.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] and [`Error::Denied`] when that is over, [`Error::Unavailable`] when the database does
    /// not answer.
    pub async fn next(&self, export: &mut AuditExport) -> Result<Vec<AuditEvent>> {
        if export.ended {
            return Ok(Vec::new());
        }
        if export.last.is_some() {
            export.grant = self.states.renew(&export.grant, export.place).await?;
        }
        let scope = self.db.scope(&export.grant);
        let events = scope.audit_feed(&export.filter, export.last.as_ref(), EXPORT_BATCH).await?;
        export.ended = (events.len() as u64) < EXPORT_BATCH;
        export.last = events.last().cloned();
        Ok(events)
    }

    /// Lists events within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadAudit>,
        filter: &AuditFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<AuditEvent>> {
        Ok(self.db.scope(grant).audit_events(filter, direction, page).await?)
    }

    /// One event.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the grant shows no such event.
    pub async fn event(&self, grant: &Grant<ReadAudit>, id: AuditEventId) -> Result<AuditEvent> {
        self.db.scope(grant).audit_event(id).await?.ok_or(Error::NotFound)
    }
}
