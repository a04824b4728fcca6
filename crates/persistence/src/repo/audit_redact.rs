//! Erasing a user from the audit trail: what happened stays, and where it came from and which values it had goes. Digests
//! take its place in the tag, so that exactly this can be told from tampering.

use gatehouse_domain::{
    audit,
    authz::{By, TenantRef},
    id::UserId,
};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use crate::{
    entity::audit_event::Model,
    error::Result,
    repo::{
        audit_tag::{changes_digest, field_names, origin_digest, without_values},
        sql::{AUDIT_EVENT, Sql},
    },
    scope::WriteScope,
};

/// Events that are redacted at once at most.
const BATCH: i64 = 100;

impl WriteScope<'_> {
    /// Erases personal data from events by or about a user, some at a time, and records that: address and user agent from
    /// what the user did and from what nobody else did to the user or the user's sessions, values from what happened to
    /// the user. Returns how many events; none when there is nothing left.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn redact_user_events(&self, tenant: TenantRef, user: UserId, by: By) -> Result<usize> {
        self.guard(&crate::repo::Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: Some(user) })?;
        let mac = self.tx.mac()?;
        let rows = self.events_to_redact(tenant, user.uuid()).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        for row in &rows {
            let mut redacted = row.clone();
            if has_origin(row) && row.actor_id.is_none_or(|actor| actor == user.uuid()) {
                redacted.origin_digest = Some(origin_digest(mac, row).to_vec());
                (redacted.ip_address, redacted.user_agent) = (None, None);
            }
            let names = row.changes.as_deref().and_then(field_names);
            if let (Some(names), None, true) = (names, &row.changes_digest, row.resource_id == Some(user.uuid())) {
                redacted.changes_digest = Some(changes_digest(mac, row).to_vec());
                redacted.changes = Some(without_values(&names));
            }
            self.put_redacted(redacted).await?;
        }
        let count = rows.len();
        self.tx.record(audit::redacted(tenant, user, by, count as u64)).await?;
        Ok(count)
    }

    async fn events_to_redact(&self, tenant: TenantRef, user: Uuid) -> Result<Vec<Model>> {
        let columns = &*AUDIT_EVENT;
        let mut sql = "SELECT * FROM (".to_owned();
        let origin = "(e.ip_address IS NOT NULL OR e.user_agent IS NOT NULL)";
        for (i, which) in [
            // What the user did.
            format!("e.actor_id = $1 AND {origin}"),
            // What happened to the user; what the erasure itself says stays.
            format!(
                "e.resource_id = $1 AND e.resource_type = 'user' AND e.action <> 'audit_event.redacted' AND \
                 (e.changes IS NOT NULL AND e.changes_digest IS NULL OR e.actor_id IS NULL AND {origin})"
            ),
            // What happened to the user's sessions without somebody who did it.
            format!(
                "e.resource_type = 'session' AND e.actor_id IS NULL AND {origin} AND e.resource_id IN \
                 (SELECT resource_id FROM audit_events WHERE actor_id = $1 AND action = 'session.created')"
            ),
        ]
        .into_iter()
        .enumerate()
        {
            sql += if i == 0 { "" } else { " UNION " };
            sql += &format!("SELECT {columns} FROM audit_events e WHERE e.tenant_id = $2 AND {which}");
        }
        sql += &format!(") found LIMIT {BATCH}");
        let db = self.exec;
        let backend = db.get_database_backend();
        let statement = sea_orm::Statement::from_sql_and_values(backend, sql, [user.into(), tenant.id.uuid().into()]);
        let rows = db.query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(Model::from_query_result(row, "e_")?)).collect()
    }

    async fn put_redacted(&self, row: Model) -> Result<()> {
        let mut sql = Sql::new("UPDATE audit_events SET ip_address = ");
        sql.bind(row.ip_address).push(", user_agent = ").bind(row.user_agent).push(", changes = ").bind(row.changes);
        sql.push(", origin_digest = ").bind(row.origin_digest).push(", changes_digest = ").bind(row.changes_digest);
        sql.push(" WHERE id = ").bind(row.id);
        sql.exec(self.tx.writing()).await.map(drop)
    }
}

fn has_origin(row: &Model) -> bool {
    row.ip_address.is_some() || row.user_agent.is_some()
}
