//! What the periodic tasks read of all tenants, and what they note of many sessions at once.

use gatehouse_domain::{
    authz::TenantRef,
    id::{PartnerId, SessionId, TenantId},
    session::ACTIVITY_LAG,
    settings::{Layers, Level},
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{
        from_json,
        settings::{ABOVE, above},
        sweep::BATCH,
    },
    scope::system::{System, WriteSystem},
};

impl System<'_> {
    /// Tenants and what is decided for them by id, at most [`BATCH`], behind one.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenants_after(&self, last: Option<TenantId>) -> Result<Vec<(TenantRef, Layers)>> {
        // Text: what is decided above a tenant are columns under other names. Plan:
        // `what_is_swept_and_purged_is_found_by_an_index`.
        let mut sql = self.unscoped("SELECT t.id, t.partner_id, t.settings, ");
        sql.push(ABOVE).push(" FROM tenants t JOIN partners p ON p.id = t.partner_id WHERE t.id > ");
        sql.bind(last.map_or(Uuid::nil(), TenantId::uuid)).push(" ORDER BY t.id LIMIT ").bind(BATCH as i64);
        let rows = sql.all(self.exec).await?;
        rows.iter()
            .map(|row| {
                let tenant = TenantRef {
                    id: TenantId::from_uuid(row.try_get("", "id")?),
                    partner_id: PartnerId::from_uuid(row.try_get("", "partner_id")?),
                };
                let settings: String = row.try_get("", "settings")?;
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
        // Text: a list of values is joined. Plan: `sessions_that_end_are_found_by_an_index`.
        let mut sql = self.unscoped(
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
}
