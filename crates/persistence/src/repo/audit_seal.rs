//! Sealing the audit trail.
//!
//! Writing an event waits for nobody: it only leaves its id in a queue, by a trigger. Sealing takes what is committed from
//! there, in whichever order it came about, so an event that commits late is sealed late, and once. Only those who seal
//! and purge wait for each other, at the root.

use std::collections::{BTreeMap, HashMap};

use gatehouse_domain::{
    audit,
    authz::{By, SystemReason, TenantRef},
    time::{DAY, HOUR, Timestamp},
};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, Use},
    entity::audit_event::Model,
    error::{Error, Result},
    repo::{
        audit_chain::{Chain, Root, code},
        audit_tag::{Code, tag},
        list::unsigned,
        sql::{AUDIT_EVENT, Sql, power_of_two},
        sweep::BATCH,
    },
    scope::system::{System, WriteSystem},
};

/// Events that are sealed at once at most: few, because whoever writes on SQLite meanwhile waits.
pub const SEALED_AT_ONCE: usize = 128;
/// Seals that retention removes at once at most.
const PURGED_SEALS: i64 = 100;
/// Up to how many waiting events are counted.
const COUNTED: i64 = 100_000;

/// What waits to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// How many events; more than a hundred thousand are not counted.
    pub events: u64,
    /// When the first of them happened.
    pub since: Option<Timestamp>,
}

/// A seal. What it covers is named by `ids`, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub tenant: Uuid,
    pub seq: i64,
    pub first_at: i64,
    pub last_at: i64,
    pub sealed_at: i64,
    pub ids: Vec<Uuid>,
    /// Whether its events are from before there were tags.
    pub adopted: bool,
    pub mac: Code,
}

impl Seal {
    pub(crate) fn read(row: &QueryResult) -> Result<Self> {
        let ids: Vec<u8> = row.try_get("", "event_ids")?;
        Ok(Self {
            tenant: row.try_get("", "tenant_id")?,
            seq: row.try_get("", "seq")?,
            first_at: row.try_get("", "first_at")?,
            last_at: row.try_get("", "last_at")?,
            sealed_at: row.try_get("", "sealed_at")?,
            ids: ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect(),
            adopted: row.try_get("", "adopted")?,
            mac: code(row, "mac")?,
        })
    }

    fn id_bytes(&self) -> Vec<u8> {
        self.ids.iter().flat_map(Uuid::as_bytes).copied().collect()
    }

    /// The code of the seal behind another one, over events with these tags.
    pub(crate) fn code(&self, mac: &Mac, before: &Code, tags: &[Code]) -> Code {
        let message = Message::new(Use::Seal).fixed(self.tenant.as_bytes()).number(self.seq).fixed(before);
        let message = message.number(self.first_at).number(self.last_at).number(self.sealed_at);
        let message = message.number(i64::from(self.adopted)).bytes(&self.id_bytes()).bytes(tags.as_flattened());
        mac.of(&message)
    }
}

/// An event from the queue.
struct Waiting {
    id: Uuid,
    tenant: Uuid,
    /// When it happened; none if somebody has removed it from the trail.
    at: Option<i64>,
    tag: Option<Code>,
}

impl Waiting {
    const fn is_tagless(&self) -> bool {
        self.at.is_some() && self.tag.is_none()
    }
}

impl System<'_> {
    /// What waits to be sealed.
    ///
    /// # Errors
    /// As any statement.
    pub async fn unsealed(&self) -> Result<Unsealed> {
        let mut sql = Sql::new("SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM audit_unsealed LIMIT ");
        sql.bind(COUNTED).push(") q) AS events, (SELECT e.occurred_at FROM audit_unsealed q ");
        sql.push("JOIN audit_events e ON e.id = q.event_id ORDER BY q.event_id LIMIT 1) AS since");
        let db = self.exec;
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?.ok_or(Error::Corrupt("count"))?;
        let since = row.try_get::<Option<i64>>("", "since")?.map(Timestamp::from_micros);
        Ok(Unsealed { events: unsigned(row.try_get("", "events")?), since })
    }
}

impl WriteSystem<'_> {
    /// Seals what waits, at most [`SEALED_AT_ONCE`] events; nothing while another process does. Returns how many. The seal is
    /// over the tags that the events have: whether these are theirs is for whoever verifies.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when somebody has changed the root: sealing on would cover that up.
    pub async fn seal_events(&self) -> Result<usize> {
        let Some(mut root) = self.hold_root(false).await? else { return Ok(0) };
        let waiting = self.waiting().await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let (mac, now) = (self.tx.mac()?, self.tx.now());
        self.adopt(&mut root, &waiting);
        let adopts = now.micros() < root.adopts_until;
        let sealed = waiting.len();
        let adopted_tags = if adopts { self.tags_of(mac, &waiting).await? } else { HashMap::new() };
        // A seal covers the events of one day, so that retention is no less exact than that.
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for one in waiting {
            let adopted = adopts && one.is_tagless();
            let tag = if adopted { adopted_tags.get(&one.id).copied() } else { one.tag };
            let day = one.at.unwrap_or_default().div_euclid(i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX));
            groups.entry((one.tenant, adopted, day)).or_default().push((one.id, one.at, tag.unwrap_or_default()));
        }
        let mut tenants: Vec<_> = groups.keys().map(|(tenant, ..)| *tenant).collect();
        tenants.dedup();
        let known = self.chains(&tenants).await?;
        let mut chains: BTreeMap<_, _> = tenants.iter().map(|id| (*id, (Chain::new(*id), Chain::new(*id)))).collect();
        chains.extend(known.into_iter().map(|chain| (chain.tenant, (chain, chain))));
        let mut seals = Vec::new();
        for ((tenant, adopted, _), events) in &groups {
            let Some((_, chain)) = chains.get_mut(tenant) else { continue };
            let times = || events.iter().filter_map(|(_, at, _)| *at);
            let (ids, tags): (Vec<_>, Vec<_>) = events.iter().map(|(id, _, tag)| (*id, *tag)).unzip();
            let mut seal = Seal {
                tenant: *tenant,
                seq: chain.seq + 1,
                first_at: times().min().unwrap_or_default(),
                last_at: times().max().unwrap_or_default(),
                sealed_at: now.micros(),
                ids,
                adopted: *adopted,
                mac: [0; 32],
            };
            seal.mac = seal.code(mac, &chain.mac, &tags);
            (chain.seq, chain.mac) = (seal.seq, seal.mac);
            seals.push(seal);
        }
        self.add_seals(&seals).await?;
        let mut sql = Sql::new("DELETE FROM audit_unsealed WHERE event_id");
        let ids: Vec<_> = seals.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        sql.one_of(power_of_two(&ids));
        self.execute(sql).await?;
        self.put_chains(root, &mut chains.into_values().collect::<Vec<_>>()).await?;
        Ok(sealed)
    }

    /// Events from before there were tags are taken as they are: those that are there when sealing begins, and what a
    /// replica of the release before goes on writing for a while.
    fn adopt(&self, root: &mut Root, waiting: &[Waiting]) {
        let (now, first) = (self.tx.now(), root.version == 0);
        let backlog = waiting.len() == SEALED_AT_ONCE && waiting.iter().all(Waiting::is_tagless);
        if first && waiting.iter().any(Waiting::is_tagless) || backlog && now.micros() < root.adopts_until {
            root.adopts_until = now.plus(HOUR).micros();
        }
    }

    async fn waiting(&self) -> Result<Vec<Waiting>> {
        let mut sql = Sql::new("SELECT q.event_id, q.tenant_id, e.occurred_at, e.tag ");
        sql.push("FROM (SELECT * FROM audit_unsealed ORDER BY event_id LIMIT ").bind(SEALED_AT_ONCE as i64);
        sql.push(") q LEFT JOIN audit_events e ON e.id = q.event_id ORDER BY q.event_id");
        let db = self.tx.exec();
        let rows = self.tx.check(db.query_all_raw(sql.statement(db.get_database_backend())).await)?;
        let read = |row: &QueryResult| {
            let tag: Option<Vec<u8>> = row.try_get("", "tag")?;
            Ok(Waiting {
                id: row.try_get("", "event_id")?,
                tenant: row.try_get("", "tenant_id")?,
                at: row.try_get("", "occurred_at")?,
                tag: tag.map(|tag| Code::try_from(tag).unwrap_or_default()),
            })
        };
        rows.iter().map(read).collect()
    }

    /// The tags that events without one would have.
    async fn tags_of(&self, mac: &Mac, waiting: &[Waiting]) -> Result<HashMap<Uuid, Code>> {
        let ids: Vec<_> = waiting.iter().filter(|one| one.is_tagless()).map(|one| one.id).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::new("SELECT ");
        sql.push(&AUDIT_EVENT).push(" FROM audit_events e WHERE e.id").one_of(power_of_two(&ids));
        let db = self.tx.exec();
        let rows = self.tx.check(db.query_all_raw(sql.statement(db.get_database_backend())).await)?;
        let mut tags = HashMap::with_capacity(ids.len());
        for row in &rows {
            let event = Model::from_query_result(row, "e_")?;
            tags.extend(tag(mac, &event).map(|tag| (event.id, tag)));
        }
        Ok(tags)
    }

    async fn add_seals(&self, seals: &[Seal]) -> Result<()> {
        let mut left = seals;
        while let Some(size) = left.len().checked_ilog2().map(|exponent| 1 << exponent) {
            let (now, later) = left.split_at(size);
            let mut sql = Sql::new(
                "INSERT INTO audit_seals (tenant_id, seq, first_at, last_at, sealed_at, events, event_ids, adopted, mac) VALUES ",
            );
            for (i, seal) in now.iter().enumerate() {
                sql.push(if i == 0 { "(" } else { ", (" }).bind(seal.tenant);
                for number in [seal.seq, seal.first_at, seal.last_at, seal.sealed_at, seal.ids.len() as i64] {
                    sql.push(", ").bind(number);
                }
                sql.push(", ").bind(seal.id_bytes()).push(", ").bind(seal.adopted).push(", ").bind(seal.mac.to_vec());
                sql.push(")");
            }
            self.execute(sql).await?;
            left = later;
        }
        Ok(())
    }

    /// Removes the oldest events of a tenant, or of none, as far as their seals cover nothing younger than an instant: some
    /// hundreds at a time. The chain goes on from where it is cut. Returns how many.
    ///
    /// # Errors
    /// As [`WriteSystem::seal_events`].
    pub async fn purge_audit_events(&self, tenant: Option<TenantRef>, before: Timestamp) -> Result<usize> {
        let id = tenant.map_or(Uuid::nil(), |tenant| tenant.id.uuid());
        let oldest = self.oldest_seals(id, before).await?;
        let Some(last) = oldest.last() else { return Ok(0) };
        let Some(root) = self.hold_root(true).await? else { return Ok(0) };
        // Another process may have been there first.
        let Some(chain) = self.chains(&[id]).await?.pop().filter(|chain| chain.cut_seq < last.seq) else {
            return Ok(0);
        };
        let ids: Vec<_> = oldest.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let mut sql = Sql::new("DELETE FROM audit_events WHERE id");
        sql.one_of(power_of_two(&ids)).push(" AND tenant_id = ").bind(id);
        let removed = self.execute(sql).await?;
        let mut sql = Sql::new("DELETE FROM audit_seals WHERE tenant_id = ");
        sql.bind(id).push(" AND seq <= ").bind(last.seq);
        self.execute(sql).await?;
        let cut = Chain { cut_seq: last.seq, cut_mac: last.mac, ..chain };
        self.put_chains(root, &mut [(chain, cut)]).await?;
        self.tx.record(audit::purged(tenant, By::system(SystemReason::Job), removed)).await?;
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }

    /// The oldest seals that are over with, with no more events than a batch has, but at least one.
    async fn oldest_seals(&self, tenant: Uuid, before: Timestamp) -> Result<Vec<Seal>> {
        let mut sql = Sql::new("SELECT * FROM audit_seals WHERE tenant_id = ");
        sql.bind(tenant).push(" ORDER BY seq LIMIT ").bind(PURGED_SEALS);
        let db = self.tx.exec();
        let rows = self.tx.check(db.query_all_raw(sql.statement(db.get_database_backend())).await)?;
        let mut seals = Vec::new();
        let mut events = 0;
        for row in &rows {
            let seal = Seal::read(row)?;
            events += seal.ids.len();
            if seal.last_at >= before.micros() || events > BATCH && !seals.is_empty() {
                break;
            }
            seals.push(seal);
        }
        Ok(seals)
    }
}
