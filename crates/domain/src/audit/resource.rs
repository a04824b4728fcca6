//! What something happened to.

use uuid::Uuid;

use crate::{
    authz::TenantRef,
    id::{self, PartnerId, TenantId, UserId},
    word::words,
};

words! {
    /// What kind of thing something happened to.
    ResourceKind {
        /// An application.
        Application = "application",
        /// Events of the audit trail.
        AuditEvent = "audit_event",
        /// Work that takes longer than a request.
        Job = "job",
        /// A signing key.
        Key = "key",
        /// A mail.
        Mail = "mail",
        /// A partner.
        Partner = "partner",
        /// The platform, of which there is one.
        Platform = "platform",
        /// A role.
        Role = "role",
        /// A role given to a user.
        RoleAssignment = "role_assignment",
        /// A session, or several.
        Session = "session",
        /// A tenant.
        Tenant = "tenant",
        /// What an authorization code was exchanged for.
        TokenFamily = "token_family",
        /// A device that a user signed in from before.
        TrustedDevice = "trusted_device",
        /// A user.
        User = "user",
    }
}

impl ResourceKind {
    /// The prefix of the ids of this kind; there may be only one thing of it, without an id.
    pub(super) const fn prefix(self) -> Option<&'static str> {
        Some(match self {
            Self::Application => id::ApplicationId::PREFIX,
            Self::AuditEvent => id::AuditEventId::PREFIX,
            Self::Job => id::JobId::PREFIX,
            Self::Key => id::KeyId::PREFIX,
            Self::Mail => id::MailId::PREFIX,
            Self::Partner => PartnerId::PREFIX,
            Self::Role => id::RoleId::PREFIX,
            Self::RoleAssignment => id::AssignmentId::PREFIX,
            Self::Session => id::SessionId::PREFIX,
            Self::Tenant => TenantId::PREFIX,
            Self::TokenFamily => id::FamilyId::PREFIX,
            Self::TrustedDevice => id::DeviceId::PREFIX,
            Self::User => UserId::PREFIX,
            Self::Platform => return None,
        })
    }

    /// An id of this kind as text.
    #[must_use]
    pub fn text(self, id: Uuid) -> String {
        self.prefix().map(|prefix| id::text(prefix, id)).unwrap_or_default()
    }

    pub(super) fn parse(self, text: &str) -> Option<Uuid> {
        id::parse(self.prefix()?, text)
    }
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

    /// In a tenant, or in none.
    pub(crate) const fn at(self, tenant: Option<TenantRef>) -> Self {
        match tenant {
            Some(tenant) => self.in_tenant(tenant.partner_id, tenant.id),
            None => self,
        }
    }

    pub(crate) const fn in_tenant(mut self, partner: PartnerId, tenant: TenantId) -> Self {
        self.partner_id = Some(partner);
        self.tenant_id = Some(tenant);
        self
    }
}
