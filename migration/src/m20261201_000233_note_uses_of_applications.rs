//! When an application was last used, by whatever it did; `last_used_at` is when a request of it last wrote that down.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE applications ADD COLUMN used_at BIGINT;
";
