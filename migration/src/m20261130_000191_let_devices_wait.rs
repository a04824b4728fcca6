//! Devices that wait for somebody to sign them in with the code that they show.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{DbBackend, DbErr},
};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let nil = match manager.get_database_backend() {
        DbBackend::Postgres => "'00000000-0000-0000-0000-000000000000'",
        _ => "x'00000000000000000000000000000000'",
    };
    crate::run(manager, &SQL.replace("$nil", nil)).await
}

const SQL: &str = "
CREATE TABLE device_requests (
    digest bytea NOT NULL,
    user_code text NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
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
    CONSTRAINT ck_device_requests_owner CHECK (owner_id IN (tenant_id, partner_id, $nil))
);
CREATE UNIQUE INDEX uq_device_requests_user_code ON device_requests (user_code);
CREATE INDEX ix_device_requests_application ON device_requests (application_id, expires_at);
CREATE INDEX ix_device_requests_expires ON device_requests (expires_at);
CREATE INDEX ix_device_requests_session ON device_requests (tenant_id, session_id) WHERE session_id IS NOT NULL;
";
