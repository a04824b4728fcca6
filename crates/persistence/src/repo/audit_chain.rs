//! The ends of the chains of seals, and the one row that covers them all.
//!
//! The root has the sum of what every chain's ends contribute, so that it follows a change of one chain without reading
//! the others, and yet stands for all. Whoever knows only the database can compute neither a contribution nor the code of
//! the root, so the ends of one chain cannot be turned back without turning back those of all.

use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use crate::{
    db::{
        Exec,
        mac::{Mac, Message, Use},
    },
    error::{Error, Result},
    repo::{
        audit_tag::Code,
        sql::{Sql, power_of_two},
    },
    scope::system::WriteSystem,
};

/// A sum of contributions: eight numbers, each for itself.
pub(crate) type Sum = [u64; 8];

pub(crate) fn code(row: &QueryResult, column: &str) -> Result<Code> {
    let bytes: Vec<u8> = row.try_get("", column)?;
    // A damaged code is one that nothing fits; reading goes on.
    Ok(bytes.try_into().unwrap_or_default())
}

/// The ends of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The tenant, or nil.
    pub tenant: Uuid,
    /// The newest seal that retention has removed, 0 for none.
    pub cut_seq: i64,
    /// Its code.
    pub cut_mac: Code,
    /// The newest seal.
    pub seq: i64,
    /// Its code.
    pub mac: Code,
    /// The code of all this.
    pub code: Code,
}

impl Chain {
    pub(crate) const fn new(tenant: Uuid) -> Self {
        Self { tenant, cut_seq: 0, cut_mac: [0; 32], seq: 0, mac: [0; 32], code: [0; 32] }
    }

    pub(crate) fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            tenant: row.try_get("", "tenant_id")?,
            cut_seq: row.try_get("", "cut_seq")?,
            cut_mac: code(row, "cut_mac")?,
            seq: row.try_get("", "seq")?,
            mac: code(row, "mac")?,
            code: code(row, "code")?,
        })
    }

    /// The codes that these ends have: theirs, and another one for the sum.
    pub(crate) fn codes(&self, mac: &Mac) -> [Code; 2] {
        [0, 1].map(|which| {
            let message = Message::new(Use::Chain).number(which).fixed(self.tenant.as_bytes());
            let message = message.number(self.cut_seq).fixed(&self.cut_mac).number(self.seq).fixed(&self.mac);
            mac.of(&message)
        })
    }
}

/// Adds what a chain contributes, or takes it away.
pub(crate) fn contribute(sum: &mut Sum, codes: &[Code; 2], add: bool) {
    for (lane, bytes) in sum.iter_mut().zip(codes.as_flattened().chunks_exact(8)) {
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        *lane = if add { lane.wrapping_add(number) } else { lane.wrapping_sub(number) };
    }
}

/// What covers the ends of all chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// How often it has changed.
    pub version: i64,
    /// Until when events without a tag are taken as from before there were tags.
    pub adopts_until: i64,
    /// What the chains contribute.
    pub sum: Sum,
    mac: Code,
}

impl Root {
    pub(crate) async fn read(exec: Exec<'_>, lock: &str) -> Result<Option<Self>> {
        let backend = exec.get_database_backend();
        let mut sql = Sql::new("SELECT version, adopts_until, sum, mac FROM audit_root WHERE id = 1");
        if backend == sea_orm::DbBackend::Postgres {
            sql.push(lock);
        }
        let Some(row) = exec.query_one_raw(sql.statement(backend)).await? else { return Ok(None) };
        let bytes: Vec<u8> = row.try_get("", "sum")?;
        let mut sum = Sum::default();
        for (lane, bytes) in sum.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        Ok(Some(Self {
            version: row.try_get("", "version")?,
            adopts_until: row.try_get("", "adopts_until")?,
            sum,
            mac: code(&row, "mac")?,
        }))
    }

    fn sum_bytes(&self) -> Vec<u8> {
        self.sum.iter().flat_map(|lane| lane.to_be_bytes()).collect()
    }

    fn code(&self, mac: &Mac) -> Code {
        let message = Message::new(Use::Root).number(self.version).number(self.adopts_until);
        mac.of(&message.bytes(&self.sum_bytes()))
    }

    /// Whether it is as Gatehouse left it; before the first seal there is nothing to tell by.
    pub(crate) fn is_sound(&self, mac: &Mac) -> bool {
        self.mac == self.code(mac) || self.version == 0 && self.sum == Sum::default()
    }
}

impl WriteSystem<'_> {
    /// The root, held until the transaction ends; none where another process holds it and that is not waited for.
    pub(crate) async fn hold_root(&self, wait: bool) -> Result<Option<Root>> {
        let lock = if wait { " FOR UPDATE" } else { " FOR UPDATE SKIP LOCKED" };
        let Some(root) = Root::read(self.tx.exec(), lock).await? else { return Ok(None) };
        // Sealing on would make whatever somebody wrote there look right.
        if root.is_sound(self.tx.mac()?) { Ok(Some(root)) } else { Err(Error::Corrupt("root of the audit trail")) }
    }

    /// The ends of some chains; of those that have begun.
    pub(crate) async fn chains(&self, tenants: &[Uuid]) -> Result<Vec<Chain>> {
        let mut sql = Sql::new("SELECT * FROM audit_chains WHERE tenant_id");
        sql.one_of(power_of_two(tenants));
        let db = self.tx.exec();
        let rows = self.tx.check(db.query_all_raw(sql.statement(db.get_database_backend())).await)?;
        rows.iter().map(Chain::read).collect()
    }

    /// Stores the new ends of chains, which were these, and lets the root follow.
    pub(crate) async fn put_chains(&self, mut root: Root, changed: &mut [(Chain, Chain)]) -> Result<()> {
        let mac = self.tx.mac()?;
        for (old, new) in changed.iter_mut() {
            if old.seq > 0 {
                contribute(&mut root.sum, &old.codes(mac), false);
            }
            let codes = new.codes(mac);
            new.code = codes[0];
            contribute(&mut root.sum, &codes, true);
        }
        let mut left = &*changed;
        while let Some(size) = left.len().checked_ilog2().map(|exponent| 1 << exponent) {
            let (now, later) = left.split_at(size);
            let mut sql = Sql::new("INSERT INTO audit_chains (tenant_id, cut_seq, cut_mac, seq, mac, code) VALUES ");
            for (i, (_, chain)) in now.iter().enumerate() {
                sql.push(if i == 0 { "(" } else { ", (" }).bind(chain.tenant).push(", ").bind(chain.cut_seq);
                sql.push(", ").bind(chain.cut_mac.to_vec()).push(", ").bind(chain.seq).push(", ");
                sql.bind(chain.mac.to_vec()).push(", ").bind(chain.code.to_vec()).push(")");
            }
            sql.push(
                " ON CONFLICT (tenant_id) DO UPDATE SET cut_seq = excluded.cut_seq, cut_mac = excluded.cut_mac, \
                 seq = excluded.seq, mac = excluded.mac, code = excluded.code",
            );
            self.execute(sql).await?;
            left = later;
        }
        root.version += 1;
        let mut sql = Sql::new("UPDATE audit_root SET version = ");
        sql.bind(root.version)
            .push(", adopts_until = ")
            .bind(root.adopts_until)
            .push(", sum = ")
            .bind(root.sum_bytes());
        sql.push(", mac = ").bind(root.code(mac).to_vec()).push(" WHERE id = 1");
        self.execute(sql).await.map(drop)
    }
}
