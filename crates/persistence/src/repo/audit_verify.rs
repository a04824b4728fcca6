//! Checking the audit trail: every seal against the one before it and against the events it covers, every event against
//! its tag, and the ends of all chains against the root. A few seals at a time, beside a running server.

use std::collections::{HashMap, HashSet};

use gatehouse_domain::{
    audit::{Damage, Finding, Verification},
    authz::SystemReason,
    id::{AuditEventId, TenantId},
    time::Timestamp,
};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use uuid::Uuid;

use crate::{
    db::{Db, mac::Mac},
    entity::audit_event::Model,
    error::{Error, Result},
    repo::{
        audit_chain::{Chain, Root, Sum, contribute},
        audit_seal::Seal,
        audit_tag::{Code, tag},
        list::unsigned,
        sql::{AUDIT_EVENT, Sql, power_of_two},
    },
    scope::system::System,
};

/// Seals that are checked at once.
const SEALS: i64 = 16;
/// Rows that are read at once.
const ROWS: usize = 500;
/// How often the ends are added up before giving in to a server that keeps moving them.
const ROUNDS: usize = 10;

impl Db {
    /// Checks the trail of one tenant, or everything. `least` is a version that the trail is known to have had.
    ///
    /// # Errors
    /// As any statement.
    pub async fn verify_audit(&self, why: SystemReason, only: Option<TenantId>, least: i64) -> Result<Verification> {
        let check = Check { system: self.system(why), mac: self.mac()? };
        let mut report = Verification::default();
        check.root(least, &mut report).await?;
        let mut surplus = 0;
        let mut last = None;
        loop {
            let chains = check.chains_after(last).await?;
            let Some(end) = chains.last() else { break };
            last = Some(end.tenant);
            for chain in chains.into_iter().filter(|chain| only.is_none_or(|id| id.uuid() == chain.tenant)) {
                report.chains += 1;
                check.chain(chain, &mut report).await?;
                surplus += check.surplus(chain.tenant, &mut report).await?;
            }
        }
        // Events of a tenant that has no chain are in the count of all.
        let total = check.count(only.map(TenantId::uuid)).await?;
        report.unsealed = total.waiting;
        let count = total.events - total.sealed - unsigned_to_signed(total.waiting);
        if report.damages == 0 && count > surplus {
            report.found(Finding { damage: Damage::EventUnsealed, tenant_id: only, seal: None, event_id: None });
        }
        Ok(report)
    }
}

fn unsigned_to_signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

struct Check<'c> {
    system: System<'c>,
    mac: &'c Mac,
}

/// How many events there are, and how many there should be.
struct Count {
    events: i64,
    sealed: i64,
    waiting: u64,
}

fn tenant(id: Uuid) -> Option<TenantId> {
    (!id.is_nil()).then(|| TenantId::from_uuid(id))
}

impl Check<'_> {
    async fn rows(&self, sql: Sql) -> Result<Vec<QueryResult>> {
        let db = self.system.exec;
        Ok(db.query_all_raw(sql.statement(db.get_database_backend())).await?)
    }

    async fn chains_after(&self, last: Option<Uuid>) -> Result<Vec<Chain>> {
        let mut sql = Sql::new("SELECT * FROM audit_chains");
        if let Some(last) = last {
            sql.push(" WHERE tenant_id > ").bind(last);
        }
        sql.push(" ORDER BY tenant_id LIMIT ").bind(ROWS as i64);
        self.rows(sql).await?.iter().map(Chain::read).collect()
    }

    async fn chain_of(&self, tenant: Uuid) -> Result<Option<Chain>> {
        let mut sql = Sql::new("SELECT * FROM audit_chains WHERE tenant_id = ");
        sql.bind(tenant);
        self.rows(sql).await?.first().map(Chain::read).transpose()
    }

    /// Whether the ends of all chains are those that the root stands for.
    async fn root(&self, least: i64, report: &mut Verification) -> Result<()> {
        let wrong = |damage| Finding { damage, tenant_id: None, seal: None, event_id: None };
        let read = async || Root::read(self.system.exec, "").await;
        let mut equal = false;
        for _ in 0..ROUNDS {
            let Some(root) = read().await? else { break };
            report.version = root.version;
            if !root.is_sound(self.mac) {
                break;
            }
            let mut sum = Sum::default();
            let mut last = None;
            loop {
                let chains = self.chains_after(last).await?;
                let Some(end) = chains.last() else { break };
                last = Some(end.tenant);
                chains.iter().for_each(|chain| contribute(&mut sum, &chain.codes(self.mac), true));
            }
            equal = sum == root.sum;
            if equal || read().await?.is_some_and(|now| now.version == root.version) {
                break;
            }
        }
        if !equal {
            report.found(wrong(Damage::RootChanged));
        }
        if report.version < least {
            report.found(wrong(Damage::TurnedBack));
        }
        Ok(())
    }

    /// Whether the seals of a chain are all there, and the events that they cover.
    async fn chain(&self, mut chain: Chain, report: &mut Verification) -> Result<()> {
        let tenant_id = tenant(chain.tenant);
        let found = |damage, seal| Finding { damage, tenant_id, seal, event_id: None };
        if chain.codes(self.mac)[0] != chain.code {
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
        let mut sql = Sql::new("SELECT * FROM audit_seals WHERE tenant_id = ");
        sql.bind(tenant).push(" AND seq > ").bind(behind).push(" AND seq <= ").bind(end);
        sql.push(" ORDER BY seq LIMIT ").bind(SEALS);
        self.rows(sql).await?.iter().map(Seal::read).collect()
    }

    /// What the events of some seals look like.
    async fn tags(&self, seals: &[Seal], report: &mut Verification) -> Result<Tags> {
        let ids: Vec<_> = seals.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let mut tags = Tags { of: HashMap::new(), asked: ids.len() };
        for ids in ids.chunks(ROWS) {
            let mut sql = Sql::new("SELECT ");
            sql.push(&AUDIT_EVENT).push(" FROM audit_events e WHERE e.id").one_of(power_of_two(ids));
            for row in self.rows(sql).await? {
                let row = Model::from_query_result(&row, "e_")?;
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
            damage,
            tenant_id: tenant(seal.tenant),
            seal: Some(seal.seq),
            event_id: event.map(AuditEventId::from_uuid),
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

    async fn count(&self, tenant: Option<Uuid>) -> Result<Count> {
        let mut sql = Sql::default();
        for (start, what) in [
            ("SELECT (SELECT COUNT(*) FROM audit_events", "events"),
            (", (SELECT CAST(COALESCE(SUM(events), 0) AS bigint) FROM audit_seals", "sealed"),
            (", (SELECT COUNT(*) FROM audit_unsealed", "waiting"),
        ] {
            sql.push(start);
            if let Some(tenant) = tenant {
                sql.push(" WHERE tenant_id = ").bind(tenant);
            }
            sql.push(") AS ").push(what);
        }
        let rows = self.rows(sql).await?;
        let row = rows.first().ok_or(Error::Corrupt("count"))?;
        Ok(Count {
            events: row.try_get("", "events")?,
            sealed: row.try_get("", "sealed")?,
            waiting: unsigned(row.try_get("", "waiting")?),
        })
    }

    /// Names the events of a chain that no seal covers and that wait for none, and those that wait and are not what was
    /// recorded. Looks for the former only where the number of events is not what it should be.
    async fn surplus(&self, id: Uuid, report: &mut Verification) -> Result<i64> {
        let named = report.damages;
        let count = self.count(Some(id)).await?;
        let mut missing = count.events - count.sealed - unsigned_to_signed(count.waiting);
        // Events that are gone hide as many others.
        missing +=
            report.findings.iter().filter(|it| it.damage == Damage::EventMissing && it.tenant_id == tenant(id)).count()
                as i64;
        if missing <= 0 {
            return Ok(0);
        }
        let mut last: Option<(i64, Uuid)> = None;
        loop {
            let mut sql = Sql::new(
                "SELECT e.id, e.occurred_at, q.event_id FROM audit_events e LEFT JOIN audit_unsealed q ON q.event_id = e.id WHERE e.tenant_id = ",
            );
            sql.bind(id);
            if let Some((at, id)) = last {
                sql.push(" AND (e.occurred_at, e.id) > (").bind(at).push(", ").bind(id).push(")");
            }
            sql.push(" ORDER BY e.occurred_at, e.id LIMIT ").bind(ROWS as i64);
            let rows = self.rows(sql).await?;
            let mut page = Vec::new();
            for row in &rows {
                let (event, at): (Uuid, i64) = (row.try_get("", "id")?, row.try_get("", "occurred_at")?);
                page.push((event, at, row.try_get::<Option<Uuid>>("", "event_id")?.is_some()));
            }
            let (Some((_, first_at, _)), Some((end, end_at, _))) = (page.first(), page.last()) else { break };
            let covered = self.covered(id, *first_at, *end_at).await?;
            for (event, ..) in page.iter().filter(|(event, _, waits)| !waits && !covered.contains(event)) {
                let event_id = Some(AuditEventId::from_uuid(*event));
                report.found(Finding { damage: Damage::EventUnsealed, tenant_id: tenant(id), seal: None, event_id });
            }
            last = Some((*end_at, *end));
        }
        Ok(unsigned_to_signed(report.damages - named))
    }

    /// The events that seals cover which cover something between two instants.
    async fn covered(&self, id: Uuid, first_at: i64, last_at: i64) -> Result<HashSet<Uuid>> {
        let mut sql = Sql::new("SELECT * FROM audit_seals WHERE tenant_id = ");
        sql.bind(id).push(" AND last_at >= ").bind(first_at).push(" AND first_at <= ").bind(last_at);
        Ok(self
            .rows(sql)
            .await?
            .iter()
            .map(Seal::read)
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flat_map(|seal| seal.ids)
            .collect())
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
