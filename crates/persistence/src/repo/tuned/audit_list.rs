//! Pages of the audit trail, totals, and a feed for exports.
//!
//! A page finds its ids in one index and fetches the rows of these only, so that what is skipped on the way to a far
//! page is never read. Totals count entries of that index.

use std::net::IpAddr;

use gatehouse_domain::{
    audit::{AuditEvent, AuditResult},
    authz::{ActorId, Reach},
    page::{Direction, Key, Page, PageRequest},
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult};

use crate::{
    entity::audit_event::Entity,
    error::Result,
    repo::{
        audit_list::{AuditFilter, FREQUENT_ACTIONS, FREQUENT_KINDS, Row, key_of},
        list::{signed, stored, unsigned},
        sql::{AUDIT_EVENT, Sql},
    },
    scope::Scope,
};

/// What is counted or shown: as far as the filter says, with this result.
#[derive(Clone, Copy)]
struct Of<'f> {
    filter: &'f AuditFilter,
    result: Option<AuditResult>,
}

impl Scope<'_> {
    /// A page of events, with the total in the same statement; one more for the total where there are no rows.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        direction: Direction,
        request: &PageRequest,
    ) -> Result<Page<AuditEvent>> {
        let per_page = request.per_page.get();
        let sql = self.events_at(filter, direction, request.after(), (per_page + 1, request.offset()), true);
        let rows = sql.all(self.exec).await?;
        let total = match rows.first() {
            Some(row) => unsigned(row.try_get("", "total")?),
            None => self.audit_total(filter).await?,
        };
        let more = rows.len() as u64 > per_page;
        let shown = rows.iter().take(usize::try_from(per_page).unwrap_or(usize::MAX));
        let items = shown.map(|row| self.event_of(row)).collect::<Result<Vec<_>>>()?;
        let next = items.last().filter(|_| more).map(key_of);
        Ok(Page { items, total, next })
    }

    /// The oldest events behind one, at most so many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn audit_feed(
        &self,
        filter: &AuditFilter,
        after: Option<&AuditEvent>,
        limit: u64,
    ) -> Result<Vec<AuditEvent>> {
        let sql = self.events_at(filter, Direction::Ascending, after.map(key_of).as_ref(), (limit, 0), false);
        let rows = sql.all(self.exec).await?;
        rows.iter().map(|row| self.event_of(row)).collect()
    }

    fn event_of(&self, row: &QueryResult) -> Result<AuditEvent> {
        self.event(Row::from_query_result(row, "e_")?)
    }

    /// Appends the columns of `audit_events e`, and whether its actor is shown.
    fn push_event_columns(&self, sql: &mut Sql) {
        sql.push(&AUDIT_EVENT);
        if !self.shows_everybody() {
            sql.push(", EXISTS (SELECT 1");
            self.push_shown(sql, "e.actor_id", "e.tenant_id");
            sql.push(") AS shown");
        }
    }

    /// The statement of so many events, after skipping others, with the total beside each where it is asked for.
    fn events_at(
        &self,
        filter: &AuditFilter,
        direction: Direction,
        after: Option<&Key>,
        (limit, offset): (u64, u64),
        with_total: bool,
    ) -> Sql {
        let of = Of { filter, result: filter.result() };
        let (order, beyond) = match direction {
            Direction::Ascending => ("ASC", " > "),
            Direction::Descending => ("DESC", " < "),
        };
        // Text: `INDEXED BY`, which the builder does not know. Plan:
        // `events_are_found_by_an_index_from_wherever_they_are_looked_for`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT ");
            if with_total {
                self.push_audit_total(sql.push("("), filter);
                sql.push(") AS total, ");
            }
            self.push_event_columns(sql);
            self.push_audit_table(sql.push(" FROM (SELECT id, occurred_at FROM "), of);
        });
        self.push_asked(&mut sql, of);
        if let Some(key) = after {
            sql.push(" AND (occurred_at, id)").push(beyond).push("(");
            sql.bind(stored(&key.value)).push(", ").bind(key.id).push(")");
        }
        sql.push(" ORDER BY occurred_at ").push(order).push(", id ").push(order);
        sql.push(" LIMIT ").bind(signed(limit)).push(" OFFSET ").bind(signed(offset));
        sql.push(") s JOIN audit_events e ON e.id = s.id ORDER BY s.occurred_at ").push(order);
        sql.push(", s.id ").push(order);
        sql
    }

    /// The total of a list that shows no rows: beside the first row of the list, if it has any.
    async fn audit_total(&self, filter: &AuditFilter) -> Result<u64> {
        let first = self.events_at(filter, Direction::Descending, None, (1, 0), true).one(self.exec).await?;
        first.map_or(Ok(0), |row| Ok(unsigned(row.try_get("", "total")?)))
    }

    /// Appends the select of the total. What succeeded is what there is but the failures, which have an index.
    fn push_audit_total(&self, sql: &mut Sql, filter: &AuditFilter) {
        let is_success = filter.result() == Some(AuditResult::Success);
        sql.push("SELECT COUNT(*)");
        if is_success {
            sql.push(" - (SELECT COUNT(*) FROM ");
            self.push_audit_filter(sql, Of { filter, result: Some(AuditResult::Failure) });
            sql.push(")");
        }
        sql.push(" FROM ");
        self.push_audit_filter(sql, Of { filter, result: filter.result().filter(|_| !is_success) });
    }

    /// Appends the table and the predicate of scope and filter.
    fn push_audit_filter(&self, sql: &mut Sql, of: Of<'_>) {
        self.push_audit_table(sql, of);
        self.push_condition::<Entity>(sql);
        self.push_asked(sql, of);
    }

    fn push_audit_table(&self, sql: &mut Sql, of: Of<'_>) {
        sql.push("audit_events");
        if self.exec.get_database_backend() == DbBackend::Sqlite {
            sql.push(" INDEXED BY ").push(&self.audit_index(of));
        }
        sql.push(" WHERE");
    }

    /// Appends what is asked for besides the predicate of the scope.
    fn push_asked(&self, sql: &mut Sql, Of { filter, result }: Of<'_>) {
        self.push_asked_of_shown(sql, filter);
        if !filter.tenants.is_empty() {
            sql.push(" AND tenant_id").one_of(filter.tenants.iter().map(|id| id.uuid()));
        }
        if !filter.partners.is_empty() {
            sql.push(" AND partner_id").one_of(filter.partners.iter().map(|id| id.uuid()));
        }
        if !filter.actors.is_empty() {
            sql.push(" AND actor_id").one_of(filter.actors.iter().map(|id| id.uuid()));
        }
        if !filter.actions.is_empty() {
            sql.push(" AND action").one_of(filter.actions.iter().map(|action| action.as_str()));
        }
        // What an index leaves out is spelled out here and below: a database does not look for it among placeholders.
        if filter.has_rare_actions() {
            for action in FREQUENT_ACTIONS {
                sql.push(" AND action <> ").literal(action.as_str());
            }
        }
        if !filter.kinds.is_empty() {
            sql.push(" AND resource_type").one_of(filter.kinds.iter().map(|kind| kind.as_str()));
        }
        if filter.has_rare_kinds() {
            for kind in FREQUENT_KINDS {
                sql.push(" AND resource_type <> ").literal(kind.as_str());
            }
        }
        if !filter.resources.is_empty() {
            sql.push(" AND resource_id").one_of(filter.resources.iter().map(|resource| resource.uuid));
            // The prefix of an id is a part of it.
            sql.push(" AND resource_type").one_of(filter.resources.iter().map(|resource| resource.kind.as_str()));
        }
        if let Some(result) = result {
            sql.push(" AND result = ").literal(result.as_str());
        }
        if !filter.ips.is_empty() {
            sql.push(" AND ip_address").one_of(filter.ips.iter().map(IpAddr::to_string));
        }
        if let Some(at) = filter.created_after {
            sql.push(" AND occurred_at >= ").bind(at.micros());
        }
        if let Some(at) = filter.created_before {
            sql.push(" AND occurred_at < ").bind(at.micros());
        }
    }

    /// Appends that what is not shown is not found by it either: a filter that finds more than it shows tells what it is.
    fn push_asked_of_shown(&self, sql: &mut Sql, filter: &AuditFilter) {
        let (by_actor, by_origin) = (!filter.actors.is_empty(), !filter.ips.is_empty());
        if self.shows_everybody() || !(by_actor || by_origin) {
            return;
        }
        sql.push(" AND (").push(if by_actor { "" } else { "actor_id IS NULL OR " });
        // Of applications from above, the address and the User-Agent are not shown.
        sql.push("actor_type = ").literal(ActorId::APPLICATION);
        sql.push(if by_origin { " AND acting_as = 'tenant' OR " } else { " OR " }).push("EXISTS (SELECT 1");
        self.push_shown(sql, "audit_events.actor_id", "audit_events.tenant_id");
        sql.push("))");
    }

    /// The index that leaves least to look at. SQLite is told, because it prefers two columns that leave much to one
    /// that leaves little; PostgreSQL knows its data.
    fn audit_index(&self, Of { filter, result }: Of<'_>) -> String {
        let selective = [
            (!filter.resources.is_empty(), "resource"),
            (!filter.actors.is_empty(), "actor"),
            (!filter.ips.is_empty(), "ip"),
        ];
        if let Some((_, name)) = selective.into_iter().find(|(asked, _)| *asked) {
            return format!("ix_audit_events_{name}");
        }
        let place = match &self.reach {
            Reach::Tenant(_) | Reach::Own(..) => "tenant",
            _ if !filter.tenants.is_empty() => "tenant",
            Reach::Partners(_) => "partner",
            Reach::Platform if !filter.partners.is_empty() => "partner",
            Reach::Platform => "all",
        };
        let what = match result {
            Some(AuditResult::Failure) => "_failed",
            _ if filter.has_rare_actions() => "_action",
            _ if filter.has_rare_kinds() => "_type",
            _ => "",
        };
        format!("ix_audit_events_{place}{what}")
    }
}
