//! Periodic work on many rows, in batches that never hold the database for long.

use std::collections::BTreeMap;

use gatehouse_domain::{
    authz::TenantRef,
    id::{PartnerId, TenantId},
    session,
    time::Timestamp,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, ExprTrait, IntoSimpleExpr, QueryFilter, QueryResult, QuerySelect, QueryTrait,
    sea_query::Query,
};

use crate::{
    entity::{
        session::{Column, Entity as Session},
        session_end, session_hour, throttle,
    },
    error::Result,
    scope::system::WriteSystem,
};

/// Rows that one batch touches at most.
pub const BATCH: usize = 500;
/// How long statistics by the hour are kept: a day longer than they are shown.
const HOURS_KEPT: i64 = 8 * 24;

/// The tenant of a row, and its partner.
fn tenant_of(row: &QueryResult) -> Result<TenantRef> {
    let (id, partner) = (row.try_get("", "tenant_id")?, row.try_get("", "partner_id")?);
    Ok(TenantRef { id: TenantId::from_uuid(id), partner_id: PartnerId::from_uuid(partner) })
}

/// How often each tenant is among these.
pub(crate) fn by_tenant(tenants: impl IntoIterator<Item = TenantRef>) -> impl Iterator<Item = (TenantRef, u64)> {
    let mut counts = BTreeMap::new();
    for tenant in tenants {
        counts.entry(tenant.id).or_insert((tenant, 0)).1 += 1;
    }
    counts.into_values()
}

impl WriteSystem<'_> {
    /// Removes sessions of a tenant that ended before an instant, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_sessions(&self, tenant: TenantRef, ended_before: Timestamp) -> Result<usize> {
        let old = self.select_even_deleted::<Session>().filter(Column::EndedAt.is_not_null());
        let old = old.filter(Column::TenantId.eq(tenant.id.uuid())).filter(Column::EndedAt.lt(ended_before.micros()));
        let old = old.select_only().column(Column::Id).limit(BATCH as u64).into_query();
        let mut removed = self.table::<Session>().delete().filter(Column::Id.in_subquery(old)).into_query();
        removed.returning(Query::returning().columns([Column::TenantId, Column::PartnerId]));
        let rows = self.tx.writing().query_all(&removed).await?;
        for (tenant, count) in by_tenant(rows.iter().map(tenant_of).collect::<Result<Vec<_>>>()?) {
            self.tx.record(session::purged(tenant, self.by(), count)).await?;
        }
        Ok(rows.len())
    }

    /// Removes statistics by the hour that are shown no more.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_hours(&self, tenant: TenantRef) -> Result<()> {
        let oldest = self.tx.now().hour() - HOURS_KEPT;
        let (id, db) = (tenant.id.uuid(), self.tx.writing());
        let hours = self.table::<session_hour::Entity>().delete().filter(session_hour::Column::Total.eq(0));
        let hours = hours.filter(session_hour::Column::TenantId.eq(id)).filter(session_hour::Column::Hour.lt(oldest));
        hours.exec(&db).await?;
        let ends = self.table::<session_end::Entity>().delete().filter(session_end::Column::TenantId.eq(id));
        ends.filter(session_end::Column::Hour.lt(oldest)).exec(&db).await?;
        Ok(())
    }

    /// Removes counters that have been kept for as long as they are of use, at most [`BATCH`]; returns how many.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn purge_throttles(&self) -> Result<usize> {
        use throttle::Column;
        let kept_until = Column::UpdatedAt.into_simple_expr().add(Column::Kept.into_simple_expr());
        let old = self.table::<throttle::Entity>().select().filter(kept_until.lt(self.tx.now().micros()));
        let old = old.select_only().column(Column::Key).limit(BATCH as u64).into_query();
        let removed = self.table::<throttle::Entity>().delete().filter(Column::Key.in_subquery(old));
        Ok(usize::try_from(removed.exec(&self.tx.writing()).await?.rows_affected).unwrap_or(usize::MAX))
    }
}
