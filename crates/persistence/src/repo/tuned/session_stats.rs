//! Figures about a tenant's sessions, from the counters; only the partial hours at the edges are counted row by row.

use std::collections::{BTreeMap, HashMap};

use gatehouse_domain::{
    authz::{Reach, TenantRef},
    id::ApplicationId,
    session::{EndReason, SessionStats},
    time::{DAY, Timestamp},
};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};

use crate::{
    entity::{
        session::{Column, Entity},
        session_end, session_hour,
    },
    error::{Error, Result},
    repo::{
        list::{count, unsigned},
        word,
    },
    scope::Scope,
};

/// How many hours the series cover.
const HOURS: i64 = 7 * 24;
/// Sessions past their end that the sweeper has not reached: still counted as active, and not yet as ended.
const DUE: &str = "FROM sessions WHERE ended_at IS NULL AND tenant_id = ";

impl Scope<'_> {
    /// The figures of the one tenant that the scope is for.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] where the scope is not a whole tenant; otherwise as any statement.
    pub async fn session_stats(&self, now: Timestamp) -> Result<SessionStats> {
        let Reach::Tenant(tenant) = &self.reach else { return Err(Error::ScopeViolation) };
        let mut stats = SessionStats::default();
        self.active_now(&mut stats, *tenant, now).await?;
        self.hours(&mut stats, *tenant, now).await?;
        // Text: CROSS JOIN keeps SQLite from beginning with the sessions, of which there are many more. Plan:
        // `sessions_of_a_tenant_are_found_by_an_index_whatever_is_asked_of_them`.
        let mut sql = self.sql_of_tenant(*tenant, |sql| {
            sql.push(
                "SELECT a.id, a.name, COUNT(*) AS n FROM session_applications x CROSS JOIN sessions s \
                 CROSS JOIN applications a WHERE s.tenant_id = x.tenant_id AND s.id = x.session_id \
                 AND s.ended_at IS NULL AND a.id = x.application_id AND s.ends_at > ",
            );
            sql.bind(now.micros()).push(" AND x.tenant_id");
        })?;
        sql.push(" GROUP BY a.id, a.name ORDER BY COUNT(*) DESC, a.id LIMIT 100");
        for row in sql.all(self.exec).await? {
            let application = ApplicationId::from_uuid(row.try_get("", "id")?);
            stats.by_application.push((application, row.try_get("", "name")?, unsigned(row.try_get("", "n")?)));
        }
        Ok(stats)
    }

    async fn active_now(&self, stats: &mut SessionStats, tenant: TenantRef, now: Timestamp) -> Result<()> {
        // Text: a counter less what is counted. Plan:
        // `sessions_of_a_tenant_are_found_by_an_index_whatever_is_asked_of_them`.
        let sql = self.sql_of_tenant(tenant, |sql| {
            sql.push("SELECT c.device_type, c.active - COALESCE(due.n, 0) AS n FROM session_counts c LEFT JOIN ");
            sql.push("(SELECT device_type, COUNT(*) AS n ").push(DUE).bind(tenant.id.uuid());
            sql.push(" AND ends_at <= ").bind(now.micros()).push(" GROUP BY device_type) due");
            sql.push(" ON due.device_type = c.device_type WHERE c.tenant_id");
        })?;
        for row in sql.all(self.exec).await? {
            let active = unsigned(row.try_get("", "n")?);
            stats.active_sessions += active;
            if active > 0 {
                stats.by_device.push((word(&row.try_get::<String>("", "device_type")?, "device type")?, active));
            }
        }
        stats.by_device.sort_by_key(|(_, active)| std::cmp::Reverse(*active));
        // Text: users whose every session is due are signed in no more. Plan:
        // `sessions_of_a_tenant_are_found_by_an_index_whatever_is_asked_of_them`.
        let mut sql = self.sql_of_tenant(tenant, |sql| {
            sql.push("SELECT (SELECT COUNT(*) FROM users WHERE active_sessions > 0 AND tenant_id");
        })?;
        sql.push(") - (SELECT COUNT(*) FROM (SELECT user_id, COUNT(*) AS n ").push(DUE).bind(tenant.id.uuid());
        sql.push(" AND ends_at <= ").bind(now.micros());
        sql.push(" GROUP BY user_id) due JOIN users u ON u.id = due.user_id AND u.active_sessions = due.n)");
        stats.active_users = sql.count(self.exec).await?;
        Ok(())
    }

    /// The series, and the last 24 hours.
    async fn hours(&self, stats: &mut SessionStats, tenant: TenantRef, now: Timestamp) -> Result<()> {
        let last = now.hour();
        let first = last - HOURS + 1;
        let day_ago = now.minus(DAY);
        // The 24 hours begin within an hour; that part is counted row by row, the whole hours after it are not.
        let whole = Timestamp::from_hour(day_ago.hour() + 1);
        let created = self.created_by_hour(tenant, first).await?;
        let (ended, reasons) = self.ended_by_hour(tenant, now).await?;
        let edge = self.select::<Entity>().filter(Column::CreatedAt.gte(day_ago.micros()));
        let edge = count(self.exec, edge.filter(Column::CreatedAt.lt(whole.micros()))).await?;
        stats.created_last_24h = edge + created.range(whole.hour()..).map(|(_, n)| n).sum::<u64>();
        stats.ended_last_24h = reasons.into_iter().filter(|(_, n)| *n > 0).collect();
        stats.ended_last_24h.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), reason.as_str()));
        // Backwards from now: what was active at the end of an hour is what is active at the end of the next one,
        // less those that began in that next hour, plus those that ended in it.
        let mut active = stats.active_sessions;
        for hour in (first..=last).rev() {
            let began = created.get(&hour).copied().unwrap_or(0);
            stats.logins.push((Timestamp::from_hour(hour), began));
            stats.active.push((Timestamp::from_hour(hour), active));
            active = (active + ended.get(&hour).copied().unwrap_or(0)).saturating_sub(began);
        }
        stats.logins.reverse();
        stats.active.reverse();
        Ok(())
    }
    async fn created_by_hour(&self, tenant: TenantRef, first: i64) -> Result<BTreeMap<i64, u64>> {
        use session_hour::{Column, Entity};
        let hours = self.table_of::<Entity>(&tenant.into())?.select().filter(Column::TenantId.eq(tenant.id.uuid()));
        let hours = hours.filter(Column::Hour.gte(first)).select_only().columns([Column::Hour, Column::Created]);
        let rows = hours.into_tuple::<(i64, i64)>().all(&self.exec).await?;
        Ok(rows.into_iter().map(|(hour, created)| (hour, unsigned(created))).collect())
    }

    /// How many ended in each hour of the series, and for what reasons within 24 hours.
    async fn ended_by_hour(
        &self,
        tenant: TenantRef,
        now: Timestamp,
    ) -> Result<(HashMap<i64, u64>, HashMap<EndReason, u64>)> {
        let day_ago = now.minus(DAY);
        let (first, whole) = (now.hour() - HOURS + 1, Timestamp::from_hour(day_ago.hour() + 1));
        let (mut ended, mut reasons) = (HashMap::<i64, u64>::new(), HashMap::<EndReason, u64>::new());
        let hours = self.table_of::<session_end::Entity>(&tenant.into())?.select();
        let hours = hours.filter(session_end::Column::TenantId.eq(tenant.id.uuid()));
        for row in hours.filter(session_end::Column::Hour.gte(first)).all(&self.exec).await? {
            let n = unsigned(row.ended);
            *ended.entry(row.hour).or_default() += n;
            if row.hour >= whole.hour() {
                *reasons.entry(word(&row.reason, "end reason")?).or_default() += n;
            }
        }
        // Text: groups by what it calculates. Plan:
        // `sessions_of_a_tenant_are_found_by_an_index_whatever_is_asked_of_them`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT ends_at / 3600000000 AS hour, CASE WHEN ends_at >= ").bind(day_ago.micros());
            sql.push(" THEN 1 ELSE 0 END AS recent, COUNT(*) AS n FROM sessions WHERE ended_at IS NULL AND");
        });
        sql.push(" AND ends_at <= ").bind(now.micros()).push(" GROUP BY 1, 2");
        for row in sql.all(self.exec).await? {
            let n = unsigned(row.try_get("", "n")?);
            *ended.entry(row.try_get("", "hour")?).or_default() += n;
            if row.try_get::<i32>("", "recent")? == 1 {
                *reasons.entry(EndReason::Expired).or_default() += n;
            }
        }
        let edge = self.select::<Entity>().filter(Column::EndedAt.is_not_null());
        let edge = edge.filter(Column::EndedAt.gte(day_ago.micros())).filter(Column::EndedAt.lt(whole.micros()));
        let edge = edge.select_only().column(Column::EndReason).column_as(Column::Id.count(), "n");
        for (reason, n) in edge.group_by(Column::EndReason).into_tuple::<(String, i64)>().all(&self.exec).await? {
            *reasons.entry(word(&reason, "end reason")?).or_default() += unsigned(n);
        }
        Ok((ended, reasons))
    }
}
