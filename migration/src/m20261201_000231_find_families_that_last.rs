//! Families that have not ended are found without those that have: an application that signs in anew all the time leaves many
//! in one session.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
DROP INDEX ix_token_families_session;
CREATE INDEX ix_token_families_session ON token_families (tenant_id, session_id, application_id, ended_at, created_at);
";
