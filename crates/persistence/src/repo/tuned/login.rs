//! What happens before anyone is known: looking up credentials, admitting a sign-in, and the standing of a session.

use std::collections::BTreeMap;

use gatehouse_domain::{
    authz::TenantRef,
    change::Changed,
    id::{DeviceId, SessionId, TenantId, UserId},
    partner::Status,
    role::HeldRole,
    secret::{PasswordHash, TokenHash},
    session::Session,
    text::LoginName,
    throttle::Failures,
    time::Timestamp,
    user::{PasswordSet, User},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, FromQueryResult, QueryFilter, QueryResult, Set};
use uuid::Uuid;

use crate::{
    entity::{session, user},
    error::{Error, Result},
    repo::{
        self,
        list::unsigned,
        sql::{self, Sql},
        throttle::{AttemptKeys, ThrottleKey, counter, key_of, surroundings},
        tuned::assignment::{HELD_COLUMNS, HELD_JOINS, held},
    },
    scope::system::{System, WriteSystem},
};

/// What a sign-in is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The password; none before the first was set.
    pub hash: Option<PasswordHash>,
    /// The roles held.
    pub roles: Vec<HeldRole>,
    /// How often the user had been given a role when these were read.
    pub roles_given: i64,
}

/// What is known before an attempt to prove a password.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose password; none if nobody has the name.
    pub found: Option<Credentials>,
    /// What failed before.
    pub failures: Failures,
    /// Where this attempt is counted.
    pub keys: AttemptKeys,
    /// What a check costs of the dearest hash that a user of the tenant brought along; none if none is left.
    pub dearest: Option<u32>,
}

/// What a token check needs to know of a session.
#[derive(Debug, Clone)]
pub struct SessionState {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// The roles held.
    pub roles: Vec<HeldRole>,
    /// How often the user had been given a role when these were read.
    pub roles_given: i64,
}

/// A sign-in that the database lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// How many sessions the user has, including those that have run out and are not swept yet.
    pub sessions: u64,
    /// How often the user has been given a role.
    pub roles_given: i64,
    /// What failed before.
    pub failures: Failures,
}

/// Sessions with their users.
pub(super) const SESSIONS: &str = "sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id";

fn roles(rows: &[QueryResult], now: Timestamp) -> Result<Vec<HeldRole>> {
    rows.iter().filter_map(|row| held(row, now).transpose()).collect()
}

fn credentials(rows: &[QueryResult], now: Timestamp) -> Result<Option<Credentials>> {
    let Some(first) = rows.first() else { return Ok(None) };
    if first.try_get::<Option<Uuid>>("u_", "id")?.is_none() {
        return Ok(None);
    }
    let mut row = user::Model::from_query_result(first, "u_")?;
    let hash = repo::user::password_hash(&mut row);
    let roles_given = first.try_get("", "roles_given")?;
    Ok(Some(Credentials { user: repo::user::domain(row)?, hash, roles: roles(rows, now)?, roles_given }))
}

impl System<'_> {
    /// Looks a user up by user name or e-mail address, with the password, the roles, whether the device is known, and
    /// the counters of failures, in one statement. The keys name the counter of the account if there is no such user.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn attempt(
        &self,
        tenant: TenantRef,
        name: &LoginName,
        device: Option<TokenHash>,
        keys: &AttemptKeys,
        now: Timestamp,
    ) -> Result<Attempt> {
        let column = if name.is_email() { "u.email_key" } else { "u.username_key" };
        self.attempt_where(tenant, (column, name.key().into()), device, keys, now).await
    }

    /// The same, by id and without a device.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn attempt_of(
        &self,
        tenant: TenantRef,
        user: UserId,
        keys: &AttemptKeys,
        now: Timestamp,
    ) -> Result<Attempt> {
        self.attempt_where(tenant, ("u.id", user.uuid().into()), None, keys, now).await
    }

    async fn attempt_where(
        &self,
        tenant: TenantRef,
        (column, value): (&str, sea_orm::Value),
        device: Option<TokenHash>,
        keys: &AttemptKeys,
        now: Timestamp,
    ) -> Result<Attempt> {
        let db = self.exec;
        let backend = db.get_database_backend();
        // Text: every sign-in runs it. Plan: `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped("SELECT ");
        sql.push(&sql::USER).push(", ").push(HELD_COLUMNS).push(", u.roles_given, d.id AS d_id");
        for of in ["n", "k"] {
            for column in ["failures", "since", "blocked_until"] {
                sql.push(&format!(", {of}.{column} AS {of}_{column}"));
            }
        }
        // A row in any case: whether there is such a user or device shows in no difference of the work.
        sql.push(", ").surroundings(keys);
        sql.push(", (SELECT MAX(f.password_hash_cost) FROM users f WHERE f.tenant_id = ").bind(tenant.id.uuid());
        sql.push(" AND f.password_hash_cost IS NOT NULL AND f.deleted_at IS NULL) AS dearest");
        sql.push(" FROM (SELECT 1 AS one) o LEFT JOIN users u ON u.tenant_id = ");
        sql.bind(tenant.id.uuid()).push(" AND u.deleted_at IS NULL AND ").push(column).push(" = ").bind(value);
        sql.push(" ").push(HELD_JOINS).push(" LEFT JOIN known_devices d ON d.token_hash = ");
        sql.bind(device.map_or(Vec::new(), |hash| hash.as_bytes().to_vec()));
        sql.push(" AND d.tenant_id = u.tenant_id AND d.user_id = u.id AND d.expires_at > ").bind(now.micros());
        sql.push(" LEFT JOIN throttles n ON n.key = COALESCE(").push(&key_of("u.id", backend)).push(", ");
        sql.bind(keys.account.bytes()).push(") LEFT JOIN throttles k ON k.key = COALESCE(");
        sql.push(&key_of("d.id", backend));
        sql.push(", ").bind(keys.known.map_or(Vec::new(), ThrottleKey::bytes)).push(")");
        let rows = sql.all(db).await?;
        let first = rows.first().ok_or(Error::Corrupt("attempt"))?;
        let found = credentials(&rows, now)?;
        let device = first.try_get::<Option<Uuid>>("", "d_id")?.map(DeviceId::from_uuid);
        let keys = AttemptKeys {
            account: found.as_ref().map_or(keys.account, |found| ThrottleKey::User(found.user.id)),
            known: device.map(ThrottleKey::Device).or(keys.known),
            ..*keys
        };
        let (networks, tenant) = surroundings(first)?;
        let known = keys.known.map(|_| counter(first, "k_")).transpose()?;
        let failures = Failures { account: counter(first, "n_")?, known, networks, tenant };
        let dearest = first.try_get::<Option<i64>>("", "dearest")?.and_then(|cost| u32::try_from(cost).ok());
        Ok(Attempt { found, failures, keys, dearest })
    }

    /// A session with its user and the roles held, in one statement.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session_state(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionState>> {
        let rows = self.state_rows("", SESSIONS, ("s.id", id.uuid().into())).await?;
        session_state(&rows, now)
    }

    /// The sessions that cookies open, likewise, by their ids.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn session_states_by_cookie(&self, cookies: &[TokenHash], now: Timestamp) -> Result<Vec<SessionState>> {
        if cookies.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = self.states("", SESSIONS);
        sql.push(" WHERE s.cookie_digest IN (");
        for (at, cookie) in sql::power_of_two(cookies).enumerate() {
            sql.push(if at == 0 { "" } else { ", " }).bind(cookie.as_bytes().to_vec());
        }
        sql.push(")");
        let mut of_each = BTreeMap::<Uuid, Vec<QueryResult>>::new();
        for row in sql.all(self.exec).await? {
            of_each.entry(row.try_get("s_", "id")?).or_default().push(row);
        }
        of_each.values().filter_map(|rows| session_state(rows, now).transpose()).collect()
    }

    /// The tenant in which an address last signed in, among those where anybody may sign in now.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_of_address(&self, address: &LoginName) -> Result<Option<TenantId>> {
        // Text: two tables whose rows decide whether a row of a third counts. Plan:
        // `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped(
            "SELECT u.tenant_id FROM users u JOIN tenants t ON t.id = u.tenant_id JOIN partners p ON p.id = t.partner_id \
             WHERE u.last_login_at IS NOT NULL AND u.deleted_at IS NULL AND t.deleted_at IS NULL AND t.status = ",
        );
        sql.bind(Status::Active.as_str()).push(" AND p.status = ").bind(Status::Active.as_str());
        sql.push(" AND u.email_key = ").bind(address.key()).push(" ORDER BY u.last_login_at DESC LIMIT 1");
        let row = sql.one(self.exec).await?;
        row.map(|row| Ok(TenantId::from_uuid(row.try_get("", "tenant_id")?))).transpose()
    }

    /// The rows of a session, its user and the roles held, with more columns of what else is in the query.
    pub(super) async fn state_rows(
        &self,
        columns: &str,
        from: &str,
        (place, value): (&str, sea_orm::Value),
    ) -> Result<Vec<QueryResult>> {
        let mut sql = self.states(columns, from);
        sql.push(" WHERE ").push(place).push(" = ").bind(value);
        sql.all(self.exec).await
    }

    /// All of them, where it is not said yet which.
    fn states(&self, columns: &str, from: &str) -> Sql {
        // Text: every token check without a warm cache runs it. Plan: `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped("SELECT ");
        sql.push(columns).push(&sql::SESSION).push(", ").push(&sql::USER).push(", u.roles_given, ").push(HELD_COLUMNS);
        sql.push(" FROM ").push(from).push(" ").push(HELD_JOINS);
        sql
    }
}

/// The session of the rows that [`System::state_rows`] finds.
pub(super) fn session_state(rows: &[QueryResult], now: Timestamp) -> Result<Option<SessionState>> {
    let Some(first) = rows.first() else { return Ok(None) };
    Ok(Some(SessionState {
        session: repo::session::domain(session::Model::from_query_result(first, "s_")?)?,
        user: repo::user::domain(user::Model::from_query_result(first, "u_")?)?,
        roles: roles(rows, now)?,
        roles_given: first.try_get("", "roles_given")?,
    }))
}

impl WriteSystem<'_> {
    /// Lets a sign-in pass if its user may still sign in with that password and neither tenant nor partner is
    /// suspended, and notes when. Locks the user, so that sign-ins of one user are counted one after the other, and
    /// the tenant and partner against being suspended meanwhile. The counters are those of this instant: whoever
    /// asks has to look at them before the transaction ends.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn admit(&self, user: &User, hash: &PasswordHash, keys: &AttemptKeys) -> Result<Option<Admission>> {
        let now = self.tx.now().micros();
        // Text: every sign-in runs it, and locks. Plan: `signing_in_and_being_known_are_found_by_an_index`.
        let mut sql = self.unscoped("UPDATE users SET last_login_at = ");
        sql.bind(now).push(" WHERE id = ").bind(user.id.uuid()).push(" AND tenant_id = ").bind(user.tenant_id.uuid());
        sql.push(" AND status = 'ACTIVE' AND password_hash = ").bind(hash.as_str());
        sql.push(
            " AND EXISTS (SELECT 1 FROM tenants t JOIN partners p ON p.id = t.partner_id \
             WHERE t.id = users.tenant_id AND t.status = 'ACTIVE' AND p.status = 'ACTIVE'",
        );
        let db = self.tx.writing();
        let backend = db.get_database_backend();
        if backend == DbBackend::Postgres {
            sql.push(" FOR SHARE OF t, p");
        }
        sql.push(") RETURNING active_sessions, roles_given, ").counter("n_", Some(keys.account)).push(", ");
        sql.counter("k_", keys.known).push(", ").surroundings(keys);
        let Some(row) = sql.one(db).await? else { return Ok(None) };
        let (networks, tenant) = surroundings(&row)?;
        let known = keys.known.map(|_| counter(&row, "k_")).transpose()?;
        let failures = Failures { account: counter(&row, "n_")?, known, networks, tenant };
        let sessions = unsigned(row.try_get("", "active_sessions")?);
        Ok(Some(Admission { sessions, roles_given: row.try_get("", "roles_given")?, failures }))
    }

    /// Replaces the hash of a password by a better one, unless another one was stored meanwhile; whether it did.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn rehash_password(&self, changed: Changed<PasswordSet>, old: &PasswordHash) -> Result<bool> {
        let (PasswordSet { user, hash }, event) = changed.into_parts();
        let better = user::ActiveModel {
            password_hash: Set(Some(hash.as_str().to_owned())),
            password_hash_cost: Set(None),
            ..Default::default()
        };
        let same = self.update_where::<user::Entity>().filter(user::Column::Id.eq(user.id.uuid()));
        let same = same.filter(user::Column::PasswordHash.eq(old.as_str())).set(better);
        let is_stored = same.exec(&self.tx.writing()).await?.rows_affected == 1;
        if is_stored {
            self.tx.record(event).await?;
        }
        Ok(is_stored)
    }
}
