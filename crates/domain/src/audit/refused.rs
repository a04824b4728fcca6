//! Refusals worth remembering: events without a state change of their own.

use uuid::Uuid;

use super::{Action, Event, Fields, Resource, ResourceKind, UNRECORDED};
use crate::{
    application::{Application, DocumentUrl},
    authz::{ActorId, By, SystemReason, TenantRef},
    id::{TenantId, UserId},
    oauth::TokenFamily,
    session::Session,
};

/// Before it is known who asks, Gatehouse itself refuses.
const AUTHENTICATION: By = By::system(SystemReason::Authentication);

/// An event without a state change of its own: a refusal worth remembering.
#[derive(Debug, Clone)]
#[must_use = "an event is recorded only when it is saved"]
pub struct Refused(Event);

/// What the same refusals have in common: who, what, where, why it was refused, and from which network where nobody is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RefusedKey {
    action: Action,
    by: Option<ActorId>,
    tenant: Option<TenantId>,
    thing: Option<Uuid>,
    failure: Option<&'static str>,
    fields: String,
    origin: Option<u8>,
}

impl RefusedKey {
    /// Tells apart where refusals come from, as long as nobody is known to be behind them: who fails once from one network
    /// does not hide what comes from most others. `origin` is the part of all networks that it is in.
    #[must_use]
    pub fn from(self, origin: Option<u8>) -> Self {
        Self { origin: origin.filter(|_| self.by.is_none()), ..self }
    }
}

impl Refused {
    /// What it has in common with others.
    #[must_use]
    pub fn key(&self) -> RefusedKey {
        let Event { action, resource, by, failure, fields, .. } = &self.0;
        RefusedKey {
            action: *action,
            by: by.actor_id(),
            tenant: resource.tenant_id,
            thing: resource.id,
            failure: *failure,
            fields: fields.to_json(),
            origin: None,
        }
    }

    /// Adds how many of the same came since the last one that was recorded.
    pub fn after(mut self, unrecorded: u32) -> Self {
        if unrecorded > 0 {
            self.0.fields.set(UNRECORDED, unrecorded);
        }
        self
    }

    /// A sign-in that was refused, in a tenant, or at the platform's issuer of somebody whose tenant is not known. The name
    /// that was typed is not recorded: people type passwords there.
    pub fn login(tenant: impl Into<Option<TenantRef>>, user: Option<UserId>, why: &'static str) -> Self {
        Self::of(Action::SessionLoginFailed, tenant.into(), user, AUTHENTICATION, why)
    }

    /// The exchange of a token of a session that was refused.
    pub fn refresh(session: &Session, why: &'static str) -> Self {
        let resource = Resource::of(ResourceKind::Session, session.id.uuid());
        let resource = resource.in_tenant(session.partner_id, session.tenant_id);
        let (by, fields) = (By::system(SystemReason::Authentication), Fields::default());
        Self(Event { action: Action::SessionRefreshFailed, resource, by, failure: Some(why), reason: None, fields })
    }

    /// An application that did not prove who it is.
    pub fn application(application: &Application, why: &'static str) -> Self {
        let (by, fields) = (By::system(SystemReason::Authentication), Fields::default());
        let (action, resource) = (Action::ApplicationAuthenticationFailed, application.resource());
        Self(Event { action, resource, by, failure: Some(why), reason: None, fields })
    }

    /// What an application asked for and the user of a session did not let it have.
    pub fn consent(session: &Session, application: &Application) -> Self {
        let by = By::oneself(session.user_id, Some(session.id));
        let resource = Resource::of(ResourceKind::Application, application.id.uuid());
        let resource = resource.in_tenant(session.partner_id, session.tenant_id);
        let (action, failure, mut fields) = (Action::ConsentRefused, Some("access_denied"), Fields::default());
        fields.set("client_id", application.document.as_ref().map(DocumentUrl::as_str));
        Self(Event { action, resource, by, failure, reason: None, fields })
    }

    /// The exchange of a refresh token of an application that was refused.
    pub fn family(family: &TokenFamily, why: &'static str) -> Self {
        let (by, fields) = (By::system(SystemReason::Authentication), Fields::default());
        let (action, resource) = (Action::TokenFamilyRefreshFailed, family.resource());
        Self(Event { action, resource, by, failure: Some(why), reason: None, fields })
    }

    /// A setup token that is none. What it was is not recorded: it may be another secret.
    pub fn setup() -> Self {
        let resource = Resource::set(ResourceKind::Platform);
        let (by, failure) = (By::system(SystemReason::Setup), Some("invalid_setup_token"));
        let action = Action::InstallationSetUpFailed;
        Self(Event { action, resource, by, failure, reason: None, fields: Fields::default() })
    }

    /// A change of one's own password that was refused.
    pub fn password_change(tenant: TenantRef, oneself: By, why: &'static str) -> Self {
        Self::of(Action::UserPasswordChangeFailed, Some(tenant), oneself.user_id(), oneself, why)
    }

    /// A change that somebody asked for, of a tenant or of none, and lacks a permission for.
    pub fn access(tenant: impl Into<Option<TenantRef>>, by: By, permission: &'static str, operation: &str) -> Self {
        let resource = Resource::set(ResourceKind::Tenant).at(tenant.into());
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
        let resource = self.0.resource.clone();
        resource.id?;
        let by = AUTHENTICATION;
        let fields = Fields::default();
        Some(Self(Event { action: Action::UserLocked, resource, by, failure: None, reason: Some("failures"), fields }))
    }

    /// A change of one's own e-mail address that was refused.
    pub fn email_change(tenant: TenantRef, oneself: By, why: &'static str) -> Self {
        Self::of(Action::UserEmailChangeFailed, Some(tenant), oneself.user_id(), oneself, why)
    }

    fn of(action: Action, tenant: Option<TenantRef>, user: Option<UserId>, by: By, why: &'static str) -> Self {
        let resource = Resource { id: user.map(UserId::uuid), ..Resource::set(ResourceKind::User).at(tenant) };
        Self(Event { action, resource, by, failure: Some(why), reason: None, fields: Fields::default() })
    }

    /// Takes the event out, to store it.
    pub fn into_event(self) -> Event {
        self.0
    }
}
