//! How long evidence is kept.

use std::time::Duration;

use gatehouse_domain::{
    audit::Fields,
    authz::{By, TenantRef},
    settings::{Evidence, Promise, Word, retention_shortened},
    time::Timestamp,
};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    repo::{Home, list::unsigned, sql::Sql},
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
        let mut sql = Sql::new("SELECT evidence, kept_micros, until FROM retention_promises WHERE tenant_id = ");
        sql.bind(trail(tenant));
        let rows = sql.all(self.exec).await?;
        let read = |row: &QueryResult| {
            let evidence: String = row.try_get("", "evidence")?;
            Ok(Promise {
                evidence: Evidence::from_word(&evidence).map_err(|_| Error::Corrupt("evidence"))?,
                kept: Duration::from_micros(unsigned(row.try_get("", "kept_micros")?)),
                until: Timestamp::from_micros(row.try_get("", "until")?),
            })
        };
        rows.iter().map(read).collect()
    }
}

impl WriteSystem<'_> {
    /// Promises something about the evidence of a tenant, or of none, or for longer; what stands no more is removed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn promise_retention(&self, tenant: Option<TenantRef>, promises: &[Promise]) -> Result<()> {
        let id = trail(tenant);
        for promise in promises {
            let kept = i64::try_from(promise.kept.as_micros()).unwrap_or(i64::MAX);
            let mut sql = Sql::new("INSERT INTO retention_promises (tenant_id, evidence, kept_micros, until) VALUES (");
            sql.bind(id).push(", ").bind(promise.evidence.as_str()).push(", ").bind(kept).push(", ");
            sql.bind(promise.until.micros()).push(") ON CONFLICT (tenant_id, evidence, kept_micros) DO UPDATE ");
            sql.push("SET until = excluded.until WHERE retention_promises.until < excluded.until");
            self.execute(sql).await?;
        }
        let mut sql = Sql::new("DELETE FROM retention_promises WHERE tenant_id = ");
        sql.bind(id).push(" AND until <= ").bind(self.tx.now().micros());
        self.execute(sql).await.map(drop)
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
