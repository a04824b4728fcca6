//! The audit trail.

use gatehouse_domain::{
    audit::Event,
    authz::{ActorId, ByWhom},
    id::{PartnerId, TenantId},
};
use sea_orm::{
    ConnectionTrait, DbBackend, Iterable, ModelTrait, QueryTrait, Statement,
    sea_query::{Expr, Query},
};
use uuid::Uuid;

use crate::{
    db::{Batch, WriteTx},
    entity::audit_event::{Column, Entity, Model},
    error::{Error, Result},
    repo::audit_tag::tag,
};

impl WriteTx<'_> {
    /// Writes an event into the trail.
    pub(crate) async fn record(&self, event: Event) -> Result<()> {
        self.record_all([event]).await
    }

    /// Writes several events into the trail, by one statement.
    pub(crate) async fn record_all(&self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        self.writing().execute_raw(self.recording(events)?).await?;
        Ok(())
    }

    /// Inserts a row and writes its event into the trail.
    pub(crate) async fn insert(&self, row: Statement, event: Event) -> Result<()> {
        self.insert_many(row, [event]).await
    }

    /// The same for several rows.
    pub(crate) async fn insert_many(&self, row: Statement, events: impl IntoIterator<Item = Event>) -> Result<()> {
        Batch([row, self.recording(events)?]).exec(self.writing()).await.map(drop)
    }

    /// Changes one row and writes its event into the trail, if it is for the trail; false, and no event, when the row is
    /// not what the statement asks for.
    pub(crate) async fn update(&self, row: Statement, event: impl Into<Option<Event>>) -> Result<bool> {
        let (db, event) = (self.writing(), event.into());
        if let (DbBackend::Sqlite, Some(event)) = (row.db_backend, &event) {
            return Ok(Batch([row, self.recording_a_change(event)?]).exec(db).await? > 0);
        }
        let found = db.execute_raw(row).await?.rows_affected() > 0;
        if let (true, Some(event)) = (found, event) {
            self.record(event).await?;
        }
        Ok(found)
    }

    fn recording(&self, events: impl IntoIterator<Item = Event>) -> Result<Statement> {
        let rows = events.into_iter().map(|event| self.row(&event)).collect::<Result<Vec<_>>>()?;
        Ok(self.table::<Entity>().insert_many(rows).build(self.exec().get_database_backend()))
    }

    /// The insertion of an event on SQLite, if the statement before it changed a row.
    pub(crate) fn recording_a_change(&self, event: &Event) -> Result<Statement> {
        let row = self.row(event)?;
        let mut values = Query::select();
        values.exprs(Column::iter().map(|column| Expr::val(row.get(column)))).and_where(Expr::cust("changes() = 1"));
        let mut insert = Query::insert();
        insert.into_table(Entity).columns(Column::iter()).select_from(values).map_err(|_| Error::Corrupt("event"))?;
        Ok(DbBackend::Sqlite.build(&insert))
    }

    fn row(&self, event: &Event) -> Result<Model> {
        // The change may have waited for others, whose events came before this one.
        self.look_at_clock();
        let ctx = self.ctx();
        let (actor_type, actor_id) = match event.by.whom {
            ByWhom::User(id, _) => (ActorId::USER, Some(id.uuid())),
            ByWhom::Application(id) => (ActorId::APPLICATION, Some(id.uuid())),
            ByWhom::System(_) => ("system", None),
        };
        let reason = match event.by.whom {
            ByWhom::System(reason) => event.reason.or(Some(reason.as_str())),
            ByWhom::User(..) | ByWhom::Application(_) => event.reason,
        };
        let mut row = Model {
            id: self.event_id()?.uuid(),
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
