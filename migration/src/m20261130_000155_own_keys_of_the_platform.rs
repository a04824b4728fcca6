//! Signing keys of the platform beside those of tenants. `owner_id` is the tenant, else the nil UUID, which stands for the
//! platform; `partner_id` is nil with it.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE former_signing_keys AS SELECT * FROM signing_keys;
DROP TABLE signing_keys;
CREATE TABLE signing_keys (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    tenant_id uuid,
    partner_id uuid NOT NULL,
    algorithm text NOT NULL,
    public_jwk text NOT NULL,
    private_sealed bytea NOT NULL,
    state text NOT NULL,
    created_at bigint NOT NULL,
    activated_at bigint,
    retired_at bigint,
    withdrawn_at bigint,
    version bigint NOT NULL,
    CONSTRAINT pk_signing_keys PRIMARY KEY (id),
    CONSTRAINT fk_signing_keys_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT ck_signing_keys_owner CHECK (owner_id = COALESCE(tenant_id, partner_id))
);
CREATE INDEX ix_signing_keys_owner ON signing_keys (owner_id, state);
CREATE INDEX ix_signing_keys_tenant ON signing_keys (tenant_id, state);
CREATE UNIQUE INDEX uq_signing_keys_current ON signing_keys (owner_id, algorithm) WHERE state = 'current';
CREATE UNIQUE INDEX uq_signing_keys_next ON signing_keys (owner_id, algorithm) WHERE state = 'next';
INSERT INTO signing_keys (id, owner_id, tenant_id, partner_id, algorithm, public_jwk, private_sealed, state, created_at, activated_at, retired_at, withdrawn_at, version)
    SELECT id, tenant_id, tenant_id, partner_id, algorithm, public_jwk, private_sealed, state, created_at, activated_at, retired_at, withdrawn_at, version FROM former_signing_keys;
DROP TABLE former_signing_keys;
";
