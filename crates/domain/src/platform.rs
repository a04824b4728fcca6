//! The platform: what it decides for all partners and tenants.

use crate::{
    audit::{Action, Event, Fields, Resource, ResourceKind},
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

/// What a restore has ended, and what it has taken over from the database that was replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Sessions that were active.
    pub sessions: u64,
    /// Signing keys that were withdrawn, each current one with a new one in its place.
    pub keys: u64,
    /// Links and setup tokens.
    pub links: u64,
    /// Devices that were known.
    pub devices: u64,
    /// Imports that were under way.
    pub imports: u64,
    /// Mails that waited.
    pub mails: u64,
    /// What was revoked after the backup and stays so.
    pub kept: Kept,
}

/// What was revoked after a backup was made: known as long as the database that is replaced can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Users that were suspended or deleted; suspended after the restore.
    pub users: u64,
    /// Tenants.
    pub tenants: u64,
    /// Partners.
    pub partners: u64,
    /// Passwords that became others, or none.
    pub passwords: u64,
    /// Roles that were taken from somebody.
    pub assignments: u64,
    /// Roles with other permissions.
    pub roles: u64,
    /// Applications that were suspended or deleted; suspended after the restore.
    pub applications: u64,
    /// Applications with other secrets.
    pub secrets: u64,
}

impl Restored {
    /// Everything, each by its name.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 14] {
        [
            ("session_count", self.sessions),
            ("key_count", self.keys),
            ("link_count", self.links),
            ("device_count", self.devices),
            ("import_count", self.imports),
            ("mail_count", self.mails),
            ("suspended_user_count", self.kept.users),
            ("suspended_tenant_count", self.kept.tenants),
            ("suspended_partner_count", self.kept.partners),
            ("password_count", self.kept.passwords),
            ("role_assignment_count", self.kept.assignments),
            ("role_count", self.kept.roles),
            ("suspended_application_count", self.kept.applications),
            ("secret_count", self.kept.secrets),
        ]
    }

    /// The event.
    #[must_use]
    pub fn event(&self, by: By) -> Event {
        let mut fields = Fields::default();
        for (name, count) in self.counts().into_iter().filter(|(_, count)| *count > 0) {
            fields.set(name, count);
        }
        let resource = Resource::set(ResourceKind::Platform);
        Event { action: Action::InstallationRestored, resource, by, failure: None, reason: None, fields }
    }
}
