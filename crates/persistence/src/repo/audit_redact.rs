//! Erasing a user from the audit trail: what happened stays, and where it came from and which values it had goes. Digests
//! take its place in the tag, so that exactly this can be told from tampering.

use gatehouse_domain::{
    audit::{self, Action, ResourceKind},
    authz::{By, TenantRef},
    id::UserId,
};
use sea_orm::{ColumnTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait, Set, sea_query::UnionType};
use uuid::Uuid;

use crate::{
    entity::audit_event::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home,
        audit_tag::{changes_digest, field_names, origin_digest, without_values},
    },
    scope::WriteScope,
};

/// Events that are redacted at once at most.
const BATCH: u64 = 100;

impl WriteScope<'_> {
    /// Erases personal data from events by or about a user, some at a time, and records that: address and user agent from
    /// what the user did and from what nobody else did to the user or the user's sessions, values from what happened to
    /// the user. Returns how many events; none when there is nothing left.
    ///
    /// # Errors
    /// [`crate::Error::ScopeViolation`] when the tenant lies outside the scope.
    pub async fn redact_user_events(&self, tenant: TenantRef, user: UserId, by: By) -> Result<usize> {
        let home = Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: Some(user) };
        let mac = self.tx.mac()?;
        let rows = self.events_to_redact(&home, user.uuid()).await?;
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
            self.put_redacted(&home, redacted).await?;
        }
        let count = rows.len();
        self.tx.record(audit::redacted(tenant, user, by, count as u64)).await?;
        Ok(count)
    }

    /// Those that the tenant had under another partner are among them.
    async fn events_to_redact(&self, home: &Home, user: Uuid) -> Result<Vec<Model>> {
        self.guard(home)?;
        let tenant = home.tenant.ok_or(Error::ScopeViolation)?.uuid();
        let events = || self.tx.table::<Entity>().select().filter(Column::TenantId.eq(tenant));
        let has_origin = || Column::IpAddress.is_not_null().or(Column::UserAgent.is_not_null());
        let by_nobody = || Column::ActorId.is_null().and(has_origin());
        let mut by_user = events().filter(Column::ActorId.eq(user)).filter(has_origin());
        // What the erasure itself says stays.
        let about_user = events()
            .filter(Column::ResourceId.eq(user))
            .filter(Column::ResourceType.eq(ResourceKind::User.as_str()))
            .filter(Column::Action.ne(Action::AuditEventRedacted.as_str()))
            .filter(Column::Changes.is_not_null().and(Column::ChangesDigest.is_null()).or(by_nobody()));
        let created = self.tx.table::<Entity>().select().filter(Column::ActorId.eq(user));
        let created = created.filter(Column::Action.eq(Action::SessionCreated.as_str()));
        let of_sessions = events()
            .filter(Column::ResourceType.eq(ResourceKind::Session.as_str()))
            .filter(by_nobody())
            .filter(Column::ResourceId.in_subquery(created.select_only().column(Column::ResourceId).into_query()));
        let all = QueryTrait::query(&mut by_user).union(UnionType::Distinct, about_user.into_query());
        all.union(UnionType::Distinct, of_sessions.into_query()).limit(BATCH);
        Ok(by_user.all(&self.exec).await?)
    }

    async fn put_redacted(&self, home: &Home, row: Model) -> Result<()> {
        let redacted = ActiveModel {
            ip_address: Set(row.ip_address),
            user_agent: Set(row.user_agent),
            changes: Set(row.changes),
            origin_digest: Set(row.origin_digest),
            changes_digest: Set(row.changes_digest),
            ..ActiveModel::default()
        };
        let update = self.table_of::<Entity>(home)?.update().set(redacted).filter(Column::Id.eq(row.id));
        update.exec(&self.tx.writing()).await?;
        Ok(())
    }
}

fn has_origin(row: &Model) -> bool {
    row.ip_address.is_some() || row.user_agent.is_some()
}
