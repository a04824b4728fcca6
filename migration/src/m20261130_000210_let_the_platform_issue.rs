//! The issuer of the platform: what is pushed there and the devices that wait there belong to no tenant, until somebody of
//! one opens what a device asks for. Where an address last signed in is found by an index.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    crate::run_dialect(manager, SQLITE, POSTGRES).await?;
    crate::run(manager, BOTH).await
}

const BOTH: &str = "
CREATE INDEX ix_users_known_addresses ON users (email_key, last_login_at) WHERE deleted_at IS NULL;
";

const POSTGRES: &str = "
ALTER TABLE pushed_requests ALTER COLUMN tenant_id DROP NOT NULL;
ALTER TABLE device_requests ALTER COLUMN tenant_id DROP NOT NULL;
ALTER TABLE device_requests ALTER COLUMN partner_id DROP NOT NULL;
ALTER TABLE device_requests ADD CONSTRAINT ck_device_requests_tenant CHECK
    ((tenant_id IS NULL) = (partner_id IS NULL) AND (tenant_id IS NOT NULL OR session_id IS NULL AND owner_id = '00000000-0000-0000-0000-000000000000'));
";

const SQLITE: &str = "
DROP INDEX ix_pushed_requests_application;
DROP INDEX ix_pushed_requests_tenant;
DROP INDEX ix_pushed_requests_expires;
ALTER TABLE pushed_requests RENAME TO pushed_requests_before;
CREATE TABLE pushed_requests (
    digest bytea NOT NULL,
    tenant_id uuid,
    application_id uuid NOT NULL,
    sealed bytea NOT NULL,
    expires_at bigint NOT NULL,
    spent_at bigint,
    CONSTRAINT pk_pushed_requests PRIMARY KEY (digest),
    CONSTRAINT fk_pushed_requests_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT fk_pushed_requests_application FOREIGN KEY (application_id) REFERENCES applications (id) ON DELETE CASCADE
);
INSERT INTO pushed_requests (digest, tenant_id, application_id, sealed, expires_at, spent_at)
    SELECT digest, tenant_id, application_id, sealed, expires_at, spent_at FROM pushed_requests_before;
DROP TABLE pushed_requests_before;
CREATE INDEX ix_pushed_requests_application ON pushed_requests (application_id, expires_at);
CREATE INDEX ix_pushed_requests_tenant ON pushed_requests (tenant_id);
CREATE INDEX ix_pushed_requests_expires ON pushed_requests (expires_at);

DROP INDEX uq_device_requests_user_code;
DROP INDEX ix_device_requests_application;
DROP INDEX ix_device_requests_expires;
DROP INDEX ix_device_requests_session;
ALTER TABLE device_requests RENAME TO device_requests_before;
CREATE TABLE device_requests (
    digest bytea NOT NULL,
    user_code text NOT NULL,
    tenant_id uuid,
    partner_id uuid,
    application_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    scope text NOT NULL,
    audience text NOT NULL,
    ip_address text,
    interval_micros bigint NOT NULL,
    polled_at bigint,
    session_id uuid,
    is_approved boolean,
    spent_at bigint,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_device_requests PRIMARY KEY (digest),
    CONSTRAINT fk_device_requests_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_device_requests_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_device_requests_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id),
    CONSTRAINT ck_device_requests_owner CHECK (owner_id IN (tenant_id, partner_id, x'00000000000000000000000000000000')),
    CONSTRAINT ck_device_requests_tenant CHECK
        ((tenant_id IS NULL) = (partner_id IS NULL) AND (tenant_id IS NOT NULL OR session_id IS NULL AND owner_id = x'00000000000000000000000000000000'))
);
INSERT INTO device_requests (digest, user_code, tenant_id, partner_id, application_id, owner_id, scope, audience, ip_address,
        interval_micros, polled_at, session_id, is_approved, spent_at, created_at, expires_at)
    SELECT digest, user_code, tenant_id, partner_id, application_id, owner_id, scope, audience, ip_address,
        interval_micros, polled_at, session_id, is_approved, spent_at, created_at, expires_at FROM device_requests_before;
DROP TABLE device_requests_before;
CREATE UNIQUE INDEX uq_device_requests_user_code ON device_requests (user_code);
CREATE INDEX ix_device_requests_application ON device_requests (application_id, expires_at);
CREATE INDEX ix_device_requests_expires ON device_requests (expires_at);
CREATE INDEX ix_device_requests_session ON device_requests (tenant_id, session_id) WHERE session_id IS NOT NULL;
";
