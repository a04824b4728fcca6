//! Where applications sign people in, events about token families are as frequent as those about sessions, so they go into
//! as few indexes: exchanged codes and refreshes in none by action, and none of them in one by kind.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
DROP INDEX ix_audit_events_all_action;
DROP INDEX ix_audit_events_all_type;
DROP INDEX ix_audit_events_partner_action;
DROP INDEX ix_audit_events_partner_type;
DROP INDEX ix_audit_events_tenant_action;
DROP INDEX ix_audit_events_tenant_type;
CREATE INDEX ix_audit_events_all_action ON audit_events (action, occurred_at, id) WHERE action <> 'session.refreshed' AND action <> 'token_family.created' AND action <> 'token_family.refreshed';
CREATE INDEX ix_audit_events_all_type ON audit_events (resource_type, occurred_at, id) WHERE resource_type <> 'session' AND resource_type <> 'token_family';
CREATE INDEX ix_audit_events_partner_action ON audit_events (partner_id, action, occurred_at, id, tenant_id) WHERE action <> 'session.refreshed' AND action <> 'token_family.created' AND action <> 'token_family.refreshed';
CREATE INDEX ix_audit_events_partner_type ON audit_events (partner_id, resource_type, occurred_at, id, tenant_id) WHERE resource_type <> 'session' AND resource_type <> 'token_family';
CREATE INDEX ix_audit_events_tenant_action ON audit_events (tenant_id, action, occurred_at, id) WHERE action <> 'session.refreshed' AND action <> 'token_family.created' AND action <> 'token_family.refreshed';
CREATE INDEX ix_audit_events_tenant_type ON audit_events (tenant_id, resource_type, occurred_at, id) WHERE resource_type <> 'session' AND resource_type <> 'token_family';
";
