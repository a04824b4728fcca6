//! The one row that covers the ends of all chains, and what it was before.
//!
//! Each root's code is over the one before, and all of them are kept for more than a year, so that a root that was noted
//! outside the database can be found in the history of the one that is there now, or is missing from it.

use std::time::Duration;

use gatehouse_domain::{audit::TrailRoot, time::DAY};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect, Set,
    sea_query::{LockBehavior, LockType},
};

use crate::{
    db::{
        mac::{Mac, Message, RootPart, Use},
        trigger::changed_triggers,
    },
    entity::{audit_past_root, audit_root},
    error::{Error, Result},
    repo::{
        audit_chain::{Sum, code, number},
        audit_tag::Code,
    },
    scope::system::{System, WriteSystem},
};

/// How long roots are kept.
const KEPT: Duration = DAY.saturating_mul(400);
/// How many are removed at once at most.
const PURGED: usize = 500;

/// What covers the ends of all chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// How often it has changed.
    pub version: i64,
    pub made_at: i64,
    adopts_until: i64,
    /// What the chains contribute.
    pub sum: Sum,
    /// The newest root that is not kept any more, and its code.
    pub cut: (i64, Code),
    /// The shortest time for which an event was kept that retention has removed, in microseconds.
    pub least_kept: i64,
    /// The code of what was accepted last, if anything was.
    pub accepted: Option<Code>,
    before: Code,
    /// Its code.
    pub mac: Code,
    /// The part of the master key that signs the next one, and that the sum is made with.
    pub signer: RootPart,
}

/// What the code of a root is of: of a state, behind another root.
fn link(version: i64, made_at: i64, before: &Code, state: &Code) -> Message {
    Message::new(Use::RootLink).number(version).number(made_at).fixed(before).fixed(state)
}

impl FromQueryResult for Root {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let mut bytes: Vec<u8> = row.try_get("", "sum").unwrap_or_default();
        // Before the first seal it was empty; anything else is one that nothing fits.
        if !matches!(bytes.len(), 0 | 64) {
            bytes = vec![u8::MAX; 64];
        }
        let mut sum = Sum::default();
        for (lane, bytes) in sum.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        Ok(Self {
            version: number(row, "version"),
            made_at: number(row, "made_at"),
            adopts_until: number(row, "adopts_until"),
            sum,
            cut: (number(row, "cut_version"), code(row, "cut_mac")),
            least_kept: number(row, "least_kept"),
            accepted: match row.try_get::<Vec<u8>>("", "accepted_mac") {
                Ok(bytes) if bytes.is_empty() => None,
                _ => Some(code(row, "accepted_mac")),
            },
            before: code(row, "before_mac"),
            mac: code(row, "mac"),
            signer: RootPart::Current,
        })
    }
}

impl Root {
    fn row(&self) -> audit_root::ActiveModel {
        audit_root::ActiveModel {
            id: NotSet,
            version: Set(self.version),
            made_at: Set(self.made_at),
            adopts_until: Set(self.adopts_until),
            sum: Set(self.sum_bytes()),
            cut_version: Set(self.cut.0),
            cut_mac: Set(self.cut.1.to_vec()),
            least_kept: Set(self.least_kept),
            before_mac: Set(self.before.to_vec()),
            mac: Set(self.mac.to_vec()),
            accepted_mac: Set(self.accepted.map(Vec::from).unwrap_or_default()),
        }
    }

    fn sum_bytes(&self) -> Vec<u8> {
        self.sum.iter().flat_map(|lane| lane.to_be_bytes()).collect()
    }

    fn state(&self, mac: &Mac) -> Code {
        let message = Message::new(Use::RootState).number(self.cut.0).fixed(&self.cut.1).number(self.least_kept);
        let message = message.number(self.adopts_until).bytes(&self.sum_bytes());
        mac.of(&match &self.accepted {
            Some(accepted) => message.fixed(accepted),
            None => message,
        })
    }

    fn message(&self, mac: &Mac) -> Message {
        link(self.version, self.made_at, &self.before, &self.state(mac))
    }

    /// The part of the master key that has signed it; none where it is not as Gatehouse left it.
    pub(crate) fn signer(&self, mac: &Mac) -> Option<RootPart> {
        mac.part_of(&self.message(mac), &self.mac, false)
    }

    /// Whether it is as Gatehouse left it.
    pub(crate) fn is_sound(&self, mac: &Mac) -> bool {
        self.signer(mac).is_some()
    }

    /// The same with another sum, for the next one to be signed by the newest part of the master key.
    pub(crate) const fn signed_anew(self, sum: Sum) -> Self {
        Self { signer: RootPart::Newest, sum, ..self }
    }

    /// Whether it is as releases left it that did not chain roots: before the first seal there was nothing to tell by.
    pub(crate) fn was_sound(&self, mac: &Mac) -> bool {
        let message = Message::new(Use::Root).number(self.version).number(self.adopts_until);
        self.mac == mac.of(&message.bytes(&self.sum_bytes())) || self.is_blank()
    }

    /// Whether nothing was ever sealed under it.
    pub(crate) fn is_blank(&self) -> bool {
        self.version == 0 && self.sum == Sum::default()
    }

    /// A root of the release before, as the beginning of a history.
    pub(crate) fn beginning(self) -> Self {
        let mac = if self.is_blank() { [0; 32] } else { self.mac };
        Self { adopts_until: 0, cut: (self.version, mac), least_kept: i64::MAX, mac, ..self }
    }

    /// The same, for the next one to be signed by a part of the master key.
    pub(crate) const fn signed_by(self, signer: RootPart) -> Self {
        Self { signer, ..self }
    }

    /// The beginning of another history behind a version, as this one's is not what it was.
    pub(crate) const fn behind(self, version: i64) -> Self {
        Self { version, made_at: 0, adopts_until: 0, cut: (version, self.mac), least_kept: i64::MAX, ..self }
    }

    /// How it is noted elsewhere.
    pub(crate) const fn noted(&self) -> TrailRoot {
        TrailRoot { version: self.version, mac: self.mac }
    }
}

/// What the root was, or is.
pub(crate) struct Past {
    pub version: i64,
    made_at: i64,
    state: Code,
    pub mac: Code,
}

impl FromQueryResult for Past {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let (version, made_at) = (number(row, "version"), number(row, "made_at"));
        Ok(Self { version, made_at, state: code(row, "state"), mac: code(row, "mac") })
    }
}

impl Past {
    /// Whether it comes right behind another one.
    pub(crate) fn follows(&self, mac: &Mac, (version, before): (i64, Code)) -> bool {
        self.version == version.wrapping_add(1)
            && mac.part_of(&link(self.version, self.made_at, &before, &self.state), &self.mac, true).is_some()
    }
}

impl System<'_> {
    /// The root as it is.
    pub(crate) async fn root(&self) -> Result<Option<Root>> {
        let root = self.table::<audit_root::Entity>().select().filter(audit_root::Column::Id.eq(1));
        Ok(root.into_model().one(&self.exec).await?)
    }

    /// The roots behind one, the oldest first.
    pub(crate) async fn past_roots(&self, behind: i64, most: usize) -> Result<Vec<Past>> {
        use audit_past_root::Column;
        let behind = self.table::<audit_past_root::Entity>().select().filter(Column::Version.gt(behind));
        Ok(behind.order_by_asc(Column::Version).limit(most as u64).into_model().all(&self.exec).await?)
    }
}

impl WriteSystem<'_> {
    /// The root, held until the transaction ends; none where another process holds it and that is not waited for.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the root or a trigger is not as Gatehouse left it: going on would make that look right.
    pub(crate) async fn hold_root(&self, wait: bool) -> Result<Option<Root>> {
        let Some(mut root) = self.any_root(wait).await? else { return Ok(None) };
        // Another process may have taken up a newer part already: it stays with that.
        root.signer = root.signer(self.tx.mac()?).ok_or_else(|| Error::Tampered("its root".into()))?;
        match changed_triggers(self.tx.exec()).await?.pop() {
            Some(trigger) => Err(Error::Tampered(format!("the trigger {trigger}"))),
            None => Ok(Some(root)),
        }
    }

    /// The same without looking at it.
    pub(crate) async fn any_root(&self, wait: bool) -> Result<Option<Root>> {
        let root = self.table::<audit_root::Entity>().select().filter(audit_root::Column::Id.eq(1));
        let root = match wait {
            true => root.lock_exclusive(),
            false => root.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
        };
        match root.into_model().one(&self.tx.exec()).await? {
            None if wait => Err(Error::Tampered("its root is gone".into())),
            root => Ok(root),
        }
    }

    /// Stores the next root.
    pub(crate) async fn put_root(&self, mut root: Root) -> Result<()> {
        let mac = self.tx.mac()?;
        // Later than the last one, whatever the clock says: whether a database was put back is told by it.
        let made_at = (root.made_at + 1).max(self.tx.now().micros());
        (root.before, root.version, root.made_at) = (root.mac, root.version + 1, made_at);
        root.mac = mac.root(&root.message(mac), root.signer);
        let now = self.table::<audit_root::Entity>().update().set(root.row()).filter(audit_root::Column::Id.eq(1));
        now.exec(&self.tx.writing()).await?;
        let (version, made_at, state) = (root.version, root.made_at, root.state(mac).to_vec());
        let past = audit_past_root::Model { version, made_at, state, mac: root.mac.to_vec() };
        self.table::<audit_past_root::Entity>().insert(past).exec_without_returning(&self.tx.writing()).await?;
        Ok(())
    }

    /// Forgets roots that are older than anybody will ask for, some hundreds at a time. Returns how many.
    ///
    /// # Errors
    /// [`Error::Tampered`] when they are not what they were.
    pub async fn purge_audit_roots(&self) -> Result<usize> {
        let before = self.tx.now().minus(KEPT).micros();
        let Some(mut root) = self.hold_root(false).await? else { return Ok(0) };
        let (first, mac) = (root.cut.0, self.tx.mac()?);
        for past in self.read().past_roots(first, PURGED).await? {
            if past.made_at >= before || past.version >= root.version {
                break;
            }
            if !past.follows(mac, root.cut) {
                return Err(Error::Tampered(format!("its root of version {}", past.version)));
            }
            root.cut = (past.version, past.mac);
        }
        let count = root.cut.0 - first;
        if count > 0 {
            let cut = self.table::<audit_past_root::Entity>().delete();
            cut.filter(audit_past_root::Column::Version.lte(root.cut.0)).exec(&self.tx.writing()).await?;
            self.put_root(root).await?;
        }
        Ok(usize::try_from(count).unwrap_or_default())
    }
}
