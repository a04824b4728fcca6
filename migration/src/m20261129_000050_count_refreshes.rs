//! How often a session was refreshed in the minute that began with the last refresh that the audit trail has.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE sessions ADD COLUMN refreshes_since bigint NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN refreshes bigint NOT NULL DEFAULT 0;
";
