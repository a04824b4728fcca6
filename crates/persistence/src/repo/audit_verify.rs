//! Checking the audit trail: every seal against the one before it and against the events it covers, every event against
//! its tag, and the ends of all chains against the root. A few seals at a time, beside a running server.

use std::collections::HashMap;

use gatehouse_domain::{
    audit::{Damage, Finding, LEAST_RETENTION, TrailRoot, Verification},
    authz::SystemReason,
    id::{AuditEventId, TenantId},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect};
use uuid::Uuid;

use crate::{
    db::{Db, mac::Mac, trigger::changed_triggers},
    entity::{
        audit_chain,
        audit_event::{Column, Entity, Model},
        audit_seal,
    },
    error::Result,
    repo::{
        audit_chain::{Chain, Sum, contribute},
        audit_root::Root,
        audit_seal::Seal,
        audit_tag::{Code, tag},
        sql::power_of_two,
    },
    scope::{Scope, system::System},
};

/// Seals that are checked at once.
const SEALS: u64 = 16;
/// Rows that are read at once.
pub(crate) const ROWS: usize = 500;
/// How often the ends are added up before giving in to a server that keeps moving them.
const ROUNDS: usize = 10;

impl Db {
    /// Where the trail has come; none where that is not what Gatehouse left.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn trail_root(&self) -> Result<Option<TrailRoot>> {
        let (root, mac) = (self.system(SystemReason::Job).root().await?, self.mac()?);
        Ok(root.filter(|root| root.is_sound(mac)).map(|root| root.noted()))
    }

    /// Checks the trail of one tenant, or everything, as it is `now`. `least` is a root that the trail is known to have had.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn verify_audit(
        &self,
        why: SystemReason,
        only: Option<TenantId>,
        least: Option<TrailRoot>,
        now: Timestamp,
    ) -> Result<Verification> {
        Check { system: &self.system(why), mac: self.mac()? }.verify(only, least, now).await
    }
}

pub(crate) struct Check<'c> {
    pub system: &'c System<'c>,
    pub mac: &'c Mac,
}

pub(crate) fn tenant(id: Uuid) -> Option<TenantId> {
    (!id.is_nil()).then(|| TenantId::from_uuid(id))
}

impl Scope<'_> {
    /// Events by their ids, but for what cannot be read: that is no event.
    pub(crate) async fn events(&self, ids: &[Uuid]) -> Result<Vec<Model>> {
        let rows = self.select::<Entity>().filter(Column::Id.is_in(power_of_two(ids)));
        let rows = rows.into_model::<Readable>().all(&self.exec).await?;
        Ok(rows.into_iter().filter_map(|Readable(event)| event).collect())
    }
}

/// An event, if it can be read.
struct Readable(Option<Model>);

impl FromQueryResult for Readable {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self(Model::from_query_result(row, prefix).ok()))
    }
}

impl System<'_> {
    /// The ends of chains, in the order of tenants.
    pub(crate) async fn chains_after(&self, last: Option<Uuid>) -> Result<Vec<Chain>> {
        use audit_chain::Column;
        let mut chains = self.table::<audit_chain::Entity>().select().order_by_asc(Column::TenantId);
        if let Some(last) = last {
            chains = chains.filter(Column::TenantId.gt(last));
        }
        Ok(chains.limit(ROWS as u64).into_model().all(&self.exec).await?)
    }
}

impl Check<'_> {
    /// Checks the trail of one tenant, or everything.
    pub(crate) async fn verify(
        &self,
        only: Option<TenantId>,
        least: Option<TrailRoot>,
        now: Timestamp,
    ) -> Result<Verification> {
        let mut report = Verification::default();
        for trigger in changed_triggers(self.system.exec).await? {
            report.found(Finding { trigger: Some(trigger), ..Finding::new(Damage::TriggerChanged) });
        }
        self.root(least, &mut report).await?;
        self.acceptances(&mut report).await?;
        let mut next = match only {
            Some(only) => Some(only.uuid()),
            None => self.tenant_behind(None).await?,
        };
        while let Some(id) = next {
            if let Some(chain) = self.chain_of(id).await? {
                report.chains += 1;
                self.chain(chain, &mut report).await?;
            }
            self.surplus(id, &mut report).await?;
            next = if only.is_some() { None } else { self.tenant_behind(Some(id)).await? };
        }
        self.queue(only, now, &mut report).await?;
        Ok(report)
    }

    async fn chain_of(&self, tenant: Uuid) -> Result<Option<Chain>> {
        let chain = self.system.table::<audit_chain::Entity>().select();
        let chain = chain.filter(audit_chain::Column::TenantId.eq(tenant));
        Ok(chain.into_model().one(&self.system.exec).await?)
    }

    /// Whether the ends of all chains are those that the root stands for, and the root is where its history leads.
    async fn root(&self, least: Option<TrailRoot>, report: &mut Verification) -> Result<()> {
        let read = async || self.system.root().await;
        let mut equal = false;
        for _ in 0..ROUNDS {
            let Some(root) = read().await? else { break };
            let Some(signer) = root.signer(self.mac) else { break };
            report.root = Some(root.noted());
            let mut sum = Sum::default();
            let mut last = None;
            loop {
                let chains = self.system.chains_after(last).await?;
                let Some(end) = chains.last().map(|chain| chain.tenant).filter(|end| last < Some(*end)) else { break };
                last = Some(end);
                chains.iter().for_each(|chain| contribute(&mut sum, &chain.contribution(self.mac, signer), true));
            }
            equal = sum == root.sum;
            if equal || read().await?.is_some_and(|now| now.version == root.version) {
                break;
            }
        }
        if !equal {
            report.found(Finding::new(Damage::RootChanged));
        }
        match read().await?.filter(|root| root.is_sound(self.mac)) {
            Some(root) => self.history(root, least, report).await?,
            None if least.is_some() => report.found(Finding::new(Damage::TurnedBack)),
            None => {}
        }
        Ok(())
    }

    /// Whether every root follows the one before, up to the one that is there, and whether one of them is known.
    async fn history(&self, root: Root, least: Option<TrailRoot>, report: &mut Verification) -> Result<()> {
        let found = |damage, version| Finding { version: Some(version), ..Finding::new(damage) };
        if u128::try_from(root.least_kept).is_ok_and(|kept| kept < LEAST_RETENTION.as_micros()) {
            report.found(found(Damage::CutTooEarly, root.version));
        }
        let mut first = root.cut;
        let mut at = root.cut;
        let mut is_known = least.is_none_or(|least| (least.version, least.mac) == at);
        while at.0 < root.version {
            let mut rows = self.system.past_roots(at.0, ROWS).await?;
            rows.retain(|past| past.version <= root.version);
            if rows.first().is_none_or(|past| past.version != at.0.wrapping_add(1)) {
                // Retention may have been here meanwhile.
                let now = self.system.root().await?.filter(|now| now.is_sound(self.mac));
                if let Some(now) = now.filter(|now| now.cut.0 > at.0) {
                    (first, at) = (now.cut, now.cut);
                    continue;
                }
            }
            if rows.is_empty() {
                report.found(found(Damage::HistoryChanged, at.0.wrapping_add(1)));
                break;
            }
            for past in rows {
                if !past.follows(self.mac, at) {
                    report.found(found(Damage::HistoryChanged, past.version));
                }
                at = (past.version, past.mac);
                is_known |= least.is_some_and(|least| (least.version, least.mac) == at);
            }
        }
        if at.0 >= root.version && at.1 != root.mac {
            report.found(found(Damage::HistoryChanged, root.version));
        }
        if let Some(least) = least.filter(|_| !is_known) {
            let damage = if least.version < first.0 { Damage::RootForgotten } else { Damage::TurnedBack };
            report.found(found(damage, least.version));
        }
        for past in self.roots_of_no_history().await? {
            report.found(found(Damage::HistoryChanged, past.version));
        }
        Ok(())
    }

    /// Whether the seals of a chain are all there, and the events that they cover.
    async fn chain(&self, mut chain: Chain, report: &mut Verification) -> Result<()> {
        let tenant_id = tenant(chain.tenant);
        let found = |damage, seal| Finding { tenant_id, seal, ..Finding::new(damage) };
        if !chain.is_sound(self.mac) {
            report.found(found(Damage::ChainChanged, None));
        }
        // What comes behind this is the server's, that goes on.
        let end = chain.seq;
        let (mut at, mut before) = (chain.cut_seq, Some(chain.cut_mac));
        while at < end {
            let seals = self.seals(chain.tenant, at, end).await?;
            let tags = self.tags(&seals, report).await?;
            if seals.first().is_none_or(|seal| seal.seq != at + 1) || tags.has_gaps() {
                // Retention may have been here meanwhile.
                let now = self.chain_of(chain.tenant).await?.unwrap_or(chain);
                if now.cut_seq > at {
                    (chain, at, before) = (now, now.cut_seq, Some(now.cut_mac));
                    continue;
                }
            }
            if seals.is_empty() {
                (at + 1..=end).take(Verification::NAMED_MAX).for_each(|seq| {
                    report.found(found(Damage::SealMissing, Some(seq)));
                });
                return Ok(());
            }
            for seal in seals {
                for seq in (at + 1..seal.seq).take(Verification::NAMED_MAX) {
                    report.found(found(Damage::SealMissing, Some(seq)));
                    before = None;
                }
                self.seal(&seal, before, &tags, report);
                (at, before) = (seal.seq, Some(seal.mac));
            }
        }
        if before.is_some_and(|mac| at == end && mac != chain.mac && chain.seq == end) {
            report.found(found(Damage::ChainChanged, Some(end)));
        }
        Ok(())
    }

    /// The next seals behind one.
    async fn seals(&self, tenant: Uuid, behind: i64, end: i64) -> Result<Vec<Seal>> {
        use audit_seal::Column;
        let seals = self.system.table::<audit_seal::Entity>().select().filter(Column::TenantId.eq(tenant));
        let seals = seals.filter(Column::Seq.gt(behind)).filter(Column::Seq.lte(end)).order_by_asc(Column::Seq);
        Ok(seals.limit(SEALS).into_model().all(&self.system.exec).await?)
    }

    /// What the events of some seals look like.
    async fn tags(&self, seals: &[Seal], report: &mut Verification) -> Result<Tags> {
        let ids: Vec<_> = seals.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let mut tags = Tags { of: HashMap::new(), asked: ids.len() };
        for ids in ids.chunks(ROWS) {
            for row in self.system.events(ids).await? {
                let at = Timestamp::from_micros(row.occurred_at);
                report.oldest = Some(report.oldest.map_or(at, |oldest| Ord::min(oldest, at)));
                let expected = tag(self.mac, &row);
                let held = row.tag.as_ref().map(|tag| Code::try_from(tag.as_slice()).unwrap_or_default());
                let is_redacted = row.origin_digest.is_some() || row.changes_digest.is_some();
                tags.of.insert(row.id, Seen { tenant: row.tenant_id, expected, held, is_redacted });
            }
        }
        Ok(tags)
    }

    fn seal(&self, seal: &Seal, before: Option<Code>, tags: &Tags, report: &mut Verification) {
        let wrong = |damage, event: Option<Uuid>| Finding {
            tenant_id: tenant(seal.tenant),
            seal: Some(seal.seq),
            event_id: event.map(AuditEventId::from_uuid),
            ..Finding::new(damage)
        };
        report.seals += 1;
        report.events += seal.ids.len() as u64;
        // The seal is over the tags as they were; an event that was changed keeps the one it had.
        let (mut codes, mut is_whole) = (Vec::new(), true);
        for id in &seal.ids {
            let Some(seen) = tags.of.get(id).filter(|seen| seen.tenant == seal.tenant) else {
                report.found(wrong(Damage::EventMissing, Some(*id)));
                is_whole = false;
                continue;
            };
            report.redacted += u64::from(seen.is_redacted);
            report.adopted += u64::from(seal.adopted);
            if !seal.adopted && (seen.expected.is_none() || seen.held != seen.expected) {
                report.found(wrong(Damage::EventChanged, Some(*id)));
            }
            codes.push(if seal.adopted { seen.expected } else { seen.held }.unwrap_or_default());
        }
        if let Some(before) = before.filter(|_| is_whole)
            && seal.code(self.mac, &before, &codes) != seal.mac
        {
            report.found(wrong(Damage::SealChanged, None));
        }
    }
}

/// An event as it is.
struct Seen {
    tenant: Uuid,
    expected: Option<Code>,
    held: Option<Code>,
    is_redacted: bool,
}

/// Events by id.
struct Tags {
    of: HashMap<Uuid, Seen>,
    asked: usize,
}

impl Tags {
    fn has_gaps(&self) -> bool {
        self.of.len() < self.asked
    }
}
