//! How often a user was given a role is counted with the user, so that a sign-in notices one that came in between.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE users ADD COLUMN roles_given bigint NOT NULL DEFAULT 0;
";
