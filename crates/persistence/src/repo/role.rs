//! Roles that tenants made for themselves.

use gatehouse_domain::{
    authz::{PermissionPattern, PermissionSet},
    id::{PartnerId, RoleId, TenantId},
    page::{Direction, Page, PageRequest},
    role::Role,
    text::Name,
    time::Timestamp,
};
use sea_orm::{Condition, QueryFilter, Set};

use crate::{
    entity::role::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{
        Home, Row, Versioned,
        list::{Stored, any},
        term::Terms,
    },
    scope::Scope,
};

/// Which roles are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct RoleFilter {
    /// Of these tenants.
    pub tenants: Vec<TenantId>,
    /// Of tenants of these partners.
    pub partners: Vec<PartnerId>,
    /// With one of these names, compared without case.
    pub names: Vec<String>,
}

/// Patterns hold no white space, so one blank separates them.
pub(crate) fn permissions(stored: &str) -> PermissionSet {
    PermissionSet::new(stored.split_ascii_whitespace().map(|p| PermissionPattern::from_stored(p.to_owned())).collect())
}

impl Row for Role {
    type Entity = Entity;
    type Active = ActiveModel;

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.tenant_id), user: None }
    }

    fn terms(&self) -> Option<Terms> {
        None
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
            ..self.updatable()?
        })
    }
}

impl Versioned for Role {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            name: Set(self.name.to_string()),
            name_key: Set(self.name.as_str().to_lowercase()),
            permissions: Set(self.permissions.to_string()),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl Stored for Role {
    fn read(row: Model) -> Result<Self> {
        Ok(Self {
            id: RoleId::from_uuid(row.id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            partner_id: PartnerId::from_uuid(row.partner_id),
            name: Name::from_stored(row.name),
            permissions: permissions(&row.permissions),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            deleted_at: row.deleted_at.map(Timestamp::from_micros),
            version: row.version,
        })
    }
}

impl Scope<'_> {
    /// One role.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn role(&self, id: RoleId) -> Result<Option<Role>> {
        self.one(id.uuid()).await
    }

    /// One role, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn role_even_deleted(&self, id: RoleId) -> Result<Option<Role>> {
        self.one_even_deleted(id.uuid()).await
    }

    /// Roles, by creation.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn roles(&self, filter: &RoleFilter, direction: Direction, page: &PageRequest) -> Result<Page<Role>> {
        let asked = Condition::all()
            .add_option(any(Column::TenantId, filter.tenants.iter().map(|id| id.uuid())))
            .add_option(any(Column::PartnerId, filter.partners.iter().map(|id| id.uuid())))
            .add_option(any(Column::NameKey, filter.names.iter().map(|name| name.to_lowercase())));
        self.page(self.select::<Entity>().filter(asked), Column::CreatedAt, direction, page).await
    }
}
