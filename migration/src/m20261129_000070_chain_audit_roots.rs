//! The root of the audit trail becomes a chain: `audit_roots` has what it was, each with a code over the one before, so
//! that a root that was noted elsewhere can be shown to be in the history of the one that is there. Where the history
//! begins, and how early retention has ever removed anything, is in the root.
//!
//! The triggers are made anew, from texts that the program can compare with what a database has: on PostgreSQL
//! the whole rule is in the function, as a condition beside it is not kept in the words in which it was given.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, TABLES).await?;
    crate::run_dialect(manager, &sqlite(), &postgres()).await
});

const TABLES: &str = "
ALTER TABLE audit_root ADD COLUMN made_at bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_root ADD COLUMN cut_version bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_root ADD COLUMN cut_mac bytea NOT NULL DEFAULT '';
ALTER TABLE audit_root ADD COLUMN least_kept bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_root ADD COLUMN before_mac bytea NOT NULL DEFAULT '';
CREATE TABLE audit_roots (
    version bigint NOT NULL,
    made_at bigint NOT NULL,
    state bytea NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT pk_audit_roots PRIMARY KEY (version)
);
CREATE INDEX ix_audit_seals_covers ON audit_seals (tenant_id, last_at, first_at);
";

/// A trigger of the audit trail, as both databases have it.
#[derive(Debug, Clone, Copy)]
pub struct AuditTrigger {
    /// Its name.
    pub name: &'static str,
    /// When it runs.
    when: &'static str,
    /// The same as a number, `pg_trigger.tgtype`.
    pub kind: i16,
    /// What it does on SQLite, from the name of the table on.
    body: &'static str,
    /// The function of PostgreSQL.
    function: &'static str,
    /// Its text.
    pub source: &'static str,
}

impl AuditTrigger {
    /// The statement that makes it on SQLite, which keeps it word for word.
    #[must_use]
    pub fn sqlite(&self) -> String {
        format!("CREATE TRIGGER {} {} ON audit_events {}", self.name, self.when, self.body)
    }
}

/// All triggers of the audit trail.
pub const AUDIT_TRIGGERS: [AuditTrigger; 3] = [
    AuditTrigger {
        name: "tg_audit_events_kept",
        when: "BEFORE UPDATE",
        kind: 19,
        body: "WHEN
    (OLD.id, OLD.occurred_at, OLD.tenant_id, OLD.partner_id, OLD.actor_type, OLD.acting_as, OLD.action, OLD.resource_type, OLD.result)
        <> (NEW.id, NEW.occurred_at, NEW.tenant_id, NEW.partner_id, NEW.actor_type, NEW.acting_as, NEW.action, NEW.resource_type, NEW.result)
    OR OLD.actor_id IS NOT NEW.actor_id OR OLD.actor_session_id IS NOT NEW.actor_session_id OR OLD.resource_id IS NOT NEW.resource_id
    OR OLD.failure IS NOT NEW.failure OR OLD.reason IS NOT NEW.reason OR OLD.request_id IS NOT NEW.request_id OR OLD.tag IS NOT NEW.tag
    OR NEW.origin_digest IS NULL AND (OLD.ip_address IS NOT NEW.ip_address OR OLD.user_agent IS NOT NEW.user_agent)
    OR NEW.changes_digest IS NULL AND OLD.changes IS NOT NEW.changes
BEGIN
    SELECT RAISE(ABORT, 'audit events do not change');
END",
        function: "keep_audit_event",
        source: " BEGIN
    IF (OLD.id, OLD.occurred_at, OLD.tenant_id, OLD.partner_id, OLD.actor_type, OLD.acting_as, OLD.action, OLD.resource_type, OLD.result,
            OLD.actor_id, OLD.actor_session_id, OLD.resource_id, OLD.failure, OLD.reason, OLD.request_id, OLD.tag)
            IS DISTINCT FROM
        (NEW.id, NEW.occurred_at, NEW.tenant_id, NEW.partner_id, NEW.actor_type, NEW.acting_as, NEW.action, NEW.resource_type, NEW.result,
            NEW.actor_id, NEW.actor_session_id, NEW.resource_id, NEW.failure, NEW.reason, NEW.request_id, NEW.tag)
        OR NEW.origin_digest IS NULL AND (OLD.ip_address, OLD.user_agent) IS DISTINCT FROM (NEW.ip_address, NEW.user_agent)
        OR NEW.changes_digest IS NULL AND OLD.changes IS DISTINCT FROM NEW.changes THEN
        RAISE EXCEPTION 'audit events do not change';
    END IF;
    RETURN NEW;
END ",
    },
    AuditTrigger {
        name: "tg_audit_events_queued",
        when: "AFTER INSERT",
        kind: 5,
        body: "BEGIN
    INSERT INTO audit_unsealed (event_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
END",
        function: "queue_audit_event",
        source: " BEGIN
    INSERT INTO audit_unsealed (event_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
    RETURN NULL;
END ",
    },
    AuditTrigger {
        name: "tg_audit_events_sealed",
        when: "BEFORE DELETE",
        kind: 11,
        body: "WHEN EXISTS (SELECT 1 FROM audit_unsealed WHERE event_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'audit events are not removed before they are sealed');
END",
        function: "keep_unsealed_audit_event",
        source: " BEGIN
    IF EXISTS (SELECT 1 FROM audit_unsealed WHERE event_id = OLD.id) THEN
        RAISE EXCEPTION 'audit events are not removed before they are sealed';
    END IF;
    RETURN OLD;
END ",
    },
];

fn sqlite() -> String {
    AUDIT_TRIGGERS.iter().map(|it| format!("DROP TRIGGER {};\n{};\n", it.name, it.sqlite())).collect()
}

fn postgres() -> String {
    let made = AUDIT_TRIGGERS.iter().map(|AuditTrigger { name, when, function, source, .. }| {
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $${source}$$;
             DROP TRIGGER {name} ON audit_events;
             CREATE TRIGGER {name} {when} ON audit_events FOR EACH ROW EXECUTE FUNCTION {function}();\n"
        )
    });
    made.collect()
}
