//! What retention does to the trail. It believes nothing that it has not verified: each seal that it removes, and each event
//! below, must be what Gatehouse made, and as old as they say.

use gatehouse_domain::{
    audit::{self, LEAST_RETENTION},
    authz::TenantRef,
    time::Timestamp,
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

use crate::{
    entity::{audit_event, audit_seal},
    error::{Error, Result},
    repo::{
        audit_chain::Chain,
        audit_seal::Seal,
        audit_tag::{Code, tag},
        sql::power_of_two,
        sweep::BATCH,
    },
    scope::system::WriteSystem,
};

/// Seals that retention removes at once at most.
const PURGED_SEALS: u64 = 100;

impl WriteSystem<'_> {
    /// Removes the oldest events of a tenant, or of none, as far as their seals cover nothing younger than an instant: some
    /// hundreds at a time, and nothing younger than any setting allows. The chain goes on from where it is cut. Returns how
    /// many.
    ///
    /// # Errors
    /// [`Error::Tampered`] when what would go is not what Gatehouse recorded: it is the evidence of that.
    pub async fn purge_audit_events(&self, tenant: Option<TenantRef>, before: Timestamp) -> Result<usize> {
        let id = tenant.map_or(Uuid::nil(), |tenant| tenant.id.uuid());
        let before = before.min(self.tx.now().minus(LEAST_RETENTION)).micros();
        if self.oldest_seals(id, before).await?.is_empty() {
            return Ok(0);
        }
        let Some(mut root) = self.hold_root(true).await? else { return Ok(0) };
        // Another process may have been there first; now nobody else is.
        let Some(chain) = self.chains(&[id]).await?.pop() else { return Ok(0) };
        let oldest = self.oldest_seals(id, before).await?;
        let Some(last) = oldest.last() else { return Ok(0) };
        self.verify_before_purge(&chain, &oldest, before).await?;
        let ids: Vec<_> = oldest.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let (db, events) = (self.tx.writing(), self.table::<audit_event::Entity>().delete());
        let events = events.filter(audit_event::Column::Id.is_in(power_of_two(&ids)));
        let removed = events.filter(audit_event::Column::TenantId.eq(id)).exec(&db).await?.rows_affected;
        let seals = self.table::<audit_seal::Entity>().delete().filter(audit_seal::Column::TenantId.eq(id));
        seals.filter(audit_seal::Column::Seq.lte(last.seq)).exec(&db).await?;
        let first_at = oldest.iter().map(|seal| seal.first_at).min().unwrap_or_default();
        let last_at = oldest.iter().map(|seal| seal.last_at).max().unwrap_or_default();
        root.least_kept = root.least_kept.min(self.tx.now().micros() - last_at);
        let cut = Chain { cut_seq: last.seq, cut_mac: last.mac, ..chain };
        self.put_chains(root, &mut [(chain, cut)]).await?;
        let span = (Timestamp::from_micros(first_at), Timestamp::from_micros(last_at));
        self.tx.record(audit::purged(tenant, self.by(), removed, span)).await?;
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }

    /// The oldest seals that are over with, with no more events than a batch has, but at least one.
    async fn oldest_seals(&self, tenant: Uuid, before: i64) -> Result<Vec<Seal>> {
        use audit_seal::Column;
        let oldest = self.table::<audit_seal::Entity>().select().filter(Column::TenantId.eq(tenant));
        let oldest = oldest.order_by_asc(Column::Seq).limit(PURGED_SEALS).into_model::<Seal>();
        let mut seals = Vec::new();
        let mut events = 0;
        for seal in oldest.all(&self.tx.exec()).await? {
            events += seal.ids.len();
            if seal.last_at >= before || events > BATCH && !seals.is_empty() {
                break;
            }
            seals.push(seal);
        }
        Ok(seals)
    }

    /// Whether these seals come right behind the cut of a chain, and their events are what was recorded, and that long ago.
    async fn verify_before_purge(&self, chain: &Chain, seals: &[Seal], before: i64) -> Result<()> {
        let mac = self.tx.mac()?;
        let ids: Vec<_> = seals.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let events: HashMap<_, _> = self.events(&ids).await?.into_iter().map(|event| (event.id, event)).collect();
        let code = |seal: &Seal, id: &Uuid| -> Option<Code> {
            let event = events.get(id).filter(|event| event.tenant_id == seal.tenant)?;
            let code = tag(mac, event)?;
            let is_in_time = (seal.first_at..=seal.last_at).contains(&event.occurred_at) && event.occurred_at < before;
            let is_own = seal.adopted || event.tag.as_deref() == Some(&code);
            (is_in_time && is_own).then_some(code)
        };
        let mut end = (chain.cut_seq, chain.cut_mac);
        for seal in seals {
            let codes: Option<Vec<_>> = seal.ids.iter().map(|id| code(seal, id)).collect();
            let is_next = seal.seq == end.0.wrapping_add(1) && seal.seq <= chain.seq;
            if !is_next || codes.is_none_or(|codes| seal.code(mac, &end.1, &codes) != seal.mac) {
                return Err(Error::Tampered(format!("the seal {} of {}, or below it", seal.seq, seal.tenant)));
            }
            end = (seal.seq, seal.mac);
        }
        Ok(())
    }
}
