//! The one row about the installation itself, and the one-time tokens that make its first administrator.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE installation (
    id bigint NOT NULL,
    created_at bigint NOT NULL,
    key_check bytea NOT NULL,
    set_up_at bigint,
    CONSTRAINT pk_installation PRIMARY KEY (id),
    CONSTRAINT ck_installation_single CHECK (id = 1)
);

CREATE TABLE setup_tokens (
    token_hash bytea NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_setup_tokens PRIMARY KEY (token_hash)
);
";
