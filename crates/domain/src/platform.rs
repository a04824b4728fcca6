//! The platform: what it decides for all partners and tenants.

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::By,
    change::Changed,
    settings::Settings,
};

/// The platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// What it decides.
    pub settings: Settings,
    /// Counts the changes.
    pub version: i64,
}

impl Platform {
    /// Changes what it decides.
    pub fn update(self, settings: Settings, by: &By) -> Changed<Self> {
        let mut fields = Fields::default();
        fields.change("settings", self.settings, settings);
        let resource = Resource::set(ResourceKind::Platform);
        Changed::new(Self { settings, ..self }, Action::PlatformUpdated, resource, by).with(fields)
    }
}
