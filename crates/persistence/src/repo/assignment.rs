//! Who holds which role where.

use gatehouse_domain::{
    authz::TenantRef,
    id::{AssignmentId, PartnerId, RoleId, TenantId, UserId},
    page::{Direction, Page, PageRequest},
    role::{Anchor, Assignment, BuiltinRole},
    time::Timestamp,
};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QuerySelect, QueryTrait, Set};
use uuid::Uuid;

use crate::{
    db::Change,
    entity::{
        assignment::{ActiveModel, Column, Entity, Model},
        tenant,
    },
    error::{Error, Result},
    repo::{
        Home, Row, Versioned,
        list::{Stored, any, count},
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

pub(super) fn anchor(level: &str, partner: Option<Uuid>, tenant: Option<Uuid>) -> Result<Anchor> {
    match (level, partner, tenant) {
        ("platform", None, None) => Ok(Anchor::Platform),
        ("partner", Some(id), None) => Ok(Anchor::Partner(PartnerId::from_uuid(id))),
        ("tenant", None, Some(id)) => Ok(Anchor::Tenant(TenantId::from_uuid(id))),
        _ => Err(Error::Corrupt("anchor")),
    }
}

/// What is unique for a user and a role.
fn anchor_key(anchor: Anchor) -> String {
    match anchor {
        Anchor::Platform => anchor.level().to_owned(),
        Anchor::Partner(id) => id.to_string(),
        Anchor::Tenant(id) => id.to_string(),
    }
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
        let (partner, tenant) = match self.anchor {
            Anchor::Platform => (None, None),
            Anchor::Partner(id) => (Some(id.uuid()), None),
            Anchor::Tenant(id) => (None, Some(id.uuid())),
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
            anchor_key: Set(anchor_key(self.anchor)),
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

impl Stored for Assignment {
    fn read(row: Model) -> Result<Self> {
        Ok(Self {
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
}

impl Scope<'_> {
    /// One assignment.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn assignment(&self, id: AssignmentId) -> Result<Option<Assignment>> {
        self.one(id.uuid()).await
    }

    /// One assignment, taken away or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn assignment_even_deleted(&self, id: AssignmentId) -> Result<Option<Assignment>> {
        self.one_even_deleted(id.uuid()).await
    }

    /// The one by which the user holds the same role at the same anchor; it may have run out.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn same_assignment(&self, as_this: &Assignment) -> Result<Option<Assignment>> {
        let same = self.select::<Entity>().filter(Column::UserId.eq(as_this.user_id.uuid()));
        let same = same.filter(Column::RoleId.eq(as_this.role_id.uuid()));
        let same = same.filter(Column::AnchorKey.eq(anchor_key(as_this.anchor))).one(&self.exec).await?;
        same.map(Assignment::read).transpose()
    }

    /// How many roles a user has been given and not lost; some may have run out.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn roles_given(&self, user: UserId) -> Result<u64> {
        count(self.exec, self.select::<Entity>().filter(Column::UserId.eq(user.uuid()))).await
    }

    /// What ties a tenant to its partner: assignments of other people of the partner in the tenant, and of the tenant's
    /// people at the partner and in its other tenants.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn ties(&self, tenant: TenantRef) -> Result<Vec<Assignment>> {
        let (id, partner) = (tenant.id.uuid(), tenant.partner_id.uuid());
        let of_others = self.select::<Entity>().filter(Column::AnchorTenantId.eq(id));
        let of_others = of_others.filter(Column::PartnerId.eq(partner)).filter(Column::TenantId.ne(id));
        let tenants = self.select::<tenant::Entity>().filter(tenant::Column::PartnerId.eq(partner));
        let others = tenants.filter(tenant::Column::Id.ne(id)).select_only().column(tenant::Column::Id).into_query();
        let elsewhere = Condition::any().add(Column::AnchorPartnerId.eq(partner));
        let elsewhere = elsewhere.add(Column::AnchorTenantId.in_subquery(others));
        let of_own = self.select::<Entity>().filter(Column::TenantId.eq(id)).filter(elsewhere);
        let mut ties = of_others.all(&self.exec).await?;
        ties.extend(of_own.all(&self.exec).await?);
        ties.into_iter().map(Assignment::read).collect()
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
        let asked = Condition::all()
            .add_option(any(Column::UserId, filter.users.iter().map(|id| id.uuid())))
            .add_option(any(Column::RoleId, filter.roles.iter().map(|id| id.uuid())))
            .add_option(any(Column::TenantId, filter.tenants.iter().map(|id| id.uuid())))
            .add_option(any(Column::PartnerId, filter.partners.iter().map(|id| id.uuid())));
        self.page(self.select::<Entity>().filter(asked), Column::CreatedAt, direction, page).await
    }
}
