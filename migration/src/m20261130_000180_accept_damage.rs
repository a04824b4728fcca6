//! What an operator accepted of the damages of the audit trail. Each is under a code that is over the one before, and the
//! root has the code of the last.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
ALTER TABLE audit_root ADD COLUMN accepted_mac bytea NOT NULL DEFAULT '';
CREATE TABLE audit_acceptances (
    number bigint NOT NULL,
    accepted_at bigint NOT NULL,
    accepted_by text NOT NULL,
    damages bigint NOT NULL,
    findings text NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT pk_audit_acceptances PRIMARY KEY (number)
);
";
