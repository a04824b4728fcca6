//! Tenants.

use gatehouse_domain::{
    id::{PartnerId, TenantId},
    page::{Direction, Page, PageRequest},
    partner::Status,
    search::{Search, Searchable, fold},
    tenant::Tenant,
    text::{Email, Name, Slug},
    time::Timestamp,
};
use sea_orm::{Condition, QueryFilter, Set};

use crate::{
    entity::tenant::{ActiveModel, Column, Entity, Model},
    error::Result,
    repo::{
        Home, Row, Versioned, from_json,
        list::{Stored, any, unsigned},
        term::{TENANT_TERMS, Terms, found},
        to_json, word,
    },
    scope::Scope,
};

/// Which tenants are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct TenantFilter {
    /// Of these partners.
    pub partners: Vec<PartnerId>,
    /// With one of these standings.
    pub statuses: Vec<Status>,
    /// Found by this.
    pub search: Option<Search>,
}

pub(crate) fn domain(row: Model) -> Result<Tenant> {
    Ok(Tenant {
        id: TenantId::from_uuid(row.id),
        partner_id: PartnerId::from_uuid(row.partner_id),
        name: Name::from_stored(row.name),
        slug: Slug::from_stored(row.slug),
        status: word(&row.status, "tenant status")?,
        contact_email: row.contact_email.map(Email::from_stored),
        settings: from_json(&row.settings, "tenant settings")?,
        branding: from_json(&row.branding, "tenant branding")?,
        users: unsigned(row.users),
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        deleted_at: row.deleted_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for Tenant {
    type Entity = Entity;
    type Active = ActiveModel;

    fn terms(&self) -> Option<Terms> {
        Some((TENANT_TERMS, Searchable::terms(self)))
    }

    fn home(&self) -> Home {
        Home { partner: self.partner_id, tenant: Some(self.id), user: None }
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            users: Set(0),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for Tenant {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    // The count of users is kept by triggers.
    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            partner_id: Set(self.partner_id.uuid()),
            name: Set(self.name.to_string()),
            name_key: Set(fold(self.name.as_str())),
            slug: Set(self.slug.to_string()),
            status: Set(self.status.to_string()),
            contact_email: Set(self.contact_email.as_ref().map(Email::to_string)),
            settings: Set(to_json(&self.settings)?),
            branding: Set(to_json(&self.branding)?),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl Stored for Tenant {
    fn read(row: Model) -> Result<Self> {
        domain(row)
    }
}

impl Scope<'_> {
    /// One tenant.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        self.one(id.uuid()).await
    }

    /// One tenant, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenant_even_deleted(&self, id: TenantId) -> Result<Option<Tenant>> {
        self.one_even_deleted(id.uuid()).await
    }

    /// Tenants, by creation or by name.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn tenants(
        &self,
        filter: &TenantFilter,
        by_name: bool,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Tenant>> {
        let asked = Condition::all()
            .add_option(any(Column::PartnerId, filter.partners.iter().map(|id| id.uuid())))
            .add_option(any(Column::Status, filter.statuses.iter().map(|status| status.as_str())));
        let select = found(self.select::<Entity>().filter(asked), TENANT_TERMS, filter.search.as_ref());
        self.page(select, if by_name { Column::NameKey } else { Column::CreatedAt }, direction, page).await
    }
}
