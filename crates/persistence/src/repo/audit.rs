//! The audit trail.

use std::sync::LazyLock;

use gatehouse_domain::{
    audit::Event,
    authz::ByWhom,
    id::{AuditEventId, PartnerId, TenantId},
};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, IntoActiveModel, Iterable, QueryTrait,
    Statement, Value, Values,
};
use uuid::Uuid;

use crate::{
    db::WriteTx,
    entity::audit_event::{Column, Entity, Model},
    error::Result,
    repo::audit_tag::tag,
};

impl WriteTx<'_> {
    /// Writes an event into the trail.
    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        let statement = self.recording([event])?;
        self.writing().execute_raw(statement).await?;
        Ok(())
    }

    /// Inserts a row and writes its event into the trail; on SQLite in one exchange with the thread that owns the
    /// connection, as waking it costs more than the statement.
    pub(crate) async fn insert(&self, row: Statement, event: Event) -> Result<()> {
        self.insert_many(row, [event]).await
    }

    /// The same for several rows.
    pub(crate) async fn insert_many(&self, row: Statement, events: impl IntoIterator<Item = Event>) -> Result<()> {
        let event = self.recording(events)?;
        let statements = match row.db_backend {
            DbBackend::Sqlite => vec![both(row, event)],
            _ => vec![row, event],
        };
        for statement in statements {
            self.writing().execute_raw(statement).await?;
        }
        Ok(())
    }

    /// Changes one row and writes its event into the trail, if it is for the trail; false, and no event, when the row is
    /// not what the statement asks for. On SQLite in one exchange, as above.
    pub(crate) async fn update(&self, row: Statement, event: impl Into<Option<Event>>) -> Result<bool> {
        let (statement, after) = match (row.db_backend, event.into()) {
            (DbBackend::Sqlite, Some(event)) => (recorded_if_changed(row, self.row(event)?), None),
            (_, event) => (row, event),
        };
        let found = self.writing().execute_raw(statement).await?.rows_affected() > 0;
        if let (true, Some(event)) = (found, after) {
            self.record(event).await?;
        }
        Ok(found)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that writes the audit trail")]
    fn recording(&self, events: impl IntoIterator<Item = Event>) -> Result<Statement> {
        let rows = events.into_iter().map(|event| Ok(self.row(event)?.into_active_model().reset_all()));
        Ok(Entity::insert_many(rows.collect::<Result<Vec<_>>>()?).build(self.exec().get_database_backend()))
    }

    fn row(&self, event: Event) -> Result<Model> {
        // The change may have waited for others, whose events came before this one.
        self.look_at_clock();
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
        let mut row = Model {
            id: id.uuid(),
            occurred_at: self.now().micros(),
            tenant_id: event.resource.tenant_id.map_or(Uuid::nil(), TenantId::uuid),
            partner_id: event.resource.partner_id.map_or(Uuid::nil(), PartnerId::uuid),
            actor_type: actor_type.to_owned(),
            actor_id,
            actor_session_id: event.by.session_id().map(|id| id.uuid()),
            acting_as: event.by.acting_as.to_owned(),
            action: event.action.as_str().to_owned(),
            resource_type: event.resource.kind.as_str().to_owned(),
            resource_id: event.resource.id,
            result: if event.failure.is_some() { "failure" } else { "success" }.to_owned(),
            failure: event.failure.map(str::to_owned),
            reason: reason.map(str::to_owned),
            changes: (!event.fields.is_empty()).then(|| event.fields.to_json()),
            ip_address: ctx.ip.map(|ip| ip.to_string()),
            user_agent: ctx.user_agent.as_deref().map(str::to_owned),
            request_id: ctx.request_id.as_deref().map(str::to_owned),
            tag: None,
            origin_digest: None,
            changes_digest: None,
        };
        row.tag = tag(self.mac()?, &row).map(Vec::from);
        Ok(row)
    }
}

/// A statement that changes a row, on SQLite, and one that writes the event if it did. By hand, as it is a part of every
/// refresh and always the same.
fn recorded_if_changed(mut row: Statement, event: Model) -> Statement {
    static INSERTION: LazyLock<String> = LazyLock::new(|| {
        let columns: Vec<_> = Column::iter().map(|column| column.as_str()).collect();
        format!("; INSERT INTO audit_events ({}) SELECT ", columns.join(", "))
    });
    // Placeholders of the builder have no numbers, ours have.
    let is_numbered = row.sql.contains("$1");
    let event = event.into_active_model();
    let mut values = row.values.take().map(|values| values.0).unwrap_or_default();
    row.sql.push_str(&INSERTION);
    for (at, column) in Column::iter().enumerate() {
        values.push(event.get(column).into_value().unwrap_or_else(|| Value::from(None::<String>)));
        row.sql.push_str(if at == 0 { "" } else { ", " });
        row.sql.push_str(&if is_numbered { format!("${}", values.len()) } else { "?".to_owned() });
    }
    row.sql.push_str(" WHERE changes() = 1");
    row.values = Some(Values(values));
    row
}

/// Two statements in one text. The placeholders of the builder have no numbers on SQLite, so the values just follow.
fn both(mut first: Statement, second: Statement) -> Statement {
    first.sql = format!("{}; {}", first.sql, second.sql);
    let values = [first.values.take(), second.values].into_iter().flatten().flat_map(|values| values.0).collect();
    first.values = Some(Values(values));
    first
}
