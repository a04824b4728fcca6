//! Signing keys of several algorithms, and for each the key that signs next: it is published a whole period before, so
//! that whoever reads the keys of a tenant once does not meet one that it has never seen.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE signing_keys ADD COLUMN activated_at bigint;
UPDATE signing_keys SET activated_at = created_at;
DROP INDEX uq_signing_keys_current;
CREATE UNIQUE INDEX uq_signing_keys_current ON signing_keys (tenant_id, algorithm) WHERE state = 'current';
CREATE UNIQUE INDEX uq_signing_keys_next ON signing_keys (tenant_id, algorithm) WHERE state = 'next';
";
