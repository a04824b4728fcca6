//! What a partner sees of the trail depends on which tenants it has now, so its totals ask each event for its tenant.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
DROP INDEX ix_audit_events_partner;
DROP INDEX ix_audit_events_partner_action;
DROP INDEX ix_audit_events_partner_type;
DROP INDEX ix_audit_events_partner_failed;
CREATE INDEX ix_audit_events_partner ON audit_events (partner_id, occurred_at, id, action, resource_type, tenant_id);
CREATE INDEX ix_audit_events_partner_action ON audit_events (partner_id, action, occurred_at, id, tenant_id) WHERE action <> 'session.refreshed';
CREATE INDEX ix_audit_events_partner_type ON audit_events (partner_id, resource_type, occurred_at, id, tenant_id) WHERE resource_type <> 'session';
CREATE INDEX ix_audit_events_partner_failed ON audit_events (partner_id, occurred_at, id, action, resource_type, tenant_id) WHERE result = 'failure';
";
