//! Access tokens that are taken back before they expire (RFC 7009).

use uuid::Uuid;

use crate::{
    application::Application,
    audit::{Action, Fields, Resource, ResourceKind},
    authz::TenantRef,
    change::Changed,
    id::FamilyId,
    time::Timestamp,
};

/// An access token that counts for nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedToken {
    /// Its own id, the claim `jti`.
    pub id: Uuid,
    /// Until when it has to be remembered.
    pub expires_at: Timestamp,
}

impl RevokedToken {
    /// The application that got it takes it back. `tenant` and `family` are those of its user, if it has one; the tenant of
    /// an application in its own name is that of the issuer.
    pub fn revoke(
        self,
        application: &Application,
        tenant: Option<TenantRef>,
        family: Option<FamilyId>,
    ) -> Changed<Self> {
        let resource = match family {
            Some(id) => Resource::of(ResourceKind::TokenFamily, id.uuid()),
            None => Resource::of(ResourceKind::Application, application.id.uuid()),
        };
        let resource = resource.at(tenant);
        let mut fields = Fields::default();
        fields.set("application_id", application.id);
        Changed::new(self, Action::TokenRevoked, resource, &application.by()).with(fields)
    }
}
