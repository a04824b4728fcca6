//! The most frequent events go into fewer indexes. Refreshes are in none by action and by kind, what happens to sessions
//! in none by kind: they are most of what there is, so the lists of everything find them, with action and kind beside
//! the order.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
DROP INDEX ix_audit_events_all;
DROP INDEX ix_audit_events_all_action;
DROP INDEX ix_audit_events_all_type;
DROP INDEX ix_audit_events_partner;
DROP INDEX ix_audit_events_partner_action;
DROP INDEX ix_audit_events_partner_type;
DROP INDEX ix_audit_events_tenant;
DROP INDEX ix_audit_events_tenant_action;
DROP INDEX ix_audit_events_tenant_type;
CREATE INDEX ix_audit_events_all ON audit_events (occurred_at, id, action, resource_type);
CREATE INDEX ix_audit_events_partner ON audit_events (partner_id, occurred_at, id, action, resource_type);
CREATE INDEX ix_audit_events_tenant ON audit_events (tenant_id, occurred_at, id, action, resource_type);
CREATE INDEX ix_audit_events_all_action ON audit_events (action, occurred_at, id) WHERE action <> 'session.refreshed';
CREATE INDEX ix_audit_events_partner_action ON audit_events (partner_id, action, occurred_at, id) WHERE action <> 'session.refreshed';
CREATE INDEX ix_audit_events_tenant_action ON audit_events (tenant_id, action, occurred_at, id) WHERE action <> 'session.refreshed';
CREATE INDEX ix_audit_events_all_type ON audit_events (resource_type, occurred_at, id) WHERE resource_type <> 'session';
CREATE INDEX ix_audit_events_partner_type ON audit_events (partner_id, resource_type, occurred_at, id) WHERE resource_type <> 'session';
CREATE INDEX ix_audit_events_tenant_type ON audit_events (tenant_id, resource_type, occurred_at, id) WHERE resource_type <> 'session';
";
