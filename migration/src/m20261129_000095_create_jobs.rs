//! One outbox for everything that is done after the change that causes it. What waits is moved: mail as it is, sealed for
//! the same id, and imports that have not come to their end. The tables are locked before they are read, as renaming and
//! `DROP INDEX` do that, so nothing that another process writes meanwhile is left behind.
//!
//! A release from before does not run on this schema.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, SQL).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const SQL: &str = "
ALTER TABLE mails RENAME TO mails_before;
DROP INDEX ix_user_imports_due;
ALTER TABLE user_imports RENAME COLUMN due_at TO forget_at;

CREATE TABLE jobs (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    sealed bytea,
    created_at bigint NOT NULL,
    give_up_at bigint,
    due_at bigint NOT NULL,
    attempts bigint NOT NULL,
    lease bigint NOT NULL,
    last_error text,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT fk_jobs_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX ix_jobs_due ON jobs (kind, due_at, id);
CREATE INDEX ix_jobs_tenant_kind ON jobs (tenant_id, kind);

INSERT INTO jobs (id, tenant_id, kind, sealed, created_at, give_up_at, due_at, attempts, lease, last_error)
    SELECT id, tenant_id, 'mail', sealed, created_at, give_up_at, next_attempt_at, attempts, attempts, last_error
    FROM mails_before;
INSERT INTO jobs (id, tenant_id, kind, created_at, due_at, attempts, lease)
    SELECT id, tenant_id, 'user_import', created_at, forget_at, 0, 0
    FROM user_imports WHERE state IN ('queued', 'running') AND forget_at IS NOT NULL;
UPDATE user_imports SET forget_at = NULL WHERE state IN ('queued', 'running');
DROP TABLE mails_before;
CREATE INDEX ix_user_imports_forget ON user_imports (forget_at) WHERE forget_at IS NOT NULL;
";

// The file and the job go with the end of their import, whatever statement ends it.
const SQLITE: &str = "
DROP TRIGGER tg_user_imports_ended;
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
WHEN NEW.state NOT IN ('queued', 'running') BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
    DELETE FROM jobs WHERE id = NEW.id;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION end_user_import() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
    DELETE FROM jobs WHERE id = NEW.id;
    RETURN NULL;
END $$;
DROP TRIGGER tg_user_imports_ended ON user_imports;
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
    FOR EACH ROW WHEN (NEW.state NOT IN ('queued', 'running')) EXECUTE FUNCTION end_user_import();
DROP FUNCTION drop_user_import_pieces();
";
