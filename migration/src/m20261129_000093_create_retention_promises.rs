//! How long what was there when a retention held is kept, whatever is decided later: for each tenant, or for what
//! concerns none (nil), and until when that is to be looked at.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE retention_promises (
    tenant_id uuid NOT NULL,
    evidence text NOT NULL,
    kept_micros bigint NOT NULL,
    until bigint NOT NULL,
    CONSTRAINT pk_retention_promises PRIMARY KEY (tenant_id, evidence, kept_micros)
);
";
