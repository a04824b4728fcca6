//! Answers kept for a day, so that a request that is repeated for want of its answer gets that answer. What names the
//! request and what it asked are keyed digests, the answer is sealed.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE idempotency_keys (
    key_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea NOT NULL,
    kept_at bigint NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_hash),
    CONSTRAINT fk_idempotency_keys_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_idempotency_keys_user ON idempotency_keys (tenant_id, user_id, kept_at);
CREATE INDEX ix_idempotency_keys_kept ON idempotency_keys (kept_at);
";
