//! Sessions, and the applications they were used with.
//!
//! `ends_at` is the earlier of expiry and idle deadline, so that one comparison tells whether a session that was not
//! ended is still active. Lists of active sessions have partial indexes of their own: ended sessions outnumber them.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE applications (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT pk_applications PRIMARY KEY (id),
    CONSTRAINT fk_applications_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX uq_applications_tenant_id_id ON applications (tenant_id, id);

CREATE TABLE sessions (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    user_id uuid NOT NULL,
    ip_address text,
    user_agent text,
    device_type text NOT NULL,
    device_name text,
    location text,
    auth_methods text NOT NULL,
    created_at bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    max_expires_at bigint NOT NULL,
    idle_micros bigint,
    ends_at bigint NOT NULL,
    ended_at bigint,
    end_reason text,
    ended_by uuid,
    refresh_generation bigint NOT NULL,
    refresh_hash bytea NOT NULL,
    refreshed_at bigint NOT NULL,
    refresh_replay bytea,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id),
    CONSTRAINT fk_sessions_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT ck_sessions_end CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE UNIQUE INDEX uq_sessions_tenant_id_id ON sessions (tenant_id, id);
CREATE INDEX ix_sessions_active ON sessions (created_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_all ON sessions (created_at, id);
CREATE INDEX ix_sessions_partner_active ON sessions (partner_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_partner_all ON sessions (partner_id, created_at, id);
CREATE INDEX ix_sessions_tenant_active ON sessions (tenant_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_tenant_all ON sessions (tenant_id, created_at, id);
CREATE INDEX ix_sessions_user_active ON sessions (tenant_id, user_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_user_all ON sessions (tenant_id, user_id, created_at, id);
CREATE INDEX ix_sessions_device ON sessions (tenant_id, device_type, created_at, id);
CREATE INDEX ix_sessions_ip ON sessions (tenant_id, ip_address, created_at, id);
CREATE INDEX ix_sessions_activity ON sessions (tenant_id, last_activity_at, id) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_due ON sessions (tenant_id, ends_at) WHERE ended_at IS NULL;
CREATE INDEX ix_sessions_ended ON sessions (tenant_id, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE session_applications (
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    application_id uuid NOT NULL,
    accessed_at bigint NOT NULL,
    CONSTRAINT pk_session_applications PRIMARY KEY (session_id, application_id),
    CONSTRAINT fk_session_applications_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_session_applications_application FOREIGN KEY (tenant_id, application_id) REFERENCES applications (tenant_id, id)
);
CREATE INDEX ix_session_applications_application ON session_applications (tenant_id, application_id, session_id);
";
