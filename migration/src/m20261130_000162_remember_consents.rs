//! What users let applications have, so that they are asked again only for more.

pub(crate) const UP: crate::Up = |manager| {
    Box::pin(async {
        let nil = match manager.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Postgres => "'00000000-0000-0000-0000-000000000000'",
            _ => "x'00000000000000000000000000000000'",
        };
        crate::run(manager, &SQL.replace("$nil", nil)).await
    })
};

/// `resource` is the API of others that the scopes are for, or nothing.
const SQL: &str = "
CREATE TABLE consents (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    user_id uuid NOT NULL,
    application_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    resource text NOT NULL,
    scope text NOT NULL,
    consented_at bigint NOT NULL,
    CONSTRAINT pk_consents PRIMARY KEY (tenant_id, user_id, application_id, resource),
    CONSTRAINT fk_consents_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE,
    CONSTRAINT fk_consents_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_consents_application FOREIGN KEY (owner_id, application_id) REFERENCES applications (owner_id, id),
    CONSTRAINT ck_consents_owner CHECK (owner_id IN (tenant_id, partner_id, $nil))
);
CREATE INDEX ix_consents_application ON consents (tenant_id, application_id);
";
