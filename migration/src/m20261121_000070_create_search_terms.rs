//! What users, tenants and partners are found by: the beginnings of words in their names and addresses, folded. Bytes,
//! not texts: prefixes are ranges, and bytes have one order whatever the collation of the database.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run(manager, SQL));

const SQL: &str = "
CREATE TABLE user_terms (
    tenant_id uuid NOT NULL,
    term bytea NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT pk_user_terms PRIMARY KEY (tenant_id, term, user_id),
    CONSTRAINT fk_user_terms_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_user_terms_user ON user_terms (tenant_id, user_id);

CREATE TABLE tenant_terms (
    term bytea NOT NULL,
    tenant_id uuid NOT NULL,
    CONSTRAINT pk_tenant_terms PRIMARY KEY (term, tenant_id),
    CONSTRAINT fk_tenant_terms_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX ix_tenant_terms_tenant ON tenant_terms (tenant_id);

CREATE TABLE partner_terms (
    term bytea NOT NULL,
    partner_id uuid NOT NULL,
    CONSTRAINT pk_partner_terms PRIMARY KEY (term, partner_id),
    CONSTRAINT fk_partner_terms_partner FOREIGN KEY (partner_id) REFERENCES partners (id) ON DELETE CASCADE
);
CREATE INDEX ix_partner_terms_partner ON partner_terms (partner_id);
";
