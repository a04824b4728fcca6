//! Devices that a user signed in from before, by digest. They end with the password and with a suspension, whatever
//! statement changes these, as links do.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, SQL).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const SQL: &str = "
CREATE TABLE known_devices (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_known_devices PRIMARY KEY (id),
    CONSTRAINT fk_known_devices_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_known_devices_token ON known_devices (token_hash);
CREATE INDEX ix_known_devices_user ON known_devices (tenant_id, user_id, created_at, id);
CREATE INDEX ix_known_devices_expires ON known_devices (expires_at);
";

// Whoever is deleted loses them with the links, a million at a time.
const SQLITE: &str = "
CREATE TRIGGER tg_users_end_devices AFTER UPDATE OF password_changed_at, status ON users
WHEN NEW.deleted_at IS NULL
    AND (OLD.password_hash IS NOT NEW.password_hash OR (OLD.status <> NEW.status AND NEW.status <> 'ACTIVE'))
BEGIN
    DELETE FROM known_devices WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION end_known_devices() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM known_devices WHERE tenant_id = NEW.tenant_id AND user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tg_users_end_devices AFTER UPDATE OF password_changed_at, status ON users FOR EACH ROW
WHEN (NEW.deleted_at IS NULL
    AND (OLD.password_hash IS DISTINCT FROM NEW.password_hash OR (OLD.status <> NEW.status AND NEW.status <> 'ACTIVE')))
EXECUTE FUNCTION end_known_devices();
";
