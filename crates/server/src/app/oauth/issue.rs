//! What the token endpoint gives: access tokens, ID tokens, and the next refresh token.

use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256, SHA512, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Application, GrantType, SigningAlgorithm},
    id::{ApplicationId, FamilyId, SessionId, TenantId, UserId},
    key::Issuer,
    oauth::{Scopes, claims},
    secret::Secret,
    session::AuthMethod,
    settings::Policy,
    time::{MINUTE, Timestamp},
    user::UserView,
};
use gatehouse_persistence::{SessionState, TenantFacts};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    app::{Result, oauth::TokenEndpoint, request::client::RequestMeta},
    security::token::{ACCESS, Claims, FamilyClaims, ID},
};

/// The longest an access token for an API of others lives: that a session has ended is not seen there.
const AT_OTHERS: Duration = MINUTE.saturating_mul(5);
/// The longest access token that is issued, in bytes: proxies take a head of 8 KiB, in which there is more than a token.
const LONGEST: usize = 3 * 1024;
/// How well a password proves who somebody is (OpenID Connect Core 1.0, section 2).
const ACR: &str = "aal1";

/// What the token endpoint answers (RFC 6749, section 5.1).
#[derive(Debug, Serialize, Deserialize)]
pub struct Issued {
    /// The access token, a JWT.
    pub access_token: String,
    /// How to send it.
    pub token_type: String,
    /// Its lifetime in seconds.
    pub expires_in: u64,
    /// The next refresh token, for who uses these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Who the user is, where the scope `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// What was granted.
    pub scope: String,
}

/// The claims of an ID token (OpenID Connect Core 1.0, section 2) but for those that scopes open.
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: UserId,
    aud: ApplicationId,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'static str,
    amr: &'a [AuthMethod],
    at_hash: String,
    sid: SessionId,
    tenant_id: TenantId,
    #[serde(flatten)]
    of_scopes: Map<String, Value>,
}

/// Who and what tokens are made for.
pub(super) struct Of<'a> {
    pub(super) facts: &'a TenantFacts,
    pub(super) application: &'a Application,
    pub(super) state: &'a SessionState,
    pub(super) policy: &'a Policy,
    pub(super) family: FamilyId,
    pub(super) audience: &'a str,
    pub(super) auth_time: Timestamp,
    pub(super) scopes: Scopes,
    pub(super) nonce: Option<&'a str>,
    pub(super) refresh_token: Option<&'a Secret<String>>,
}

impl TokenEndpoint<'_> {
    /// Makes the tokens.
    pub(super) async fn issue(&self, of: Of<'_>, meta: &RequestMeta, now: Timestamp) -> Result<Issued> {
        let Of { facts, application, state, policy, scopes, .. } = &of;
        let issuer = meta.issuer(&facts.tenant.slug);
        let (id, session) = (application.id.to_string(), &state.session);
        let asked = application.metadata.token_lifetime.map(|it| Duration::from_secs(u64::from(it.get())));
        let at_others = (of.audience != id).then_some(AT_OTHERS);
        let lifetime =
            asked.into_iter().chain(at_others).chain([policy.access_token_lifetime]).min().unwrap_or_default();
        let expires_at = now.plus(lifetime);
        let mut roles: Vec<_> = state.roles.iter().map(|role| role.name.as_str()).collect();
        roles.sort_unstable();
        roles.dedup();
        let mut access = Claims {
            iss: &issuer,
            sub: session.user_id,
            aud: of.audience,
            exp: expires_at.unix_seconds(),
            iat: now.unix_seconds(),
            jti: uuid::Uuid::from_bytes(self.env.random()).simple().to_string(),
            sid: session.id,
            client_id: &id,
            tenant_id: session.tenant_id,
            partner_id: session.partner_id,
            roles: scopes.has("roles").then_some(roles),
            scope: Some(scopes.to_string()),
            of_application: Some(FamilyClaims {
                family_id: of.family,
                auth_time: of.auth_time.unix_seconds(),
                acr: ACR,
                amr: &session.auth_methods,
            }),
        };
        let mut access_token = self.sign(facts, SigningAlgorithm::Es256, ACCESS, &access).await?;
        if access_token.len() > LONGEST {
            access.roles = None;
            access_token = self.sign(facts, SigningAlgorithm::Es256, ACCESS, &access).await?;
        }
        let id_token = match scopes.has("openid") {
            true => Some(self.id_token(&of, &issuer, &access_token, expires_at, now).await?),
            false => None,
        };
        let uses_refresh = application.metadata.grant_types.contains(&GrantType::RefreshToken);
        Ok(Issued {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: lifetime.as_secs(),
            refresh_token: of.refresh_token.filter(|_| uses_refresh).map(|token| token.expose().clone()),
            id_token,
            scope: scopes.to_string(),
        })
    }

    async fn id_token(
        &self,
        of: &Of<'_>,
        issuer: &str,
        access_token: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<String> {
        let (session, algorithm) = (&of.state.session, of.application.metadata.id_token_signed_response_alg);
        let view = UserView { user: of.state.user.clone(), roles: of.state.roles.clone() };
        let claims = IdClaims {
            iss: issuer,
            sub: session.user_id,
            aud: of.application.id,
            exp: expires_at.unix_seconds(),
            iat: now.unix_seconds(),
            auth_time: of.auth_time.unix_seconds(),
            nonce: of.nonce,
            acr: ACR,
            amr: &session.auth_methods,
            at_hash: at_hash(algorithm, access_token),
            sid: session.id,
            tenant_id: session.tenant_id,
            of_scopes: claims(&of.scopes, &view),
        };
        self.sign(of.facts, algorithm, ID, &claims).await
    }

    async fn sign(
        &self,
        facts: &TenantFacts,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String> {
        self.keys.sign(Issuer::Tenant(facts.reference()), &facts.keys, algorithm, typ, claims).await
    }
}

/// The left half of the digest of an access token, by the hash of the algorithm (OpenID Connect Core 1.0, section 3.1.3.6).
fn at_hash(algorithm: SigningAlgorithm, token: &str) -> String {
    let hash: &digest::Algorithm = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Es256 => &SHA256,
        SigningAlgorithm::EdDsa => &SHA512,
    };
    let whole = digest(hash, token.as_bytes());
    let (half, _) = whole.as_ref().split_at(whole.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(half)
}
