//! Lists of sessions: exact totals and deep pages at any size.
//!
//! One statement a page, whatever its length, that gives the total beside the rows; one more for the hour in which a far
//! page begins, and one for the total where there are no rows. Totals of whole tenants come from the counters; what has run out but has not been swept yet is
//! subtracted, so they are exact at every instant.

use std::net::IpAddr;

use gatehouse_domain::{
    authz::{Reach, TenantRef},
    id::{ApplicationId, PartnerId, TenantId, UserId},
    page::{Direction, Key, KeyValue, Page, PageRequest},
    session::SessionView,
    time::Timestamp,
};

use crate::{
    entity::session::Entity,
    error::{Error, Result},
    repo::{
        list::{signed, stored, unsigned},
        session::ACTIVE,
        sql::Sql,
        tuned::session::{view, view_columns},
    },
    scope::Scope,
};

/// Which sessions are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Of these users.
    pub users: Vec<UserId>,
    /// In these tenants.
    pub tenants: Vec<TenantId>,
    /// In tenants of these partners.
    pub partners: Vec<PartnerId>,
    /// On these kinds of device.
    pub devices: Vec<String>,
    /// Begun from these addresses.
    pub ips: Vec<IpAddr>,
    /// Used with one of these applications.
    pub applications: Vec<ApplicationId>,
    /// Only those that can be used.
    pub active_only: bool,
    /// Begun at this instant or later.
    pub created_after: Option<Timestamp>,
    /// Begun before this instant.
    pub created_before: Option<Timestamp>,
    /// Last used before this instant.
    pub last_activity_before: Option<Timestamp>,
}

impl SessionFilter {
    /// Whether the counters know the answer: nothing is asked for but tenants and devices.
    const fn is_counted(&self) -> bool {
        self.users.is_empty()
            && self.partners.is_empty()
            && self.ips.is_empty()
            && self.applications.is_empty()
            && self.created_after.is_none()
            && self.created_before.is_none()
            && self.last_activity_before.is_none()
    }
}

/// What lists of sessions are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionSort {
    /// When they began.
    CreatedAt,
    /// When they were last used.
    LastActivityAt,
}

impl SessionSort {
    const fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::LastActivityAt => "last_activity_at",
        }
    }
}

/// Where a page begins and how long it is.
struct PageStart<'a> {
    after: Option<&'a Key>,
    /// The hour that it begins in, where it is known.
    hour: Option<i64>,
    limit: u64,
    offset: u64,
}

/// From this offset on it pays to look up where the page begins.
const FAR: u64 = 500;
const HOUR: &str = "3600000000";

impl Scope<'_> {
    /// Sessions with their users.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        sort: SessionSort,
        direction: Direction,
        request: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionView>> {
        let start = match (&self.reach, filter.tenants.as_slice()) {
            (Reach::Tenant(tenant), []) if self.may_jump(filter, sort, request) => {
                let start = self.start_of(*tenant, filter.active_only, direction, request.offset(), now).await?;
                if start.is_none() {
                    // The counters are exact: there is no such page, and no need to walk the list to find that out.
                    return Ok(Page { items: Vec::new(), total: self.total(filter, now).await?, next: None });
                }
                start
            }
            _ => None,
        };

        let per_page = request.per_page.get();
        let (hour, before) = start.unzip();
        let offset = request.offset() - before.unwrap_or(0);
        let place = PageStart { after: request.after(), hour, limit: per_page + 1, offset };
        let rows = self.page_at(filter, sort, direction, &place, now).all(self.exec).await?;
        let total = match rows.first() {
            Some(row) => unsigned(row.try_get("", "total")?),
            None => self.total(filter, now).await?,
        };
        let more = rows.len() as u64 > per_page;
        let shown = rows.iter().take(usize::try_from(per_page).unwrap_or(usize::MAX));
        let items = shown.map(view).collect::<Result<Vec<_>>>()?;
        let next = items.last().filter(|_| more).map(|item| Key {
            value: KeyValue::At(match sort {
                SessionSort::CreatedAt => item.session.created_at,
                SessionSort::LastActivityAt => item.session.last_activity_at,
            }),
            id: item.session.id.uuid(),
        });
        Ok(Page { items, total, next })
    }

    fn may_jump(&self, filter: &SessionFilter, sort: SessionSort, request: &PageRequest) -> bool {
        filter.is_counted() && filter.devices.is_empty() && sort == SessionSort::CreatedAt && request.offset() >= FAR
    }

    /// What is asked for besides the predicate of the scope.
    fn push_filter(&self, sql: &mut Sql, filter: &SessionFilter, now: Timestamp) {
        if !filter.tenants.is_empty() {
            sql.push(" AND tenant_id").one_of(filter.tenants.iter().map(|id| id.uuid()));
        }
        if !filter.users.is_empty() {
            sql.push(" AND user_id").one_of(filter.users.iter().map(|id| id.uuid()));
        }
        if !filter.partners.is_empty() {
            sql.push(" AND partner_id").one_of(filter.partners.iter().map(|id| id.uuid()));
        }
        if !filter.devices.is_empty() {
            sql.push(" AND device_type").one_of(filter.devices.iter().cloned());
        }
        if !filter.ips.is_empty() {
            sql.push(" AND ip_address").one_of(filter.ips.iter().map(IpAddr::to_string));
        }
        if !filter.applications.is_empty() {
            // By the sessions of the application where the tenant is known, which its index is sorted by.
            sql.push(" AND id IN (SELECT x.session_id FROM session_applications x WHERE x.application_id");
            sql.one_of(filter.applications.iter().map(|id| id.uuid()));
            if let Reach::Tenant(tenant) = &self.reach {
                sql.push(" AND x.tenant_id = ").bind(tenant.id.uuid());
            }
            sql.push(")");
        }
        if let Some(at) = filter.created_after {
            sql.push(" AND created_at >= ").bind(at.micros());
        }
        if let Some(at) = filter.created_before {
            sql.push(" AND created_at < ").bind(at.micros());
        }
        if let Some(at) = filter.last_activity_before {
            sql.push(" AND last_activity_at < ").bind(at.micros());
        }
        if filter.active_only {
            sql.push(" AND ").push(ACTIVE).bind(now.micros());
        }
    }

    /// The statement of a page, with the total beside each row.
    fn page_at(
        &self,
        filter: &SessionFilter,
        sort: SessionSort,
        direction: Direction,
        place: &PageStart<'_>,
        now: Timestamp,
    ) -> Sql {
        let (order, beyond) = match direction {
            Direction::Ascending => ("ASC", " > "),
            Direction::Descending => ("DESC", " < "),
        };
        // Text: limits before it joins, and has the total beside. Plan: `sessions_across_tenants_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT (");
            self.push_total(sql, filter, now);
            sql.push(") AS total, ").push(&view_columns()).push(" FROM (SELECT * FROM sessions WHERE");
        });
        self.push_filter(&mut sql, filter, now);
        if let Some(key) = place.after {
            sql.push(" AND (").push(sort.column()).push(", id)").push(beyond).push("(");
            sql.bind(stored(&key.value)).push(", ").bind(key.id).push(")");
        }
        if let Some(hour) = place.hour {
            match direction {
                Direction::Ascending => sql.push(" AND created_at >= ").bind(Timestamp::from_hour(hour).micros()),
                Direction::Descending => sql.push(" AND created_at < ").bind(Timestamp::from_hour(hour + 1).micros()),
            };
        }
        sql.push(" ORDER BY ").push(sort.column()).push(" ").push(order).push(", id ").push(order);
        sql.push(" LIMIT ").bind(signed(place.limit));
        if place.offset > 0 {
            sql.push(" OFFSET ").bind(signed(place.offset));
        }
        sql.push(") s JOIN users u ON u.id = s.user_id ORDER BY s.").push(sort.column()).push(" ").push(order);
        sql.push(", s.id ").push(order);
        sql
    }

    /// The total of a list that shows no rows: beside the first row of the list, if it has any.
    async fn total(&self, filter: &SessionFilter, now: Timestamp) -> Result<u64> {
        let place = PageStart { after: None, hour: None, limit: 1, offset: 0 };
        let first = self.page_at(filter, SessionSort::CreatedAt, Direction::Descending, &place, now);
        first.one(self.exec).await?.map_or(Ok(0), |row| Ok(unsigned(row.try_get("", "total")?)))
    }

    /// Appends the select of the total.
    fn push_total(&self, sql: &mut Sql, filter: &SessionFilter, now: Timestamp) {
        if !filter.is_counted() || matches!(self.reach, Reach::Own(..)) {
            sql.push("SELECT COUNT(*) FROM sessions WHERE");
            self.push_condition::<Entity>(sql);
            return self.push_filter(sql, filter, now);
        }
        sql.push("SELECT CAST(COALESCE(SUM(")
            .push(if filter.active_only { "active" } else { "total" })
            .push("), 0) AS bigint)");
        if filter.active_only {
            sql.push(" - (SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND ends_at <= ").bind(now.micros());
            self.push_counted(sql, filter);
            sql.push(")");
        }
        sql.push(" FROM session_counts WHERE 1 = 1");
        self.push_counted(sql, filter);
    }

    /// The predicate of the scope and of a counted filter, on a table that knows tenants and devices only. Tenants are
    /// enumerated even where all are meant, so that the index on due sessions is probed per tenant.
    fn push_counted(&self, sql: &mut Sql, filter: &SessionFilter) {
        match &self.reach {
            Reach::Platform if filter.tenants.is_empty() => {
                sql.push(" AND tenant_id IN (SELECT t.id FROM tenants t)");
            }
            Reach::Platform => {}
            Reach::Partners(ids) => {
                sql.push(" AND tenant_id IN (SELECT t.id FROM tenants t WHERE t.partner_id");
                sql.one_of(ids.iter().map(|id| PartnerId::uuid(*id))).push(")");
            }
            Reach::Tenant(tenant) | Reach::Own(tenant, _) => {
                sql.push(" AND tenant_id = ").bind(tenant.id.uuid());
            }
        }
        if !filter.tenants.is_empty() {
            sql.push(" AND tenant_id").one_of(filter.tenants.iter().map(|id| id.uuid()));
        }
        if !filter.devices.is_empty() {
            sql.push(" AND device_type").one_of(filter.devices.iter().cloned());
        }
    }

    /// The hour in which a far page begins, and how many sessions of the list lie before that hour.
    async fn start_of(
        &self,
        tenant: TenantRef,
        active_only: bool,
        direction: Direction,
        offset: u64,
        now: Timestamp,
    ) -> Result<Option<(i64, u64)>> {
        let order = match direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        // Text: adds up over the hours before. Plan: `page_beyond_the_end_of_a_tenants_list_is_not_walked_to`.
        let mut sql = self.sql_of_tenant(tenant, |sql| {
            sql.push("SELECT hour, before FROM (SELECT hour, n, CAST(SUM(n) OVER (ORDER BY hour ");
            sql.push(order).push(") - n AS bigint) AS before FROM (SELECT h.hour AS hour, ");
            if active_only {
                sql.push("h.active - COALESCE(due.n, 0) AS n FROM session_hours h LEFT JOIN (SELECT created_at / ");
                sql.push(HOUR).push(" AS hour, COUNT(*) AS n FROM sessions WHERE tenant_id = ").bind(tenant.id.uuid());
                sql.push(" AND ended_at IS NULL AND ends_at <= ").bind(now.micros());
                sql.push(" GROUP BY created_at / ").push(HOUR).push(") due ON due.hour = h.hour");
            } else {
                sql.push("h.total AS n FROM session_hours h");
            }
            sql.push(" WHERE h.tenant_id");
        })?;
        sql.push(") counted) summed WHERE before <= ");
        sql.bind(signed(offset)).push(" AND before + n > ").bind(signed(offset)).push(" LIMIT 1");
        let Some(row) = sql.one(self.exec).await? else { return Ok(None) };
        let get = |i| row.try_get_by_index::<i64>(i).map_err(|_| Error::Corrupt("count"));
        Ok(Some((get(0)?, unsigned(get(1)?))))
    }
}
