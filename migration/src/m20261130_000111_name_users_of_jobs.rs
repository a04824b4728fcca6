//! Whom a job is about, so that erasing a user reaches mail that waits. What waits from before is sent or given up within
//! days, as it would have been.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE jobs ADD COLUMN user_id uuid;
CREATE INDEX ix_jobs_user ON jobs (tenant_id, user_id) WHERE user_id IS NOT NULL;
";
