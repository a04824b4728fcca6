//! The roles that users hold, as sign-ins, token checks and lists of users read them.

use std::collections::HashMap;

use gatehouse_domain::{
    id::{RoleId, UserId},
    role::{BuiltinRole, HeldRole},
    throttle::LOCK_AFTER,
    time::Timestamp,
    user::{User, UserDetail, UserView},
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult};
use uuid::Uuid;

use crate::{
    entity::user::Entity,
    error::Result,
    repo::{assignment::anchor, list::unsigned, role::permissions, sql::power_of_two},
    scope::Scope,
};

/// The columns and joins that [`Held`] reads, for a user row called `u`.
pub(crate) const HELD_COLUMNS: &str = "a.role_id AS a_role_id, a.anchor_level AS a_anchor_level, \
     a.anchor_partner_id AS a_anchor_partner_id, a.anchor_tenant_id AS a_anchor_tenant_id, a.expires_at AS a_expires_at, \
     r.name AS a_name, r.permissions AS a_permissions";
pub(crate) const HELD_JOINS: &str = "LEFT JOIN role_assignments a ON a.tenant_id = u.tenant_id AND a.user_id = u.id AND a.deleted_at IS NULL \
     LEFT JOIN roles r ON r.tenant_id = a.role_tenant_id AND r.id = a.role_id AND r.deleted_at IS NULL";

#[derive(Debug, FromQueryResult)]
struct Held {
    role_id: Option<Uuid>,
    anchor_level: Option<String>,
    anchor_partner_id: Option<Uuid>,
    anchor_tenant_id: Option<Uuid>,
    expires_at: Option<i64>,
    name: Option<String>,
    permissions: Option<String>,
}

/// The role in a row of a query with [`HELD_JOINS`]; none if the user of the row holds none, or no longer, or it was deleted.
pub(crate) fn held(row: &QueryResult, now: Timestamp) -> Result<Option<HeldRole>> {
    let row = Held::from_query_result(row, "a_")?;
    let (Some(role_id), Some(level)) = (row.role_id.map(RoleId::from_uuid), row.anchor_level) else { return Ok(None) };
    let (name, permissions) = match (BuiltinRole::by_id(role_id), row.name, row.permissions) {
        (Some(role), ..) => (role.name().to_owned(), role.permissions()),
        (None, Some(name), Some(stored)) => (name, permissions(&stored)),
        // The role was deleted while it was being given: neither transaction saw the other. It allows nothing.
        _ => return Ok(None),
    };
    let held = HeldRole {
        role_id,
        name,
        permissions,
        anchor: anchor(&level, row.anchor_partner_id, row.anchor_tenant_id)?,
        expires_at: row.expires_at.map(Timestamp::from_micros),
    };
    Ok(held.holds(now).then_some(held))
}

impl Scope<'_> {
    /// The roles that users hold, in one statement however many users they are.
    pub(crate) async fn held_by(&self, users: &[UserId], now: Timestamp) -> Result<HashMap<UserId, Vec<HeldRole>>> {
        let mut roles = HashMap::<UserId, Vec<HeldRole>>::new();
        if users.is_empty() {
            return Ok(roles);
        }
        let ids: Vec<_> = users.iter().map(|id| id.uuid()).collect();
        // Text: reads the columns of every sign-in. Plan: `lists_of_everything_else_are_found_by_an_index`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT u.id, ").push(HELD_COLUMNS).push(" FROM (SELECT * FROM users WHERE");
        });
        sql.push(" AND id").one_of(power_of_two(&ids)).push(") u ").push(HELD_JOINS);
        sql.push(" ORDER BY u.id, a.created_at, a.id");
        for row in sql.all(self.exec).await? {
            let user = UserId::from_uuid(row.try_get("", "id")?);
            roles.entry(user).or_default().extend(held(&row, now)?);
        }
        Ok(roles)
    }

    /// What administrators see of users besides what is in their rows, in one statement however many users they are.
    pub(crate) async fn about(&self, users: Vec<User>, now: Timestamp) -> Result<Vec<UserDetail>> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let is_postgres = self.exec.get_database_backend() == DbBackend::Postgres;
        let ids: Vec<_> = users.iter().map(|user| user.id.uuid()).collect();
        // Text: reads the columns of every sign-in. Plan:
        // `users_are_searched_by_an_index_wherever_they_are_and_whatever_else_is_asked`.
        let mut sql = self.sql::<Entity>(|sql| {
            sql.push("SELECT u.id, ").push(HELD_COLUMNS).push(", (SELECT failures FROM throttles WHERE key = ");
            // The counter less what is due and not yet swept.
            sql.push(if is_postgres { "uuid_send(u.id)" } else { "u.id" }).push(
                ") AS failures, u.active_sessions - (SELECT COUNT(*) FROM sessions s WHERE s.tenant_id = u.tenant_id \
                 AND s.user_id = u.id AND s.ended_at IS NULL AND s.ends_at <= ",
            );
            sql.bind(now.micros()).push(") AS sessions FROM (SELECT * FROM users WHERE");
        });
        sql.push(" AND id").one_of(power_of_two(&ids)).push(") u ").push(HELD_JOINS);
        sql.push(" ORDER BY u.id, a.created_at, a.id");
        let mut found = HashMap::<_, (Vec<HeldRole>, u64, bool)>::new();
        for row in sql.all(self.exec).await? {
            let about = found.entry(UserId::from_uuid(row.try_get("", "id")?)).or_default();
            about.0.extend(held(&row, now)?);
            about.1 = unsigned(row.try_get("", "sessions")?);
            about.2 =
                row.try_get::<Option<i64>>("", "failures")?.is_some_and(|failures| failures >= i64::from(LOCK_AFTER));
        }
        let detail = |user: User| {
            let (roles, sessions, locked) = found.remove(&user.id).unwrap_or_default();
            UserDetail { view: UserView { user, roles }, sessions, locked }
        };
        Ok(users.into_iter().map(detail).collect())
    }
}
