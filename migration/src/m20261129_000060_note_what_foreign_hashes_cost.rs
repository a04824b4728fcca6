//! What it costs to check a hash of another system is kept with it, so that a tenant is known to have some.
//!
//! Those that are there were bounded by another rule and are counted as the dearest. One of ours names none.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE users ADD COLUMN password_hash_cost bigint;
UPDATE users SET password_hash_cost = 20000
    WHERE password_hash NOT LIKE '$argon2id$v=19$m=%,t=%,p=1$%' AND deleted_at IS NULL;
CREATE INDEX ix_users_password_hash_cost ON users (tenant_id, password_hash_cost)
    WHERE password_hash_cost IS NOT NULL AND deleted_at IS NULL;
";
