//! What a user lets an application have (OpenID Connect Core 1.0, section 3.1.2.4).

use crate::{
    application::{Application, Owner},
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, TenantRef},
    change::Changed,
    id::{ApplicationId, UserId},
    oauth::{AuthorizationRequest, Scopes},
    session::Session,
    time::Timestamp,
};

/// What a user lets an application have: of the user, or at one API of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The tenant of the user.
    pub tenant: TenantRef,
    /// The user.
    pub user_id: UserId,
    /// The application.
    pub application_id: ApplicationId,
    /// Whose that is.
    pub owner: Owner,
    /// The API of others that the scopes are for.
    pub resource: Option<String>,
    /// What the application may have.
    pub scopes: Scopes,
    /// When the user last said so.
    pub consented_at: Timestamp,
}

/// The tokens and consents of one application that a user ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// The tenant.
    pub tenant: TenantRef,
    /// The user.
    pub user_id: UserId,
    /// The application.
    pub application_id: ApplicationId,
}

fn resource(tenant: TenantRef, application: ApplicationId) -> Resource {
    Resource::of(ResourceKind::Application, application.uuid()).in_tenant(tenant.partner_id, tenant.id)
}

impl Consent {
    /// Whether the user need not be asked again.
    #[must_use]
    pub fn covers(&self, request: &AuthorizationRequest) -> bool {
        self.resource == request.resource && request.consent_scopes().is_within(&self.scopes)
    }

    /// The user of a session consents to a request. What was consented to before stays.
    pub fn give(
        before: Option<Self>,
        session: &Session,
        application: &Application,
        request: &AuthorizationRequest,
        now: Timestamp,
    ) -> Changed<Self> {
        let former = before.map(|before| before.scopes).unwrap_or_default();
        let consent = Self {
            tenant: session.tenant(),
            user_id: session.user_id,
            application_id: application.id,
            owner: application.owner,
            resource: request.resource.clone(),
            scopes: former.or(&request.consent_scopes()),
            consented_at: now,
        };
        let mut fields = Fields::default();
        fields.set("scope", request.consent_scopes().to_string()).set("resource", request.resource.as_deref());
        let (by, about) = (By::oneself(session.user_id, Some(session.id)), resource(consent.tenant, application.id));
        Changed::new(consent, Action::ConsentGiven, about, &by).with(fields)
    }
}

impl Withdrawal {
    /// The user takes back what an application was let have.
    pub fn withdraw(self, by: &By) -> Changed<Self> {
        Changed::new(self, Action::ConsentWithdrawn, resource(self.tenant, self.application_id), by)
    }
}
