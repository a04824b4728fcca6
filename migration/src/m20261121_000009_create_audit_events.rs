//! The audit trail. Rows outlive what they speak of, so they point at nothing. An event that concerns no tenant, or
//! no partner, has the nil UUID there: a comparison with a real id never matches it.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE audit_events (
    id uuid NOT NULL,
    occurred_at bigint NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    actor_type text NOT NULL,
    actor_id uuid,
    actor_session_id uuid,
    acting_as text NOT NULL,
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id uuid,
    result text NOT NULL,
    failure text,
    reason text,
    changes text,
    ip_address text,
    user_agent text,
    request_id text,
    CONSTRAINT pk_audit_events PRIMARY KEY (id)
);
CREATE INDEX ix_audit_events_tenant ON audit_events (tenant_id, occurred_at, id);
";
