//! Where the server is found: links that the command line makes lead there.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE installation ADD COLUMN public_url text;
";
