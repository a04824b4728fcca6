//! Who waits to be invited is found by an index.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE INDEX ix_users_tenant_status ON users (tenant_id, status, id) WHERE deleted_at IS NULL;
";
