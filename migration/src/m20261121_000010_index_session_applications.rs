//! What a session was used with is found by the session: when it is shown, and when it is deleted and takes its rows
//! along. The foreign key names the tenant first, and an index that begins so was taken for it, however little it helped.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE INDEX ix_session_applications_session ON session_applications (tenant_id, session_id);
";
