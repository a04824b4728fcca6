//! What makes the audit trail tamper-evident. Every event carries a keyed tag; those that no seal covers yet wait in
//! `audit_unsealed`. A seal covers some events of one tenant, or of none (the nil UUID), in an order, and the seal
//! before it. `audit_chains` has the two ends of each chain: where retention has cut it, and its newest seal. The one
//! row of `audit_root` covers these ends, so that no chain alone can be turned back.
//!
//! Triggers, so that no statement can forget to queue an event, and none of ours can change one by mistake.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, TABLES).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const TABLES: &str = "
ALTER TABLE audit_events ADD COLUMN tag bytea;
ALTER TABLE audit_events ADD COLUMN origin_digest bytea;
ALTER TABLE audit_events ADD COLUMN changes_digest bytea;
CREATE TABLE audit_unsealed (
    event_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    CONSTRAINT pk_audit_unsealed PRIMARY KEY (event_id)
);
CREATE TABLE audit_seals (
    tenant_id uuid NOT NULL,
    seq bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    sealed_at bigint NOT NULL,
    events bigint NOT NULL,
    event_ids bytea NOT NULL,
    adopted boolean NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT pk_audit_seals PRIMARY KEY (tenant_id, seq)
);
CREATE TABLE audit_chains (
    tenant_id uuid NOT NULL,
    cut_seq bigint NOT NULL,
    cut_mac bytea NOT NULL,
    seq bigint NOT NULL,
    mac bytea NOT NULL,
    code bytea NOT NULL,
    CONSTRAINT pk_audit_chains PRIMARY KEY (tenant_id)
);
CREATE TABLE audit_root (
    id integer NOT NULL CHECK (id = 1),
    version bigint NOT NULL,
    adopts_until bigint NOT NULL,
    sum bytea NOT NULL,
    mac bytea NOT NULL,
    CONSTRAINT pk_audit_root PRIMARY KEY (id)
);
INSERT INTO audit_root (id, version, adopts_until, sum, mac) VALUES (1, 0, 0, '', '');
INSERT INTO audit_unsealed (event_id, tenant_id) SELECT id, tenant_id FROM audit_events;
";

const SQLITE: &str = "
CREATE TRIGGER tg_audit_events_queued AFTER INSERT ON audit_events BEGIN
    INSERT INTO audit_unsealed (event_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
END;

CREATE TRIGGER tg_audit_events_kept BEFORE UPDATE ON audit_events WHEN
    (OLD.id, OLD.occurred_at, OLD.tenant_id, OLD.partner_id, OLD.actor_type, OLD.acting_as, OLD.action, OLD.resource_type, OLD.result)
        <> (NEW.id, NEW.occurred_at, NEW.tenant_id, NEW.partner_id, NEW.actor_type, NEW.acting_as, NEW.action, NEW.resource_type, NEW.result)
    OR OLD.actor_id IS NOT NEW.actor_id OR OLD.actor_session_id IS NOT NEW.actor_session_id OR OLD.resource_id IS NOT NEW.resource_id
    OR OLD.failure IS NOT NEW.failure OR OLD.reason IS NOT NEW.reason OR OLD.request_id IS NOT NEW.request_id OR OLD.tag IS NOT NEW.tag
    OR NEW.origin_digest IS NULL AND (OLD.ip_address IS NOT NEW.ip_address OR OLD.user_agent IS NOT NEW.user_agent)
    OR NEW.changes_digest IS NULL AND OLD.changes IS NOT NEW.changes
BEGIN
    SELECT RAISE(ABORT, 'audit events do not change');
END;

CREATE TRIGGER tg_audit_events_sealed BEFORE DELETE ON audit_events
    WHEN EXISTS (SELECT 1 FROM audit_unsealed WHERE event_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'audit events are not removed before they are sealed');
END;
";

const POSTGRES: &str = "
CREATE FUNCTION queue_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_unsealed (event_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
    RETURN NULL;
END $$;

CREATE FUNCTION keep_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'audit events do not change';
END $$;

CREATE FUNCTION keep_unsealed_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM audit_unsealed WHERE event_id = OLD.id) THEN
        RAISE EXCEPTION 'audit events are not removed before they are sealed';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER tg_audit_events_queued AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION queue_audit_event();
CREATE TRIGGER tg_audit_events_kept BEFORE UPDATE ON audit_events FOR EACH ROW WHEN (
    (OLD.id, OLD.occurred_at, OLD.tenant_id, OLD.partner_id, OLD.actor_type, OLD.acting_as, OLD.action, OLD.resource_type, OLD.result,
        OLD.actor_id, OLD.actor_session_id, OLD.resource_id, OLD.failure, OLD.reason, OLD.request_id, OLD.tag)
        IS DISTINCT FROM
    (NEW.id, NEW.occurred_at, NEW.tenant_id, NEW.partner_id, NEW.actor_type, NEW.acting_as, NEW.action, NEW.resource_type, NEW.result,
        NEW.actor_id, NEW.actor_session_id, NEW.resource_id, NEW.failure, NEW.reason, NEW.request_id, NEW.tag)
    OR NEW.origin_digest IS NULL AND (OLD.ip_address, OLD.user_agent) IS DISTINCT FROM (NEW.ip_address, NEW.user_agent)
    OR NEW.changes_digest IS NULL AND OLD.changes IS DISTINCT FROM NEW.changes
) EXECUTE FUNCTION keep_audit_event();
CREATE TRIGGER tg_audit_events_sealed BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION keep_unsealed_audit_event();
";
