//! The queue of events to be sealed is one tree on SQLite, not a table with an index beside it: every event goes through.

pub(crate) const UP: crate::Up = |manager| Box::pin(crate::run_dialect(manager, SQLITE, ""));

const SQLITE: &str = "
DROP TRIGGER tg_audit_events_queued;
DROP TRIGGER tg_audit_events_sealed;
CREATE TABLE audit_unsealed_tree (
    event_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    CONSTRAINT pk_audit_unsealed PRIMARY KEY (event_id)
) WITHOUT ROWID;
INSERT INTO audit_unsealed_tree (event_id, tenant_id) SELECT event_id, tenant_id FROM audit_unsealed ORDER BY event_id;
DROP TABLE audit_unsealed;
ALTER TABLE audit_unsealed_tree RENAME TO audit_unsealed;

CREATE TRIGGER tg_audit_events_queued AFTER INSERT ON audit_events BEGIN
    INSERT INTO audit_unsealed (event_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
END;

CREATE TRIGGER tg_audit_events_sealed BEFORE DELETE ON audit_events
    WHEN EXISTS (SELECT 1 FROM audit_unsealed WHERE event_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'audit events are not removed before they are sealed');
END;
";
