//! Sessions that a browser's cookie opens, the codes that applications are sent, what they are exchanged for, and the
//! origins of the pages that may do so.
//!
//! `owner_id` is whose the application is, beside the tenant and its partner, as in `session_applications`: so neither
//! database accepts a code or a family for an application of elsewhere, and a tenant cannot leave its partner while it has
//! families of one of the partner's.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{DbBackend, DbErr},
};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (nil, origins) = match manager.get_database_backend() {
        DbBackend::Postgres => ("'00000000-0000-0000-0000-000000000000'", POSTGRES),
        _ => ("x'00000000000000000000000000000000'", SQLITE),
    };
    crate::run(manager, &SQL.replace("$nil", nil)).await?;
    crate::run(manager, origins).await
}

/// What applications are registered with is JSON, which each database reads in its own way.
const POSTGRES: &str = "
INSERT INTO application_origins (owner_id, origin, application_id)
    SELECT DISTINCT a.owner_id, o.origin, a.id
    FROM applications a, jsonb_array_elements_text(a.metadata::jsonb -> 'allowed_origins') AS o (origin)
    WHERE a.deleted_at IS NULL;
";
const SQLITE: &str = "
INSERT INTO application_origins (owner_id, origin, application_id)
    SELECT DISTINCT a.owner_id, o.value, a.id FROM applications a, json_each(a.metadata, '$.allowed_origins') o
    WHERE a.deleted_at IS NULL;
";

const SQL: &str = "
ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'api';
ALTER TABLE sessions ADD COLUMN cookie_digest bytea;
ALTER TABLE sessions ADD COLUMN authenticated_at bigint;
CREATE UNIQUE INDEX uq_sessions_cookie ON sessions (cookie_digest) WHERE cookie_digest IS NOT NULL;

CREATE TABLE application_origins (
    owner_id uuid NOT NULL,
    origin text NOT NULL,
    application_id uuid NOT NULL,
    CONSTRAINT pk_application_origins PRIMARY KEY (owner_id, origin, application_id),
    CONSTRAINT fk_application_origins_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_application_origins_application ON application_origins (owner_id, application_id);

CREATE TABLE authorization_codes (
    digest bytea NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    session_id uuid NOT NULL,
    application_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    family_id uuid NOT NULL,
    redirect_uri text NOT NULL,
    challenge text,
    nonce text,
    scope text NOT NULL,
    audience text NOT NULL,
    auth_time bigint NOT NULL,
    created_at bigint NOT NULL,
    spent_at bigint,
    CONSTRAINT pk_authorization_codes PRIMARY KEY (digest),
    CONSTRAINT fk_authorization_codes_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_authorization_codes_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_authorization_codes_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id),
    CONSTRAINT ck_authorization_codes_owner CHECK (owner_id IN (tenant_id, partner_id, $nil))
);
CREATE INDEX ix_authorization_codes_created ON authorization_codes (created_at);
CREATE INDEX ix_authorization_codes_session ON authorization_codes (tenant_id, session_id);
CREATE INDEX ix_authorization_codes_application ON authorization_codes (tenant_id, application_id);

CREATE TABLE token_families (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    session_id uuid NOT NULL,
    application_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    scope text NOT NULL,
    audience text NOT NULL,
    auth_time bigint NOT NULL,
    generation bigint NOT NULL,
    refresh_digest bytea NOT NULL,
    rotated_at bigint NOT NULL,
    replay bytea,
    refreshes_since bigint NOT NULL,
    refreshes bigint NOT NULL,
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint,
    end_reason text,
    CONSTRAINT pk_token_families PRIMARY KEY (id),
    CONSTRAINT fk_token_families_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_token_families_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_token_families_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id),
    CONSTRAINT ck_token_families_owner CHECK (owner_id IN (tenant_id, partner_id, $nil))
);
CREATE UNIQUE INDEX uq_token_families_tenant_id_id ON token_families (tenant_id, id);
CREATE INDEX ix_token_families_session ON token_families (tenant_id, session_id, application_id, created_at);
CREATE INDEX ix_token_families_application ON token_families (tenant_id, application_id);
CREATE INDEX ix_token_families_expires ON token_families (expires_at);
CREATE INDEX ix_token_families_ended ON token_families (ended_at) WHERE ended_at IS NOT NULL;
";
