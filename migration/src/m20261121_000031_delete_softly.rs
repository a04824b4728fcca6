//! What is deleted stays as a row for those who read the history, and is left out of everything else: names are unique,
//! lists are sorted and limits are counted among what is not deleted.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, COLUMNS).await?;
    crate::run(manager, INDEXES).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const COLUMNS: &str = "
ALTER TABLE partners ADD COLUMN deleted_at bigint;
ALTER TABLE tenants ADD COLUMN deleted_at bigint;
ALTER TABLE users ADD COLUMN deleted_at bigint;
ALTER TABLE roles ADD COLUMN deleted_at bigint;
";

const INDEXES: &str = "
DROP INDEX uq_partners_slug;
DROP INDEX ix_partners_created;
DROP INDEX ix_partners_name;
CREATE UNIQUE INDEX uq_partners_slug ON partners (slug) WHERE deleted_at IS NULL;
CREATE INDEX ix_partners_created ON partners (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_partners_name ON partners (name, id) WHERE deleted_at IS NULL;

DROP INDEX uq_tenants_slug;
DROP INDEX ix_tenants_created;
DROP INDEX ix_tenants_name;
DROP INDEX ix_tenants_partner_created;
DROP INDEX ix_tenants_partner_name;
CREATE UNIQUE INDEX uq_tenants_slug ON tenants (slug) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_created ON tenants (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_name ON tenants (name, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_partner_created ON tenants (partner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_tenants_partner_name ON tenants (partner_id, name, id) WHERE deleted_at IS NULL;

DROP INDEX uq_users_username;
DROP INDEX uq_users_email;
DROP INDEX ix_users_created;
DROP INDEX ix_users_partner_created;
DROP INDEX ix_users_tenant_created;
CREATE UNIQUE INDEX uq_users_username ON users (tenant_id, username_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX uq_users_email ON users (tenant_id, email_key) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_created ON users (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_partner_created ON users (partner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_users_tenant_created ON users (tenant_id, created_at, id) WHERE deleted_at IS NULL;

DROP INDEX uq_roles_name;
DROP INDEX ix_roles_created;
DROP INDEX ix_roles_partner_created;
DROP INDEX ix_roles_tenant_created;
DROP INDEX ix_roles_name;
CREATE UNIQUE INDEX uq_roles_name ON roles (tenant_id, name_key) WHERE deleted_at IS NULL;
CREATE INDEX ix_roles_created ON roles (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_roles_partner_created ON roles (partner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_roles_tenant_created ON roles (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_roles_name ON roles (name_key, created_at, id) WHERE deleted_at IS NULL;

CREATE INDEX ix_role_assignments_anchor_partner ON role_assignments (anchor_partner_id) WHERE deleted_at IS NULL;
CREATE INDEX ix_role_assignments_anchor_tenant ON role_assignments (anchor_tenant_id) WHERE deleted_at IS NULL;
";

// A tenant that is deleted with its users, or a partner with its tenants, keeps its count: a million rows would otherwise
// change one row a million times. It is marked before they are.
const SQLITE: &str = "
CREATE TRIGGER tg_tenants_marked AFTER UPDATE OF deleted_at ON tenants
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL BEGIN
    UPDATE partners SET tenants = tenants - 1 WHERE id = NEW.partner_id AND deleted_at IS NULL;
END;

CREATE TRIGGER tg_users_marked AFTER UPDATE OF deleted_at ON users
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL BEGIN
    UPDATE tenants SET users = users - 1 WHERE id = NEW.tenant_id AND deleted_at IS NULL;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION uncount_tenant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE partners SET tenants = tenants - 1 WHERE id = NEW.partner_id AND deleted_at IS NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION uncount_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenants SET users = users - 1 WHERE id = NEW.tenant_id AND deleted_at IS NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER tg_tenants_marked AFTER UPDATE OF deleted_at ON tenants
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION uncount_tenant();
CREATE TRIGGER tg_users_marked AFTER UPDATE OF deleted_at ON users
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION uncount_user();
";
