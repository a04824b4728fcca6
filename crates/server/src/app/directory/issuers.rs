//! Issuers: that of each tenant, and that of the platform.

use std::sync::Arc;

use gatehouse_domain::{
    authz::TenantRef,
    id::TenantId,
    key::{Issuer, SigningKey},
    settings::Layers,
    text::Slug,
};
use gatehouse_persistence::{PlatformFacts, TenantFacts};

use crate::app::request::client::{ISSUER_PATH, PLATFORM_PATH, RequestMeta};

/// An issuer, with what every request needs to know of it.
#[derive(Debug, Clone)]
pub enum IssuerFacts {
    /// That of a tenant.
    Tenant(Arc<TenantFacts>),
    /// That of the platform.
    Platform(Arc<PlatformFacts>),
}

impl IssuerFacts {
    /// Which it is.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        self.reference().map_or(Issuer::Platform, Issuer::Tenant)
    }

    /// Whether both are what was read at one time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tenant(one), Self::Tenant(other)) => Arc::ptr_eq(one, other),
            (Self::Platform(one), Self::Platform(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> Option<&Arc<TenantFacts>> {
        match self {
            Self::Tenant(facts) => Some(facts),
            Self::Platform(_) => None,
        }
    }

    /// What the policy must know of the tenant.
    #[must_use]
    pub fn reference(&self) -> Option<TenantRef> {
        self.tenant().map(|facts| facts.reference())
    }

    /// The id of the tenant.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.tenant().map(|facts| facts.tenant.id)
    }

    /// The slug of the tenant.
    #[must_use]
    pub fn slug(&self) -> Option<&Slug> {
        self.tenant().map(|facts| &facts.tenant.slug)
    }

    /// The keys that are published, those that sign first.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        match self {
            Self::Tenant(facts) => &facts.keys,
            Self::Platform(facts) => &facts.keys,
        }
    }

    /// What is decided there.
    #[must_use]
    pub fn layers(&self) -> Layers {
        match self {
            Self::Tenant(facts) => facts.layers(),
            Self::Platform(facts) => facts.layers.clone(),
        }
    }

    /// Whether anybody may sign in.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.tenant().is_none_or(|facts| facts.is_active())
    }

    /// The path below which its endpoints are.
    #[must_use]
    pub fn endpoints(&self) -> String {
        self.slug().map_or_else(|| PLATFORM_PATH.to_owned(), |slug| format!("{ISSUER_PATH}{slug}/oauth"))
    }

    /// The issuer as tokens name it.
    #[must_use]
    pub fn url(&self, meta: &RequestMeta) -> String {
        self.url_at(&meta.base_url)
    }

    /// The same for who has no request.
    #[must_use]
    pub fn url_at(&self, base_url: &str) -> String {
        match self.slug() {
            Some(slug) => format!("{base_url}{ISSUER_PATH}{slug}"),
            None => format!("{base_url}{PLATFORM_PATH}"),
        }
    }
}
