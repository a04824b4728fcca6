//! The audit trail.

use gatehouse_domain::{
    audit::Event,
    authz::ByWhom,
    id::{AuditEventId, PartnerId, TenantId},
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryTrait, Set, Statement, Values};
use uuid::Uuid;

use crate::{
    db::WriteTx,
    entity::audit_event::{ActiveModel, Entity},
    error::Result,
};

impl WriteTx<'_> {
    /// Writes an event into the trail.
    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        let statement = self.recording([event]);
        self.check(self.writing().execute_raw(statement).await).map(drop)
    }

    /// Inserts a row and writes its event into the trail; on SQLite in one exchange with the thread that owns the
    /// connection, as waking it costs more than the statement.
    pub(crate) async fn insert(&self, row: Statement, event: Event) -> Result<()> {
        self.insert_many(row, [event]).await
    }

    /// The same for several rows.
    pub(crate) async fn insert_many(&self, row: Statement, events: impl IntoIterator<Item = Event>) -> Result<()> {
        let event = self.recording(events);
        let statements = match row.db_backend {
            DbBackend::Sqlite => vec![both(row, event)],
            _ => vec![row, event],
        };
        for statement in statements {
            self.check(self.writing().execute_raw(statement).await)?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that writes the audit trail")]
    fn recording(&self, events: impl IntoIterator<Item = Event>) -> Statement {
        let rows = events.into_iter().map(|event| self.row(event));
        Entity::insert_many(rows).build(self.exec().get_database_backend())
    }

    fn row(&self, event: Event) -> ActiveModel {
        let ctx = self.ctx();
        let (actor_type, actor_id) = match event.by.whom {
            ByWhom::User(id, _) => ("user", Some(id.uuid())),
            ByWhom::System(_) => ("system", None),
        };
        let reason = match event.by.whom {
            ByWhom::System(reason) => event.reason.or(Some(reason.as_str())),
            ByWhom::User(..) => event.reason,
        };
        // A row id needs to be unique and sortable, not unguessable; this is no secret and no domain decision.
        let id = AuditEventId::from_uuid(Uuid::now_v7());
        ActiveModel {
            id: Set(id.uuid()),
            occurred_at: Set(ctx.now.micros()),
            tenant_id: Set(event.resource.tenant_id.map_or(Uuid::nil(), TenantId::uuid)),
            partner_id: Set(event.resource.partner_id.map_or(Uuid::nil(), PartnerId::uuid)),
            actor_type: Set(actor_type.to_owned()),
            actor_id: Set(actor_id),
            actor_session_id: Set(event.by.session_id().map(|id| id.uuid())),
            acting_as: Set(event.by.acting_as.to_owned()),
            action: Set(event.action.as_str().to_owned()),
            resource_type: Set(event.resource.kind.as_str().to_owned()),
            resource_id: Set(event.resource.id),
            result: Set(if event.failure.is_some() { "failure" } else { "success" }.to_owned()),
            failure: Set(event.failure.map(str::to_owned)),
            reason: Set(reason.map(str::to_owned)),
            changes: Set((!event.fields.is_empty()).then(|| event.fields.to_json())),
            ip_address: Set(ctx.ip.map(|ip| ip.to_string())),
            user_agent: Set(ctx.user_agent.as_deref().map(str::to_owned)),
            request_id: Set(ctx.request_id.as_deref().map(str::to_owned)),
        }
    }
}

/// Two statements in one text. The placeholders of the builder have no numbers on SQLite, so the values just follow.
fn both(mut first: Statement, second: Statement) -> Statement {
    first.sql = format!("{}; {}", first.sql, second.sql);
    let values = [first.values.take(), second.values].into_iter().flatten().flat_map(|values| values.0).collect();
    first.values = Some(Values(values));
    first
}
