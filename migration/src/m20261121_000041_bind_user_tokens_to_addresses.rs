//! The address that a link was mailed to: using the link proves that mailbox. None for a link that was handed over.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "ALTER TABLE user_tokens ADD COLUMN mailed_to text;";
