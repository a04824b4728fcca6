//! The audit trail, for those who may see it. One implementation; the grant says how far it reaches.

use gatehouse_domain::{
    audit::AuditEvent,
    authz::{Grant, ReadAudit},
    id::AuditEventId,
    page::{Direction, Page, PageRequest},
};

use crate::app::{App, Error, Result};

pub use gatehouse_persistence::AuditFilter;

impl App {
    /// Lists events within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list_audit_events(
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
    pub async fn audit_event(&self, grant: &Grant<ReadAudit>, id: AuditEventId) -> Result<AuditEvent> {
        self.db.scope(grant).audit_event(id).await?.ok_or(Error::NotFound)
    }
}
