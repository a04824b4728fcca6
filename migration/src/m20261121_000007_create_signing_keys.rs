//! Signing keys of tenants; the private part is sealed with the master key.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE signing_keys (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    algorithm text NOT NULL,
    public_jwk text NOT NULL,
    private_sealed bytea NOT NULL,
    state text NOT NULL,
    created_at bigint NOT NULL,
    retired_at bigint,
    withdrawn_at bigint,
    version bigint NOT NULL,
    CONSTRAINT pk_signing_keys PRIMARY KEY (id),
    CONSTRAINT fk_signing_keys_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE INDEX ix_signing_keys_tenant ON signing_keys (tenant_id, state);
CREATE UNIQUE INDEX uq_signing_keys_current ON signing_keys (tenant_id) WHERE state = 'current';
";
