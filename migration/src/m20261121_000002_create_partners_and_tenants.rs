//! Partners and their tenants.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE partners (
    id uuid NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    status text NOT NULL,
    contact_email text,
    max_tenants bigint,
    max_users_per_tenant bigint,
    max_applications_per_tenant bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT pk_partners PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_partners_slug ON partners (slug);
CREATE INDEX ix_partners_created ON partners (created_at, id);
CREATE INDEX ix_partners_name ON partners (name, id);

CREATE TABLE tenants (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    status text NOT NULL,
    contact_email text,
    settings text NOT NULL,
    branding text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (id),
    CONSTRAINT fk_tenants_partner FOREIGN KEY (partner_id) REFERENCES partners (id)
);
CREATE UNIQUE INDEX uq_tenants_slug ON tenants (slug);
CREATE UNIQUE INDEX uq_tenants_partner_id_id ON tenants (partner_id, id);
CREATE INDEX ix_tenants_created ON tenants (created_at, id);
CREATE INDEX ix_tenants_name ON tenants (name, id);
CREATE INDEX ix_tenants_partner_created ON tenants (partner_id, created_at, id);
CREATE INDEX ix_tenants_partner_name ON tenants (partner_id, name, id);
";
