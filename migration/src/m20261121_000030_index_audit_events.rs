//! What the audit trail is asked for, in the order in which it is shown. Three places to look from (everywhere, in a
//! partner, in a tenant), and in each: everything, an action, a kind of thing, what failed. Who, what and from which
//! address are few events wherever they are looked for from. What stands behind the order is there so that counting
//! needs no rows.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE INDEX ix_audit_events_all ON audit_events (occurred_at, id);
CREATE INDEX ix_audit_events_all_action ON audit_events (action, occurred_at, id);
CREATE INDEX ix_audit_events_all_type ON audit_events (resource_type, occurred_at, id);
CREATE INDEX ix_audit_events_all_failed ON audit_events (occurred_at, id, action, resource_type) WHERE result = 'failure';
CREATE INDEX ix_audit_events_partner ON audit_events (partner_id, occurred_at, id);
CREATE INDEX ix_audit_events_partner_action ON audit_events (partner_id, action, occurred_at, id);
CREATE INDEX ix_audit_events_partner_type ON audit_events (partner_id, resource_type, occurred_at, id);
CREATE INDEX ix_audit_events_partner_failed ON audit_events (partner_id, occurred_at, id, action, resource_type) WHERE result = 'failure';
CREATE INDEX ix_audit_events_tenant_action ON audit_events (tenant_id, action, occurred_at, id);
CREATE INDEX ix_audit_events_tenant_type ON audit_events (tenant_id, resource_type, occurred_at, id);
CREATE INDEX ix_audit_events_tenant_failed ON audit_events (tenant_id, occurred_at, id, action, resource_type) WHERE result = 'failure';
CREATE INDEX ix_audit_events_actor ON audit_events (actor_id, occurred_at, id, tenant_id, partner_id) WHERE actor_id IS NOT NULL;
CREATE INDEX ix_audit_events_resource ON audit_events (resource_id, occurred_at, id) WHERE resource_id IS NOT NULL;
CREATE INDEX ix_audit_events_ip ON audit_events (ip_address, occurred_at, id, tenant_id, partner_id) WHERE ip_address IS NOT NULL;
";
