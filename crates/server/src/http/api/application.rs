//! An application as it is shown.

use gatehouse_domain::{
    application::{Application, ClientMetadata, ClientSecret, Jwks, ResourceScope},
    id::{ApplicationId, PartnerId, TenantId},
    secret::Secret,
    settings::Bounded,
    tenant::HttpsUrl,
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::applications::WithSecret,
    http::envelope::{ApiResponse, PaginatedResponse},
};

/// A page of applications.
pub type ApplicationPage = PaginatedResponse<ApplicationResponse>;
/// One application.
pub type OneApplication = ApiResponse<ApplicationResponse>;
/// One application with its new secret.
pub type OneApplicationSecret = ApiResponse<ApplicationSecretResponse>;

/// Which tokens ended.
pub type OneTokensRevoked = ApiResponse<TokensRevokedResponse>;

/// Which tokens of an application ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokensRevokedResponse {
    /// How many families: what codes of users were exchanged for.
    #[schema(minimum = 0, example = 12)]
    pub families: u64,
    /// Whatever it got until then has ended.
    #[schema(inline)]
    pub issued_before: Timestamp,
}

/// An application: an OAuth client.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicationResponse {
    /// The id.
    #[schema(inline)]
    pub id: ApplicationId,
    /// What OAuth calls it: the id, or the address of the document that describes it.
    #[schema(max_length = 512, example = "app_01h455vb4pex5vsknk084sn02q")]
    pub client_id: String,
    /// The name.
    #[schema(max_length = 400, example = "Wiki")]
    pub name: String,
    /// What it is for.
    #[schema(required = true, max_length = 2000)]
    pub description: Option<String>,
    /// `WEB`, `SERVICE`, `SPA` or `NATIVE`.
    #[schema(max_length = 32, example = "WEB")]
    pub application_type: &'static str,
    /// `GLOBAL`, `PARTNER` or `TENANT`: whose it is.
    #[schema(max_length = 32, example = "TENANT")]
    pub scope_level: &'static str,
    /// The partner that it belongs to, or that its tenant belongs to; null for the platform's.
    #[schema(required = true, inline)]
    pub partner_id: Option<PartnerId>,
    /// The tenant that it belongs to; null for those of the platform and of partners.
    #[schema(required = true, inline)]
    pub tenant_id: Option<TenantId>,
    /// `ACTIVE` or `SUSPENDED`: while it is suspended nothing of it works.
    #[schema(max_length = 32, example = "ACTIVE")]
    pub status: &'static str,
    /// How it may get tokens.
    #[schema(max_items = 5, example = json!(["authorization_code", "refresh_token"]))]
    pub grant_types: Vec<&'static str>,
    /// Where codes may be sent.
    #[schema(max_items = 50, example = json!(["https://app.example.com/callback"]))]
    pub redirect_uris: Vec<String>,
    /// Where browsers may be sent after signing out.
    #[schema(max_items = 50, example = json!(["https://app.example.com/"]))]
    pub post_logout_redirect_uris: Vec<String>,
    /// The origins of pages that may call it.
    #[schema(max_items = 50, example = json!(["https://app.example.com"]))]
    pub allowed_origins: Vec<String>,
    /// The scopes that it may ask for.
    #[schema(max_items = 100, example = json!(["openid", "profile", "email"]))]
    pub allowed_scopes: Vec<String>,
    /// The APIs that it may ask tokens for.
    #[schema(max_items = 50, example = json!(["https://api.example.com/"]))]
    pub allowed_resources: Vec<String>,
    /// The APIs that it is.
    #[schema(max_items = 10, example = json!([]))]
    pub resource_uris: Vec<String>,
    /// The scopes that these have.
    #[schema(max_items = 100)]
    pub resource_scopes: Vec<ResourceScopeResponse>,
    /// Whether applications that nobody registered may ask for these.
    pub open_resource: bool,
    /// `client_secret_basic`, `private_key_jwt` or `none`: how it proves its identity.
    #[schema(max_length = 32, example = "client_secret_basic")]
    pub token_endpoint_auth_method: &'static str,
    /// Its public keys (RFC 7517).
    #[schema(required = true, value_type = Option<Object>)]
    pub jwks: Option<Jwks>,
    /// Where its public keys are.
    #[schema(required = true, max_length = 2000)]
    pub jwks_uri: Option<String>,
    /// The most seconds that an access token of it lives; null leaves it to the tenant.
    #[schema(required = true, minimum = 0)]
    pub token_lifetime: Option<u32>,
    /// The most seconds that a refresh token of it lives; null leaves it to the tenant.
    #[schema(required = true, minimum = 0)]
    pub refresh_token_lifetime: Option<u32>,
    /// `RS256`, `ES256` or `EdDSA`: how its ID tokens and logout tokens are signed.
    #[schema(max_length = 32, example = "RS256")]
    pub id_token_signed_response_alg: &'static str,
    /// Whether a request for a code needs a challenge (RFC 7636).
    pub require_pkce: bool,
    /// Whether users are asked before it gets tokens.
    pub require_consent: bool,
    /// Whether requests have to be pushed (RFC 9126).
    pub require_pushed_authorization_requests: bool,
    /// Whether its tokens are bound to a key (RFC 9449).
    pub dpop_bound_access_tokens: bool,
    /// Whether it signs users in by a window that it opens.
    pub opens_popup: bool,
    /// `standard` or `fapi2`: which set of rules it keeps.
    #[schema(max_length = 32, example = "standard")]
    pub profile: &'static str,
    /// Where it is told that a session has ended.
    #[schema(required = true, max_length = 2000)]
    pub backchannel_logout_uri: Option<String>,
    /// Its logo.
    #[schema(required = true, max_length = 2000)]
    pub logo_uri: Option<String>,
    /// Its home page.
    #[schema(required = true, max_length = 2000)]
    pub client_uri: Option<String>,
    /// What it says about privacy.
    #[schema(required = true, max_length = 2000)]
    pub policy_uri: Option<String>,
    /// Its terms.
    #[schema(required = true, max_length = 2000)]
    pub tos_uri: Option<String>,
    /// How it came to be registered: `manual`, by an administrator, or `metadata_document`, by a user who let in a program
    /// that its document describes.
    #[schema(max_length = 32, example = "manual")]
    pub registration: &'static str,
    /// Its secrets, newest first, without the secrets themselves.
    #[schema(max_items = 2)]
    pub secrets: Vec<ClientSecretResponse>,
    /// When it last proved its identity.
    #[schema(required = true, inline)]
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(inline)]
    pub updated_at: Timestamp,
}

/// A scope of an API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResourceScopeResponse {
    /// Its name.
    #[schema(max_length = 64, example = "orders:read")]
    pub name: String,
    /// What it opens, for people.
    #[schema(required = true, max_length = 2000)]
    pub description: Option<String>,
}

/// What is known of a secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientSecretResponse {
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it stops working; null for the newest.
    #[schema(required = true, inline)]
    pub expires_at: Option<Timestamp>,
    /// When the application last proved its identity with it.
    #[schema(required = true, inline)]
    pub last_used_at: Option<Timestamp>,
}

/// An application with its new secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicationSecretResponse {
    /// The application.
    #[serde(flatten)]
    pub application: ApplicationResponse,
    /// The secret, which is never shown again; null if the application has none.
    #[schema(required = true, max_length = 64, example = "ghk_1vMFTIPoKD1bbeoqVCSSg8p2bD5vDrFHAAzR6E0kU1c")]
    pub client_secret: Option<String>,
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn url(url: Option<HttpsUrl>) -> Option<String> {
    url.map(|url| url.as_str().to_owned())
}

fn seconds<const MIN: u32, const MAX: u32>(seconds: Option<Bounded<MIN, MAX>>) -> Option<u32> {
    seconds.map(Bounded::get)
}

impl From<ResourceScope> for ResourceScopeResponse {
    fn from(ResourceScope { name, description }: ResourceScope) -> Self {
        Self { name: name.as_str().to_owned(), description: description.map(|text| text.to_string()) }
    }
}

impl From<&ClientSecret> for ClientSecretResponse {
    fn from(ClientSecret { hash: _, created_at, expires_at, last_used_at }: &ClientSecret) -> Self {
        Self { created_at: *created_at, expires_at: *expires_at, last_used_at: *last_used_at }
    }
}

impl From<WithSecret> for ApplicationSecretResponse {
    fn from((application, secret): WithSecret) -> Self {
        Self { application: application.into(), client_secret: secret.as_ref().map(Secret::expose).cloned() }
    }
}

impl From<Application> for ApplicationResponse {
    fn from(application: Application) -> Self {
        let client_id = application.client_id();
        let Application {
            id,
            owner,
            name,
            registration,
            document: _,
            kind,
            status,
            metadata,
            secrets,
            last_used_at,
            noted_at: _,
            created_at,
            updated_at,
            deleted_at: _,
            tokens_revoked_at: _,
            version: _,
        } = application;
        let ClientMetadata {
            description,
            grant_types,
            redirect_uris,
            post_logout_redirect_uris,
            allowed_origins,
            allowed_scopes,
            allowed_resources,
            resource_uris,
            resource_scopes,
            open_resource,
            token_endpoint_auth_method,
            jwks,
            jwks_uri,
            token_lifetime,
            refresh_token_lifetime,
            id_token_signed_response_alg,
            require_pkce,
            require_consent,
            require_pushed_authorization_requests,
            dpop_bound_access_tokens,
            opens_popup,
            profile,
            backchannel_logout_uri,
            logo_uri,
            client_uri,
            policy_uri,
            tos_uri,
        } = metadata.draft();
        Self {
            id,
            client_id,
            name: name.to_string(),
            description: description.map(|text| text.to_string()),
            application_type: kind.as_str(),
            scope_level: owner.level().as_str(),
            partner_id: owner.partner(),
            tenant_id: owner.tenant(),
            status: status.as_str(),
            grant_types: grant_types.into_iter().map(|grant| grant.as_str()).collect(),
            redirect_uris: texts(&redirect_uris),
            post_logout_redirect_uris: texts(&post_logout_redirect_uris),
            allowed_origins: texts(&allowed_origins),
            allowed_scopes: allowed_scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            allowed_resources: texts(&allowed_resources),
            resource_uris: texts(&resource_uris),
            resource_scopes: resource_scopes.into_iter().map(Into::into).collect(),
            open_resource,
            token_endpoint_auth_method: token_endpoint_auth_method.as_str(),
            jwks,
            jwks_uri: url(jwks_uri),
            token_lifetime: seconds(token_lifetime),
            refresh_token_lifetime: seconds(refresh_token_lifetime),
            id_token_signed_response_alg: id_token_signed_response_alg.as_str(),
            require_pkce,
            require_consent,
            require_pushed_authorization_requests,
            dpop_bound_access_tokens,
            opens_popup,
            profile: profile.as_str(),
            backchannel_logout_uri: backchannel_logout_uri.map(|uri| uri.to_string()),
            logo_uri: url(logo_uri),
            client_uri: url(client_uri),
            policy_uri: url(policy_uri),
            tos_uri: url(tos_uri),
            registration: registration.as_str(),
            secrets: secrets.iter().map(Into::into).collect(),
            last_used_at,
            created_at,
            updated_at,
        }
    }
}
