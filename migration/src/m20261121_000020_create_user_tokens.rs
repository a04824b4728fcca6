//! Links that can be used once: at most one of each purpose for a user, by digest.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE user_tokens (
    token_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    purpose text NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_user_tokens PRIMARY KEY (token_hash),
    CONSTRAINT fk_user_tokens_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_user_tokens_purpose ON user_tokens (tenant_id, user_id, purpose);
CREATE INDEX ix_user_tokens_expires ON user_tokens (expires_at);
";
