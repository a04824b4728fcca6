//! Counters of failed attempts, and of whatever else is limited.

use std::time::Duration;

use gatehouse_domain::{
    id::{DeviceId, UserId},
    throttle::{Counter, Failures, LOCK_AFTER, NETWORKS},
    time::Timestamp,
    user::User,
};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult};

use crate::{
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
fn in_order<const N: usize>(keys: [Option<ThrottleKey>; N], rows: &[QueryResult]) -> Result<[Counter; N]> {
    let mut counters = [Counter::default(); N];
    for row in rows {
        let name: Vec<u8> = row.try_get("", "key")?;
        if let Some(at) = keys.iter().position(|key| key.is_some() && bytes(*key) == name) {
            let kept = Duration::from_micros(row.try_get::<i64>("", "kept")?.unsigned_abs());
            counters[at] = Counter { kept, ..counter(row, "")? };
        }
    }
    Ok(counters)
}

impl System<'_> {
    /// Counters.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn throttles<const N: usize>(&self, keys: [Option<ThrottleKey>; N]) -> Result<[Counter; N]> {
        let mut sql = Sql::new("SELECT key, failures, since, blocked_until, kept FROM throttles WHERE key");
        sql.one_of(keys.iter().copied().map(bytes));
        in_order(keys, &sql.all(self.exec).await?)
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
        let nothing = keys.into_iter().flatten().map(|key| (key, Counter::default()));
        // What locks a counter that may not exist yet.
        let mut sql = self.upsert(nothing, "updated_at");
        sql.push(" RETURNING key, failures, since, blocked_until, kept");
        let rows = sql.all(self.tx.writing()).await?;
        let (after, result) = change(in_order(keys, &rows)?);
        let named = keys.into_iter().zip(after).filter_map(|(key, counter)| Some((key?, counter)));
        self.execute(self.upsert(named, "failures since blocked_until kept updated_at")).await?;
        Ok(result)
    }

    /// Inserts counters; of those that are there it sets these columns. Both databases find them by the key, however many
    /// there are.
    fn upsert(&self, counters: impl Iterator<Item = (ThrottleKey, Counter)>, columns: &str) -> Sql {
        let now = self.tx.now().micros();
        let mut named: Vec<_> = counters.map(|(key, counter)| (key.bytes(), counter)).collect();
        // Everybody locks counters in one order, so nobody waits in a circle.
        named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut sql = Sql::new("INSERT INTO throttles (key, failures, since, blocked_until, kept, updated_at) VALUES ");
        for (at, (key, counter)) in named.into_iter().enumerate() {
            sql.push(if at == 0 { "(" } else { ", (" }).bind(key).push(", ").bind(i64::from(counter.failures));
            sql.push(", ").bind(counter.since.micros()).push(", ").bind(counter.blocked_until.micros());
            sql.push(", ").bind(i64::try_from(counter.kept.as_micros()).unwrap_or(i64::MAX));
            sql.push(", ").bind(now).push(")");
        }
        for (at, column) in columns.split(' ').enumerate() {
            sql.push(if at == 0 { " ON CONFLICT (key) DO UPDATE SET " } else { ", " });
            sql.push(&format!("{column} = excluded.{column}"));
        }
        sql
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
            let mut sql = Sql::new("DELETE FROM throttles WHERE key = ");
            sql.bind(key).push(" AND failures < ").bind(i64::from(LOCK_AFTER));
            self.execute(sql).await?;
        }
        Ok(())
    }

    /// Forgets the failures of a user and of the user's devices, those that lock too; false if nothing was counted.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn forget_failures(&self, user: &User) -> Result<bool> {
        let device = key_of("id", self.tx.writing().get_database_backend());
        let mut sql = Sql::new("DELETE FROM throttles WHERE key IN (SELECT ");
        sql.push(&device).push(" FROM known_devices WHERE tenant_id = ").bind(user.tenant_id.uuid());
        sql.push(" AND user_id = ").bind(user.id.uuid());
        sql.push(" UNION ALL SELECT ").bind(ThrottleKey::User(user.id).bytes()).push(")");
        Ok(self.execute(sql).await? > 0)
    }
}
