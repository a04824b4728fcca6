//! Roles that tenants made for themselves, and who holds which role where.
//!
//! An assignment that was taken away stays, so that taking it away twice is no error. The built-in roles are part of the program, not rows. An assignment of one has no `role_tenant_id`; an assignment
//! of a tenant's own role can be anchored at that tenant only.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE roles (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    permissions text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT pk_roles PRIMARY KEY (id),
    CONSTRAINT fk_roles_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX uq_roles_tenant_id_id ON roles (tenant_id, id);
CREATE UNIQUE INDEX uq_roles_name ON roles (tenant_id, name_key);
CREATE INDEX ix_roles_created ON roles (created_at, id);
CREATE INDEX ix_roles_partner_created ON roles (partner_id, created_at, id);
CREATE INDEX ix_roles_tenant_created ON roles (tenant_id, created_at, id);
CREATE INDEX ix_roles_name ON roles (name_key, created_at, id);

CREATE TABLE role_assignments (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role_id uuid NOT NULL,
    role_tenant_id uuid,
    anchor_level text NOT NULL,
    anchor_partner_id uuid,
    anchor_tenant_id uuid,
    anchor_key text NOT NULL,
    expires_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    version bigint NOT NULL,
    CONSTRAINT pk_role_assignments PRIMARY KEY (id),
    CONSTRAINT fk_role_assignments_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id),
    CONSTRAINT fk_role_assignments_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_role_assignments_role FOREIGN KEY (role_tenant_id, role_id) REFERENCES roles (tenant_id, id),
    CONSTRAINT fk_role_assignments_anchor_partner FOREIGN KEY (anchor_partner_id) REFERENCES partners (id),
    CONSTRAINT fk_role_assignments_anchor_tenant FOREIGN KEY (anchor_tenant_id) REFERENCES tenants (id),
    CONSTRAINT ck_role_assignments_anchor CHECK (
        (anchor_level = 'platform' AND anchor_partner_id IS NULL AND anchor_tenant_id IS NULL)
        OR (anchor_level = 'partner' AND anchor_partner_id IS NOT NULL AND anchor_tenant_id IS NULL)
        OR (anchor_level = 'tenant' AND anchor_partner_id IS NULL AND anchor_tenant_id IS NOT NULL)),
    CONSTRAINT ck_role_assignments_own_role CHECK (
        role_tenant_id IS NULL OR (anchor_level = 'tenant' AND role_tenant_id = anchor_tenant_id))
);
CREATE UNIQUE INDEX uq_role_assignments ON role_assignments (user_id, role_id, anchor_key) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_user ON role_assignments (tenant_id, user_id) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_role ON role_assignments (role_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_created ON role_assignments (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_partner_created ON role_assignments (partner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_tenant_created ON role_assignments (tenant_id, created_at, id) WHERE deleted_at IS NULL;
";
