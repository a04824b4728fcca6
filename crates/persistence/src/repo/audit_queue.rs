//! The queue of events that wait for their seal, and whether what is in it is what Gatehouse put there.

use gatehouse_domain::{
    audit::{Damage, Finding, Verification},
    id::{AuditEventId, TenantId},
    time::Timestamp,
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};
use uuid::Uuid;

use crate::{
    entity::audit_event::Model,
    error::Result,
    repo::{
        audit_chain::uuid,
        audit_seal::SEALED_AT_ONCE,
        audit_tag::{Code, tag},
        audit_verify::{Check, ROWS, tenant},
        sql::{AUDIT_EVENT, Sql},
    },
    scope::system::WriteSystem,
};

/// How long an event may wait for its seal.
const LATE: std::time::Duration = std::time::Duration::from_secs(60);

/// An event from the queue.
pub(crate) struct Waiting {
    pub id: Uuid,
    pub tenant: Uuid,
    /// When it happened; none if somebody has removed it from the trail.
    pub at: Option<i64>,
    pub tag: Code,
    /// Whether it is to go where it does not belong, or has a seal already.
    pub is_misplaced: bool,
}

/// What is in the queue at `q`, with its event at `e`, if that is there, and whether it is not the event's place.
fn select(backend: DbBackend) -> String {
    let contains = match backend {
        DbBackend::Sqlite => "instr(s.event_ids, q.event_id)",
        _ => "position(uuid_send(q.event_id) IN s.event_ids)",
    };
    format!(
        "SELECT q.event_id, q.tenant_id AS q_tenant_id, {}, CASE WHEN e.tenant_id <> q.tenant_id OR EXISTS \
         (SELECT 1 FROM audit_seals s WHERE s.tenant_id = e.tenant_id AND s.last_at >= e.occurred_at AND s.first_at <= e.occurred_at \
         AND {contains} > 0) THEN 1 ELSE 0 END AS misplaced FROM audit_unsealed q LEFT JOIN audit_events e ON e.id = q.event_id",
        *AUDIT_EVENT
    )
}

impl WriteSystem<'_> {
    /// What waits, the oldest first; or only what has no tag, from before there were tags, with those that it would have.
    pub(crate) async fn waiting(&self, tagless: bool) -> Result<Vec<Waiting>> {
        let (db, mac) = (self.tx.exec(), self.tx.mac()?);
        let backend = db.get_database_backend();
        let mut sql = Sql::new(&select(backend));
        sql.push(if tagless { " WHERE e.id IS NOT NULL AND e.tag IS NULL" } else { "" });
        sql.push(" ORDER BY q.event_id LIMIT ").bind(SEALED_AT_ONCE as i64);
        let rows = sql.all(db).await?;
        let mut waiting = Vec::with_capacity(rows.len());
        for row in &rows {
            let event = Model::from_query_result(row, "e_").ok();
            let tag = event.as_ref().and_then(|event| match tagless {
                true => tag(mac, event),
                false => event.tag.clone()?.try_into().ok(),
            });
            waiting.push(Waiting {
                id: row.try_get("", "event_id")?,
                tenant: row.try_get("", "q_tenant_id")?,
                at: event.map(|event| event.occurred_at),
                tag: tag.unwrap_or_default(),
                is_misplaced: row.try_get::<i32>("", "misplaced")? != 0,
            });
        }
        Ok(waiting)
    }
}

impl Check<'_> {
    /// Whether what waits is there, in its place, as it was recorded, and not for long.
    pub(crate) async fn queue(&self, only: Option<TenantId>, now: Timestamp, report: &mut Verification) -> Result<()> {
        let late = now.minus(LATE).micros();
        let mut last: Option<Uuid> = None;
        loop {
            let mut sql = Sql::new(&select(self.system.exec.get_database_backend()));
            if let Some(last) = last {
                sql.push(" WHERE q.event_id > ").bind(last);
            }
            sql.push(" ORDER BY q.event_id LIMIT ").bind(ROWS as i64);
            let rows = self.rows(sql).await?;
            let Some(end) = rows.last().map(|row| uuid(row, "event_id")) else { return Ok(()) };
            for row in &rows {
                let (id, queued_in) = (uuid(row, "event_id"), uuid(row, "q_tenant_id"));
                if only.is_some_and(|only| only.uuid() != queued_in) {
                    continue;
                }
                report.unsealed += 1;
                let event = Model::from_query_result(row, "e_").ok();
                let damage = match &event {
                    None => Some(Damage::EventMissing),
                    Some(_) if row.try_get::<i32>("", "misplaced").ok() != Some(0) => Some(Damage::QueueChanged),
                    Some(event) if event.tag.is_none() || event.tag != tag(self.mac, event).map(Vec::from) => {
                        Some(Damage::EventChanged)
                    }
                    Some(event) if event.occurred_at < late => Some(Damage::EventLate),
                    Some(_) => None,
                };
                if let Some(damage) = damage {
                    let event_id = Some(AuditEventId::from_uuid(id));
                    report.found(Finding { tenant_id: tenant(queued_in), event_id, ..Finding::new(damage) });
                }
            }
            if last.is_some_and(|last| end <= last) {
                return Ok(());
            }
            last = Some(end);
        }
    }
}
