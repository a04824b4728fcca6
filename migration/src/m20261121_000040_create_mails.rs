//! Mail that waits to be sent. What it says is sealed: it names people, and its links let their holders in.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE mails (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at bigint NOT NULL,
    give_up_at bigint NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at bigint NOT NULL,
    last_error text,
    CONSTRAINT pk_mails PRIMARY KEY (id),
    CONSTRAINT uq_mails_tenant_id_id UNIQUE (tenant_id, id),
    CONSTRAINT fk_mails_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX ix_mails_next_attempt ON mails (next_attempt_at, id);
";
