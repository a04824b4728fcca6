//! Figures about a tenant's sessions, from the counters; only the partial hours at the edges are counted row by row.

use std::collections::{BTreeMap, HashMap};

use gatehouse_domain::{
    authz::Reach,
    id::{ApplicationId, TenantId},
    session::{EndReason, SessionStats},
    time::{DAY, Timestamp},
};
use sea_orm::QueryResult;

use crate::{
    error::{Error, Result},
    repo::{list::unsigned, sql::Sql, word},
    scope::Scope,
};

/// How many hours the series cover.
const HOURS: i64 = 7 * 24;
/// Sessions past their end that the sweeper has not reached: still counted as active, and not yet as ended.
const DUE: &str = "FROM sessions WHERE ended_at IS NULL AND tenant_id = ";

fn int(row: &QueryResult, index: usize) -> Result<i64> {
    row.try_get_by_index(index).map_err(|_| Error::Corrupt("count"))
}

fn text(row: &QueryResult, index: usize) -> Result<String> {
    row.try_get_by_index(index).map_err(|_| Error::Corrupt("count"))
}

impl Scope<'_> {
    async fn rows(&self, sql: Sql) -> Result<Vec<QueryResult>> {
        sql.all(self.exec).await
    }

    /// The figures of the one tenant that the scope is for.
    ///
    /// # Errors
    /// [`Error::ScopeViolation`] where the scope is not a whole tenant; otherwise as any statement.
    pub async fn session_stats(&self, now: Timestamp) -> Result<SessionStats> {
        let Reach::Tenant(tenant) = &self.reach else { return Err(Error::ScopeViolation) };
        let mut stats = SessionStats::default();
        let (tenant, at) = (tenant.id, now.micros());
        let id = tenant.uuid();

        let mut sql = Sql::new(
            "SELECT c.device_type, c.active - COALESCE(due.n, 0) FROM session_counts c LEFT JOIN (SELECT device_type, COUNT(*) AS n ",
        );
        sql.push(DUE).bind(id).push(" AND ends_at <= ").bind(at);
        sql.push(" GROUP BY device_type) due ON due.device_type = c.device_type WHERE c.tenant_id = ").bind(id);
        for row in self.rows(sql).await? {
            let active = unsigned(int(&row, 1)?);
            stats.active_sessions += active;
            if active > 0 {
                stats.by_device.push((word(&text(&row, 0)?, "device type")?, active));
            }
        }
        stats.by_device.sort_by_key(|(_, active)| std::cmp::Reverse(*active));

        // Users whose every session is due are signed in no more.
        let mut sql = Sql::new("SELECT (SELECT COUNT(*) FROM users WHERE active_sessions > 0 AND tenant_id = ");
        sql.bind(id).push(") - (SELECT COUNT(*) FROM (SELECT user_id, COUNT(*) AS n ").push(DUE).bind(id);
        sql.push(" AND ends_at <= ")
            .bind(at)
            .push(" GROUP BY user_id) due JOIN users u ON u.id = due.user_id AND u.active_sessions = due.n)");
        stats.active_users = self.rows(sql).await?.first().map_or(Ok(0), |row| int(row, 0)).map(unsigned)?;

        self.hours(&mut stats, tenant, now).await?;

        let mut sql = Sql::new(
            "SELECT a.id, a.name, COUNT(*) FROM session_applications x \
             CROSS JOIN sessions s CROSS JOIN applications a WHERE s.tenant_id = x.tenant_id AND s.id = x.session_id \
             AND s.ended_at IS NULL AND a.tenant_id = x.tenant_id AND a.id = x.application_id AND s.ends_at > ",
        );
        // CROSS JOIN keeps SQLite from beginning with the sessions, of which there are many more.
        sql.bind(at).push(" AND x.tenant_id = ").bind(id);
        sql.push(" GROUP BY a.id, a.name ORDER BY COUNT(*) DESC, a.id LIMIT 100");
        for row in self.rows(sql).await? {
            let application =
                ApplicationId::from_uuid(row.try_get_by_index(0).map_err(|_| Error::Corrupt("application"))?);
            stats.by_application.push((application, text(&row, 1)?, unsigned(int(&row, 2)?)));
        }
        Ok(stats)
    }

    /// The series, and the last 24 hours.
    async fn hours(&self, stats: &mut SessionStats, tenant: TenantId, now: Timestamp) -> Result<()> {
        let id = tenant.uuid();
        let last = now.hour();
        let first = last - HOURS + 1;
        let day_ago = now.minus(DAY);
        // The 24 hours begin within an hour; that part is counted row by row, the whole hours after it are not.
        let whole = Timestamp::from_hour(day_ago.hour() + 1);

        let mut created = BTreeMap::new();
        let mut sql = Sql::new("SELECT hour, created FROM session_hours WHERE tenant_id = ");
        sql.bind(id).push(" AND hour >= ").bind(first);
        for row in self.rows(sql).await? {
            created.insert(int(&row, 0)?, unsigned(int(&row, 1)?));
        }
        let mut ended = HashMap::<i64, u64>::new();
        let mut reasons = HashMap::<EndReason, u64>::new();
        let mut sql = Sql::new("SELECT hour, reason, ended FROM session_ends WHERE tenant_id = ");
        sql.bind(id).push(" AND hour >= ").bind(first);
        for row in self.rows(sql).await? {
            let (hour, n) = (int(&row, 0)?, unsigned(int(&row, 2)?));
            *ended.entry(hour).or_default() += n;
            if hour >= whole.hour() {
                *reasons.entry(word(&text(&row, 1)?, "end reason")?).or_default() += n;
            }
        }
        let mut sql = Sql::new("SELECT ends_at / 3600000000, CASE WHEN ends_at >= ");
        sql.bind(day_ago.micros()).push(" THEN 1 ELSE 0 END, COUNT(*) ").push(DUE).bind(id);
        sql.push(" AND ends_at <= ").bind(now.micros()).push(" GROUP BY 1, 2");
        for row in self.rows(sql).await? {
            let n = unsigned(int(&row, 2)?);
            *ended.entry(int(&row, 0)?).or_default() += n;
            let recent: i64 = row.try_get_by_index::<i32>(1).map(i64::from).or_else(|_| int(&row, 1))?;
            if recent == 1 {
                *reasons.entry(EndReason::Expired).or_default() += n;
            }
        }
        let mut sql = Sql::new("SELECT end_reason, COUNT(*) FROM sessions WHERE ended_at IS NOT NULL AND tenant_id = ");
        sql.bind(id).push(" AND ended_at >= ").bind(day_ago.micros()).push(" AND ended_at < ").bind(whole.micros());
        sql.push(" GROUP BY end_reason");
        for row in self.rows(sql).await? {
            *reasons.entry(word(&text(&row, 0)?, "end reason")?).or_default() += unsigned(int(&row, 1)?);
        }
        let mut sql = Sql::new("SELECT COUNT(*) FROM sessions WHERE tenant_id = ");
        sql.bind(id).push(" AND created_at >= ").bind(day_ago.micros()).push(" AND created_at < ").bind(whole.micros());
        let edge = self.rows(sql).await?.first().map_or(Ok(0), |row| int(row, 0)).map(unsigned)?;

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
}
