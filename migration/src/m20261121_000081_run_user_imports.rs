//! Imports that are asked for over the network: their file waits here, sealed and in pieces, until whoever takes the
//! import up has read it. Imports that a command runs have no file here and are never due.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, SQL).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const SQL: &str = "
ALTER TABLE user_imports ADD COLUMN format text;
ALTER TABLE user_imports ADD COLUMN dry_run boolean NOT NULL DEFAULT FALSE;
ALTER TABLE user_imports ADD COLUMN asked_by uuid;
ALTER TABLE user_imports ADD COLUMN asked_session uuid;
ALTER TABLE user_imports ADD COLUMN failure text;
ALTER TABLE user_imports ADD COLUMN due_at bigint;
UPDATE user_imports SET state = 'cancelled' WHERE state = 'discarded';

DROP INDEX uq_user_imports_running;
CREATE UNIQUE INDEX uq_user_imports_active ON user_imports (tenant_id) WHERE state IN ('queued', 'running');
CREATE INDEX ix_user_imports_tenant_created ON user_imports (tenant_id, created_at, id);
CREATE INDEX ix_user_imports_due ON user_imports (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE user_import_pieces (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT pk_user_import_pieces PRIMARY KEY (tenant_id, import_id, number),
    CONSTRAINT fk_user_import_pieces_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX ix_user_import_pieces_created ON user_import_pieces (created_at);
";

// The file goes with the end of its import, whatever statement ends it.
const SQLITE: &str = "
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
WHEN NEW.state NOT IN ('queued', 'running') BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION drop_user_import_pieces() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM user_import_pieces WHERE tenant_id = NEW.tenant_id AND import_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tg_user_imports_ended AFTER UPDATE OF state ON user_imports
    FOR EACH ROW WHEN (NEW.state NOT IN ('queued', 'running')) EXECUTE FUNCTION drop_user_import_pieces();
";
