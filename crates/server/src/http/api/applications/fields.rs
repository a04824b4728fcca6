//! What bodies about applications hold.

use std::sync::Arc;

use gatehouse_domain::{
    application::{
        ApplicationType, ClientAuthMethod, ClientMetadata, DocumentUrl, GrantType, Jwks, LogoutUri, Origin,
        PreviousSecret, Profile, RedirectUri, RefreshTokenSeconds, ResourceScope, ResourceUri, ScopeLevel, ScopeName,
        SigningAlgorithm, TokenSeconds,
    },
    id::{PartnerId, TenantId},
    issue::{Issue, Issues},
    partner::Status,
    tenant::HttpsUrl,
    text::{Description, Name},
};

use crate::{
    app::applications::{ChangeApplication, CreateApplication, NamedOwner},
    input::{Many, Patch, Set, input},
};

/// A list that may be empty.
type List<T, const MAX: usize> = Set<Many<T, MAX, 0>>;

/// Declares bodies that share what an application is registered with.
macro_rules! bodies {
    ($($(#[doc = $doc:literal])* pub struct $name:ident { $($own:tt)* })*) => {$(
        input! {
            $(#[doc = $doc])*
            pub struct $name {
                $($own)*
                /// What it is for.
                description: Patch<Description>,
                /// How it may get tokens; those that suit its type.
                grant_types: Set<Many<GrantType, 5>>,
                /// Where codes may be sent: compared as text.
                redirect_uris: List<RedirectUri, 50>,
                /// Where browsers may be sent after signing out.
                post_logout_redirect_uris: List<RedirectUri, 50>,
                /// The origins of pages that may call it; those of its redirect URIs for a new one of the type SPA.
                allowed_origins: List<Origin, 50>,
                /// The scopes that it may ask for; no permissions but those of the caller.
                allowed_scopes: List<ScopeName, 100>,
                /// The APIs that it may ask tokens for.
                allowed_resources: List<ResourceUri, 50>,
                /// The APIs that it is; for the types WEB and SERVICE.
                resource_uris: List<ResourceUri, 10>,
                /// The scopes that these have.
                resource_scopes: List<ResourceScopeRequest, 100>,
                /// Whether applications that nobody registered may ask for these.
                open_resource: Set<bool>,
                /// How it proves its identity: with a secret or a signature for the types WEB and SERVICE, else not.
                token_endpoint_auth_method: Set<ClientAuthMethod>,
                /// Its public keys, 1 to 10 as `keys`; with `private_key_jwt` these or `jwks_uri`.
                jwks: Patch<Jwks>,
                /// Where its public keys are.
                jwks_uri: Patch<HttpsUrl>,
                /// The most seconds that an access token of it lives; null leaves it to the tenant.
                token_lifetime: Patch<TokenSeconds>,
                /// The most seconds that a refresh token of it lives; null leaves it to the tenant.
                refresh_token_lifetime: Patch<RefreshTokenSeconds>,
                /// How its ID tokens and logout tokens are signed.
                id_token_signed_response_alg: Set<SigningAlgorithm>,
                /// Whether a request for a code needs a challenge; only the type WEB may do without.
                require_pkce: Set<bool>,
                /// Whether users are asked before it gets tokens.
                require_consent: Set<bool>,
                /// Whether requests have to be pushed.
                require_pushed_authorization_requests: Set<bool>,
                /// Whether it gets no tokens but such as are bound to a key (RFC 9449).
                dpop_bound_access_tokens: Set<bool>,
                /// Whether it signs users in by a window that it opens.
                opens_popup: Set<bool>,
                /// Which set of rules it keeps.
                profile: Set<Profile>,
                /// Where it is told that a session has ended: https; http only while the server may call private addresses.
                backchannel_logout_uri: Patch<LogoutUri>,
                /// Its logo.
                logo_uri: Patch<HttpsUrl>,
                /// Its home page.
                client_uri: Patch<HttpsUrl>,
                /// What it says about privacy.
                policy_uri: Patch<HttpsUrl>,
                /// Its terms.
                tos_uri: Patch<HttpsUrl>,
            }
        }

        impl $name {
            /// Changes what is named.
            fn change(&self, metadata: &mut ClientMetadata) {
                // Whoever adds a field has to say here what changes it.
                let ClientMetadata { description, grant_types, redirect_uris, post_logout_redirect_uris, allowed_origins, allowed_scopes, allowed_resources, resource_uris, resource_scopes, open_resource, token_endpoint_auth_method, jwks, jwks_uri, token_lifetime, refresh_token_lifetime, id_token_signed_response_alg, require_pkce, require_consent, require_pushed_authorization_requests, dpop_bound_access_tokens, opens_popup, profile, backchannel_logout_uri, logo_uri, client_uri, policy_uri, tos_uri } = metadata;
                let scope = |scope: &ResourceScopeRequest| scope.scope();
                put(description, &self.description);
                set(grant_types, self.grant_types.0.as_ref().map(|list| &list.0));
                list(redirect_uris, &self.redirect_uris);
                list(post_logout_redirect_uris, &self.post_logout_redirect_uris);
                list(allowed_origins, &self.allowed_origins);
                list(allowed_scopes, &self.allowed_scopes);
                list(allowed_resources, &self.allowed_resources);
                list(resource_uris, &self.resource_uris);
                if let Some(scopes) = &self.resource_scopes.0 {
                    *resource_scopes = scopes.0.iter().map(scope).collect();
                }
                set(open_resource, self.open_resource.0.as_ref());
                set(token_endpoint_auth_method, self.token_endpoint_auth_method.0.as_ref());
                put(jwks, &self.jwks);
                put(jwks_uri, &self.jwks_uri);
                put(token_lifetime, &self.token_lifetime);
                put(refresh_token_lifetime, &self.refresh_token_lifetime);
                set(id_token_signed_response_alg, self.id_token_signed_response_alg.0.as_ref());
                set(require_pkce, self.require_pkce.0.as_ref());
                set(require_consent, self.require_consent.0.as_ref());
                let pushed = self.require_pushed_authorization_requests.0.as_ref();
                set(require_pushed_authorization_requests, pushed);
                set(dpop_bound_access_tokens, self.dpop_bound_access_tokens.0.as_ref());
                set(opens_popup, self.opens_popup.0.as_ref());
                set(profile, self.profile.0.as_ref());
                put(backchannel_logout_uri, &self.backchannel_logout_uri);
                put(logo_uri, &self.logo_uri);
                put(client_uri, &self.client_uri);
                put(policy_uri, &self.policy_uri);
                put(tos_uri, &self.tos_uri);
            }
        }
    )*};
}

fn set<T: Clone>(place: &mut T, to: Option<&T>) {
    if let Some(value) = to {
        place.clone_from(value);
    }
}

fn put<T: Clone>(place: &mut Option<T>, to: &Patch<T>) {
    set(place, to.0.as_ref());
}

fn list<T: Clone, const MAX: usize>(place: &mut Vec<T>, to: &List<T, MAX>) {
    set(place, to.0.as_ref().map(|list| &list.0));
}

bodies! {
    /// An application to be made.
    pub struct ApplicationCreateRequest {
        /// The name.
        name: Name,
        /// What kind of program it is; this never changes.
        application_type: ApplicationType,
        /// The address of a client ID metadata document, which says all but the name and whether it may be used; for the
        /// types SPA and NATIVE.
        client_id: Option<DocumentUrl>,
        /// Whose it is; this never changes. GLOBAL names no owner, PARTNER its `partner_id`, TENANT its `tenant_id`.
        scope_level: Set<ScopeLevel>,
        /// The partner that it is to belong to.
        partner_id: Option<PartnerId>,
        /// The tenant that it is to belong to.
        tenant_id: Option<TenantId>,
    }

    /// An application to be made in the tenant.
    pub struct TenantApplicationCreateRequest {
        /// The name.
        name: Name,
        /// What kind of program it is; this never changes.
        application_type: ApplicationType,
        /// The address of a client ID metadata document, which says all but the name and whether it may be used; for the
        /// types SPA and NATIVE.
        client_id: Option<DocumentUrl>,
    }

    /// What changes of an application; what is absent stays.
    pub struct ApplicationPatchRequest {
        /// The name.
        name: Set<Name>,
        /// Whether it may be used; while it is suspended nothing of it works.
        status: Set<Status>,
    }
}

input! {
    /// A scope of an API.
    pub struct ResourceScopeRequest {
        /// Its name: none that means something everywhere.
        name: ScopeName,
        /// What it opens, for people.
        description: Option<Description>,
    }

    /// How a secret is replaced.
    pub struct SecretRotateRequest {
        /// For how many seconds the one before goes on working; 86400 if nothing is said.
        expire_previous_in: Set<PreviousSecret>,
    }
}

impl ResourceScopeRequest {
    fn scope(&self) -> ResourceScope {
        ResourceScope { name: self.name.clone(), description: self.description.clone() }
    }
}

/// What a new application is to be registered with.
fn metadata(kind: ApplicationType, names_origins: bool, change: impl FnOnce(&mut ClientMetadata)) -> ClientMetadata {
    let mut metadata = ClientMetadata::of(kind);
    change(&mut metadata);
    if kind == ApplicationType::Spa && !names_origins {
        metadata.allowed_origins = metadata.origins();
    }
    metadata
}

impl ApplicationCreateRequest {
    /// What is to be made.
    ///
    /// # Errors
    /// When the level and the owner do not fit together.
    pub(super) fn wanted(self) -> Result<CreateApplication, Issues> {
        let level = self.scope_level.0.unwrap_or(ScopeLevel::Tenant);
        let owner = match (level, self.partner_id, self.tenant_id) {
            (ScopeLevel::Global, None, None) => NamedOwner::Platform,
            (ScopeLevel::Partner, Some(partner), None) => NamedOwner::Partner(partner),
            (ScopeLevel::Tenant, None, Some(tenant)) => NamedOwner::Tenant(tenant),
            _ => {
                let msg = "GLOBAL names no owner, PARTNER partner_id alone, TENANT tenant_id alone";
                return Err(Issue::body("scope_level", "application_owner", msg).into());
            }
        };
        let names_origins = self.allowed_origins.0.is_some();
        let metadata = metadata(self.application_type, names_origins, |metadata| self.change(metadata));
        let document = self.client_id;
        Ok(CreateApplication { owner, name: self.name, kind: self.application_type, metadata, document })
    }
}

impl TenantApplicationCreateRequest {
    /// What is to be made in a tenant.
    pub(super) fn wanted(self, tenant: TenantId) -> CreateApplication {
        let names_origins = self.allowed_origins.0.is_some();
        let metadata = metadata(self.application_type, names_origins, |metadata| self.change(metadata));
        let owner = NamedOwner::Tenant(tenant);
        let document = self.client_id;
        CreateApplication { owner, name: self.name, kind: self.application_type, metadata, document }
    }
}

impl ApplicationPatchRequest {
    /// What is to change.
    pub(super) fn change_of(self) -> ChangeApplication {
        let (name, status) = (self.name.0.clone(), self.status.0);
        ChangeApplication { name, status, metadata: Arc::new(move |metadata| self.change(metadata)) }
    }
}
