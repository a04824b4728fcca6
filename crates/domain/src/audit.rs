//! What the audit trail records: every state change and every authentication event.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    authz::By,
    id::{PartnerId, TenantId, UserId},
    settings::Word,
};

mod seal;
mod trail;

pub use seal::{Damage, Finding, Verification};
pub use trail::{AuditEvent, AuditResult, FieldChange, ResourceId};

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Action {
            /// The slug `resource.verb`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in words.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)*).trim_start(),)* }
            }
        }

        impl Word for Action {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name),)*];
        }
    };
}

actions! {
    /// A change was refused to somebody who lacks a permission.
    AccessDenied = "access.denied";
    /// Events were removed after their retention.
    AuditEventPurged = "audit_event.purged";
    /// Personal data in events by or about a user was erased.
    AuditEventRedacted = "audit_event.redacted";
    /// The first administrator was made.
    InstallationSetUp = "installation.set_up";
    /// A signing key was made.
    KeyCreated = "key.created";
    /// A signing key was replaced; it still verifies.
    KeyRetired = "key.retired";
    /// A signing key was withdrawn; it verifies nothing from now on.
    KeyWithdrawn = "key.withdrawn";
    /// A partner was activated.
    PartnerActivated = "partner.activated";
    /// A partner was made.
    PartnerCreated = "partner.created";
    /// A partner was deleted, with its tenants and what was in them.
    PartnerDeleted = "partner.deleted";
    /// A partner was suspended.
    PartnerSuspended = "partner.suspended";
    /// A partner was changed.
    PartnerUpdated = "partner.updated";
    /// A role was made.
    RoleCreated = "role.created";
    /// A role was deleted; nobody holds it any more.
    RoleDeleted = "role.deleted";
    /// A role was changed.
    RoleUpdated = "role.updated";
    /// A role was given.
    AssignmentCreated = "role_assignment.created";
    /// A role was taken away.
    AssignmentDeleted = "role_assignment.deleted";
    /// The end of an assignment was moved.
    AssignmentUpdated = "role_assignment.updated";
    /// A user signed in.
    SessionCreated = "session.created";
    /// Sessions reached their end.
    SessionExpired = "session.expired";
    /// A sign-in was refused.
    SessionLoginFailed = "session.login_failed";
    /// Ended sessions were removed after their retention.
    SessionPurged = "session.purged";
    /// A refresh token was used twice; the session ended.
    SessionRefreshReuseDetected = "session.refresh_reuse_detected";
    /// A refresh token was exchanged.
    SessionRefreshed = "session.refreshed";
    /// One session was ended.
    SessionRevoked = "session.revoked";
    /// Several sessions were ended at once.
    SessionRevokedAll = "session.revoked_all";
    /// A tenant was activated.
    TenantActivated = "tenant.activated";
    /// A tenant was made.
    TenantCreated = "tenant.created";
    /// A tenant was deleted, with everything in it.
    TenantDeleted = "tenant.deleted";
    /// A tenant was suspended.
    TenantSuspended = "tenant.suspended";
    /// A tenant was given to another partner.
    TenantTransferred = "tenant.transferred";
    /// A tenant was changed.
    TenantUpdated = "tenant.updated";
    /// A user was activated.
    UserActivated = "user.activated";
    /// A user was made by an administrator.
    UserCreated = "user.created";
    /// A user was deleted.
    UserDeleted = "user.deleted";
    /// What was personal about a deleted user was removed.
    UserErased = "user.erased";
    /// A link was made with which the owner of an account sets the first password.
    UserInvited = "user.invited";
    /// The owner of an account set the first password.
    UserInvitationAccepted = "user.invitation_accepted";
    /// The link of an account stopped working.
    UserInvitationCancelled = "user.invitation_cancelled";
    /// So many sign-ins failed in a row that the account is locked.
    UserLocked = "user.locked";
    /// A user changed the password.
    UserPasswordChanged = "user.password_changed";
    /// A password change was refused.
    UserPasswordChangeFailed = "user.password_change_failed";
    /// A user registered.
    UserRegistered = "user.registered";
    /// A user was suspended.
    UserSuspended = "user.suspended";
    /// The failed sign-ins of a user were forgotten.
    UserUnlocked = "user.unlocked";
    /// A user was changed.
    UserUpdated = "user.updated";
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal $id:ty;)*) => {
        /// What kind of thing something happened to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ResourceKind {
            $($(#[doc = $doc])* $variant,)*
        }

        impl ResourceKind {
            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is, in words.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)*).trim_start(),)* }
            }

            /// The prefix of the ids of this kind.
            const fn prefix(self) -> &'static str {
                match self { $(Self::$variant => <$id>::PREFIX,)* }
            }

            /// An id of this kind as text.
            #[must_use]
            pub fn text(self, id: Uuid) -> String {
                match self { $(Self::$variant => <$id>::from_uuid(id).to_string(),)* }
            }

            fn parse(self, text: &str) -> Option<Uuid> {
                match self { $(Self::$variant => <$id as crate::issue::Parse>::parse(text).ok().map(<$id>::uuid),)* }
            }
        }

        impl Word for ResourceKind {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name),)*];
        }
    };
}

kinds! {
    /// Events of the audit trail.
    AuditEvent = "audit_event" crate::id::AuditEventId;
    /// A signing key.
    Key = "key" crate::id::KeyId;
    /// A partner.
    Partner = "partner" PartnerId;
    /// A role.
    Role = "role" crate::id::RoleId;
    /// A role given to a user.
    RoleAssignment = "role_assignment" crate::id::AssignmentId;
    /// A session, or several.
    Session = "session" crate::id::SessionId;
    /// A tenant.
    Tenant = "tenant" TenantId;
    /// A user.
    User = "user" UserId;
}

/// What it happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The kind.
    pub kind: ResourceKind,
    /// Which one, unless it is a set or unknown.
    pub id: Option<Uuid>,
    /// The partner it is below.
    pub partner_id: Option<PartnerId>,
    /// The tenant it is in.
    pub tenant_id: Option<TenantId>,
}

impl Resource {
    pub(crate) const fn of(kind: ResourceKind, id: Uuid) -> Self {
        Self { kind, id: Some(id), partner_id: None, tenant_id: None }
    }

    pub(crate) const fn set(kind: ResourceKind) -> Self {
        Self { kind, id: None, partner_id: None, tenant_id: None }
    }

    pub(crate) const fn in_partner(mut self, partner: PartnerId) -> Self {
        self.partner_id = Some(partner);
        self
    }

    pub(crate) const fn in_tenant(mut self, partner: PartnerId, tenant: TenantId) -> Self {
        self.partner_id = Some(partner);
        self.tenant_id = Some(tenant);
        self
    }
}

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
        use Action::{AssignmentUpdated, PartnerUpdated, RoleUpdated, TenantUpdated, UserUpdated};
        let records_fields =
            matches!(self.action, AssignmentUpdated | PartnerUpdated | RoleUpdated | TenantUpdated | UserUpdated);
        records_fields && self.fields.is_empty()
    }
}

/// The event of `count` events of a tenant, or of none, being removed.
#[must_use]
pub fn purged(tenant: Option<crate::authz::TenantRef>, by: By, count: u64) -> Event {
    let set = Resource::set(ResourceKind::AuditEvent);
    let resource = match tenant {
        Some(tenant) => set.in_tenant(tenant.partner_id, tenant.id),
        None => set,
    };
    let mut fields = Fields::default();
    fields.set("event_count", count);
    Event { action: Action::AuditEventPurged, resource, by, failure: None, reason: None, fields }
}

/// The event of personal data being erased from `count` events by or about a user.
#[must_use]
pub fn redacted(tenant: crate::authz::TenantRef, user: UserId, by: By, count: u64) -> Event {
    let resource = Resource::of(ResourceKind::User, user.uuid()).in_tenant(tenant.partner_id, tenant.id);
    let mut fields = Fields::default();
    fields.set("event_count", count);
    Event { action: Action::AuditEventRedacted, resource, by, failure: None, reason: None, fields }
}

/// An event without a state change of its own: a refusal worth remembering.
#[derive(Debug, Clone)]
#[must_use = "an event is recorded only when it is saved"]
pub struct Refused(Event);

impl Refused {
    /// A sign-in that was refused. The name that was typed is not recorded: people type passwords there.
    pub fn login(tenant: crate::authz::TenantRef, user: Option<UserId>, why: &'static str) -> Self {
        Self::of(Action::SessionLoginFailed, tenant, user, why)
    }

    /// A change of password that was refused.
    pub fn password_change(tenant: crate::authz::TenantRef, user: UserId, why: &'static str) -> Self {
        Self::of(Action::UserPasswordChangeFailed, tenant, Some(user), why)
    }

    /// A change that somebody of a tenant asked for and lacks a permission for.
    pub fn access(tenant: crate::authz::TenantRef, by: By, permission: &'static str, operation: &str) -> Self {
        let resource = Resource::set(ResourceKind::Tenant).in_tenant(tenant.partner_id, tenant.id);
        let mut fields = Fields::default();
        fields.set("permission", permission).set("operation", operation);
        let failure = Some("missing_permission");
        Self(Event { action: Action::AccessDenied, resource, by, failure, reason: None, fields })
    }

    /// Adds how many failures in a row that makes, and for how long the next attempt gets no answer.
    pub fn counted(mut self, failures: u32, delay: std::time::Duration) -> Self {
        self.0.fields.set("failures", failures);
        if !delay.is_zero() {
            self.0.fields.set("delay_seconds", delay.as_secs());
        }
        self
    }

    /// The account being locked by this refusal; none if nobody has the name.
    #[must_use]
    pub fn locking(&self) -> Option<Self> {
        let Event { resource, by, .. } = &self.0;
        resource.id?;
        let (resource, by) = (resource.clone(), *by);
        let fields = Fields::default();
        Some(Self(Event { action: Action::UserLocked, resource, by, failure: None, reason: Some("failures"), fields }))
    }

    fn of(action: Action, tenant: crate::authz::TenantRef, user: Option<UserId>, why: &'static str) -> Self {
        let resource = Resource {
            id: user.map(UserId::uuid),
            ..Resource::set(ResourceKind::User).in_tenant(tenant.partner_id, tenant.id)
        };
        let by = By::system(crate::authz::SystemReason::Authentication);
        Self(Event { action, resource, by, failure: Some(why), reason: None, fields: Fields::default() })
    }

    /// Takes the event out, to store it.
    pub fn into_event(self) -> Event {
        self.0
    }
}
