//! Users, and the roles they hold.

use gatehouse_domain::{
    id::{PartnerId, TenantId, UserId},
    page::{Direction, Page, PageRequest},
    search::{Search, Searchable},
    secret::PasswordHash,
    text::{DisplayName, Email, Phone, Username},
    time::Timestamp,
    user::{PasswordRemoved, PasswordSet, User, UserDetail, UserStatus, UserView},
};
use sea_orm::{
    ColumnTrait, Condition, ExprTrait, QueryFilter, Set,
    sea_query::{Expr, Query},
};

use crate::{
    entity::{
        assignment,
        user::{ActiveModel, Column, Entity, Model},
    },
    error::Result,
    repo::{
        Home, Row, Versioned, from_json,
        list::{By, Stored, any, sorted_by},
        term::{Terms, USER_TERMS},
        to_json, word,
    },
    scope::Scope,
};

/// Which users are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// In these tenants.
    pub tenants: Vec<TenantId>,
    /// In tenants of these partners.
    pub partners: Vec<PartnerId>,
    /// With one of these states.
    pub statuses: Vec<UserStatus>,
    /// Holding one of these roles.
    pub roles: Vec<gatehouse_domain::id::RoleId>,
    /// Found by this.
    pub search: Option<Search>,
    /// Signed in, and for the last time before this instant.
    pub last_login_before: Option<Timestamp>,
}

/// What lists of users are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserSort {
    /// When they were made.
    CreatedAt,
    /// Their user names.
    Username,
    /// Their addresses.
    Email,
    /// Their last sign-ins; whoever never signed in comes before everybody else.
    LastLoginAt,
}

impl UserSort {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CreatedAt, Self::Username, Self::Email, Self::LastLoginAt];

    const fn column(self) -> Column {
        match self {
            Self::CreatedAt => Column::CreatedAt,
            Self::Username => Column::UsernameKey,
            Self::Email => Column::EmailKey,
            Self::LastLoginAt => Column::LastLoginAt,
        }
    }
}

pub(crate) fn domain(row: Model) -> Result<User> {
    Ok(User {
        id: UserId::from_uuid(row.id),
        tenant_id: TenantId::from_uuid(row.tenant_id),
        partner_id: PartnerId::from_uuid(row.partner_id),
        username: Username::from_stored(row.username),
        email: Email::from_stored(row.email),
        email_verified: row.email_verified,
        display_name: row.display_name.map(DisplayName::from_stored),
        phone: row.phone.map(Phone::from_stored),
        status: word(&row.status, "user status")?,
        attributes: from_json(&row.attributes, "user attributes")?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        last_login_at: row.last_login_at.map(Timestamp::from_micros),
        deleted_at: row.deleted_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for User {
    type Entity = Entity;
    type Active = ActiveModel;

    fn terms(&self) -> Option<Terms> {
        Some((USER_TERMS, Searchable::terms(self)))
    }

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.tenant_id), user: Some(self.id) }
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenant_id: Set(self.tenant_id.uuid()),
            partner_id: Set(self.partner_id.uuid()),
            created_at: Set(self.created_at.micros()),
            last_login_at: Set(self.last_login_at.map(Timestamp::micros)),
            active_sessions: Set(0),
            roles_given: Set(0),
            ..self.updatable()?
        })
    }
}

impl Versioned for User {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    // The last sign-in and the count of sessions are kept by sign-in itself and by a trigger.
    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            username: Set(self.username.to_string()),
            username_key: Set(self.username.key()),
            email: Set(self.email.to_string()),
            email_key: Set(self.email.key()),
            email_verified: Set(self.email_verified),
            display_name: Set(self.display_name.as_ref().map(DisplayName::to_string)),
            phone: Set(self.phone.as_ref().map(Phone::to_string)),
            status: Set(self.status.to_string()),
            attributes: Set(to_json(&self.attributes)?),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

/// Takes the hash out of a row.
pub(crate) fn password_hash(row: &mut Model) -> Option<PasswordHash> {
    let cost = row.password_hash_cost.and_then(|cost| u32::try_from(cost).ok());
    Some(PasswordHash::new(row.password_hash.take()?).brought_along(cost))
}

impl Row for PasswordSet {
    type Entity = Entity;
    type Active = ActiveModel;

    fn terms(&self) -> Option<Terms> {
        Row::terms(&self.user)
    }

    fn home(&self) -> Home {
        self.user.home()
    }

    fn uuid(&self) -> uuid::Uuid {
        self.user.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(with_hash(self, self.user.insertable()?))
    }
}

impl Versioned for PasswordSet {
    fn version(&mut self) -> &mut i64 {
        &mut self.user.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(with_hash(self, self.user.updatable()?))
    }
}

fn with_hash(value: &PasswordSet, row: ActiveModel) -> ActiveModel {
    ActiveModel {
        password_hash: Set(Some(value.hash.as_str().to_owned())),
        password_hash_cost: Set(value.hash.cost().map(i64::from)),
        password_changed_at: Set(Some(value.user.updated_at.micros())),
        ..row
    }
}

impl Row for PasswordRemoved {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        self.user.home()
    }

    fn terms(&self) -> Option<Terms> {
        Row::terms(&self.user)
    }

    fn uuid(&self) -> uuid::Uuid {
        self.user.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        self.user.insertable()
    }
}

impl Versioned for PasswordRemoved {
    fn version(&mut self) -> &mut i64 {
        &mut self.user.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            password_hash: Set(None),
            password_hash_cost: Set(None),
            password_changed_at: Set(Some(self.user.updated_at.micros())),
            ..self.user.updatable()?
        })
    }
}

impl Stored for User {
    fn read(row: Model) -> Result<Self> {
        domain(row)
    }
}

impl Scope<'_> {
    /// One user.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.one(id.uuid()).await
    }

    /// The user of a tenant with an address, in whatever case it is written.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_by_email(&self, tenant: TenantId, email: &Email) -> Result<Option<User>> {
        let of_tenant = self.select::<Entity>().filter(Column::TenantId.eq(tenant.uuid()));
        of_tenant.filter(Column::EmailKey.eq(email.key())).one(&self.exec).await?.map(domain).transpose()
    }

    /// One user with the roles held.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_view(&self, id: UserId, now: Timestamp) -> Result<Option<UserView>> {
        Ok(self.user_view_even_deleted(id, now).await?.filter(|view| view.user.deleted_at.is_none()))
    }

    /// The same of one user, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_view_even_deleted(&self, id: UserId, now: Timestamp) -> Result<Option<UserView>> {
        let Some(user) = self.one_even_deleted::<User>(id.uuid()).await? else { return Ok(None) };
        let mut roles = self.held_by(&[id], now).await?;
        Ok(Some(UserView { user, roles: roles.remove(&id).unwrap_or_default() }))
    }

    /// One user with all that administrators see.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_detail(&self, id: UserId, now: Timestamp) -> Result<Option<UserDetail>> {
        Ok(self.user_detail_even_deleted(id, now).await?.filter(|detail| detail.view.user.deleted_at.is_none()))
    }

    /// One user, deleted or not, with all that administrators see.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn user_detail_even_deleted(&self, id: UserId, now: Timestamp) -> Result<Option<UserDetail>> {
        let Some(user) = self.one_even_deleted::<User>(id.uuid()).await? else { return Ok(None) };
        Ok(self.about(vec![user], now).await?.pop())
    }

    /// Users with all that administrators see.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn users(
        &self,
        filter: &UserFilter,
        sort: UserSort,
        direction: Direction,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<UserDetail>> {
        let holders = any(assignment::Column::RoleId, filter.roles.iter().map(|id| id.uuid())).map(|roles| {
            let expires_at = assignment::Column::ExpiresAt;
            let holds = Condition::any().add(expires_at.is_null()).add(expires_at.gt(now.micros()));
            let mut holders = Query::select();
            holders.column(assignment::Column::UserId).from(assignment::Entity).and_where(roles);
            holders.and_where(assignment::Column::DeletedAt.is_null()).cond_where(holds);
            Expr::col((Entity, Column::Id)).in_subquery(holders)
        });
        let asked = Condition::all()
            .add_option(any(Column::TenantId, filter.tenants.iter().map(|id| id.uuid())))
            .add_option(any(Column::PartnerId, filter.partners.iter().map(|id| id.uuid())))
            .add_option(any(Column::Status, filter.statuses.iter().map(|status| status.as_str())))
            .add_option(holders)
            .add_option(filter.last_login_before.map(|at| {
                let before = sorted_by(Column::LastLoginAt).lt(at.micros());
                Condition::all().add(before).add(Column::LastLoginAt.is_not_null())
            }));
        let select =
            self.found_users(self.select::<Entity>(), filter.search.as_ref(), &filter.tenants, &filter.partners);
        let is_found = filter.search.is_some() || (filter.last_login_before.is_some() && sort != UserSort::LastLoginAt);
        let by = if is_found { By::Found(sort.column()) } else { By::Index(sort.column()) };
        let page = self.page(select.filter(asked), by, direction, page).await?;
        Ok(Page { items: self.about(page.items, now).await?, total: page.total, next: page.next })
    }
}
