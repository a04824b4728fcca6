//! Sealing the audit trail.
//!
//! Writing an event waits for nobody: it only leaves its id in a queue, by a trigger. Sealing takes what is committed from
//! there, in whichever order it came about, so an event that commits late is sealed late, and once. Only those who seal
//! and purge wait for each other, at the root.

use std::collections::BTreeMap;

use gatehouse_domain::time::{DAY, Timestamp};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, Use},
    error::{Error, Result},
    repo::{
        audit_chain::{Chain, code, number, uuid},
        audit_queue::Waiting,
        audit_root::Root,
        audit_tag::Code,
        list::unsigned,
        sql::{Sql, power_of_two},
    },
    scope::system::{System, WriteSystem},
};

/// Events that are sealed at once at most: few, because whoever writes on SQLite meanwhile waits.
pub const SEALED_AT_ONCE: usize = 128;
/// Up to how many waiting events are counted.
const COUNTED: i64 = 100_000;

/// The day of an instant. No seal covers events of two days.
pub(crate) const fn day(at: i64) -> i64 {
    at.div_euclid(DAY.as_micros() as i64)
}

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
    pub(crate) fn read(row: &QueryResult) -> Self {
        let bytes: Vec<u8> = row.try_get("", "event_ids").unwrap_or_default();
        let ids: Vec<_> = bytes.chunks(16).map(|id| Uuid::from_slice(id).unwrap_or(Uuid::max())).collect();
        // The code does not cover the number, as it is that of the ids.
        let is_counted = number(row, "events") == ids.len() as i64;
        Self {
            tenant: uuid(row, "tenant_id"),
            seq: number(row, "seq"),
            first_at: number(row, "first_at"),
            last_at: number(row, "last_at"),
            sealed_at: number(row, "sealed_at"),
            ids,
            adopted: row.try_get("", "adopted").unwrap_or_default(),
            mac: if is_counted { code(row, "mac") } else { [0; 32] },
        }
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

impl System<'_> {
    /// What waits to be sealed.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn unsealed(&self) -> Result<Unsealed> {
        let mut sql = Sql::new("SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM audit_unsealed LIMIT ");
        sql.bind(COUNTED).push(") q) AS events, (SELECT e.occurred_at FROM audit_unsealed q ");
        sql.push("JOIN audit_events e ON e.id = q.event_id ORDER BY q.event_id LIMIT 1) AS since");
        let row = sql.one(self.exec).await?.ok_or(Error::Corrupt("count"))?;
        let since = row.try_get::<Option<i64>>("", "since")?.map(Timestamp::from_micros);
        Ok(Unsealed { events: unsigned(row.try_get("", "events")?), since })
    }
}

impl WriteSystem<'_> {
    /// Seals what waits, at most [`SEALED_AT_ONCE`] events; nothing while another process does. Returns how many. The seal is
    /// over the tags that the events have: whether these are theirs is for whoever verifies.
    ///
    /// # Errors
    /// [`Error::Tampered`] when what it goes on from is not what Gatehouse left: sealing on would cover that up.
    pub async fn seal_events(&self) -> Result<usize> {
        let Some(root) = self.hold_root(false).await? else { return Ok(0) };
        let waiting = self.waiting(false).await?;
        if let Some(one) = waiting.iter().find(|one| one.is_misplaced) {
            return Err(Error::Tampered(format!("its queue, at the event {}", one.id)));
        }
        self.seal(root, waiting, false).await
    }

    /// Seals these events; those that are adopted are from before there were tags.
    pub(crate) async fn seal(&self, root: Root, waiting: Vec<Waiting>, adopted: bool) -> Result<usize> {
        if waiting.is_empty() {
            return Ok(0);
        }
        let (mac, now, sealed) = (self.tx.mac()?, self.tx.now(), waiting.len());
        // A seal covers the events of one day, so that retention is no less exact than that.
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for one in waiting {
            groups.entry((one.tenant, day(one.at.unwrap_or_default()))).or_default().push(one);
        }
        let mut tenants: Vec<_> = groups.keys().map(|(tenant, _)| *tenant).collect();
        tenants.dedup();
        let known = self.chains(&tenants).await?;
        let mut chains: BTreeMap<_, _> = tenants.iter().map(|id| (*id, (Chain::new(*id), Chain::new(*id)))).collect();
        chains.extend(known.into_iter().map(|chain| (chain.tenant, (chain, chain))));
        let mut seals = Vec::new();
        for ((tenant, _), events) in &groups {
            let Some((_, chain)) = chains.get_mut(tenant) else { continue };
            let times = || events.iter().filter_map(|one| one.at);
            let (ids, tags): (Vec<_>, Vec<_>) = events.iter().map(|one| (one.id, one.tag)).unzip();
            let mut seal = Seal {
                tenant: *tenant,
                seq: chain.seq + 1,
                first_at: times().min().unwrap_or_default(),
                last_at: times().max().unwrap_or_default(),
                sealed_at: now.micros(),
                ids,
                adopted,
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
}
