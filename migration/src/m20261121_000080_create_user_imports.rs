//! Imports of users that have begun, and what was wrong with which of their lines: so that one that was stopped can go
//! on, and say at its end what it would have said without.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE user_imports (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    on_conflict text NOT NULL,
    state text NOT NULL,
    digest bytea NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    skipped bigint NOT NULL,
    rejected bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT pk_user_imports PRIMARY KEY (id),
    CONSTRAINT fk_user_imports_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX uq_user_imports_tenant_id_id ON user_imports (tenant_id, id);
CREATE UNIQUE INDEX uq_user_imports_running ON user_imports (tenant_id) WHERE state = 'running';

CREATE TABLE user_import_rejects (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    line bigint NOT NULL,
    faults text NOT NULL,
    CONSTRAINT pk_user_import_rejects PRIMARY KEY (tenant_id, import_id, line),
    CONSTRAINT fk_user_import_rejects_import FOREIGN KEY (tenant_id, import_id) REFERENCES user_imports (tenant_id, id) ON DELETE CASCADE
);
";
