//! What somebody administers.

use gatehouse_domain::{
    authz::{Administer, Area, Grant, Installation, Reach, ReadPartners, ReadTenants, administered},
    page::{Direction, Page, PageNumber, PageRequest, PerPage, Start},
    partner::Partner,
    tenant::Tenant,
};
use gatehouse_persistence::{Db, PartnerFilter, TenantFilter};

use crate::app::{App, Result};

/// What somebody administers, as far as the caller may see it.
#[derive(Debug, Clone)]
pub struct AdminScope {
    /// Where: everything, or partners.
    pub reach: Reach,
    /// The first partners by name.
    pub partners: Page<Partner>,
    /// The first tenants by name.
    pub tenants: Page<Tenant>,
    /// What may be done across all of it or in some partner.
    pub permissions: Vec<&'static str>,
}

/// What callers administer.
#[derive(Debug, Clone, Copy)]
pub struct AdminScopes<'a> {
    db: &'a Db,
}

impl App {
    /// What callers administer.
    pub const fn admin_scopes(&self) -> AdminScopes<'_> {
        AdminScopes { db: &self.db }
    }
}

impl AdminScopes<'_> {
    /// What the caller administers.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn of(&self, grant: &Grant<Administer>) -> Result<AdminScope> {
        let first = PageRequest { start: Start::Page(PageNumber::FIRST), per_page: PerPage::GREATEST };
        // One's own partners need no permission to be named; to see all of them takes one.
        let partners = match grant.reach() {
            Reach::Platform if grant.also::<ReadPartners>(&Installation).is_err() => Page::empty(),
            _ => self.db.scope(grant).partners(&PartnerFilter::default(), true, Direction::Ascending, &first).await?,
        };
        let tenants = match grant.also::<ReadTenants>(&Area::Directory) {
            Ok(grant) => {
                let filter = TenantFilter::default();
                self.db.scope(&grant).tenants(&filter, true, Direction::Ascending, &first).await?
            }
            Err(_) => Page::empty(),
        };
        Ok(AdminScope { reach: grant.reach().clone(), partners, tenants, permissions: administered(grant.actor()) })
    }
}
