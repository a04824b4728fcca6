//! The single claims that an application asked for beside its scopes.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE authorization_codes ADD COLUMN claims text;
ALTER TABLE token_families ADD COLUMN claims text;
";
