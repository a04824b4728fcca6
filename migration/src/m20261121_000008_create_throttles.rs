//! Counters of failed attempts, by digest of what they count: an account, an unknown name, an address.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE throttles (
    key bytea NOT NULL,
    failures bigint NOT NULL,
    since bigint NOT NULL,
    blocked_until bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT pk_throttles PRIMARY KEY (key)
);
CREATE INDEX ix_throttles_updated ON throttles (updated_at);
";
