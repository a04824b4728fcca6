//! Which applications are to be told that sessions have ended, and of which sessions.
//!
//! Triggers write what is to be told: whichever statement ends a session, today's or one that is written later, does so in
//! the same transaction and with no statement more. A row refers to nothing: session and user may be gone before everybody
//! is told, tenants and applications are never removed, and what a row names was checked when the session was used with the
//! application. Ten thousand sessions end in one statement, and looking up more rows for each of their applications would take
//! longer than ending them. For the same reason there is one index: by whom is told next, and when.
//!
//! PostgreSQL runs the trigger once for a statement. What it inserts is planned anew each time, for one session as for
//! thousands: a plan that was kept from the first statement of a connection would be wrong for most others.
//!
//! `sid` is what tokens call the session by: of one that an application has of its own it is the session that somebody
//! signed in to, as in its ID tokens, so two rows may have the same.
//!
//! `due_at` of what was just written is the end itself, which lies in the past where a session ran out. A session that is
//! removed before it has ended ends with that.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

pub(crate) const UP: crate::Up = |manager| Box::pin(up(manager));

async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    crate::run(manager, TABLE).await?;
    let [ended, removed] = [told("NEW", "NEW.ended_at"), told("OLD", "OLD.last_activity_at")];
    let sqlite = SQLITE.replace("$ended", &ended).replace("$removed", &removed);
    // In a text that is run quotes are doubled.
    let many = told("n", "n.ended_at").replace('\'', "''");
    let postgres = POSTGRES.replace("$ended", &many).replace("$removed", &removed);
    crate::run_dialect(manager, &sqlite, &postgres).await
}

/// The beginning of a statement that writes what applications are to be told of a session, from this row of it.
fn told(session: &str, at: &str) -> String {
    format!(
        "INSERT INTO logout_deliveries (application_id, due_at, session_id, sid, tenant_id, user_id, attempts, lease)
        SELECT x.application_id, {at}, {session}.id,
            CASE {session}.kind WHEN 'offline' THEN COALESCE(
                (SELECT f.sid FROM token_families f WHERE f.tenant_id = {session}.tenant_id AND f.session_id = {session}.id LIMIT 1),
                {session}.id) ELSE {session}.id END,
            {session}.tenant_id, {session}.user_id, 0, 0"
    )
}

const TABLE: &str = "
ALTER TABLE applications ADD COLUMN backchannel_logout_uri text;

CREATE TABLE logout_deliveries (
    application_id uuid NOT NULL,
    due_at bigint NOT NULL,
    session_id uuid NOT NULL,
    sid uuid NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    attempts bigint NOT NULL,
    lease bigint NOT NULL,
    CONSTRAINT pk_logout_deliveries PRIMARY KEY (application_id, due_at, session_id)
);
";

// What applications are registered with is JSON, which each database reads in its own way.
const SQLITE: &str = "
UPDATE applications SET backchannel_logout_uri = json_extract(metadata, '$.backchannel_logout_uri');

CREATE TRIGGER tg_sessions_ended_told AFTER UPDATE OF ended_at ON sessions
WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
    $ended
        FROM session_applications x JOIN applications a ON a.id = x.application_id
        WHERE x.session_id = NEW.id AND a.backchannel_logout_uri IS NOT NULL AND a.deleted_at IS NULL
        ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER tg_sessions_deleted_told BEFORE DELETE ON sessions WHEN OLD.ended_at IS NULL BEGIN
    $removed
        FROM session_applications x JOIN applications a ON a.id = x.application_id
        WHERE x.session_id = OLD.id AND a.backchannel_logout_uri IS NOT NULL AND a.deleted_at IS NULL
        ON CONFLICT DO NOTHING;
END;
";

const POSTGRES: &str = "
UPDATE applications SET backchannel_logout_uri = metadata::jsonb ->> 'backchannel_logout_uri';

CREATE FUNCTION tell_sessions_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM new_rows WHERE ended_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    EXECUTE '$ended
        FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN session_applications x ON x.session_id = n.id
        JOIN applications a ON a.id = x.application_id
        WHERE o.ended_at IS NULL AND n.ended_at IS NOT NULL AND a.backchannel_logout_uri IS NOT NULL AND a.deleted_at IS NULL
        ON CONFLICT DO NOTHING';
    RETURN NULL;
END $$;
CREATE TRIGGER tg_sessions_ended_told AFTER UPDATE ON sessions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_sessions_ended();

CREATE FUNCTION tell_session_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    $removed
        FROM session_applications x JOIN applications a ON a.id = x.application_id
        WHERE x.session_id = OLD.id AND a.backchannel_logout_uri IS NOT NULL AND a.deleted_at IS NULL
        ON CONFLICT DO NOTHING;
    RETURN OLD;
END $$;
CREATE TRIGGER tg_sessions_deleted_told BEFORE DELETE ON sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION tell_session_deleted();
";
