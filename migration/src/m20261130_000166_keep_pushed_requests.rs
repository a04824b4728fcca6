//! Authorization requests that applications push before a browser brings them.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE pushed_requests (
    digest bytea NOT NULL,
    tenant_id uuid NOT NULL,
    application_id uuid NOT NULL,
    sealed bytea NOT NULL,
    expires_at bigint NOT NULL,
    spent_at bigint,
    CONSTRAINT pk_pushed_requests PRIMARY KEY (digest),
    CONSTRAINT fk_pushed_requests_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT fk_pushed_requests_application FOREIGN KEY (application_id) REFERENCES applications (id) ON DELETE CASCADE
);
CREATE INDEX ix_pushed_requests_application ON pushed_requests (application_id, expires_at);
CREATE INDEX ix_pushed_requests_tenant ON pushed_requests (tenant_id);
CREATE INDEX ix_pushed_requests_expires ON pushed_requests (expires_at);
";
