//! Who holds which role where.

use std::collections::HashMap;

use gatehouse_domain::{
    id::{AssignmentId, PartnerId, RoleId, TenantId, UserId},
    page::{Direction, Page, PageRequest},
    role::{Anchor, Assignment, BuiltinRole, HeldRole},
    throttle::LOCK_AFTER,
    time::Timestamp,
    user::{User, UserDetail, UserView},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, FromQueryResult, QueryFilter, QueryResult, Set};
use uuid::Uuid;

use crate::{
    db::{Change, Exec},
    entity::assignment::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home, Row, Versioned,
        list::{self, unsigned},
        role::permissions,
        sql::Sql,
        term::Terms,
    },
    scope::Scope,
};

/// Which assignments are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AssignmentFilter {
    /// Of these users.
    pub users: Vec<UserId>,
    /// Of these roles.
    pub roles: Vec<RoleId>,
    /// Of users in these tenants.
    pub tenants: Vec<TenantId>,
    /// Of users in tenants of these partners.
    pub partners: Vec<PartnerId>,
}

fn anchor(level: &str, partner: Option<Uuid>, tenant: Option<Uuid>) -> Result<Anchor> {
    match (level, partner, tenant) {
        ("platform", None, None) => Ok(Anchor::Platform),
        ("partner", Some(id), None) => Ok(Anchor::Partner(PartnerId::from_uuid(id))),
        ("tenant", None, Some(id)) => Ok(Anchor::Tenant(TenantId::from_uuid(id))),
        _ => Err(Error::Corrupt("anchor")),
    }
}

fn domain(row: Model) -> Result<Assignment> {
    Ok(Assignment {
        id: AssignmentId::from_uuid(row.id),
        tenant_id: TenantId::from_uuid(row.tenant_id),
        partner_id: PartnerId::from_uuid(row.partner_id),
        user_id: UserId::from_uuid(row.user_id),
        role_id: RoleId::from_uuid(row.role_id),
        anchor: anchor(&row.anchor_level, row.anchor_partner_id, row.anchor_tenant_id)?,
        expires_at: row.expires_at.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        deleted_at: row.deleted_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for Assignment {
    type Entity = Entity;
    type Active = ActiveModel;

    const INSERT_CHANGES: Option<Change> = Some(Change::Everything);

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.tenant_id), user: Some(self.user_id) }
    }

    fn terms(&self) -> Option<Terms> {
        None
    }

    fn uuid(&self) -> Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        let (partner, tenant, key) = match self.anchor {
            Anchor::Platform => (None, None, "platform".to_owned()),
            Anchor::Partner(id) => (Some(id.uuid()), None, id.to_string()),
            Anchor::Tenant(id) => (None, Some(id.uuid()), id.to_string()),
        };
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant_id.uuid()),
            partner_id: Set(self.partner_id.uuid()),
            user_id: Set(self.user_id.uuid()),
            role_id: Set(self.role_id.uuid()),
            role_tenant_id: Set(if BuiltinRole::by_id(self.role_id).is_some() { None } else { tenant }),
            anchor_level: Set(self.anchor.level().to_owned()),
            anchor_partner_id: Set(partner),
            anchor_tenant_id: Set(tenant),
            anchor_key: Set(key),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for Assignment {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            expires_at: Set(self.expires_at.map(Timestamp::micros)),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

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

/// The roles that users hold, in one statement however many users they are. The ids come from a scoped query.
pub(crate) async fn held_by(
    exec: Exec<'_>,
    users: &[UserId],
    now: Timestamp,
) -> Result<HashMap<UserId, Vec<HeldRole>>> {
    let mut roles = HashMap::<UserId, Vec<HeldRole>>::new();
    if users.is_empty() {
        return Ok(roles);
    }
    let mut sql = Sql::new("SELECT u.id, ");
    sql.push(HELD_COLUMNS)
        .push(" FROM users u ")
        .push(HELD_JOINS)
        .push(" WHERE u.id")
        .one_of(users.iter().map(|id| id.uuid()));
    sql.push(" ORDER BY u.id, a.created_at, a.id");
    let db = exec;
    for row in sql.all(db).await? {
        if let Some(role) = held(&row, now)? {
            roles
                .entry(UserId::from_uuid(row.try_get_by_index(0).map_err(|_| Error::Corrupt("user"))?))
                .or_default()
                .push(role);
        }
    }
    Ok(roles)
}

/// What administrators see of users besides what is in their rows, in one statement however many users they are.
pub(crate) async fn about(exec: Exec<'_>, users: Vec<User>, now: Timestamp) -> Result<Vec<UserDetail>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let backend = exec.get_database_backend();
    let key = if backend == DbBackend::Postgres { "uuid_send(u.id)" } else { "u.id" };
    let mut sql = Sql::new("SELECT u.id, ");
    sql.push(HELD_COLUMNS).push(", (SELECT failures FROM throttles WHERE key = ").push(key);
    // The counter less what is due and not yet swept.
    sql.push(") AS failures, u.active_sessions - (SELECT COUNT(*) FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id \
         AND s.ended_at IS NULL AND s.ends_at <= ").bind(now.micros());
    sql.push(") AS sessions FROM users u ")
        .push(HELD_JOINS)
        .push(" WHERE u.id")
        .one_of(users.iter().map(|user| user.id.uuid()));
    sql.push(" ORDER BY u.id, a.created_at, a.id");
    let mut found = HashMap::<_, (Vec<HeldRole>, u64, bool)>::new();
    for row in sql.all(exec).await? {
        let about = found.entry(UserId::from_uuid(row.try_get("", "id")?)).or_default();
        about.0.extend(held(&row, now)?);
        about.1 = unsigned(row.try_get("", "sessions")?);
        about.2 = row.try_get::<Option<i64>>("", "failures")?.is_some_and(|failures| failures >= i64::from(LOCK_AFTER));
    }
    let detail = |user: User| {
        let (roles, sessions, locked) = found.remove(&user.id).unwrap_or_default();
        UserDetail { view: UserView { user, roles }, sessions, locked }
    };
    Ok(users.into_iter().map(detail).collect())
}

impl Scope<'_> {
    /// One assignment.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn assignment(&self, id: AssignmentId) -> Result<Option<Assignment>> {
        Ok(self.assignment_even_deleted(id).await?.filter(|assignment| assignment.deleted_at.is_none()))
    }

    /// One assignment, taken away or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn assignment_even_deleted(&self, id: AssignmentId) -> Result<Option<Assignment>> {
        self.select_even_deleted::<Entity>()
            .filter(Column::Id.eq(id.uuid()))
            .one(&self.exec)
            .await?
            .map(domain)
            .transpose()
    }

    /// Assignments of users within the scope, by creation.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn assignments(
        &self,
        filter: &AssignmentFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Assignment>> {
        let select = list::any_of(self.select::<Entity>(), Column::UserId, &list::uuids(&filter.users, UserId::uuid));
        let select = list::any_of(select, Column::RoleId, &list::uuids(&filter.roles, RoleId::uuid));
        let select = list::any_of(select, Column::TenantId, &list::uuids(&filter.tenants, TenantId::uuid));
        let select = list::any_of(select, Column::PartnerId, &list::uuids(&filter.partners, PartnerId::uuid));
        list::convert(list::page(self.exec, select, Column::CreatedAt, direction, page).await?, domain)
    }
}
