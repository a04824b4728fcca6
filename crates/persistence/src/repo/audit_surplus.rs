//! What is in the trail beyond what belongs there: seals of no chain, and events under no seal that wait for none.

use std::collections::HashSet;

use gatehouse_domain::{
    audit::{Damage, Finding, Verification},
    id::AuditEventId,
};
use uuid::Uuid;

use crate::{
    error::Result,
    repo::{
        audit_chain::{number, uuid},
        audit_seal::{Seal, day},
        audit_verify::{Check, ROWS, tenant},
        sql::Sql,
    },
};

const DAY: i64 = gatehouse_domain::time::DAY.as_micros() as i64;

impl Check<'_> {
    /// The first tenant behind another one for which there is anything.
    pub(crate) async fn tenant_behind(&self, last: Option<Uuid>) -> Result<Option<Uuid>> {
        let mut sql = Sql::new("SELECT tenant_id FROM (");
        for (i, table) in ["audit_chains", "audit_seals", "audit_events"].into_iter().enumerate() {
            sql.push(if i == 0 { "" } else { " UNION ALL " }).push("SELECT * FROM (SELECT tenant_id FROM ").push(table);
            sql.push(" WHERE tenant_id ").push(if last.is_some() { "> " } else { ">= " });
            sql.bind(last.unwrap_or_default()).push(" ORDER BY tenant_id LIMIT 1) first_");
            sql.push(table);
        }
        sql.push(") tenants ORDER BY tenant_id LIMIT 1");
        let next = self.rows(sql).await?.first().map(|row| uuid(row, "tenant_id"));
        Ok(next.filter(|next| last.is_none_or(|last| *next > last)))
    }

    /// Names the seals of a tenant that are outside of its chain, and its events that no seal of the chain covers and that wait
    /// for none.
    pub(crate) async fn surplus(&self, id: Uuid, report: &mut Verification) -> Result<()> {
        let mut sql = Sql::default();
        for (i, (beyond, none)) in [("s.seq <= ", "cut_seq"), ("s.seq > ", "seq")].into_iter().enumerate() {
            sql.push(if i == 0 { "" } else { " UNION ALL " })
                .push("SELECT s.seq FROM audit_seals s WHERE s.tenant_id = ");
            sql.bind(id).push(" AND ").push(beyond).push("COALESCE((SELECT c.").push(none);
            sql.push(" FROM audit_chains c WHERE c.tenant_id = ").bind(id).push("), 0)");
        }
        sql.push(" LIMIT ").bind(Verification::NAMED_MAX as i64);
        for row in self.rows(sql).await? {
            let seal = Some(number(&row, "seq"));
            report.found(Finding { tenant_id: tenant(id), seal, ..Finding::new(Damage::SealUnknown) });
        }
        self.unsealed(id, report).await
    }

    async fn unsealed(&self, id: Uuid, report: &mut Verification) -> Result<()> {
        let mut last: Option<(i64, Uuid)> = None;
        loop {
            let mut sql = Sql::new("SELECT e.id, e.occurred_at, q.event_id FROM audit_events e ");
            sql.push("LEFT JOIN audit_unsealed q ON q.event_id = e.id WHERE e.tenant_id = ").bind(id);
            if let Some((at, id)) = last {
                sql.push(" AND (e.occurred_at, e.id) > (").bind(at).push(", ").bind(id).push(")");
            }
            sql.push(" ORDER BY e.occurred_at, e.id LIMIT ").bind(ROWS as i64);
            let page: Vec<_> = self
                .rows(sql)
                .await?
                .iter()
                .map(|row| {
                    (
                        number(row, "occurred_at"),
                        uuid(row, "id"),
                        row.try_get::<Option<Uuid>>("", "event_id").ok().flatten().is_some(),
                    )
                })
                .collect();
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

    async fn is_there(&self, event: Uuid) -> Result<bool> {
        let mut sql = Sql::new("SELECT e.id FROM audit_events e WHERE e.id = ");
        sql.bind(event);
        // One whose id cannot be read is not found by it.
        Ok(event.is_max() || !self.rows(sql).await?.is_empty())
    }

    /// The events under the seals of a chain which cover something between two instants.
    async fn covered(&self, id: Uuid, first_at: i64, last_at: i64) -> Result<HashSet<Uuid>> {
        let mut sql = Sql::new("SELECT s.* FROM audit_seals s JOIN audit_chains c ON c.tenant_id = s.tenant_id ");
        sql.push("WHERE s.tenant_id = ").bind(id).push(" AND s.seq > c.cut_seq AND s.seq <= c.seq AND s.last_at >= ");
        sql.bind(first_at).push(" AND s.last_at < ").bind(day(last_at).saturating_add(1).saturating_mul(DAY));
        sql.push(" AND s.first_at <= ").bind(last_at);
        Ok(self.rows(sql).await?.iter().flat_map(|row| Seal::read(row).ids).collect())
    }
}
