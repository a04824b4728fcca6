//! How long evidence is kept.

use std::time::Duration;

use gatehouse_domain::{
    audit::Fields,
    authz::{By, TenantRef},
    settings::{Promise, retention_shortened},
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    entity::retention_promise::{Column, Entity, Model},
    error::Result,
    repo::{Home, list::unsigned, word},
    scope::{
        WriteScope,
        system::{System, WriteSystem},
    },
};

fn trail(tenant: Option<TenantRef>) -> Uuid {
    tenant.map_or(Uuid::nil(), |tenant| tenant.id.uuid())
}

impl System<'_> {
    /// What was promised about the evidence of a tenant, or of none.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn retention_promises(&self, tenant: Option<TenantRef>) -> Result<Vec<Promise>> {
        let promises = self.table::<Entity>().select().filter(Column::TenantId.eq(trail(tenant)));
        let read = |row: Model| {
            Ok(Promise {
                evidence: word(&row.evidence, "evidence")?,
                kept: Duration::from_micros(unsigned(row.kept_micros)),
                until: Timestamp::from_micros(row.until),
            })
        };
        promises.all(&self.exec).await?.into_iter().map(read).collect()
    }
}

impl WriteSystem<'_> {
    /// Promises something about the evidence of a tenant, or of none, or for longer; what stands no more is removed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn promise_retention(&self, tenant: Option<TenantRef>, promises: &[Promise]) -> Result<()> {
        let (id, db) = (trail(tenant), self.tx.writing());
        for promise in promises {
            let row = Model {
                tenant_id: id,
                evidence: promise.evidence.to_string(),
                kept_micros: i64::try_from(promise.kept.as_micros()).unwrap_or(i64::MAX),
                until: promise.until.micros(),
            };
            let is_longer = Expr::col((Entity, Column::Until)).lt(Expr::col(("excluded", Column::Until)));
            let known = OnConflict::columns([Column::TenantId, Column::Evidence, Column::KeptMicros])
                .update_column(Column::Until)
                .action_and_where(is_longer)
                .to_owned();
            self.table::<Entity>().insert(row).on_conflict(known).exec_without_returning(&db).await?;
        }
        let over = Column::Until.lte(self.tx.now().micros());
        self.table::<Entity>().delete().filter(Column::TenantId.eq(id)).filter(over).exec(&db).await?;
        Ok(())
    }
}

impl WriteScope<'_> {
    /// Records that a tenant keeps something for a shorter time, where it outlives what the tenant keeps.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn note_shorter_retention(&self, tenant: TenantRef, shortened: Fields, by: By) -> Result<()> {
        self.guard(&Home { partner: tenant.partner_id, tenant: Some(tenant.id), user: None })?;
        self.tx.record(retention_shortened(tenant, shortened, by)).await
    }
}
