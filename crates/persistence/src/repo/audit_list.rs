//! The audit trail as it is read: pages, totals, and a feed for exports.
//!
//! A page finds its ids in one index and fetches the rows of these only, so that what is skipped on the way to a far
//! page is never read. Totals count entries of that index.

use std::net::IpAddr;

use gatehouse_domain::{
    audit::{Action, AuditEvent, AuditResult, FieldChange, ResourceId, ResourceKind},
    authz::Reach,
    id::{AuditEventId, PartnerId, SessionId, TenantId, UserId},
    page::{Direction, Key, KeyValue, Page, PageRequest},
    settings::Word,
    time::Timestamp,
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult};

use crate::{
    entity::audit_event::Model,
    error::{Error, Result},
    repo::{
        list::{signed, stored, unsigned},
        sql::{AUDIT_EVENT, Sql},
    },
    scope::Scope,
};

/// Which events are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// In these tenants.
    pub tenants: Vec<TenantId>,
    /// Below these partners.
    pub partners: Vec<PartnerId>,
    /// By these users.
    pub actors: Vec<UserId>,
    /// Of these actions.
    pub actions: Vec<Action>,
    /// About these kinds of things.
    pub kinds: Vec<ResourceKind>,
    /// About these things.
    pub resources: Vec<ResourceId>,
    /// With one of these results.
    pub results: Vec<AuditResult>,
    /// From these addresses.
    pub ips: Vec<IpAddr>,
    /// At this instant or later.
    pub created_after: Option<Timestamp>,
    /// Before this instant.
    pub created_before: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether only actions are asked for that have an index: refreshes, most of what there is, have none.
    fn has_rare_actions(&self) -> bool {
        !self.actions.is_empty() && !self.actions.contains(&Action::SessionRefreshed)
    }

    /// Whether only kinds of things are asked for that have an index: sessions, which most events are about, have none.
    fn has_rare_kinds(&self) -> bool {
        !self.kinds.is_empty() && !self.kinds.contains(&ResourceKind::Session)
    }

    /// The one result that is asked for, if it is one.
    fn result(&self) -> Option<AuditResult> {
        let first = self.results.first().copied();
        first.filter(|first| self.results.iter().all(|other| other == first))
    }
}

/// What is counted or shown: as far as the filter says, with this result.
#[derive(Clone, Copy)]
struct Of<'f> {
    filter: &'f AuditFilter,
    result: Option<AuditResult>,
}

/// The row as a value.
fn domain(row: Model) -> Result<AuditEvent> {
    let resource_id = row.resource_id.and_then(|id| {
        let kind = ResourceKind::from_word(&row.resource_type).ok()?;
        Some(kind.text(id))
    });
    let changes = row.changes.as_deref().map(FieldChange::read).transpose();
    Ok(AuditEvent {
        id: AuditEventId::from_uuid(row.id),
        occurred_at: Timestamp::from_micros(row.occurred_at),
        // What concerns no tenant, or no partner, has the nil UUID there.
        tenant_id: (!row.tenant_id.is_nil()).then(|| TenantId::from_uuid(row.tenant_id)),
        partner_id: (!row.partner_id.is_nil()).then(|| PartnerId::from_uuid(row.partner_id)),
        actor_type: row.actor_type,
        actor_id: row.actor_id.map(UserId::from_uuid),
        actor_session_id: row.actor_session_id.map(SessionId::from_uuid),
        acting_as: row.acting_as,
        action: row.action,
        resource_type: row.resource_type,
        resource_id,
        result: row.result,
        failure: row.failure,
        reason: row.reason,
        changes: changes.map_err(|_| Error::Corrupt("changes of an event"))?.unwrap_or_default(),
        ip_address: row.ip_address,
        user_agent: row.user_agent,
        request_id: row.request_id,
    })
}

impl Scope<'_> {
    /// One event.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn audit_event(&self, id: AuditEventId) -> Result<Option<AuditEvent>> {
        let mut sql = Sql::new("SELECT ");
        self.push_event_columns(&mut sql);
        sql.push(" FROM (SELECT * FROM audit_events WHERE id = ").bind(id.uuid()).push(" AND ");
        self.push_event_place(&mut sql);
        sql.push(") e");
        let row = sql.one(self.exec).await?;
        row.as_ref().map(|row| self.event(row)).transpose()
    }

    /// The row as a value, with no more of its actor than the reader is shown.
    fn event(&self, row: &QueryResult) -> Result<AuditEvent> {
        let event = domain(Model::from_query_result(row, "e_")?)?;
        let is_shown = self.shows_everybody() || event.actor_id.is_none() || row.try_get::<i64>("", "shown")? > 0;
        Ok(if is_shown { event } else { event.by_operator() })
    }

    /// Appends the columns of `audit_events e`, and whether its actor is shown.
    fn push_event_columns(&self, sql: &mut Sql) {
        sql.push(&AUDIT_EVENT);
        if !self.shows_everybody() {
            sql.push(", (SELECT COUNT(*)");
            self.push_shown(sql, "e.actor_id", "e.tenant_id");
            sql.push(") AS shown");
        }
    }

    /// Appends the predicate of the scope. Events have no owner below their tenant.
    fn push_event_place(&self, sql: &mut Sql) {
        match &self.reach {
            Reach::Own(..) => drop(sql.push("1 = 0")),
            Reach::Platform | Reach::Partners(_) | Reach::Tenant(_) => self.push_condition(sql),
        }
    }

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
        let mut sql = Sql::new("SELECT (");
        self.push_audit_total(&mut sql, filter);
        sql.push(") AS total, ");
        self.push_events(&mut sql, filter, direction, request.after(), (per_page + 1, request.offset()));
        let rows = sql.all(self.exec).await?;
        let total = match rows.first() {
            Some(row) => unsigned(row.try_get("", "total")?),
            None => self.audit_total(filter).await?,
        };
        let more = rows.len() as u64 > per_page;
        let shown = rows.iter().take(usize::try_from(per_page).unwrap_or(usize::MAX));
        let items = shown.map(|row| self.event(row)).collect::<Result<Vec<_>>>()?;
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
        let mut sql = Sql::new("SELECT ");
        self.push_events(&mut sql, filter, Direction::Ascending, after.map(key_of).as_ref(), (limit, 0));
        let rows = sql.all(self.exec).await?;
        rows.iter().map(|row| self.event(row)).collect()
    }

    /// Appends the columns of events and where they come from: so many, after skipping others.
    fn push_events(
        &self,
        sql: &mut Sql,
        filter: &AuditFilter,
        direction: Direction,
        after: Option<&Key>,
        (limit, offset): (u64, u64),
    ) {
        let (order, beyond) = match direction {
            Direction::Ascending => ("ASC", " > "),
            Direction::Descending => ("DESC", " < "),
        };
        self.push_event_columns(sql);
        sql.push(" FROM (SELECT id, occurred_at FROM ");
        self.push_audit_filter(sql, Of { filter, result: filter.result() });
        if let Some(key) = after {
            sql.push(" AND (occurred_at, id)").push(beyond).push("(");
            sql.bind(stored(&key.value)).push(", ").bind(key.id).push(")");
        }
        sql.push(" ORDER BY occurred_at ").push(order).push(", id ").push(order);
        sql.push(" LIMIT ").bind(signed(limit)).push(" OFFSET ").bind(signed(offset));
        sql.push(") s JOIN audit_events e ON e.id = s.id ORDER BY s.occurred_at ").push(order);
        sql.push(", s.id ").push(order);
    }

    /// The total of a list that shows no rows: an empty one, or a page past the end.
    async fn audit_total(&self, filter: &AuditFilter) -> Result<u64> {
        let mut sql = Sql::default();
        self.push_audit_total(&mut sql, filter);
        sql.count(self.exec).await
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
        let Of { filter, result } = of;
        sql.push("audit_events");
        if self.exec.get_database_backend() == DbBackend::Sqlite {
            sql.push(" INDEXED BY ").push(&self.audit_index(of));
        }
        sql.push(" WHERE ");
        self.push_event_place(sql);
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
            sql.push(" AND action <> 'session.refreshed'");
        }
        if !filter.kinds.is_empty() {
            sql.push(" AND resource_type").one_of(filter.kinds.iter().map(|kind| kind.as_str()));
        }
        if filter.has_rare_kinds() {
            sql.push(" AND resource_type <> 'session'");
        }
        if !filter.resources.is_empty() {
            sql.push(" AND resource_id").one_of(filter.resources.iter().map(|resource| resource.uuid));
            // The prefix of an id is a part of it.
            sql.push(" AND resource_type").one_of(filter.resources.iter().map(|resource| resource.kind.as_str()));
        }
        if let Some(result) = result {
            sql.push(match result {
                AuditResult::Failure => " AND result = 'failure'",
                AuditResult::Success => " AND result = 'success'",
            });
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
        sql.push(" AND (").push(if by_actor { "" } else { "actor_id IS NULL OR " }).push("EXISTS (SELECT 1");
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

fn key_of(event: &AuditEvent) -> Key {
    Key { value: KeyValue::At(event.occurred_at), id: event.id.uuid() }
}
