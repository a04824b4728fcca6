//! What an application is registered with (RFC 7591, section 2, and its kin), and which of it fit together.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    application::{
        ApplicationType, ClientAuthMethod, GrantType, Jwks, LogoutUri, Origin, Profile, RedirectUri, ResourceUri,
        ScopeName, SigningAlgorithm,
    },
    audit::Fields,
    authz::PermissionSet,
    issue::{Issue, Issues},
    settings::Bounded,
    tenant::HttpsUrl,
    text::Description,
};

/// 1 to 15 minutes.
pub type TokenSeconds = Bounded<60, 900>;
/// 5 minutes to 30 days.
pub type RefreshTokenSeconds = Bounded<300, 2_592_000>;

/// The most bytes of all of it as JSON: an answer holds it, and so does a list of many.
pub const METADATA_BYTES: usize = 32_768;

/// A scope of an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceScope {
    /// Its name.
    pub name: ScopeName,
    /// What it opens, for people.
    pub description: Option<Description>,
}

/// What an application is to be registered with. [`ClientMetadata::register`] says whether it fits together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// What it is for.
    pub description: Option<Description>,
    /// How it gets tokens.
    pub grant_types: Vec<GrantType>,
    /// Where codes may be sent.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where browsers may be sent after signing out.
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Which pages may call it.
    pub allowed_origins: Vec<Origin>,
    /// Which scopes it may ask for.
    pub allowed_scopes: Vec<ScopeName>,
    /// Which APIs it may ask tokens for.
    pub allowed_resources: Vec<ResourceUri>,
    /// Which APIs it is.
    pub resource_uris: Vec<ResourceUri>,
    /// Which scopes these have.
    pub resource_scopes: Vec<ResourceScope>,
    /// Whether applications that nobody registered may ask for these.
    pub open_resource: bool,
    /// How it proves its identity.
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// Its public keys.
    pub jwks: Option<Jwks>,
    /// Where its public keys are.
    pub jwks_uri: Option<HttpsUrl>,
    /// The most seconds that an access token lives.
    pub token_lifetime: Option<TokenSeconds>,
    /// The most seconds that a refresh token lives.
    pub refresh_token_lifetime: Option<RefreshTokenSeconds>,
    /// How its ID tokens are signed.
    pub id_token_signed_response_alg: SigningAlgorithm,
    /// Whether a code needs a challenge (RFC 7636).
    pub require_pkce: bool,
    /// Whether users are asked.
    pub require_consent: bool,
    /// Whether requests have to be pushed (RFC 9126).
    pub require_pushed_authorization_requests: bool,
    /// Whether tokens are bound to a key (RFC 9449).
    pub dpop_bound_access_tokens: bool,
    /// Whether it signs in by a window that it opens.
    pub opens_popup: bool,
    /// Which set of rules it keeps.
    pub profile: Profile,
    /// Where it is told that a session has ended.
    pub backchannel_logout_uri: Option<LogoutUri>,
    /// Its logo.
    pub logo_uri: Option<HttpsUrl>,
    /// Its home page.
    pub client_uri: Option<HttpsUrl>,
    /// What it says about privacy.
    pub policy_uri: Option<HttpsUrl>,
    /// Its terms.
    pub tos_uri: Option<HttpsUrl>,
}

impl Default for ClientMetadata {
    fn default() -> Self {
        Self::of(ApplicationType::Service)
    }
}

impl ClientMetadata {
    /// What holds for an application of a type where nothing else is said.
    #[must_use]
    pub fn of(kind: ApplicationType) -> Self {
        let service = kind == ApplicationType::Service;
        let code = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        let method = if kind.is_confidential() { ClientAuthMethod::ClientSecretBasic } else { ClientAuthMethod::None };
        Self {
            description: None,
            grant_types: if service { vec![GrantType::ClientCredentials] } else { code },
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            allowed_origins: Vec::new(),
            allowed_scopes: ["openid", "profile", "email"].map(ScopeName::known).to_vec(),
            allowed_resources: Vec::new(),
            resource_uris: Vec::new(),
            resource_scopes: Vec::new(),
            open_resource: false,
            token_endpoint_auth_method: method,
            jwks: None,
            jwks_uri: None,
            token_lifetime: None,
            refresh_token_lifetime: None,
            id_token_signed_response_alg: SigningAlgorithm::Rs256,
            require_pkce: true,
            require_consent: false,
            require_pushed_authorization_requests: false,
            dpop_bound_access_tokens: false,
            opens_popup: kind == ApplicationType::Spa,
            profile: Profile::Standard,
            backchannel_logout_uri: None,
            logo_uri: None,
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
        }
    }

    /// The origins of its redirect URIs: where a page of it may be.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        let mut origins: Vec<_> = self.redirect_uris.iter().filter_map(RedirectUri::origin).collect();
        distinct(&mut origins);
        origins
    }

    /// What an application of a type is registered with, if all of it fits together.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub fn register(mut self, kind: ApplicationType) -> Result<RegisteredMetadata, Issues> {
        distinct(&mut self.grant_types);
        distinct(&mut self.redirect_uris);
        distinct(&mut self.post_logout_redirect_uris);
        distinct(&mut self.allowed_origins);
        distinct(&mut self.allowed_scopes);
        distinct(&mut self.allowed_resources);
        distinct_by(&mut self.resource_uris, |one, other| one.key() == other.key());
        let broken = self.general(kind).chain(self.of_authentication(kind)).chain(self.of_apis(kind));
        let broken = broken.chain(self.of_profile(kind)).filter(|(is_broken, ..)| *is_broken);
        let issues: Issues = broken.map(|(_, field, msg)| Issue::body(field, "client_metadata", msg)).collect();
        if issues.is_empty() { Ok(RegisteredMetadata(self)) } else { Err(issues) }
    }

    fn general(&self, kind: ApplicationType) -> impl Iterator<Item = Rule> {
        let is_native = kind == ApplicationType::Native;
        let private_use = |uris: &[RedirectUri]| !is_native && uris.iter().any(RedirectUri::is_private_use);
        let takes_codes = self.grant_types.contains(&GrantType::AuthorizationCode);
        let size = serde_json::to_string(self).map_or(usize::MAX, |text| text.len());
        [
            (
                self.grant_types.iter().any(|grant| !kind.grants().contains(grant)),
                "grant_types",
                "has a grant that applications of this type may not use",
            ),
            (
                takes_codes && self.redirect_uris.is_empty(),
                "redirect_uris",
                "must not be empty where authorization_code is among the grants",
            ),
            (private_use(&self.redirect_uris), "redirect_uris", PRIVATE_USE),
            (private_use(&self.post_logout_redirect_uris), "post_logout_redirect_uris", PRIVATE_USE),
            (
                !self.require_pkce && kind != ApplicationType::Web,
                "require_pkce",
                "may be false for applications of the type WEB only",
            ),
            (size > METADATA_BYTES, self.largest(), "is part of more than 32768 bytes that the application is made of"),
        ]
        .into_iter()
    }

    /// The field that takes the most room.
    fn largest(&self) -> &'static str {
        fn size(of: &impl Serialize) -> usize {
            serde_json::to_string(of).map_or(usize::MAX, |text| text.len())
        }
        let sizes = [
            ("description", size(&self.description)),
            ("redirect_uris", size(&self.redirect_uris)),
            ("post_logout_redirect_uris", size(&self.post_logout_redirect_uris)),
            ("allowed_origins", size(&self.allowed_origins)),
            ("allowed_scopes", size(&self.allowed_scopes)),
            ("allowed_resources", size(&self.allowed_resources)),
            ("resource_uris", size(&self.resource_uris)),
            ("resource_scopes", size(&self.resource_scopes)),
            ("jwks", size(&self.jwks)),
        ];
        sizes.into_iter().max_by_key(|(_, size)| *size).map_or("description", |(name, _)| name)
    }

    fn of_authentication(&self, kind: ApplicationType) -> impl Iterator<Item = Rule> {
        let is_public = self.token_endpoint_auth_method == ClientAuthMethod::None;
        let signs = self.token_endpoint_auth_method == ClientAuthMethod::PrivateKeyJwt;
        let sources = usize::from(self.jwks.is_some()) + usize::from(self.jwks_uri.is_some());
        [
            (
                is_public == kind.is_confidential(),
                "token_endpoint_auth_method",
                "must be none for the types SPA and NATIVE, and another one for WEB and SERVICE",
            ),
            (
                sources != usize::from(signs),
                "jwks",
                "or jwks_uri must be there with private_key_jwt, one of them, and neither without",
            ),
        ]
        .into_iter()
    }

    fn of_apis(&self, kind: ApplicationType) -> impl Iterator<Item = Rule> {
        let is_api = !self.resource_uris.is_empty();
        let mut names: Vec<_> = self.resource_scopes.iter().map(|scope| &scope.name).collect();
        names.sort();
        [
            (
                is_api && !kind.is_confidential(),
                "resource_uris",
                "may be there for applications of the types WEB and SERVICE only",
            ),
            (!is_api && !names.is_empty(), "resource_scopes", WITHOUT_URI),
            (!is_api && self.open_resource, "open_resource", WITHOUT_URI),
            (
                names.iter().any(|name| name.is_standard()),
                "resource_scopes",
                "has a name that means something everywhere",
            ),
            (names.windows(2).any(|pair| pair[0] == pair[1]), "resource_scopes", "has a name twice"),
        ]
        .into_iter()
    }

    fn of_profile(&self, kind: ApplicationType) -> impl Iterator<Item = Rule> {
        let is_strict = self.profile == Profile::Fapi2;
        [
            (
                is_strict && !kind.is_confidential(),
                "profile",
                "may be fapi2 for applications of the types WEB and SERVICE only",
            ),
            (
                is_strict && self.token_endpoint_auth_method != ClientAuthMethod::PrivateKeyJwt,
                "token_endpoint_auth_method",
                "must be private_key_jwt with the profile fapi2",
            ),
            (
                is_strict && self.id_token_signed_response_alg == SigningAlgorithm::Rs256,
                "id_token_signed_response_alg",
                "must be ES256 or EdDSA with the profile fapi2",
            ),
            (
                is_strict && !self.require_pushed_authorization_requests,
                "require_pushed_authorization_requests",
                FAPI_TRUE,
            ),
            (is_strict && !self.dpop_bound_access_tokens, "dpop_bound_access_tokens", FAPI_TRUE),
            (is_strict && !self.require_pkce, "require_pkce", FAPI_TRUE),
            (
                is_strict && !self.redirect_uris.iter().all(|uri| uri.as_str().starts_with("https:")),
                "redirect_uris",
                FAPI_HTTPS,
            ),
            (
                is_strict && !self.post_logout_redirect_uris.iter().all(|uri| uri.as_str().starts_with("https:")),
                "post_logout_redirect_uris",
                FAPI_HTTPS,
            ),
            (
                is_strict && !self.allowed_origins.iter().all(|origin| origin.as_str().starts_with("https:")),
                "allowed_origins",
                FAPI_HTTPS,
            ),
            (
                is_strict && self.jwks.as_ref().is_some_and(|keys| keys.names("RS256")),
                "jwks",
                "may have no key for RS256 with the profile fapi2",
            ),
        ]
        .into_iter()
    }

    /// What is written of it in the audit trail.
    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// Whether a rule is broken, by which field, and what the rule is.
type Rule = (bool, &'static str, &'static str);

const PRIVATE_USE: &str = "may have schemes of its own for applications of the type NATIVE only";
const WITHOUT_URI: &str = "means nothing without resource_uris";
const FAPI_HTTPS: &str = "must be of https with the profile fapi2";
const FAPI_TRUE: &str = "must be true with the profile fapi2";

/// Each once, in the order in which they come first.
fn distinct<T: PartialEq>(items: &mut Vec<T>) {
    distinct_by(items, PartialEq::eq);
}

fn distinct_by<T>(items: &mut Vec<T>, are_equal: impl Fn(&T, &T) -> bool) {
    let all = std::mem::take(items);
    for item in all {
        if !items.iter().any(|known| are_equal(known, &item)) {
            items.push(item);
        }
    }
}

/// What an application is registered with: it fits together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredMetadata(ClientMetadata);

impl Deref for RegisteredMetadata {
    type Target = ClientMetadata;

    fn deref(&self) -> &ClientMetadata {
        &self.0
    }
}

impl RegisteredMetadata {
    /// Whether somebody else can be this application than with what it was registered with before: by another key, or at
    /// another address.
    pub(super) fn lets_others_in(&self, before: &Self) -> bool {
        let who =
            |of: &Self| (of.redirect_uris.clone(), of.token_endpoint_auth_method, of.jwks.clone(), of.jwks_uri.clone());
        who(self) != who(before)
    }

    /// Takes what is stored back.
    #[must_use]
    pub const fn from_stored(metadata: ClientMetadata) -> Self {
        Self(metadata)
    }

    /// The same, to be changed and registered again.
    #[must_use]
    pub fn draft(&self) -> ClientMetadata {
        self.0.clone()
    }

    /// Whether the application proves its identity with a secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.token_endpoint_auth_method == ClientAuthMethod::ClientSecretBasic
    }

    /// What the application may do by itself.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        ScopeName::permissions(&self.allowed_scopes)
    }

    /// Records what differs from before, or everything that says something.
    pub(super) fn record(&self, before: Option<&Self>, fields: &mut Fields) {
        let before = before.map(|before| before.fields());
        for (name, new) in self.fields() {
            match &before {
                Some(before) => drop(fields.change(&name, before.get(&name), &new)),
                None if new == Value::Bool(false) || new.as_array().is_some_and(Vec::is_empty) => {}
                None => drop(fields.set(&name, new)),
            }
        }
    }
}
