//! Users. `…_key` columns hold the form that is unique within the tenant and that sign-in looks up.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE users (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL,
    email_verified boolean NOT NULL,
    display_name text,
    phone text,
    status text NOT NULL,
    attributes text NOT NULL,
    password_hash text,
    password_changed_at bigint,
    last_login_at bigint,
    active_sessions bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT fk_users_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX uq_users_tenant_id_id ON users (tenant_id, id);
CREATE UNIQUE INDEX uq_users_username ON users (tenant_id, username_key);
CREATE UNIQUE INDEX uq_users_email ON users (tenant_id, email_key);
CREATE INDEX ix_users_created ON users (created_at, id);
CREATE INDEX ix_users_partner_created ON users (partner_id, created_at, id);
CREATE INDEX ix_users_tenant_created ON users (tenant_id, created_at, id);
CREATE INDEX ix_users_signed_in ON users (tenant_id) WHERE active_sessions > 0;
";
