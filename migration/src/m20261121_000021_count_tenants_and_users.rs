//! How many tenants a partner has and how many users a tenant, kept by triggers: limits are compared with these under
//! the lock of their row, so that concurrent creations count each other.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, COLUMNS).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const COLUMNS: &str = "
ALTER TABLE partners ADD COLUMN tenants bigint NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN users bigint NOT NULL DEFAULT 0;
UPDATE partners SET tenants = (SELECT COUNT(*) FROM tenants WHERE tenants.partner_id = partners.id);
UPDATE tenants SET users = (SELECT COUNT(*) FROM users WHERE users.tenant_id = tenants.id);
";

const SQLITE: &str = "
CREATE TRIGGER tg_tenants_inserted AFTER INSERT ON tenants BEGIN
    UPDATE partners SET tenants = tenants + 1 WHERE id = NEW.partner_id;
END;

CREATE TRIGGER tg_tenants_moved AFTER UPDATE OF partner_id ON tenants WHEN OLD.partner_id <> NEW.partner_id BEGIN
    UPDATE partners SET tenants = tenants - 1 WHERE id = OLD.partner_id;
    UPDATE partners SET tenants = tenants + 1 WHERE id = NEW.partner_id;
END;

CREATE TRIGGER tg_tenants_deleted AFTER DELETE ON tenants BEGIN
    UPDATE partners SET tenants = tenants - 1 WHERE id = OLD.partner_id;
END;

CREATE TRIGGER tg_users_inserted AFTER INSERT ON users BEGIN
    UPDATE tenants SET users = users + 1 WHERE id = NEW.tenant_id;
END;

CREATE TRIGGER tg_users_deleted AFTER DELETE ON users BEGIN
    UPDATE tenants SET users = users - 1 WHERE id = OLD.tenant_id;
END;
";

// Users come and go by the hundred: once per statement.
const POSTGRES: &str = "
CREATE FUNCTION count_tenants() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE partners SET tenants = tenants - 1 WHERE id = OLD.partner_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE partners SET tenants = tenants + 1 WHERE id = NEW.partner_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tg_tenants_counted AFTER INSERT OR DELETE ON tenants FOR EACH ROW EXECUTE FUNCTION count_tenants();
CREATE TRIGGER tg_tenants_moved AFTER UPDATE OF partner_id ON tenants
    FOR EACH ROW WHEN (OLD.partner_id <> NEW.partner_id) EXECUTE FUNCTION count_tenants();

CREATE FUNCTION count_users_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenants SET users = tenants.users + delta.n
        FROM (SELECT tenant_id, count(*) AS n FROM new_rows GROUP BY tenant_id ORDER BY tenant_id) AS delta
        WHERE tenants.id = delta.tenant_id;
    RETURN NULL;
END $$;

CREATE FUNCTION count_users_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE tenants SET users = tenants.users - delta.n
        FROM (SELECT tenant_id, count(*) AS n FROM old_rows GROUP BY tenant_id ORDER BY tenant_id) AS delta
        WHERE tenants.id = delta.tenant_id;
    RETURN NULL;
END $$;

CREATE TRIGGER tg_users_inserted AFTER INSERT ON users
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_users_inserted();
CREATE TRIGGER tg_users_deleted AFTER DELETE ON users
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_users_deleted();
";
