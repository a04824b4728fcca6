//! Every counter says how long it is kept after it was changed: consecutive failures add up for 90 days, what locks an
//! account stays, and windows go when they are over. What the previous release counts is kept as consecutive failures are.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE throttles ADD COLUMN kept bigint NOT NULL DEFAULT 7776000000000;
UPDATE throttles SET kept = 31536000000000000 WHERE failures >= 100 AND length(key) = 16;
DROP INDEX ix_throttles_updated;
CREATE INDEX ix_throttles_kept ON throttles ((updated_at + kept));
";
