//! What the platform and partners decide for the tenants below them, and how long the refresh tokens of a session live:
//! none for sessions that are older than this column, whose last exchange tells.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE installation ADD COLUMN settings text NOT NULL DEFAULT '{}';
ALTER TABLE installation ADD COLUMN version bigint NOT NULL DEFAULT 0;
ALTER TABLE partners ADD COLUMN settings text NOT NULL DEFAULT '{}';
ALTER TABLE sessions ADD COLUMN refresh_micros bigint;
";
