//! The triggers that feed and guard the audit trail, compared with what they should be.

use std::collections::BTreeMap;

use migration::AUDIT_TRIGGERS;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::Exec;
use crate::error::Result;

/// Every trigger on a table of the trail, and whatever else there could come between.
const POSTGRES: &str = "
SELECT c.relname || '.' || t.tgname AS name,
    concat_ws(' ', t.tgtype, t.tgenabled, t.tgqual IS NULL, t.tgnargs, t.tgattr::text, l.lanname, p.prosecdef, p.proconfig IS NULL, p.prosrc) AS text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
    WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace AND starts_with(c.relname::text, 'audit_')
UNION ALL SELECT c.relname || '.' || r.rulename, 'rule' FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace = current_schema()::regnamespace AND starts_with(c.relname::text, 'audit_')
UNION ALL SELECT c.relname || '.row_security', '' FROM pg_class c
    WHERE c.relrowsecurity AND c.relnamespace = current_schema()::regnamespace AND starts_with(c.relname::text, 'audit_')
UNION ALL SELECT 'session_replication_role', '' WHERE current_setting('session_replication_role') <> 'origin'";
const SQLITE: &str = "SELECT tbl_name || '.' || name AS name, sql AS text FROM sqlite_master \
                      WHERE type = 'trigger' AND substr(tbl_name, 1, 6) = 'audit_'";

/// The names of those that are gone, disabled, not what was made, or too many.
pub(crate) async fn changed_triggers(exec: Exec<'_>) -> Result<Vec<String>> {
    let backend = exec.get_database_backend();
    let is_sqlite = backend == DbBackend::Sqlite;
    let text = if is_sqlite { SQLITE } else { POSTGRES };
    let mut found = BTreeMap::new();
    for row in exec.query_all_raw(Statement::from_string(backend, text)).await? {
        let (name, text): (String, String) = (row.try_get("", "name")?, row.try_get("", "text")?);
        found.insert(name, text);
    }
    let mut changed = Vec::new();
    for trigger in AUDIT_TRIGGERS {
        let expected = match is_sqlite {
            true => trigger.sqlite(),
            false => format!("{} O t 0  plpgsql f t {}", trigger.kind, trigger.source),
        };
        let name = format!("audit_events.{}", trigger.name);
        if found.remove(&name) != Some(expected) {
            changed.push(name);
        }
    }
    changed.extend(found.into_keys());
    Ok(changed)
}
