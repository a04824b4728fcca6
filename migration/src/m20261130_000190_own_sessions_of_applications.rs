//! Sessions of an application's own: they outlive signing out of the browser. The session that somebody signed in to is
//! `sid` of the family then; where it is null, the family is under that session itself.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    crate::run(manager, SQL).await
}

const SQL: &str = "
ALTER TABLE sessions ADD COLUMN application_id uuid;
CREATE INDEX ix_sessions_application ON sessions (application_id, tenant_id, user_id) WHERE application_id IS NOT NULL AND ended_at IS NULL;
ALTER TABLE token_families ADD COLUMN sid uuid;
";
