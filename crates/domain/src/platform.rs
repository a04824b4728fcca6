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

/// The platform would be left without an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAdministrator;

/// The platform keeps at least one administrator for good who can sign in, once it has been set up. To be asked after a
/// change that [endangers](Changed::endangers_platform) that, with how many there are then.
///
/// # Errors
/// [`LastAdministrator`] when there is none left.
pub const fn administrator_stays(administrators: u64, is_set_up: bool) -> Result<(), LastAdministrator> {
    if administrators == 0 && is_set_up { Err(LastAdministrator) } else { Ok(()) }
}

impl Platform {
    /// Changes what it decides.
    pub fn update(self, settings: Settings, by: &By) -> Changed<Self> {
        let mut fields = Fields::default();
        fields.change("settings", self.settings, settings);
        let resource = Resource::set(ResourceKind::Platform);
        let asks = settings.begins_to_ask_for_verified_email(&self.settings);
        let changed = Changed::new(Self { settings, ..self }, Action::PlatformUpdated, resource, by).with(fields);
        changed.endangering_platform(asks)
    }
}
