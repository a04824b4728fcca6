//! What every request needs to know of a tenant.

use gatehouse_domain::{
    key::{KeyState, OVERLAP},
    time::Timestamp,
};
use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use crate::{
    entity::{self, signing_key},
    error::Result,
    repo::{
        key::{self, TenantFacts},
        settings::{ABOVE, above},
        sql::{KEY, TENANT},
        tenant, word,
    },
    scope::system::System,
};

impl System<'_> {
    /// The tenant, what is decided above it, and its keys that are published, in one statement.
    pub(in crate::repo) async fn facts(
        &self,
        place: &str,
        value: impl Into<Value>,
        now: Timestamp,
    ) -> Result<Option<TenantFacts>> {
        // Text: the state of the current key as a literal, by which the planner finds its partial index; asked by every
        // request whose tenant is not known. Plan: `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped("SELECT p.status AS partner_status, ");
        sql.push(ABOVE).push(", ").push(&TENANT).push(", ").push(&KEY);
        sql.push(" FROM tenants t JOIN partners p ON p.id = t.partner_id");
        sql.push(" LEFT JOIN signing_keys k ON k.tenant_id = t.id AND (k.state = ");
        sql.literal(KeyState::Current.as_str()).push(" OR k.state = ").literal(KeyState::Next.as_str());
        sql.push(" OR k.state = ").literal(KeyState::Retired.as_str());
        sql.push(" AND k.retired_at > ")
            .bind(now.minus(OVERLAP).micros())
            .push(") WHERE t.deleted_at IS NULL AND ")
            .push(place)
            .bind(value);
        sql.push(" ORDER BY k.state, k.id DESC");
        let rows = sql.all(self.exec).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let tenant = tenant::domain(entity::tenant::Model::from_query_result(first, "t_")?)?;
        let partner_status: String = first.try_get("", "partner_status")?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.try_get::<Option<Uuid>>("k_", "id")?.is_some() {
                keys.push(key::domain(signing_key::Model::from_query_result(row, "k_")?)?);
            }
        }
        let above = above(first, tenant.partner_id)?;
        Ok(Some(TenantFacts { tenant, partner_status: word(&partner_status, "partner status")?, above, keys }))
    }
}
