//! Totals of events from an address ask who acted, so that what a reader is not shown does not count.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
DROP INDEX ix_audit_events_ip;
CREATE INDEX ix_audit_events_ip ON audit_events (ip_address, occurred_at, id, tenant_id, partner_id, actor_id) WHERE ip_address IS NOT NULL;
";
