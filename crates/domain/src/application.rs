//! Applications: the OAuth clients of the platform, of a partner or of a tenant (RFC 6749, section 2).

mod document;
mod jwks;
mod kinds;
mod metadata;
mod scope;
mod secrets;
mod uri;

pub use document::{DOCUMENT_BYTES, Described, KEPT_WITHOUT_USE, MOST_DESCRIBED};
pub use jwks::{Jwk, Jwks, thumbprint_input};
pub use kinds::{ApplicationType, ClientAuthMethod, GrantType, Profile, RegistrationKind, SigningAlgorithm};
pub use metadata::{
    ClientMetadata, METADATA_BYTES, RefreshTokenSeconds, RegisteredMetadata, ResourceScope, TokenSeconds,
};
pub use scope::ScopeName;
pub use secrets::{ClientSecret, ClientSecrets, PreviousSecret};
pub use uri::{DocumentUrl, LogoutUri, Origin, RedirectUri, ResourceUri};

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Actor, ApplicationActor, Authority, By, ByWhom, Denied, PermissionSet, Right, TenantRef},
    change::Changed,
    id::{ApplicationId, PartnerId, TenantId},
    issue::Parse,
    key::Issuer,
    partner::Status,
    role::Anchor,
    search::Searchable,
    secret::TokenHash,
    text::Name,
    time::{MINUTE, Timestamp},
    word::words,
};

words! {
    /// Whose an application is.
    ScopeLevel {
        /// The platform's: it can be used in every tenant.
        Global = "GLOBAL",
        /// A partner's: it can be used in the tenants of the partner.
        Partner = "PARTNER",
        /// A tenant's.
        Tenant = "TENANT",
    }
}

/// Whose an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The platform's.
    Platform,
    /// A partner's.
    Partner(PartnerId),
    /// A tenant's.
    Tenant(TenantRef),
}

impl Owner {
    /// The level.
    #[must_use]
    pub const fn level(self) -> ScopeLevel {
        match self {
            Self::Platform => ScopeLevel::Global,
            Self::Partner(_) => ScopeLevel::Partner,
            Self::Tenant(_) => ScopeLevel::Tenant,
        }
    }

    /// The partner, which is also that of the tenant.
    #[must_use]
    pub const fn partner(self) -> Option<PartnerId> {
        match self {
            Self::Platform => None,
            Self::Partner(id) => Some(id),
            Self::Tenant(tenant) => Some(tenant.partner_id),
        }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Platform | Self::Partner(_) => None,
            Self::Tenant(tenant) => Some(tenant.id),
        }
    }

    /// Whether its applications can be used at an issuer. Those of the platform are at the platform's alone.
    #[must_use]
    pub fn is_at(self, issuer: Issuer) -> bool {
        match (self, issuer) {
            (Self::Platform, Issuer::Platform) => true,
            (Self::Partner(partner), Issuer::Tenant(tenant)) => partner == tenant.partner_id,
            (Self::Tenant(owner), Issuer::Tenant(tenant)) => owner.id == tenant.id,
            (Self::Platform, Issuer::Tenant(_)) | (Self::Partner(_) | Self::Tenant(_), Issuer::Platform) => false,
        }
    }

    /// One of its applications, in the words of the audit trail.
    pub(crate) fn resource(self, application: ApplicationId) -> Resource {
        let resource = Resource::of(ResourceKind::Application, application.uuid());
        match self {
            Self::Platform => resource,
            Self::Partner(partner) => resource.in_partner(partner),
            Self::Tenant(tenant) => resource.in_tenant(tenant.partner_id, tenant.id),
        }
    }

    /// As what its applications act, in the words of the audit trail.
    const fn acting_as(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Partner(_) => "partner",
            Self::Tenant(_) => "tenant",
        }
    }

    /// Where rights that an application has of its own hold.
    #[must_use]
    pub const fn anchor(self) -> Anchor {
        match self {
            Self::Platform => Anchor::Platform,
            Self::Partner(id) => Anchor::Partner(id),
            Self::Tenant(tenant) => Anchor::Tenant(tenant.id),
        }
    }
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id, which is its `client_id` too where no document describes it.
    pub id: ApplicationId,
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: Name,
    /// How it came to be known.
    pub registration: RegistrationKind,
    /// The document that describes it, where one does.
    pub document: Option<DocumentUrl>,
    /// What kind of program it is.
    pub kind: ApplicationType,
    /// Whether it may be used.
    pub status: Status,
    /// What it is registered with.
    pub metadata: RegisteredMetadata,
    /// What it proves its identity with.
    pub secrets: ClientSecrets,
    /// When it last proved it. It may be some seconds behind.
    pub last_used_at: Option<Timestamp>,
    /// When its use was last written down by a request, which does so at times only.
    pub noted_at: Option<Timestamp>,
    /// Whatever tokens it got until then have ended.
    pub tokens_revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes; a save that finds another number lost a race.
    pub version: i64,
}

/// What is needed to make an application.
#[derive(Debug, Clone)]
pub struct NewApplication {
    /// Its id.
    pub id: ApplicationId,
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: Name,
    /// What kind of program it is.
    pub kind: ApplicationType,
    /// What it is registered with.
    pub metadata: RegisteredMetadata,
    /// The digest of its first secret, if it has secrets.
    pub secret: TokenHash,
    /// The document that describes it, where one does.
    pub document: Option<DocumentUrl>,
}

/// What changes of an application.
#[derive(Debug, Clone, Default)]
pub struct ApplicationPatch {
    /// The name.
    pub name: Option<Name>,
    /// Whether it may be used.
    pub status: Option<Status>,
    /// What it is registered with.
    pub metadata: Option<RegisteredMetadata>,
}

impl Searchable for Application {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str()].into_iter()
    }
}

impl Application {
    pub(crate) fn resource(&self) -> Resource {
        self.owner.resource(self.id)
    }

    /// What its scopes allow it to do by itself. Whoever makes, changes or deletes it, or makes a secret of it, holds
    /// that too.
    fn right(&self) -> Right {
        Right { anchor: self.owner.anchor(), permissions: self.metadata.permissions(), expires_at: None }
    }

    /// The URI that it is an API by, in the spelling that it was registered with.
    #[must_use]
    pub fn resource_uri(&self, asked: &str) -> Option<&ResourceUri> {
        let asked = ResourceUri::parse(asked).ok()?.key();
        self.metadata.resource_uris.iter().find(|uri| uri.key() == asked)
    }

    /// Whether it may ask for an API of others.
    #[must_use]
    pub fn may_ask_for(&self, resource: &str) -> bool {
        let Ok(asked) = ResourceUri::parse(resource) else { return false };
        self.metadata.allowed_resources.iter().any(|uri| uri.key() == asked.key())
    }

    /// The application, as what changes that it makes are attributed to.
    #[must_use]
    pub const fn by(&self) -> By {
        By { whom: ByWhom::Application(self.id), acting_as: self.owner.acting_as() }
    }

    /// The application in its own name, with a token of an issuer and what this opens: in the tenant of that, or with one of
    /// the platform everywhere. A scope that the application is not registered with any more opens nothing.
    #[must_use]
    pub fn actor(&self, issuer: Issuer, permissions: &PermissionSet) -> Actor {
        let tenant = issuer.tenant();
        let right = Right {
            anchor: tenant.map_or(Anchor::Platform, |tenant| Anchor::Tenant(tenant.id)),
            permissions: permissions.and(&self.metadata.permissions()),
            expires_at: None,
        };
        Actor::Application(ApplicationActor {
            application_id: self.id,
            level: self.owner.acting_as(),
            tenant,
            rights: vec![right],
        })
    }

    /// It gets a token in its own name. Nothing is to be recorded within a minute of the last time.
    #[must_use]
    pub fn use_itself(self, issuer: Issuer, scope: &str, now: Timestamp) -> Option<Changed<Self>> {
        if self.noted_at.is_some_and(|at| now.since(at) < MINUTE && at <= now) {
            return None;
        }
        let resource = Resource::of(ResourceKind::Application, self.id.uuid()).at(issuer.tenant());
        let (by, mut fields) = (self.by(), Fields::default());
        fields.set("scope", scope);
        let next = Self { noted_at: Some(now), ..self };
        Some(Changed::new(next, Action::ApplicationTokenIssued, resource, &by).with(fields))
    }

    fn changed(self, action: Action, fields: Fields, caller: &Authority) -> Changed<Self> {
        let resource = self.resource();
        Changed::new(self, action, resource, caller.by()).with(fields)
    }

    /// Makes an application.
    ///
    /// # Errors
    /// [`Denied`] when its scopes open what the caller does not hold.
    pub fn create(new: NewApplication, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        let NewApplication { id, owner, name, kind, metadata, secret, document } = new;
        let secrets = if metadata.has_secrets() { ClientSecrets::first(secret, now) } else { ClientSecrets::default() };
        let application = Self {
            id,
            owner,
            name,
            registration: RegistrationKind::Manual,
            document,
            kind,
            status: Status::Active,
            metadata,
            secrets,
            last_used_at: None,
            noted_at: None,
            tokens_revoked_at: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        caller.holds_both(None, Some(&application.right()))?;
        let mut fields = Fields::default();
        fields
            .set("name", &application.name)
            .set("application_type", application.kind)
            .set("scope_level", owner.level())
            .set("client_id", application.document.as_ref().map(DocumentUrl::as_str));
        application.metadata.record(None, &mut fields);
        Ok(application.changed(Action::ApplicationCreated, fields, caller))
    }

    /// Changes an application. Once it needs no secret it has none.
    ///
    /// # Errors
    /// [`Denied`] when its scopes open, or will open, what the caller does not hold.
    pub fn update(self, patch: ApplicationPatch, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        let mut next = self.clone();
        next.name = patch.name.unwrap_or(next.name);
        next.status = patch.status.unwrap_or(next.status);
        next.metadata = patch.metadata.unwrap_or(next.metadata);
        if !next.metadata.has_secrets() {
            next.secrets = ClientSecrets::default();
        }
        caller.holds_both(Some(&self.right()), Some(&next.right()))?;
        if next.metadata.lets_others_in(&self.metadata) {
            caller.holds_both(None, Some(&next.right()))?;
        }
        let mut fields = Fields::default();
        fields.change("name", &self.name, &next.name).change("status", self.status, next.status);
        next.metadata.record(Some(&self.metadata), &mut fields);
        if !fields.is_empty() {
            next.updated_at = now;
        }
        let action = match (self.status, next.status) {
            (Status::Active, Status::Suspended) => Action::ApplicationSuspended,
            (Status::Suspended, Status::Active) => Action::ApplicationActivated,
            _ => Action::ApplicationUpdated,
        };
        Ok(next.changed(action, fields, caller))
    }

    /// Gives it another secret. The one before goes on working for a while, all others end.
    ///
    /// # Errors
    /// [`Denied`] when its scopes open what the caller does not hold.
    pub fn rotate_secret(
        self,
        secret: TokenHash,
        previous: Option<PreviousSecret>,
        caller: &Authority,
        now: Timestamp,
    ) -> Result<Changed<Self>, Denied> {
        // It outlives what the caller holds for a time.
        caller.holds_both(None, Some(&self.right()))?;
        let mut fields = Fields::default();
        fields.set("expire_previous_in", previous);
        let next = Self { secrets: self.secrets.rotate(secret, previous, now), updated_at: now, ..self };
        Ok(next.changed(Action::ApplicationSecretRotated, fields, caller))
    }

    /// Ends every token that it got until now; so many families of tokens of users were among them. Nobody has to hold what
    /// its scopes open, as for ending sessions.
    pub fn revoke_tokens(self, families: u64, by: &By, now: Timestamp) -> Changed<Self> {
        let resource = self.resource();
        let mut fields = Fields::default();
        fields.set("families", families);
        let next = Self { tokens_revoked_at: Some(now), updated_at: now, ..self };
        Changed::new(next, Action::ApplicationTokensRevoked, resource, by).with(fields)
    }

    /// Whether a token in its own name, issued at this instant, has been ended since. Tokens say the second they were issued
    /// in, so all of that second are.
    #[must_use]
    pub fn has_revoked(&self, issued_at: Timestamp) -> bool {
        self.tokens_revoked_at.is_some_and(|at| issued_at.unix_seconds() <= at.unix_seconds())
    }

    /// Deletes it: nothing of it works any more.
    ///
    /// # Errors
    /// [`Denied`] when its scopes open what the caller does not hold.
    pub fn delete(self, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        caller.holds_both(Some(&self.right()), None)?;
        let next = Self { secrets: ClientSecrets::default(), updated_at: now, deleted_at: Some(now), ..self };
        Ok(next.changed(Action::ApplicationDeleted, Fields::default(), caller))
    }
}

#[cfg(test)]
mod tests;
