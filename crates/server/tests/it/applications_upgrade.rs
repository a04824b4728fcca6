//! A database from before applications could be registered: what was called one stays with its sessions, and can do
//! nothing.

use serde_json::json;

use crate::harness::api_tests;

/// Makes the tables as they were, with what is in them.
const BEFORE: &str = "
CREATE TABLE old_applications AS SELECT id, tenant_id, partner_id, name, created_at FROM applications;
DROP TABLE logout_deliveries;
DROP TABLE assertion_ids;
DROP TABLE pushed_requests;
DROP TABLE consents;
DROP TABLE device_requests;
DROP TABLE revoked_tokens;
ALTER TABLE user_imports DROP COLUMN asked_application;
ALTER TABLE user_imports DROP COLUMN asked_permissions;
DROP TABLE idempotency_keys;
CREATE TABLE idempotency_keys (
    key_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea NOT NULL,
    kept_at bigint NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_hash),
    CONSTRAINT fk_idempotency_keys_user FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_idempotency_keys_user ON idempotency_keys (tenant_id, user_id, kept_at);
CREATE INDEX ix_idempotency_keys_kept ON idempotency_keys (kept_at);
DROP TABLE token_families;
DROP TABLE authorization_codes;
DROP TABLE application_origins;
DROP INDEX ix_users_known_addresses;
DROP INDEX uq_sessions_cookie;
DROP INDEX ix_sessions_application;
ALTER TABLE sessions DROP COLUMN application_id;
ALTER TABLE sessions DROP COLUMN kind;
ALTER TABLE sessions DROP COLUMN cookie_digest;
ALTER TABLE sessions DROP COLUMN authenticated_at;
DROP TABLE application_terms;
DROP TABLE application_resources;
DROP TABLE session_applications;
DROP TABLE applications;
CREATE TABLE applications (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT pk_applications PRIMARY KEY (id),
    CONSTRAINT fk_applications_tenant FOREIGN KEY (partner_id, tenant_id) REFERENCES tenants (partner_id, id) ON UPDATE CASCADE
);
CREATE UNIQUE INDEX uq_applications_tenant_id_id ON applications (tenant_id, id);
CREATE TABLE session_applications (
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    application_id uuid NOT NULL,
    accessed_at bigint NOT NULL,
    CONSTRAINT pk_session_applications PRIMARY KEY (session_id, application_id),
    CONSTRAINT fk_session_applications_session FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_session_applications_application FOREIGN KEY (tenant_id, application_id) REFERENCES applications (tenant_id, id)
);
INSERT INTO applications (id, tenant_id, partner_id, name, created_at) SELECT id, tenant_id, partner_id, name, created_at FROM old_applications;
INSERT INTO session_applications (tenant_id, session_id, application_id, accessed_at)
    SELECT s.tenant_id, s.id, a.id, s.created_at FROM sessions s JOIN applications a ON a.tenant_id = s.tenant_id;
DROP TABLE old_applications;
DELETE FROM seaql_migrations
    WHERE version IN ('m20261130_000150_register_applications', 'm20261130_000160_create_token_families')
    OR version BETWEEN 'm20261130_000161' AND 'm20261130_000169'
    OR version BETWEEN 'm20261130_000190' AND 'm20261201_000299';
";
/// What acts when a session ends, and would miss what is taken away.
const TRIGGERS: [&str; 2] = [
    "DROP TRIGGER tg_sessions_ended_told; DROP TRIGGER tg_sessions_deleted_told;",
    "DROP FUNCTION tell_sessions_ended CASCADE; DROP FUNCTION tell_session_deleted CASCADE;",
];

api_tests! {
    async fn application_of_before_stays_with_its_sessions_and_is_suspended(world) {
        let tenant = world.tenant("acme").await;
        let boss = world.login(&world.tenant_admin(&tenant, "boss").await).await;
        let id = world.application(&tenant, "Wiki").await;
        world.execute(format!("{}{BEFORE}", TRIGGERS[usize::from(!world.app.db().is_sqlite())])).await;
        let after = world.replica(|_| {}).await;
        let one = after.get(&format!("/tenants/{}/applications/{id}", tenant.id)).bearer(&boss).send().await.expect(200).data();
        assert_eq!((&one["name"], &one["status"], &one["secrets"]), (&json!("Wiki"), &json!("SUSPENDED"), &json!([])));
        let session = after.get(&format!("/tenants/{}/sessions/{}", tenant.id, boss.session())).bearer(&boss).send().await.expect(200).data();
        assert_eq!(session["sso_apps"][0]["application_id"], json!(id));
    }
}
