//! Counts of sessions, kept by triggers so that no code path can forget them.
//!
//! - `session_counts`: rows and active rows of a tenant by device: totals of lists, in constant time.
//! - `session_hours`: the same by the hour in which sessions began: finds a page by its number without walking there;
//!   `created` also counts sessions that have been removed since.
//! - `session_ends`: sessions ended, by hour and reason: the statistics.
//! - `users.active_sessions`: who is signed in.
//!
//! "Active" means not ended; sessions past `ends_at` that the sweeper has not reached yet are subtracted by the
//! reader. PostgreSQL counts per statement, not per row: ending ten thousand sessions of a tenant row by row would
//! update one counter row ten thousand times and walk all its versions each time.

pub(crate) const UP: crate::Up = |manager| Box::pin(async move {
    crate::run(manager, TABLES).await?;
    crate::run_dialect(manager, SQLITE, POSTGRES).await
});

const TABLES: &str = "
CREATE TABLE session_counts (
    tenant_id uuid NOT NULL,
    device_type text NOT NULL,
    total bigint NOT NULL,
    active bigint NOT NULL,
    CONSTRAINT pk_session_counts PRIMARY KEY (tenant_id, device_type)
);

CREATE TABLE session_hours (
    tenant_id uuid NOT NULL,
    hour bigint NOT NULL,
    created bigint NOT NULL,
    total bigint NOT NULL,
    active bigint NOT NULL,
    CONSTRAINT pk_session_hours PRIMARY KEY (tenant_id, hour)
);

CREATE TABLE session_ends (
    tenant_id uuid NOT NULL,
    hour bigint NOT NULL,
    reason text NOT NULL,
    ended bigint NOT NULL,
    CONSTRAINT pk_session_ends PRIMARY KEY (tenant_id, hour, reason)
);
";

const SQLITE: &str = "
CREATE TRIGGER tg_sessions_inserted AFTER INSERT ON sessions BEGIN
    INSERT INTO session_counts (tenant_id, device_type, total, active)
        VALUES (NEW.tenant_id, NEW.device_type, 1, NEW.ended_at IS NULL)
        ON CONFLICT (tenant_id, device_type) DO UPDATE SET total = total + 1, active = active + excluded.active;
    INSERT INTO session_hours (tenant_id, hour, created, total, active)
        VALUES (NEW.tenant_id, NEW.created_at / 3600000000, 1, 1, NEW.ended_at IS NULL)
        ON CONFLICT (tenant_id, hour) DO UPDATE SET created = created + 1, total = total + 1, active = active + excluded.active;
    INSERT INTO session_ends (tenant_id, hour, reason, ended)
        SELECT NEW.tenant_id, NEW.ended_at / 3600000000, NEW.end_reason, 1 WHERE NEW.ended_at IS NOT NULL
        ON CONFLICT (tenant_id, hour, reason) DO UPDATE SET ended = ended + 1;
    UPDATE users SET active_sessions = active_sessions + 1 WHERE id = NEW.user_id AND NEW.ended_at IS NULL;
END;

CREATE TRIGGER tg_sessions_ended AFTER UPDATE OF ended_at ON sessions WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
    UPDATE session_counts SET active = active - 1 WHERE tenant_id = NEW.tenant_id AND device_type = NEW.device_type;
    UPDATE session_hours SET active = active - 1 WHERE tenant_id = NEW.tenant_id AND hour = NEW.created_at / 3600000000;
    INSERT INTO session_ends (tenant_id, hour, reason, ended)
        VALUES (NEW.tenant_id, NEW.ended_at / 3600000000, NEW.end_reason, 1)
        ON CONFLICT (tenant_id, hour, reason) DO UPDATE SET ended = ended + 1;
    UPDATE users SET active_sessions = active_sessions - 1 WHERE id = NEW.user_id;
END;

CREATE TRIGGER tg_sessions_deleted AFTER DELETE ON sessions BEGIN
    UPDATE session_counts SET total = total - 1, active = active - (OLD.ended_at IS NULL)
        WHERE tenant_id = OLD.tenant_id AND device_type = OLD.device_type;
    UPDATE session_hours SET total = total - 1, active = active - (OLD.ended_at IS NULL)
        WHERE tenant_id = OLD.tenant_id AND hour = OLD.created_at / 3600000000;
    UPDATE users SET active_sessions = active_sessions - 1 WHERE id = OLD.user_id AND OLD.ended_at IS NULL;
END;
";

const POSTGRES: &str = "
CREATE FUNCTION count_sessions_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO session_counts (tenant_id, device_type, total, active)
        SELECT tenant_id, device_type, count(*), count(*) FILTER (WHERE ended_at IS NULL)
        FROM new_rows GROUP BY tenant_id, device_type ORDER BY tenant_id, device_type
        ON CONFLICT (tenant_id, device_type)
        DO UPDATE SET total = session_counts.total + excluded.total, active = session_counts.active + excluded.active;
    INSERT INTO session_hours (tenant_id, hour, created, total, active)
        SELECT tenant_id, created_at / 3600000000, count(*), count(*), count(*) FILTER (WHERE ended_at IS NULL)
        FROM new_rows GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (tenant_id, hour)
        DO UPDATE SET created = session_hours.created + excluded.created, total = session_hours.total + excluded.total,
            active = session_hours.active + excluded.active;
    INSERT INTO session_ends (tenant_id, hour, reason, ended)
        SELECT tenant_id, ended_at / 3600000000, end_reason, count(*)
        FROM new_rows WHERE ended_at IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (tenant_id, hour, reason) DO UPDATE SET ended = session_ends.ended + excluded.ended;
    UPDATE users SET active_sessions = users.active_sessions + delta.n
        FROM (SELECT user_id, count(*) AS n FROM new_rows WHERE ended_at IS NULL GROUP BY user_id) AS delta
        WHERE users.id = delta.user_id;
    RETURN NULL;
END $$;

CREATE FUNCTION count_sessions_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM new_rows JOIN old_rows USING (id) WHERE old_rows.ended_at IS NULL AND new_rows.ended_at IS NOT NULL
    ) THEN
        RETURN NULL;
    END IF;
    UPDATE session_counts SET active = session_counts.active - delta.n
        FROM (SELECT new_rows.tenant_id, new_rows.device_type, count(*) AS n FROM new_rows JOIN old_rows USING (id)
              WHERE old_rows.ended_at IS NULL AND new_rows.ended_at IS NOT NULL GROUP BY 1, 2) AS delta
        WHERE session_counts.tenant_id = delta.tenant_id AND session_counts.device_type = delta.device_type;
    UPDATE session_hours SET active = session_hours.active - delta.n
        FROM (SELECT new_rows.tenant_id, new_rows.created_at / 3600000000 AS hour, count(*) AS n FROM new_rows JOIN old_rows USING (id)
              WHERE old_rows.ended_at IS NULL AND new_rows.ended_at IS NOT NULL GROUP BY 1, 2) AS delta
        WHERE session_hours.tenant_id = delta.tenant_id AND session_hours.hour = delta.hour;
    INSERT INTO session_ends (tenant_id, hour, reason, ended)
        SELECT new_rows.tenant_id, new_rows.ended_at / 3600000000, new_rows.end_reason, count(*)
        FROM new_rows JOIN old_rows USING (id)
        WHERE old_rows.ended_at IS NULL AND new_rows.ended_at IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (tenant_id, hour, reason) DO UPDATE SET ended = session_ends.ended + excluded.ended;
    UPDATE users SET active_sessions = users.active_sessions - delta.n
        FROM (SELECT new_rows.user_id, count(*) AS n FROM new_rows JOIN old_rows USING (id)
              WHERE old_rows.ended_at IS NULL AND new_rows.ended_at IS NOT NULL GROUP BY 1) AS delta
        WHERE users.id = delta.user_id;
    RETURN NULL;
END $$;

CREATE FUNCTION count_sessions_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE session_counts SET total = session_counts.total - delta.n, active = session_counts.active - delta.live
        FROM (SELECT tenant_id, device_type, count(*) AS n, count(*) FILTER (WHERE ended_at IS NULL) AS live
              FROM old_rows GROUP BY 1, 2) AS delta
        WHERE session_counts.tenant_id = delta.tenant_id AND session_counts.device_type = delta.device_type;
    UPDATE session_hours SET total = session_hours.total - delta.n, active = session_hours.active - delta.live
        FROM (SELECT tenant_id, created_at / 3600000000 AS hour, count(*) AS n, count(*) FILTER (WHERE ended_at IS NULL) AS live
              FROM old_rows GROUP BY 1, 2) AS delta
        WHERE session_hours.tenant_id = delta.tenant_id AND session_hours.hour = delta.hour;
    UPDATE users SET active_sessions = users.active_sessions - delta.n
        FROM (SELECT user_id, count(*) AS n FROM old_rows WHERE ended_at IS NULL GROUP BY user_id) AS delta
        WHERE users.id = delta.user_id;
    RETURN NULL;
END $$;

CREATE TRIGGER tg_sessions_inserted AFTER INSERT ON sessions
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_sessions_inserted();
CREATE TRIGGER tg_sessions_ended AFTER UPDATE ON sessions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_sessions_ended();
CREATE TRIGGER tg_sessions_deleted AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_sessions_deleted();
";
