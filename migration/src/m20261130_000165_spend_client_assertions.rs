//! Assertions by which applications proved who they are: each counts once.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE assertion_ids (
    digest bytea NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT pk_assertion_ids PRIMARY KEY (digest)
);
CREATE INDEX ix_assertion_ids_expires ON assertion_ids (expires_at);
";
