//! Applications of the platform, of partners and of tenants, with what they are registered with, what they are found by
//! and the APIs that they are.
//!
//! `owner_id` is the tenant, else the partner, else the nil UUID, which stands for the platform; `partner_id` is nil with
//! it. It never changes, so that what joins a tenant to an application can name it: `session_applications` holds the
//! owner beside the tenant and its partner and is one of them, or the platform. So neither database accepts an
//! application of elsewhere, and a tenant cannot move while it is joined to one of the partner it leaves.
//!
//! What was called an application until now could not do anything; it stays as one that still cannot.

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
CREATE TABLE former_applications AS SELECT * FROM applications;
CREATE TABLE former_session_applications AS SELECT * FROM session_applications;
DROP TABLE session_applications;
DROP TABLE applications;

CREATE TABLE applications (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    tenant_id uuid,
    name text NOT NULL,
    application_type text NOT NULL,
    status text NOT NULL,
    metadata text NOT NULL,
    secrets text NOT NULL,
    last_used_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    CONSTRAINT pk_applications PRIMARY KEY (id),
    CONSTRAINT fk_applications_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT ck_applications_owner CHECK (owner_id = COALESCE(tenant_id, partner_id))
);
CREATE UNIQUE INDEX uq_applications_owner_id_id ON applications (owner_id, id);
CREATE INDEX ix_applications_all ON applications (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_applications_owner ON applications (owner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_applications_partner ON applications (partner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_applications_tenant ON applications (tenant_id);

CREATE TABLE application_terms (
    term bytea NOT NULL,
    application_id uuid NOT NULL,
    CONSTRAINT pk_application_terms PRIMARY KEY (term, application_id),
    CONSTRAINT fk_application_terms_application FOREIGN KEY (application_id) REFERENCES applications (id) ON DELETE CASCADE
);
CREATE INDEX ix_application_terms_application ON application_terms (application_id, term);

CREATE TABLE application_resources (
    owner_id uuid NOT NULL,
    uri text NOT NULL,
    application_id uuid NOT NULL,
    CONSTRAINT pk_application_resources PRIMARY KEY (owner_id, uri),
    CONSTRAINT fk_application_resources_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_application_resources_application ON application_resources (owner_id, application_id);
CREATE INDEX ix_application_resources_uri ON application_resources (uri);

CREATE TABLE session_applications (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    session_id uuid NOT NULL,
    application_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    accessed_at bigint NOT NULL,
    CONSTRAINT pk_session_applications PRIMARY KEY (session_id, application_id),
    CONSTRAINT fk_session_applications_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_session_applications_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_session_applications_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id),
    CONSTRAINT ck_session_applications_owner CHECK (owner_id IN (tenant_id, partner_id, $nil))
);
CREATE INDEX ix_session_applications_application ON session_applications (tenant_id, application_id, session_id);
CREATE INDEX ix_session_applications_session ON session_applications (tenant_id, session_id);

INSERT INTO applications (id, owner_id, partner_id, tenant_id, name, application_type, status, metadata, secrets, created_at, updated_at, version)
    SELECT id, tenant_id, partner_id, tenant_id, name, 'SERVICE', 'SUSPENDED', '{}', '[]', created_at, created_at, 0 FROM former_applications;
INSERT INTO session_applications (tenant_id, partner_id, session_id, application_id, owner_id, accessed_at)
    SELECT f.tenant_id, a.partner_id, f.session_id, f.application_id, f.tenant_id, f.accessed_at
    FROM former_session_applications f JOIN applications a ON a.id = f.application_id;
DROP TABLE former_session_applications;
DROP TABLE former_applications;
";
