//! Counters of failed attempts, and of whatever else is limited.

use std::time::Duration;

use gatehouse_domain::{
    id::{DeviceId, UserId},
    throttle::{Counter, Failures, LOCK_AFTER, NETWORKS},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, DbBackend, InsertMany, QueryFilter, QueryResult, sea_query::OnConflict};

use crate::{
    entity::throttle::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::sql::Sql,
    scope::system::{System, WriteSystem},
};

/// Names a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKey {
    /// Of a user, by whatever name.
    User(UserId),
    /// Of a device that a user signed in from before.
    Device(DeviceId),
    /// Of anything else, by a digest.
    Digest([u8; 32]),
}

impl ThrottleKey {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::User(id) => id.uuid().as_bytes().to_vec(),
            Self::Device(id) => id.uuid().as_bytes().to_vec(),
            Self::Digest(digest) => digest.to_vec(),
        }
    }
}

/// The counters of the networks around an address; IPv4 has one.
pub type NetworkKeys = [Option<ThrottleKey>; NETWORKS];

/// Where an attempt to prove a password is counted.
#[derive(Debug, Clone, Copy)]
pub struct AttemptKeys {
    /// Of the user, by id: the user name and the e-mail address are one account. Or of a name that nobody has.
    pub account: ThrottleKey,
    /// Of the device or session, if its user signed in there before.
    pub known: Option<ThrottleKey>,
    /// Of the address and the networks around it.
    pub networks: NetworkKeys,
    /// Of the tenant.
    pub tenant: ThrottleKey,
}

/// How many counters an attempt has at most.
const ATTEMPT: usize = 3 + NETWORKS;
/// What no counter is named by.
const NOTHING: Vec<u8> = Vec::new();

fn bytes(key: Option<ThrottleKey>) -> Vec<u8> {
    key.map_or(NOTHING, ThrottleKey::bytes)
}

/// The name of the counter of an id in a column.
pub(crate) fn key_of(column: &str, backend: DbBackend) -> String {
    if backend == DbBackend::Postgres { format!("uuid_send({column})") } else { column.to_owned() }
}

/// The counter in a row whose columns have this prefix; nothing counted yet where there is none.
pub(crate) fn counter(row: &QueryResult, prefix: &str) -> Result<Counter> {
    let int = |name| row.try_get::<Option<i64>>(prefix, name);
    let Some(failures) = int("failures")? else { return Ok(Counter::default()) };
    let instant = |micros: Option<i64>| Timestamp::from_micros(micros.unwrap_or(0));
    Ok(Counter {
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        since: instant(int("since")?),
        blocked_until: instant(int("blocked_until")?),
        ..Counter::default()
    })
}

/// The counters of networks and tenant in a row of [`Sql::surroundings`].
pub(crate) fn surroundings(row: &QueryResult) -> Result<([Counter; NETWORKS], Counter)> {
    Ok(([counter(row, "i0_")?, counter(row, "i1_")?, counter(row, "i2_")?], counter(row, "t_")?))
}

impl Sql {
    /// Appends the columns of a counter, prefixed, where there is no room for a join.
    pub(crate) fn counter(&mut self, prefix: &str, key: Option<ThrottleKey>) -> &mut Self {
        for (at, column) in ["failures", "since", "blocked_until"].into_iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " });
            self.push(&format!("(SELECT {column} FROM throttles WHERE key = ")).bind(bytes(key));
            self.push(&format!(") AS {prefix}{column}"));
        }
        self
    }

    /// Appends the counters of networks and tenant. The text is the same for every address.
    pub(crate) fn surroundings(&mut self, keys: &AttemptKeys) -> &mut Self {
        for (prefix, key) in ["i0_", "i1_", "i2_"].into_iter().zip(keys.networks) {
            self.counter(prefix, key).push(", ");
        }
        self.counter("t_", Some(keys.tenant))
    }
}

/// The counters of these names, in their order.
fn in_order<const N: usize>(keys: [Option<ThrottleKey>; N], rows: &[Model]) -> [Counter; N] {
    let instant = Timestamp::from_micros;
    keys.map(|key| {
        let row = rows.iter().find(|row| key.is_some() && bytes(key) == row.key);
        row.map_or_else(Counter::default, |row| Counter {
            failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
            since: instant(row.since),
            blocked_until: instant(row.blocked_until),
            kept: Duration::from_micros(row.kept.unsigned_abs()),
        })
    })
}

impl System<'_> {
    /// Counters.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn throttles<const N: usize>(&self, keys: [Option<ThrottleKey>; N]) -> Result<[Counter; N]> {
        let named = self.table::<Entity>().select().filter(Column::Key.is_in(keys.map(bytes)));
        Ok(in_order(keys, &named.all(&self.exec).await?))
    }
}

impl WriteSystem<'_> {
    /// Changes counters together; their names have to differ. Concurrent changes of one counter happen one after the other.
    /// They are written even if they stay as they were: a failure must not cost less because the account is locked already.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn update_throttles<const N: usize, T>(
        &self,
        keys: [Option<ThrottleKey>; N],
        change: impl FnOnce([Counter; N]) -> ([Counter; N], T) + Send,
    ) -> Result<T> {
        if keys.iter().all(Option::is_none) {
            return Ok(change([Counter::default(); N]).1);
        }
        let db = self.tx.writing();
        let nothing = keys.into_iter().flatten().map(|key| (key, Counter::default()));
        // What locks a counter that may not exist yet.
        let rows = self.upsert(nothing, &[Column::UpdatedAt]).exec_with_returning(&db).await?;
        let (after, result) = change(in_order(keys, &rows));
        let named = keys.into_iter().zip(after).filter_map(|(key, counter)| Some((key?, counter)));
        let all = [Column::Failures, Column::Since, Column::BlockedUntil, Column::Kept, Column::UpdatedAt];
        self.upsert(named, &all).exec_without_returning(&db).await?;
        Ok(result)
    }

    /// Inserts counters; of those that are there it sets these columns. Both databases find them by the key, however many
    /// there are.
    fn upsert(
        &self,
        counters: impl Iterator<Item = (ThrottleKey, Counter)>,
        columns: &[Column],
    ) -> InsertMany<ActiveModel> {
        let now = self.tx.now().micros();
        let row = |(key, counter): (ThrottleKey, Counter)| Model {
            key: key.bytes(),
            failures: i64::from(counter.failures),
            since: counter.since.micros(),
            blocked_until: counter.blocked_until.micros(),
            updated_at: now,
            kept: i64::try_from(counter.kept.as_micros()).unwrap_or(i64::MAX),
        };
        let mut rows: Vec<_> = counters.map(row).collect();
        // Everybody locks counters in one order, so nobody waits in a circle.
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let known = OnConflict::column(Column::Key).update_columns(columns.iter().copied()).to_owned();
        self.table::<Entity>().insert_many(rows).on_conflict(known)
    }

    /// The counters of an attempt, locked until the transaction ends.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn locked_failures(&self, keys: &AttemptKeys) -> Result<Failures> {
        let AttemptKeys { account, known, networks: [a, b, c], tenant } = *keys;
        let keys: [_; ATTEMPT] = [Some(account), known, a, b, c, Some(tenant)];
        let nothing = keys.into_iter().flatten().map(|key| (key, Counter::default()));
        let rows = self.upsert(nothing, &[Column::UpdatedAt]).exec_with_returning(&self.tx.writing()).await?;
        let [account, of_known, a, b, c, tenant] = in_order(keys, &rows);
        Ok(Failures { account, known: known.map(|_| of_known), networks: [a, b, c], tenant })
    }

    /// Changes the counters of an attempt together.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn update_failures<T>(
        &self,
        keys: &AttemptKeys,
        change: impl FnOnce(&Failures) -> (Failures, T) + Send,
    ) -> Result<T> {
        let AttemptKeys { account, known, networks: [a, b, c], tenant } = *keys;
        let keys: [_; ATTEMPT] = [Some(account), known, a, b, c, Some(tenant)];
        self.update_throttles(keys, |[account, of_known, a, b, c, tenant]| {
            let known = known.map(|_| of_known);
            let (after, result) = change(&Failures { account, known, networks: [a, b, c], tenant });
            let [a, b, c] = after.networks;
            ([after.account, after.known.unwrap_or_default(), a, b, c, after.tenant], result)
        })
        .await
    }

    /// Forgets failures in a row after a success. What locks an account stays until it is unlocked.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn forgive(&self, keys: &AttemptKeys) -> Result<()> {
        // In the order in which failures lock them.
        let mut named: Vec<_> =
            [Some(keys.account), keys.known].into_iter().flatten().map(ThrottleKey::bytes).collect();
        named.sort_unstable();
        for key in named {
            let open = self.table::<Entity>().delete().filter(Column::Failures.lt(i64::from(LOCK_AFTER)));
            open.filter(Column::Key.eq(key)).exec(&self.tx.writing()).await?;
        }
        Ok(())
    }
}
