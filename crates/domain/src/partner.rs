//! Partners: resellers and business units that own tenants.

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::By,
    change::Changed,
    id::PartnerId,
    search::Searchable,
    session::{EndReason, RevokeMany, RevokeTarget},
    settings::{Bounded, Settings},
    text::{Email, Name, Slug},
    time::Timestamp,
    word::words,
};

words! {
    /// Whether a partner or tenant, and everything below it, may be used.
    Status {
        /// It may.
        Active = "ACTIVE",
        /// It may not: nobody below it can sign in.
        Suspended = "SUSPENDED",
    }
}

/// A limit on how many there may be.
pub type Limit = Bounded<0, 1_000_000_000>;

/// How much of a limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub used: u64,
    /// How many there may be; none is without limit.
    pub most: Option<Limit>,
}

impl Usage {
    /// The limit, if there are more than there may be.
    #[must_use]
    pub fn exceeded(&self) -> Option<u32> {
        self.most.map(Limit::get).filter(|most| self.used > u64::from(*most))
    }

    /// The limit, if there may be no more.
    #[must_use]
    pub fn exhausted(&self) -> Option<u32> {
        self.most.map(Limit::get).filter(|most| self.used >= u64::from(*most))
    }
}

/// A partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its id.
    pub id: PartnerId,
    /// Its name.
    pub name: Name,
    /// Unique in the installation.
    pub slug: Slug,
    /// Whether it may be used.
    pub status: Status,
    /// Whom to write to.
    pub contact_email: Option<Email>,
    /// Greatest number of tenants.
    pub max_tenants: Option<Limit>,
    /// Greatest number of users in each tenant.
    pub max_users_per_tenant: Option<Limit>,
    /// Greatest number of applications in each tenant.
    pub max_applications_per_tenant: Option<Limit>,
    /// What it decides for its tenants.
    pub settings: Settings,
    /// How many tenants it has.
    pub tenants: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; its name is free for another from then on.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

/// What is needed to make a partner.
#[derive(Debug, Clone)]
pub struct NewPartner {
    /// Its name.
    pub name: Name,
    /// Its slug.
    pub slug: Slug,
    /// Whom to write to.
    pub contact_email: Option<Email>,
    /// Greatest number of tenants.
    pub max_tenants: Option<Limit>,
    /// Greatest number of users in each tenant.
    pub max_users_per_tenant: Option<Limit>,
    /// Greatest number of applications in each tenant.
    pub max_applications_per_tenant: Option<Limit>,
}

/// What may change of a partner; an outer `None` leaves it as it is, an inner one removes it.
#[derive(Debug, Clone, Default)]
pub struct PartnerPatch {
    /// The name.
    pub name: Option<Name>,
    /// The slug.
    pub slug: Option<Slug>,
    /// Whether it may be used.
    pub status: Option<Status>,
    /// Whom to write to.
    pub contact_email: Option<Option<Email>>,
    /// Greatest number of tenants.
    pub max_tenants: Option<Option<Limit>>,
    /// Greatest number of users in each tenant.
    pub max_users_per_tenant: Option<Option<Limit>>,
    /// Greatest number of applications in each tenant.
    pub max_applications_per_tenant: Option<Option<Limit>>,
    /// What it decides for its tenants.
    pub settings: Option<Settings>,
}

impl Searchable for Partner {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str(), self.slug.as_str()].into_iter()
    }
}

impl Partner {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Partner, self.id.uuid()).in_partner(self.id)
    }

    /// Makes a partner.
    pub fn create(id: PartnerId, new: NewPartner, by: &By, now: Timestamp) -> Changed<Self> {
        let partner = Self {
            id,
            name: new.name,
            slug: new.slug,
            status: Status::Active,
            contact_email: new.contact_email,
            max_tenants: new.max_tenants,
            max_users_per_tenant: new.max_users_per_tenant,
            max_applications_per_tenant: new.max_applications_per_tenant,
            settings: Settings::default(),
            tenants: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        let mut fields = Fields::default();
        fields
            .set("name", &partner.name)
            .set("slug", &partner.slug)
            .set("contact_email", &partner.contact_email)
            .set("max_tenants", partner.max_tenants)
            .set("max_users_per_tenant", partner.max_users_per_tenant)
            .set("max_applications_per_tenant", partner.max_applications_per_tenant);
        let resource = partner.resource();
        Changed::new(partner, Action::PartnerCreated, resource, by).with(fields)
    }

    /// Changes a partner. Suspending it also ends every session below it.
    pub fn update(self, patch: PartnerPatch, by: &By, now: Timestamp) -> (Changed<Self>, Option<RevokeMany>) {
        let mut next = self.clone();
        next.name = patch.name.unwrap_or(next.name);
        next.slug = patch.slug.unwrap_or(next.slug);
        next.status = patch.status.unwrap_or(next.status);
        next.contact_email = patch.contact_email.unwrap_or(next.contact_email);
        next.max_tenants = patch.max_tenants.unwrap_or(next.max_tenants);
        next.max_users_per_tenant = patch.max_users_per_tenant.unwrap_or(next.max_users_per_tenant);
        next.max_applications_per_tenant =
            patch.max_applications_per_tenant.unwrap_or(next.max_applications_per_tenant);
        next.settings = patch.settings.unwrap_or(next.settings);
        let mut fields = Fields::default();
        fields
            .change("name", &self.name, &next.name)
            .change("slug", &self.slug, &next.slug)
            .change("status", self.status, next.status)
            .change("contact_email", &self.contact_email, &next.contact_email)
            .change("max_tenants", self.max_tenants, next.max_tenants)
            .change("max_users_per_tenant", self.max_users_per_tenant, next.max_users_per_tenant)
            .change("max_applications_per_tenant", self.max_applications_per_tenant, next.max_applications_per_tenant)
            .change("settings", self.settings, next.settings);
        let action = match (self.status, next.status) {
            (Status::Active, Status::Suspended) => Action::PartnerSuspended,
            (Status::Suspended, Status::Active) => Action::PartnerActivated,
            _ => Action::PartnerUpdated,
        };
        let target = RevokeTarget::Partner(self.id);
        let ends = (action == Action::PartnerSuspended).then(|| RevokeMany::below(target, EndReason::Suspended, by));
        if !fields.is_empty() {
            next.updated_at = now;
        }
        let resource = next.resource();
        let endangers = ends.is_some() || next.settings.begins_to_ask_for_verified_email(&self.settings);
        (Changed::new(next, action, resource, by).with(fields).endangering_platform(endangers), ends)
    }

    /// Deletes a partner with its tenants and everything in them. Its slug is free for another.
    pub fn delete(self, by: &By, now: Timestamp) -> (Changed<Self>, RevokeMany) {
        let next = Self { status: Status::Suspended, updated_at: now, deleted_at: Some(now), ..self };
        let mut fields = Fields::default();
        fields.change("status", self.status, next.status).set("tenant_count", next.tenants);
        let ends = RevokeMany::below(RevokeTarget::Partner(next.id), EndReason::Deleted, by);
        let resource = next.resource();
        (Changed::new(next, Action::PartnerDeleted, resource, by).with(fields).endangering_platform(true), ends)
    }
}
