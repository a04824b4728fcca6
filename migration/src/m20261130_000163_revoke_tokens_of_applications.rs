//! The tokens of an application end all at once.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE applications ADD COLUMN tokens_revoked_at bigint;
CREATE INDEX ix_token_families_of_application ON token_families (application_id) WHERE ended_at IS NULL;
CREATE INDEX ix_authorization_codes_of_application ON authorization_codes (application_id) WHERE spent_at IS NULL;
";
