//! Partners.

use gatehouse_domain::{
    id::PartnerId,
    page::{Direction, Page, PageRequest},
    partner::{Limit, Partner, Status},
    search::{Search, Searchable, fold},
    text::{Email, Name, Slug},
    time::Timestamp,
};
use sea_orm::{Condition, QueryFilter, Set};

use crate::{
    entity::partner::{ActiveModel, Column, Entity, Model},
    error::{Error, Result},
    repo::{
        Home, Row, Versioned, from_json,
        list::{Stored, any, unsigned},
        term::{PARTNER_TERMS, Terms, found},
        to_json, word,
    },
    scope::Scope,
};

/// Which partners are listed; what is empty is not asked for.
#[derive(Debug, Clone, Default)]
pub struct PartnerFilter {
    /// With one of these standings.
    pub statuses: Vec<Status>,
    /// Found by this.
    pub search: Option<Search>,
}

pub(crate) fn limit(stored: Option<i64>) -> Result<Option<Limit>> {
    stored
        .map(|n| u64::try_from(n).ok().and_then(|n| Limit::new(n).ok()).ok_or(Error::Corrupt("partner limit")))
        .transpose()
}

fn stored(limit: Option<Limit>) -> Option<i64> {
    limit.map(|n| i64::from(n.get()))
}

pub(crate) fn domain(row: Model) -> Result<Partner> {
    Ok(Partner {
        id: PartnerId::from_uuid(row.id),
        name: Name::from_stored(row.name),
        slug: Slug::from_stored(row.slug),
        status: word(&row.status, "partner status")?,
        contact_email: row.contact_email.map(Email::from_stored),
        max_tenants: limit(row.max_tenants)?,
        max_users_per_tenant: limit(row.max_users_per_tenant)?,
        max_applications_per_tenant: limit(row.max_applications_per_tenant)?,
        settings: from_json(&row.settings, "partner settings")?,
        tenants: unsigned(row.tenants),
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        deleted_at: row.deleted_at.map(Timestamp::from_micros),
        version: row.version,
    })
}

impl Row for Partner {
    type Entity = Entity;
    type Active = ActiveModel;

    fn terms(&self) -> Option<Terms> {
        Some((PARTNER_TERMS, Searchable::terms(self)))
    }

    fn home(&self) -> Home {
        Home { partner: self.id, tenant: None, user: None }
    }

    fn uuid(&self) -> uuid::Uuid {
        self.id.uuid()
    }

    fn insertable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            id: Set(self.id.uuid()),
            tenants: Set(0),
            created_at: Set(self.created_at.micros()),
            ..self.updatable()?
        })
    }
}

impl Versioned for Partner {
    fn version(&mut self) -> &mut i64 {
        &mut self.version
    }

    // The count of tenants is kept by triggers.
    fn updatable(&self) -> Result<ActiveModel> {
        Ok(ActiveModel {
            name: Set(self.name.to_string()),
            name_key: Set(fold(self.name.as_str())),
            slug: Set(self.slug.to_string()),
            status: Set(self.status.to_string()),
            contact_email: Set(self.contact_email.as_ref().map(Email::to_string)),
            max_tenants: Set(stored(self.max_tenants)),
            max_users_per_tenant: Set(stored(self.max_users_per_tenant)),
            max_applications_per_tenant: Set(stored(self.max_applications_per_tenant)),
            settings: Set(to_json(&self.settings)?),
            updated_at: Set(self.updated_at.micros()),
            deleted_at: Set(self.deleted_at.map(Timestamp::micros)),
            version: Set(self.version),
            ..ActiveModel::default()
        })
    }
}

impl Stored for Partner {
    fn read(row: Model) -> Result<Self> {
        domain(row)
    }
}

impl Scope<'_> {
    /// One partner.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn partner(&self, id: PartnerId) -> Result<Option<Partner>> {
        self.one(id.uuid()).await
    }

    /// One partner, deleted or not.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn partner_even_deleted(&self, id: PartnerId) -> Result<Option<Partner>> {
        self.one_even_deleted(id.uuid()).await
    }

    /// Partners, by creation or by name.
    ///
    /// # Errors
    /// The database refuses the statement, or does not answer in time.
    pub async fn partners(
        &self,
        filter: &PartnerFilter,
        by_name: bool,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Partner>> {
        let asked =
            Condition::all().add_option(any(Column::Status, filter.statuses.iter().map(|status| status.as_str())));
        let select = found(self.select::<Entity>().filter(asked), PARTNER_TERMS, filter.search.as_ref());
        self.page(select, if by_name { Column::NameKey } else { Column::CreatedAt }, direction, page).await
    }
}
