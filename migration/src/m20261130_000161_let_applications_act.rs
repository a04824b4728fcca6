//! Applications that act in their own name: their answers under idempotency keys, the imports that they ask for, and the
//! access tokens that were taken back.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    crate::run(manager, BOTH).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
}

const BOTH: &str = "
ALTER TABLE user_imports ADD COLUMN asked_application uuid;
ALTER TABLE user_imports ADD COLUMN asked_permissions text;

CREATE TABLE revoked_tokens (
    id uuid NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_revoked_tokens PRIMARY KEY (id)
);
CREATE INDEX ix_revoked_tokens_expires ON revoked_tokens (expires_at);
";

const POSTGRES: &str = "
ALTER TABLE idempotency_keys ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE idempotency_keys ADD COLUMN application_id uuid;
ALTER TABLE idempotency_keys ADD CONSTRAINT fk_idempotency_keys_application FOREIGN KEY (application_id) REFERENCES applications (id) ON DELETE CASCADE;
ALTER TABLE idempotency_keys ADD CONSTRAINT ck_idempotency_keys_caller CHECK ((user_id IS NULL) <> (application_id IS NULL));
CREATE INDEX ix_idempotency_keys_application ON idempotency_keys (tenant_id, application_id, kept_at) WHERE application_id IS NOT NULL;
";

/// SQLite cannot change a column that is there.
const SQLITE: &str = "
DROP INDEX ix_idempotency_keys_user;
DROP INDEX ix_idempotency_keys_kept;
ALTER TABLE idempotency_keys RENAME TO idempotency_keys_before;
CREATE TABLE idempotency_keys (
    key_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid,
    fingerprint bytea NOT NULL,
    answer bytea NOT NULL,
    kept_at bigint NOT NULL,
    application_id uuid,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_hash),
    CONSTRAINT fk_idempotency_keys_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_idempotency_keys_application FOREIGN KEY (application_id) REFERENCES applications (id) ON DELETE CASCADE,
    CONSTRAINT ck_idempotency_keys_caller CHECK ((user_id IS NULL) <> (application_id IS NULL))
);
INSERT INTO idempotency_keys (key_hash, tenant_id, user_id, fingerprint, answer, kept_at)
    SELECT key_hash, tenant_id, user_id, fingerprint, answer, kept_at FROM idempotency_keys_before;
DROP TABLE idempotency_keys_before;
CREATE INDEX ix_idempotency_keys_user ON idempotency_keys (tenant_id, user_id, kept_at);
CREATE INDEX ix_idempotency_keys_kept ON idempotency_keys (kept_at);
CREATE INDEX ix_idempotency_keys_application ON idempotency_keys (tenant_id, application_id, kept_at) WHERE application_id IS NOT NULL;
";
