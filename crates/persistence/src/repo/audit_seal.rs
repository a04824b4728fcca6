//! Sealing the audit trail.
//!
//! Writing an event waits for nobody: it only leaves its id in a queue, by a trigger. Sealing takes what is committed from
//! there, in whichever order it came about, so an event that commits late is sealed late, and once. Only those who seal
//! and purge wait for each other, at the root.

use std::collections::BTreeMap;

use gatehouse_domain::time::{DAY, Timestamp};
use sea_orm::{ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryResult};
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, Use},
    entity::{audit_seal, audit_unsealed},
    error::{Error, Result},
    repo::{
        audit_chain::{Chain, code, number, uuid},
        audit_queue::Waiting,
        audit_root::Root,
        audit_tag::Code,
        sql::{power_of_two, powers_of_two},
    },
    scope::system::WriteSystem,
};

/// Events that are sealed at once at most: few, because whoever writes on SQLite meanwhile waits.
pub const SEALED_AT_ONCE: usize = 128;
/// Up to how many waiting events are counted.
pub(super) const COUNTED: i64 = 100_000;

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

impl FromQueryResult for Seal {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let bytes: Vec<u8> = row.try_get("", "event_ids").unwrap_or_default();
        let ids: Vec<_> = bytes.chunks(16).map(|id| Uuid::from_slice(id).unwrap_or(Uuid::max())).collect();
        // The code does not cover the number, as it is that of the ids.
        let is_counted = number(row, "events") == ids.len() as i64;
        Ok(Self {
            tenant: uuid(row, "tenant_id"),
            seq: number(row, "seq"),
            first_at: number(row, "first_at"),
            last_at: number(row, "last_at"),
            sealed_at: number(row, "sealed_at"),
            ids,
            adopted: row.try_get("", "adopted").unwrap_or_default(),
            mac: if is_counted { code(row, "mac") } else { [0; 32] },
        })
    }
}

impl Seal {
    fn row(&self) -> audit_seal::Model {
        audit_seal::Model {
            tenant_id: self.tenant,
            seq: self.seq,
            first_at: self.first_at,
            last_at: self.last_at,
            sealed_at: self.sealed_at,
            events: self.ids.len() as i64,
            event_ids: self.id_bytes(),
            adopted: self.adopted,
            mac: self.mac.to_vec(),
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
        let db = self.tx.writing();
        for seals in powers_of_two(&seals) {
            let rows = self.table::<audit_seal::Entity>().insert_many(seals.iter().map(Seal::row));
            rows.exec_without_returning(&db).await?;
        }
        let ids: Vec<_> = seals.iter().flat_map(|seal| seal.ids.iter().copied()).collect();
        let done = self.table::<audit_unsealed::Entity>().delete();
        done.filter(audit_unsealed::Column::EventId.is_in(power_of_two(&ids))).exec(&db).await?;
        self.put_chains(root, &mut chains.into_values().collect::<Vec<_>>()).await?;
        Ok(sealed)
    }
}
