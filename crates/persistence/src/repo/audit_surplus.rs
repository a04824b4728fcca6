//! What is in the trail beyond what belongs there: seals of no chain, and events under no seal that wait for none.

use std::collections::HashSet;

use gatehouse_domain::{
    audit::{Damage, Finding, Verification},
    id::AuditEventId,
};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, ExprTrait, FromQueryResult, IntoSimpleExpr, JoinType, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    entity::{audit_chain, audit_event, audit_seal, audit_unsealed},
    error::Result,
    repo::{
        audit_chain::{number, uuid},
        audit_seal::{Seal, day},
        audit_verify::{Check, ROWS, tenant},
        exists,
    },
};

const DAY: i64 = gatehouse_domain::time::DAY.as_micros() as i64;

impl Check<'_> {
    /// Names the seals of a tenant that are outside of its chain, and its events that no seal of the chain covers and that wait
    /// for none.
    pub(crate) async fn surplus(&self, id: Uuid, report: &mut Verification) -> Result<()> {
        for seal in self.seals_of_no_chain(id, Verification::NAMED_MAX).await? {
            report.found(Finding { tenant_id: tenant(id), seal: Some(seal), ..Finding::new(Damage::SealUnknown) });
        }
        self.unsealed(id, report).await
    }

    async fn unsealed(&self, id: Uuid, report: &mut Verification) -> Result<()> {
        let mut last: Option<(i64, Uuid)> = None;
        loop {
            let page = self.events_behind(id, last).await?;
            let (Some((first_at, ..)), Some((end_at, end, _))) = (page.first(), page.last()) else { return Ok(()) };
            let covered = self.covered(id, *first_at, *end_at).await?;
            for (_, event, _) in page.iter().filter(|(_, event, waits)| !waits && !covered.contains(event)) {
                // Retention may have been here meanwhile.
                if self.is_there(*event).await? {
                    let event_id = Some(AuditEventId::from_uuid(*event));
                    report.found(Finding { tenant_id: tenant(id), event_id, ..Finding::new(Damage::EventUnsealed) });
                }
            }
            // What cannot be read is in no order.
            if last.is_some_and(|last| (*end_at, *end) <= last) {
                return Ok(());
            }
            last = Some((*end_at, *end));
        }
    }

    /// The next events of a tenant, and whether each waits for a seal.
    pub(crate) async fn events_behind(
        &self,
        tenant: Uuid,
        last: Option<(i64, Uuid)>,
    ) -> Result<Vec<(i64, Uuid, bool)>> {
        use audit_event::Column;
        let waiting = audit_event::Entity::belongs_to(audit_unsealed::Entity)
            .from(Column::Id)
            .to(audit_unsealed::Column::EventId)
            .into();
        let mut events = self.system.table::<audit_event::Entity>().select().select_only();
        events = events.columns([Column::Id, Column::OccurredAt]).column(audit_unsealed::Column::EventId);
        events = events.join(JoinType::LeftJoin, waiting).filter(Column::TenantId.eq(tenant));
        if let Some((at, id)) = last {
            let place = Expr::tuple([Column::OccurredAt.into_simple_expr(), Column::Id.into_simple_expr()]);
            events = events.filter(place.gt(Expr::tuple([Expr::val(at), Expr::val(id)])));
        }
        let events = events.order_by_asc(Column::OccurredAt).order_by_asc(Column::Id).limit(ROWS as u64);
        let rows = events.into_model::<Event>().all(&self.system.exec).await?;
        Ok(rows.into_iter().map(|Event(event)| event).collect())
    }

    async fn is_there(&self, event: Uuid) -> Result<bool> {
        let found = self.system.table::<audit_event::Entity>().select().filter(audit_event::Column::Id.eq(event));
        // One whose id cannot be read is not found by it.
        Ok(event.is_max() || exists(found, self.system.exec).await?)
    }

    /// The events under the seals of a chain which cover something between two instants.
    async fn covered(&self, id: Uuid, first_at: i64, last_at: i64) -> Result<HashSet<Uuid>> {
        use audit_seal::Column;
        let chain = audit_seal::Entity::belongs_to(audit_chain::Entity)
            .from(Column::TenantId)
            .to(audit_chain::Column::TenantId)
            .into();
        let seals = self.system.table::<audit_seal::Entity>().select().join(JoinType::InnerJoin, chain);
        let seals = seals
            .filter(Column::TenantId.eq(id))
            .filter(Column::Seq.into_expr().gt(audit_chain::Column::CutSeq.into_expr()))
            .filter(Column::Seq.into_expr().lte(audit_chain::Column::Seq.into_expr()))
            .filter(Column::LastAt.gte(first_at))
            .filter(Column::LastAt.lt(day(last_at).saturating_add(1).saturating_mul(DAY)))
            .filter(Column::FirstAt.lte(last_at));
        let seals = seals.into_model::<Seal>().all(&self.system.exec).await?;
        Ok(seals.into_iter().flat_map(|seal| seal.ids).collect())
    }
}

/// When an event happened, its id, and whether it waits for a seal.
struct Event((i64, Uuid, bool));

impl FromQueryResult for Event {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let waits = row.try_get::<Option<Uuid>>("", "event_id").ok().flatten().is_some();
        Ok(Self((number(row, "occurred_at"), uuid(row, "id"), waits)))
    }
}
