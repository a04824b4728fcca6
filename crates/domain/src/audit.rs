//! What the audit trail records: every state change and every authentication event.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{authz::By, id::UserId, word::words};

mod refused;
mod resource;
mod seal;
mod trail;

pub use refused::{Refused, RefusedKey};
pub use resource::{Resource, ResourceKind};
pub use seal::{Acceptance, Damage, Finding, LEAST_RETENTION, TrailRoot, Verification, purged};
pub use trail::{AuditEvent, AuditResult, FieldChange, ResourceId};

words! {
    /// What happened, as the slug `resource.verb`.
    Action {
        /// A change was refused to somebody who lacks a permission. The same refusal is recorded once a minute; `unrecorded_count` says how many came since the one before.
        AccessDenied = "access.denied",
        /// An application was activated.
        ApplicationActivated = "application.activated",
        /// An application did not prove who it is. The same refusal is recorded once a minute; `unrecorded_count` says how many came since the one before.
        ApplicationAuthenticationFailed = "application.authentication_failed",
        /// An application was made.
        ApplicationCreated = "application.created",
        /// An application was deleted; nothing of it works any more.
        ApplicationDeleted = "application.deleted",
        /// An application could not be told that a session had ended; it may think that somebody is still signed in.
        ApplicationLogoutGivenUp = "application.logout_given_up",
        /// An application was given another secret.
        ApplicationSecretRotated = "application.secret_rotated",
        /// An application was suspended; nothing of it works meanwhile.
        ApplicationSuspended = "application.suspended",
        /// An application got a token in its own name. Of each application at most one a minute is recorded.
        ApplicationTokenIssued = "application.token_issued",
        /// Every token that an application got until then was ended.
        ApplicationTokensRevoked = "application.tokens_revoked",
        /// An application was changed.
        ApplicationUpdated = "application.updated",
        /// An operator accepted that the audit trail is damaged, so that it goes on from what is there.
        AuditEventDamageAccepted = "audit_event.damage_accepted",
        /// Events were removed after their retention.
        AuditEventPurged = "audit_event.purged",
        /// Personal data in events by or about a user was erased.
        AuditEventRedacted = "audit_event.redacted",
        /// A user let an application have what it asked for.
        ConsentGiven = "consent.given",
        /// A user let an application not have what it asked for. The same refusal is recorded once a minute; `unrecorded_count` says how many came since the one before.
        ConsentRefused = "consent.refused",
        /// A user took back what an application was let have; its tokens ended.
        ConsentWithdrawn = "consent.withdrawn",
        /// A user signed a device in with the code that it showed.
        DeviceApproved = "device.approved",
        /// A user did not sign a device in that showed a code.
        DeviceRefused = "device.refused",
        /// A backup was restored, or the database was put back by other means: what began before is over.
        InstallationRestored = "installation.restored",
        /// The first administrator was made.
        InstallationSetUp = "installation.set_up",
        /// Somebody tried to make the first administrator with a token that is none.
        InstallationSetUpFailed = "installation.set_up_failed",
        /// The master key was replaced: what is sealed from now on is sealed with a new one.
        InstallationMasterKeyRotated = "installation.master_key_rotated",
        /// A one-time token for the first administrator was made.
        InstallationSetupTokenCreated = "installation.setup_token_created",
        /// A signing key that was published before began to sign.
        KeyActivated = "key.activated",
        /// A signing key was made.
        KeyCreated = "key.created",
        /// A signing key was replaced; it still verifies.
        KeyRetired = "key.retired",
        /// A signing key was withdrawn; it verifies nothing from now on.
        KeyWithdrawn = "key.withdrawn",
        /// A mail was not sent: it was refused, or could not be delivered in time.
        MailGivenUp = "mail.given_up",
        /// A partner was activated.
        PartnerActivated = "partner.activated",
        /// A partner was made.
        PartnerCreated = "partner.created",
        /// A partner was deleted, with its tenants and what was in them.
        PartnerDeleted = "partner.deleted",
        /// A partner was suspended.
        PartnerSuspended = "partner.suspended",
        /// A partner was changed.
        PartnerUpdated = "partner.updated",
        /// What the platform decides for everybody was changed.
        PlatformUpdated = "platform.updated",
        /// A role was made.
        RoleCreated = "role.created",
        /// A role was deleted; nobody holds it any more.
        RoleDeleted = "role.deleted",
        /// A role was changed.
        RoleUpdated = "role.updated",
        /// A role was given.
        AssignmentCreated = "role_assignment.created",
        /// A role was taken away.
        AssignmentDeleted = "role_assignment.deleted",
        /// The end of an assignment was moved.
        AssignmentUpdated = "role_assignment.updated",
        /// A user signed in.
        SessionCreated = "session.created",
        /// Sessions reached their end.
        SessionExpired = "session.expired",
        /// A sign-in was refused.
        SessionLoginFailed = "session.login_failed",
        /// Ended sessions were removed after their retention.
        SessionPurged = "session.purged",
        /// A user proved once more to be who they are, in a session that goes on.
        SessionReauthenticated = "session.reauthenticated",
        /// An exchange of a refresh token was refused.
        SessionRefreshFailed = "session.refresh_failed",
        /// A refresh token was used twice; the session ended.
        SessionRefreshReuseDetected = "session.refresh_reuse_detected",
        /// A refresh token was exchanged. Of each session at most one a minute is recorded; `unrecorded_count` says how many came since the one before.
        SessionRefreshed = "session.refreshed",
        /// One session was ended.
        SessionRevoked = "session.revoked",
        /// Several sessions were ended at once.
        SessionRevokedAll = "session.revoked_all",
        /// A tenant was activated.
        TenantActivated = "tenant.activated",
        /// A tenant was made.
        TenantCreated = "tenant.created",
        /// A tenant was deleted, with everything in it.
        TenantDeleted = "tenant.deleted",
        /// Events or ended sessions of a tenant are kept for a shorter time from now on. It concerns no tenant, so that it
        /// outlives what the tenant keeps.
        TenantRetentionShortened = "tenant.retention_shortened",
        /// A tenant was suspended.
        TenantSuspended = "tenant.suspended",
        /// A tenant was given to another partner.
        TenantTransferred = "tenant.transferred",
        /// A tenant was changed.
        TenantUpdated = "tenant.updated",
        /// An access token was taken back by the application that got it.
        TokenRevoked = "token.revoked",
        /// An authorization code was used twice; the tokens that it was exchanged for ended.
        TokenFamilyCodeReplayed = "token_family.code_replayed",
        /// An authorization code was exchanged for tokens.
        TokenFamilyCreated = "token_family.created",
        /// An application got an access token of a family in exchange for one that was for it.
        TokenFamilyExchanged = "token_family.exchanged",
        /// An exchange of a refresh token of an application was refused. The same refusal is recorded once a minute.
        TokenFamilyRefreshFailed = "token_family.refresh_failed",
        /// A refresh token of an application was exchanged. Of each family at most one a minute is recorded; `unrecorded_count` says how many came since the one before.
        TokenFamilyRefreshed = "token_family.refreshed",
        /// A refresh token of an application was used twice; the tokens of its family ended.
        TokenFamilyReuseDetected = "token_family.reuse_detected",
        /// The tokens of a family were ended.
        TokenFamilyRevoked = "token_family.revoked",
        /// A user signed in from a device that is known from now on; failures of strangers do not shut it out.
        TrustedDeviceAdded = "trusted_device.added",
        /// A user was activated.
        UserActivated = "user.activated",
        /// A user was made by an administrator.
        UserCreated = "user.created",
        /// A user was deleted.
        UserDeleted = "user.deleted",
        /// What was personal about a deleted user was removed.
        UserErased = "user.erased",
        /// A change of e-mail address was refused.
        UserEmailChangeFailed = "user.email_change_failed",
        /// A link was mailed to another address, to make it that of the account.
        UserEmailChangeRequested = "user.email_change_requested",
        /// The e-mail address became another, which was shown to be the user's.
        UserEmailChanged = "user.email_changed",
        /// A link was mailed with which the user shows that the e-mail address is the user's.
        UserEmailVerificationRequested = "user.email_verification_requested",
        /// The e-mail address was shown to be the user's.
        UserEmailVerified = "user.email_verified",
        /// The users of a tenant were read out as a file.
        UserExported = "user.exported",
        /// A user came from another system.
        UserImported = "user.imported",
        /// A link was made with which the owner of an account sets the first password.
        UserInvited = "user.invited",
        /// Invitations were asked for, of all users of a tenant who wait for one.
        UserInvitationsRequested = "user.invitations_requested",
        /// The owner of an account set the first password.
        UserInvitationAccepted = "user.invitation_accepted",
        /// The link of an account stopped working.
        UserInvitationCancelled = "user.invitation_cancelled",
        /// So many sign-ins failed in a row that the account is locked.
        UserLocked = "user.locked",
        /// A user changed the password.
        UserPasswordChanged = "user.password_changed",
        /// A password change was refused.
        UserPasswordChangeFailed = "user.password_change_failed",
        /// An administrator made the password stop working.
        UserPasswordCleared = "user.password_cleared",
        /// A user set another password with a mailed link.
        UserPasswordReset = "user.password_reset",
        /// A link was mailed with which a user sets another password.
        UserPasswordResetRequested = "user.password_reset_requested",
        /// An import of users came to its end.
        UserImportCompleted = "user_import.completed",
        /// An import of users was given up; what had come stayed.
        UserImportCancelled = "user_import.cancelled",
        /// An import of users could not go on; what had come stayed.
        UserImportFailed = "user_import.failed",
        /// An import of users began.
        UserImportStarted = "user_import.started",
        /// The hash of a password was replaced by a better one of the same password, at a sign-in.
        UserPasswordRehashed = "user.password_rehashed",
        /// A user registered.
        UserRegistered = "user.registered",
        /// A user was suspended.
        UserSuspended = "user.suspended",
        /// The failed sign-ins of a user were forgotten.
        UserUnlocked = "user.unlocked",
        /// A user was changed.
        UserUpdated = "user.updated",
    }
}

/// The field that says how many events of the same kind came since the last one that was recorded: what costs nothing
/// must not fill the trail.
pub(crate) const UNRECORDED: &str = "unrecorded_count";

/// Old and new values of fields, never of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Map<String, Value>);

fn to_value(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

impl Fields {
    /// Records a value that had no predecessor.
    pub(crate) fn set(&mut self, name: &str, new: impl Serialize) -> &mut Self {
        let new = to_value(new);
        if !new.is_null() {
            self.0.insert(name.to_owned(), json!({ "new": new }));
        }
        self
    }

    /// Records a value that replaced another; nothing if they are the same.
    pub(crate) fn change(&mut self, name: &str, old: impl Serialize, new: impl Serialize) -> &mut Self {
        let (old, new) = (to_value(old), to_value(new));
        if old != new {
            self.0.insert(name.to_owned(), json!({ "old": old, "new": new }));
        }
        self
    }

    /// What is recorded, by field in alphabetical order.
    #[must_use]
    pub fn changes(&self) -> Vec<FieldChange> {
        FieldChange::of(&self.0)
    }

    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `{"field": {"old": …, "new": …}}`, to be stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// One thing that happened. Time, address and request id are added when it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// By whom.
    pub by: By,
    /// Why it failed, if it did: a slug.
    pub failure: Option<&'static str>,
    /// Why it was done: a slug.
    pub reason: Option<&'static str>,
    /// What changed.
    pub fields: Fields,
}

impl Event {
    /// Whether nothing came of it: a change to what was there already.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        use Action::{
            ApplicationUpdated, AssignmentUpdated, PartnerUpdated, PlatformUpdated, RoleUpdated, TenantUpdated,
            UserUpdated,
        };
        let records_fields = matches!(
            self.action,
            ApplicationUpdated
                | AssignmentUpdated
                | PartnerUpdated
                | PlatformUpdated
                | RoleUpdated
                | TenantUpdated
                | UserUpdated
        );
        records_fields && self.fields.is_empty()
    }
}

/// The event of a setup token being made.
#[must_use]
pub fn setup_token_created(by: By) -> Event {
    let resource = Resource::set(ResourceKind::Platform);
    let action = Action::InstallationSetupTokenCreated;
    Event { action, resource, by, failure: None, reason: None, fields: Fields::default() }
}

/// The event of the master key being replaced.
#[must_use]
pub fn master_key_rotated(by: By) -> Event {
    let (action, resource) = (Action::InstallationMasterKeyRotated, Resource::set(ResourceKind::Platform));
    Event { action, resource, by, failure: None, reason: None, fields: Fields::default() }
}

/// The event of personal data being erased from `count` events by or about a user.
#[must_use]
pub fn redacted(tenant: crate::authz::TenantRef, user: UserId, by: By, count: u64) -> Event {
    let resource = Resource::of(ResourceKind::User, user.uuid()).in_tenant(tenant.partner_id, tenant.id);
    let mut fields = Fields::default();
    fields.set("event_count", count);
    Event { action: Action::AuditEventRedacted, resource, by, failure: None, reason: None, fields }
}
