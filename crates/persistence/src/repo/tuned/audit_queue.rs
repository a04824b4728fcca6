//! The queue of events that wait for their seal.

use gatehouse_domain::time::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryResult};
use uuid::Uuid;

use crate::{
    entity::audit_event::Model,
    error::{Error, Result},
    repo::{
        audit_chain::uuid,
        audit_seal::{COUNTED, Unsealed},
        list::{signed, unsigned},
        sql::AUDIT_EVENT,
    },
    scope::system::System,
};

/// What is in the queue, with the event it names.
pub(crate) struct Queued {
    pub id: Uuid,
    /// Where the queue says that the event belongs.
    pub tenant: Uuid,
    /// The event; none if it is gone or cannot be read.
    pub event: Option<Model>,
    /// Whether the event belongs elsewhere or has a seal already.
    pub is_misplaced: bool,
}

impl FromQueryResult for Queued {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            id: uuid(row, "event_id"),
            tenant: uuid(row, "q_tenant_id"),
            event: Model::from_query_result(row, "e_").ok(),
            is_misplaced: row.try_get::<i32>("", "misplaced").ok() != Some(0),
        })
    }
}

/// Which part of the queue.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// What comes behind an event.
    After(Option<Uuid>),
    /// What has no tag, from before there were tags.
    Tagless,
}

impl System<'_> {
    /// A part of the queue, the oldest first.
    pub(in crate::repo) async fn queued(&self, part: Part, most: usize) -> Result<Vec<Queued>> {
        let contains = match self.exec.get_database_backend() {
            DbBackend::Sqlite => "instr(s.event_ids, q.event_id)",
            _ => "position(uuid_send(q.event_id) IN s.event_ids)",
        };
        // Text: a part of bytes is found by a function of each database. Plan: `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.unscoped("SELECT q.event_id, q.tenant_id AS q_tenant_id, ");
        sql.push(&AUDIT_EVENT).push(
            ", CASE WHEN e.tenant_id <> q.tenant_id OR EXISTS (SELECT 1 FROM audit_seals s WHERE s.tenant_id = e.tenant_id \
             AND s.last_at >= e.occurred_at AND s.first_at <= e.occurred_at AND ",
        );
        sql.push(contains).push(" > 0) THEN 1 ELSE 0 END AS misplaced FROM audit_unsealed q ");
        sql.push("LEFT JOIN audit_events e ON e.id = q.event_id");
        match part {
            Part::After(None) => {}
            Part::After(Some(last)) => drop(sql.push(" WHERE q.event_id > ").bind(last)),
            Part::Tagless => drop(sql.push(" WHERE e.id IS NOT NULL AND e.tag IS NULL")),
        }
        sql.push(" ORDER BY q.event_id LIMIT ").bind(signed(most as u64));
        let rows = sql.all(self.exec).await?;
        Ok(rows.iter().map(|row| Queued::from_query_result(row, "")).collect::<Result<_, _>>()?)
    }
}

impl System<'_> {
    /// What waits to be sealed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn unsealed(&self) -> Result<Unsealed> {
        // Text: a count up to a limit and the oldest event in one row. Plan: `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.unscoped("SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM audit_unsealed LIMIT ");
        sql.bind(COUNTED).push(") q) AS events, (SELECT e.occurred_at FROM audit_unsealed q ");
        sql.push("JOIN audit_events e ON e.id = q.event_id ORDER BY q.event_id LIMIT 1) AS since");
        let row = sql.one(self.exec).await?.ok_or(Error::Corrupt("count"))?;
        let since = row.try_get::<Option<i64>>("", "since")?.map(Timestamp::from_micros);
        Ok(Unsealed { events: unsigned(row.try_get("", "events")?), since })
    }
}
