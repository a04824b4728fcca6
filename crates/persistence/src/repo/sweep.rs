//! Periodic work on many rows, in batches that never hold the database for long.

use std::collections::BTreeMap;

use gatehouse_domain::{
    authz::{By, SystemReason, TenantRef},
    id::{PartnerId, SessionId, TenantId},
    session::{self, ACTIVITY_LAG},
    settings::{Layers, Level},
    time::Timestamp,
};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    repo::{
        from_json,
        settings::{ABOVE, above},
        sql::Sql,
    },
    scope::system::{System, WriteSystem},
};

/// Rows that one batch touches at most.
pub const BATCH: usize = 500;
/// How long statistics by the hour are kept: a day longer than they are shown.
const HOURS_KEPT: i64 = 8 * 24;

fn uuid(row: &QueryResult, index: usize) -> Result<Uuid> {
    row.try_get_by_index(index).map_err(|_| Error::Corrupt("id"))
}

/// The tenant that a row begins with, and its partner.
fn tenant_of(row: &QueryResult) -> Result<TenantRef> {
    Ok(TenantRef { id: TenantId::from_uuid(uuid(row, 0)?), partner_id: PartnerId::from_uuid(uuid(row, 1)?) })
}

/// How often each tenant is among these.
pub(super) fn by_tenant(tenants: impl IntoIterator<Item = TenantRef>) -> impl Iterator<Item = (TenantRef, u64)> {
    let mut counts = BTreeMap::new();
    for tenant in tenants {
        counts.entry(tenant.id).or_insert((tenant, 0)).1 += 1;
    }
    counts.into_values()
}

impl System<'_> {
    /// Tenants and what is decided for them by id, at most [`BATCH`], behind one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenants_after(&self, last: Option<TenantId>) -> Result<Vec<(TenantRef, Layers)>> {
        let mut sql = Sql::new("SELECT t.id, t.partner_id, t.settings, ");
        sql.push(ABOVE).push(" FROM tenants t JOIN partners p ON p.id = t.partner_id WHERE t.id > ");
        sql.bind(last.map_or(Uuid::nil(), TenantId::uuid)).push(" ORDER BY t.id LIMIT ").bind(BATCH as i64);
        let rows = sql.all(self.exec).await?;
        rows.iter()
            .map(|row| {
                let tenant = tenant_of(row)?;
                let settings: String = row.try_get_by_index(2).map_err(|_| Error::Corrupt("tenant settings"))?;
                let own = from_json(&settings, "tenant settings")?;
                Ok((tenant, above(row, tenant.partner_id)?.with(Level::Tenant(tenant.id), own)))
            })
            .collect()
    }
}

impl WriteSystem<'_> {
    /// Notes when sessions were last used, and moves their idle deadlines along. At most [`BATCH`] at a time.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_activity(&self, seen: &[(SessionId, Timestamp)]) -> Result<()> {
        let Some(last) = seen.last() else { return Ok(()) };
        let lag = i64::try_from(ACTIVITY_LAG.as_micros()).unwrap_or(0);
        let mut sql = Sql::new(
            "UPDATE sessions SET last_activity_at = seen.at, ends_at = CASE WHEN idle_micros IS NULL OR seen.at + idle_micros + ",
        );
        sql.bind(lag).push(" > expires_at THEN expires_at ELSE seen.at + idle_micros + ").bind(lag);
        sql.push(" END FROM (SELECT column1 AS id, column2 AS at FROM (VALUES ");
        // Padded to a power of two, so that a handful of prepared statements serve every length.
        for i in 0..seen.len().next_power_of_two() {
            let (id, at) = seen.get(i).unwrap_or(last);
            sql.push(if i == 0 { "(" } else { ", (" }).bind(id.uuid()).push(", ").bind(at.micros()).push(")");
        }
        sql.push(") listed) seen WHERE sessions.id = seen.id AND sessions.ended_at IS NULL AND sessions.last_activity_at < seen.at");
        sql.exec(self.tx.writing()).await?;
        Ok(())
    }

    /// Removes sessions of a tenant that ended before an instant, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_sessions(&self, tenant: TenantRef, ended_before: Timestamp) -> Result<usize> {
        let mut sql = Sql::new(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_at IS NOT NULL AND tenant_id = ",
        );
        sql.bind(tenant.id.uuid()).push(" AND ended_at < ").bind(ended_before.micros());
        sql.push(" LIMIT ").bind(BATCH as i64).push(") RETURNING tenant_id, partner_id");
        let rows = sql.all(self.tx.writing()).await?;
        for (tenant, count) in by_tenant(rows.iter().map(tenant_of).collect::<Result<Vec<_>>>()?) {
            self.tx.record(session::purged(tenant, By::system(SystemReason::Job), count)).await?;
        }
        Ok(rows.len())
    }

    /// Removes statistics by the hour that are shown no more.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_hours(&self, tenant: TenantRef) -> Result<()> {
        let oldest = self.tx.now().hour() - HOURS_KEPT;
        for table in [
            "DELETE FROM session_hours WHERE total = 0 AND tenant_id = ",
            "DELETE FROM session_ends WHERE tenant_id = ",
        ] {
            let mut sql = Sql::new(table);
            sql.bind(tenant.id.uuid()).push(" AND hour < ").bind(oldest);
            sql.exec(self.tx.writing()).await?;
        }
        Ok(())
    }

    /// Removes counters that have been kept for as long as they are of use, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_throttles(&self) -> Result<usize> {
        let mut sql =
            Sql::new("DELETE FROM throttles WHERE key IN (SELECT key FROM throttles WHERE updated_at + kept < ");
        sql.bind(self.tx.now().micros()).push(" LIMIT ").bind(BATCH as i64).push(")");
        Ok(usize::try_from(self.execute(sql).await?).unwrap_or(usize::MAX))
    }
}
