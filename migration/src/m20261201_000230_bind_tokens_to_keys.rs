//! The keys that tokens of applications are bound to (RFC 9449).

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE authorization_codes ADD COLUMN dpop_jkt text;
ALTER TABLE token_families ADD COLUMN dpop_jkt text;
";
