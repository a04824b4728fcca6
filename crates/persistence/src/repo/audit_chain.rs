//! The ends of the chains of seals.
//!
//! The root has the sum of what every chain's ends contribute, so that it follows a change of one chain without reading
//! the others, and yet stands for all. Whoever knows only the database can compute neither a contribution nor the code of
//! the root, so the ends of one chain cannot be turned back without turning back those of all.

use sea_orm::{ColumnTrait, DbErr, FromQueryResult, Iterable, QueryFilter, QueryResult, sea_query::OnConflict};
use uuid::Uuid;

use crate::{
    db::mac::{Mac, Message, RootPart, Use},
    entity::audit_chain::{Column, Entity, Model},
    error::{Error, Result},
    repo::{
        audit_root::Root,
        audit_tag::Code,
        sql::{power_of_two, powers_of_two},
    },
    scope::system::WriteSystem,
};

/// A sum of contributions: eight numbers, each for itself.
pub(crate) type Sum = [u64; 8];

/// A stored code. A damaged one is one that nothing fits; reading goes on.
pub(crate) fn code(row: &QueryResult, column: &str) -> Code {
    let bytes: Vec<u8> = row.try_get("", column).unwrap_or_default();
    bytes.try_into().unwrap_or([u8::MAX; 32])
}

/// A stored number; likewise.
pub(crate) fn number(row: &QueryResult, column: &str) -> i64 {
    row.try_get("", column).unwrap_or(i64::MIN)
}

/// A stored id; likewise.
pub(crate) fn uuid(row: &QueryResult, column: &str) -> Uuid {
    row.try_get("", column).unwrap_or(Uuid::max())
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

impl FromQueryResult for Chain {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            tenant: uuid(row, "tenant_id"),
            cut_seq: number(row, "cut_seq"),
            cut_mac: code(row, "cut_mac"),
            seq: number(row, "seq"),
            mac: code(row, "mac"),
            code: code(row, "code"),
        })
    }
}

impl Chain {
    pub(crate) const fn new(tenant: Uuid) -> Self {
        Self { tenant, cut_seq: 0, cut_mac: [0; 32], seq: 0, mac: [0; 32], code: [0; 32] }
    }

    fn row(&self) -> Model {
        Model {
            tenant_id: self.tenant,
            cut_seq: self.cut_seq,
            cut_mac: self.cut_mac.to_vec(),
            seq: self.seq,
            mac: self.mac.to_vec(),
            code: self.code.to_vec(),
        }
    }

    /// Whether these are the ends that Gatehouse noted, now or before.
    pub(crate) fn is_sound(&self, mac: &Mac) -> bool {
        self.own_code(mac) == self.code
    }

    fn message(&self, which: i64) -> Message {
        let message = Message::new(Use::Chain).number(which).fixed(self.tenant.as_bytes());
        message.number(self.cut_seq).fixed(&self.cut_mac).number(self.seq).fixed(&self.mac)
    }

    fn own_code(&self, mac: &Mac) -> Code {
        mac.of(&self.message(0))
    }

    /// What these ends contribute to the sum of a root that a part of the master key signs: two codes by that part. Who
    /// could compute them could make up for a change of one chain with others.
    pub(crate) fn contribution(&self, mac: &Mac, signer: RootPart) -> [Code; 2] {
        [0, 1].map(|which| mac.root(&self.message(which), signer))
    }
}

/// What of a row changes.
fn ends() -> impl Iterator<Item = Column> {
    Column::iter().filter(|column| !matches!(column, Column::TenantId))
}

/// Adds what a chain contributes, or takes it away.
pub(crate) fn contribute(sum: &mut Sum, codes: &[Code; 2], add: bool) {
    for (lane, bytes) in sum.iter_mut().zip(codes.as_flattened().chunks_exact(8)) {
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        *lane = if add { lane.wrapping_add(number) } else { lane.wrapping_sub(number) };
    }
}

impl WriteSystem<'_> {
    /// The ends of some chains; of those that have begun.
    pub(crate) async fn chains(&self, tenants: &[Uuid]) -> Result<Vec<Chain>> {
        let known = self.table::<Entity>().select().filter(Column::TenantId.is_in(power_of_two(tenants)));
        let (mac, chains) = (self.tx.mac()?, known.into_model::<Chain>().all(&self.tx.exec()).await?);
        match chains.iter().find(|chain| !chain.is_sound(mac)) {
            Some(chain) => Err(Error::Tampered(format!("the ends of the chain of {}", chain.tenant))),
            None => Ok(chains),
        }
    }

    /// Stores the new ends of chains, which were these, and lets the root follow.
    pub(crate) async fn put_chains(&self, mut root: Root, changed: &mut [(Chain, Chain)]) -> Result<()> {
        let mac = self.tx.mac()?;
        for (old, new) in changed.iter_mut() {
            if old.seq > 0 {
                contribute(&mut root.sum, &old.contribution(mac, root.signer), false);
            }
            new.code = new.own_code(mac);
            contribute(&mut root.sum, &new.contribution(mac, root.signer), true);
        }
        for chains in powers_of_two(changed) {
            let rows = chains.iter().map(|(_, chain)| chain.row());
            let known = OnConflict::column(Column::TenantId).update_columns(ends()).to_owned();
            let rows = self.table::<Entity>().insert_many(rows).on_conflict(known);
            rows.exec_without_returning(&self.tx.writing()).await?;
        }
        self.put_root(root).await
    }
}
