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
    /// Where: everything, partners, or a tenant.
    pub reach: Reach,
    /// The first partners by name.
    pub partners: Page<Partner>,
    /// The first tenants by name.
    pub tenants: Page<Tenant>,
    /// What may be done across all of it, in some partner, or in the tenant.
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
        let place = match grant.reach() {
            Reach::Tenant(tenant) => Area::Tenant(*tenant),
            _ => Area::Directory,
        };
        // One's own partners and tenant need no permission to be named; to see all of them takes one.
        let partners = match grant.reach() {
            Reach::Platform if grant.also::<ReadPartners>(&Installation).is_err() => Page::empty(),
            Reach::Tenant(_) => Page::empty(),
            _ => self.db.scope(grant).partners(&PartnerFilter::default(), true, Direction::Ascending, &first).await?,
        };
        let all = TenantFilter::default();
        let tenants = match (grant.reach(), grant.also::<ReadTenants>(&place)) {
            (Reach::Tenant(_), _) => self.db.scope(grant).tenants(&all, true, Direction::Ascending, &first).await?,
            (_, Ok(grant)) => self.db.scope(&grant).tenants(&all, true, Direction::Ascending, &first).await?,
            (_, Err(_)) => Page::empty(),
        };
        let permissions = administered(grant.actor(), place);
        Ok(AdminScope { reach: grant.reach().clone(), partners, tenants, permissions })
    }
}
