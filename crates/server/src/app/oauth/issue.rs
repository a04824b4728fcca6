//! What the token endpoint gives: access tokens, ID tokens, and the next refresh token.

use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256, SHA512, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Application, GrantType, SigningAlgorithm},
    id::{SessionId, TenantId, UserId},
    oauth::{ACR, Audience, Confirmation, Scopes, TokenFamily, claims},
    role::HeldRole,
    secret::Secret,
    session::{AuthMethod, Session},
    settings::Policy,
    time::{MINUTE, Timestamp},
    user::UserView,
};
use gatehouse_persistence::SessionState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    app::{
        Result,
        directory::issuers::IssuerFacts,
        oauth::{NotGiven, TokenEndpoint, key_proof::KeyProof},
        request::client::RequestMeta,
    },
    security::token::{ACCESS, Claims, FamilyClaims, ID},
};

/// The longest an access token for an API of others lives: that a session has ended is not seen there.
const AT_OTHERS: Duration = MINUTE.saturating_mul(5);
/// The longest access token that is issued, in bytes: proxies take a head of 8 KiB, in which there is more than a token.
const LONGEST: usize = 3 * 1024;

/// How tokens are sent that are bound to no key (RFC 6750).
pub(super) const BEARER: &str = "Bearer";
/// How tokens are sent that are bound to a key (RFC 9449, section 5).
pub(super) const DPOP: &str = "DPoP";

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
    /// What kind of token it is, where it was got in exchange (RFC 8693, section 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
}

/// The claims of an ID token (OpenID Connect Core 1.0, section 2) but for those that scopes open.
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: UserId,
    aud: String,
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

/// What tokens are made for.
pub(super) struct Of<'a> {
    pub(super) at: &'a IssuerFacts,
    pub(super) application: &'a Application,
    pub(super) policy: &'a Policy,
    pub(super) audience: &'a Audience,
    pub(super) scopes: Scopes,
    /// The proof of the key that the tokens are bound to, if they are.
    pub(super) proof: Option<&'a KeyProof>,
}

/// What an access token says of a user.
pub(super) struct ClaimsOfUser<'a> {
    pub(super) user_id: UserId,
    pub(super) session: &'a Session,
    pub(super) roles: Option<Vec<&'a str>>,
    pub(super) family: FamilyClaims<'a>,
    /// The end of the token that it is got in exchange for.
    pub(super) until: Option<Timestamp>,
}

/// The names of roles.
pub(super) fn names(roles: &[HeldRole]) -> Vec<&str> {
    let mut names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// For whom, where that is a user.
pub(super) struct OfUser<'a> {
    /// The user with the roles held.
    pub(super) state: &'a SessionState,
    /// The session that the family is under.
    pub(super) session: &'a Session,
    pub(super) family: &'a TokenFamily,
    pub(super) nonce: Option<&'a str>,
    /// The refresh token, where there is a new one.
    pub(super) refresh_token: Option<&'a Secret<String>>,
}

impl Of<'_> {
    /// How long the access token lives.
    fn lifetime(&self) -> Duration {
        let asked = self.application.metadata.token_lifetime.map(|it| Duration::from_secs(u64::from(it.get())));
        let at_others = self.audience.resource().map(|_| AT_OTHERS);
        asked.into_iter().chain(at_others).chain([self.policy.access_token_lifetime]).min().unwrap_or_default()
    }
}

impl TokenEndpoint<'_> {
    /// Makes the tokens of a user.
    pub(super) async fn issue(
        &self,
        of: &Of<'_>,
        user: &OfUser<'_>,
        meta: &RequestMeta,
        now: Timestamp,
    ) -> Result<Issued, NotGiven> {
        let OfUser { state, session, family, refresh_token, .. } = *user;
        let whose = ClaimsOfUser {
            user_id: session.user_id,
            session,
            roles: of.scopes.has("roles").then(|| names(&state.roles)),
            family: FamilyClaims {
                family_id: family.id,
                auth_time: family.auth_time.unix_seconds(),
                acr: ACR,
                amr: &session.auth_methods,
                act: None,
            },
            until: None,
        };
        let mut issued = self.access_token(of, Some(whose), meta, now).await?;
        if of.scopes.has("openid") {
            issued.id_token = Some(self.id_token(of, user, &issued, meta, now).await?);
        }
        let uses_refresh = of.application.metadata.grant_types.contains(&GrantType::RefreshToken);
        issued.refresh_token = refresh_token.filter(|_| uses_refresh).map(|token| token.expose().clone());
        Ok(issued)
    }

    /// Makes an access token: of a user, or of the application in its own name. It uses up the proof of the key that it is
    /// bound to.
    pub(super) async fn access_token(
        &self,
        of: &Of<'_>,
        user: Option<ClaimsOfUser<'_>>,
        meta: &RequestMeta,
        now: Timestamp,
    ) -> Result<Issued, NotGiven> {
        let Of { at, application, audience, scopes, proof, .. } = of;
        self.use_up(*proof, meta).await?;
        let until = user.as_ref().and_then(|user| user.until).map(|until| until.since(now));
        let lifetime = until.map_or(of.lifetime(), |left| Ord::min(left, of.lifetime()));
        let issuer = at.url(meta);
        let id = application.client_id();
        let aud = match audience {
            Audience::Application(_) => id.clone(),
            other => other.claim(&issuer),
        };
        // Tokens say the second they were issued in; all of that in which tokens were ended are.
        let in_exchange = user.as_ref().is_some_and(|user| user.family.act.is_some());
        let revoked_at = application.tokens_revoked_at.filter(|_| user.is_none() || in_exchange);
        let now = revoked_at.map_or(now, |at| Ord::max(now, at.plus(Duration::from_secs(1))));
        let tenant = user.as_ref().map_or_else(|| at.reference(), |user| Some(user.session.tenant()));
        let (sub, sid, roles, family) = match user {
            Some(user) => (user.user_id.to_string(), Some(user.session.id), user.roles, Some(user.family)),
            None => (id.clone(), None, None, None),
        };
        let mut claims = Claims {
            iss: &issuer,
            sub,
            aud: &aud,
            exp: now.plus(lifetime).unix_seconds(),
            iat: now.unix_seconds(),
            jti: uuid::Uuid::from_bytes(self.env.random()).simple().to_string(),
            sid,
            client_id: &id,
            tenant_id: tenant.map(|tenant| tenant.id),
            partner_id: tenant.map(|tenant| tenant.partner_id),
            roles,
            scope: Some(scopes.to_string()),
            cnf: proof.map(|proof| Confirmation { jkt: proof.key().clone() }),
            of_application: family,
        };
        let mut access_token = self.sign(at, SigningAlgorithm::Es256, ACCESS, &claims).await?;
        if access_token.len() > LONGEST {
            claims.roles = None;
            access_token = self.sign(at, SigningAlgorithm::Es256, ACCESS, &claims).await?;
        }
        Ok(Issued {
            access_token,
            token_type: if proof.is_some() { DPOP } else { BEARER }.to_owned(),
            expires_in: lifetime.as_secs(),
            refresh_token: None,
            id_token: None,
            scope: scopes.to_string(),
            issued_token_type: None,
        })
    }

    async fn id_token(
        &self,
        of: &Of<'_>,
        user: &OfUser<'_>,
        issued: &Issued,
        meta: &RequestMeta,
        now: Timestamp,
    ) -> Result<String> {
        let OfUser { state: SessionState { user: account, roles, .. }, session, family, .. } = *user;
        let algorithm = of.application.metadata.id_token_signed_response_alg;
        let view = UserView { user: account.clone(), roles: roles.clone() };
        let claims = IdClaims {
            iss: &of.at.url(meta),
            sub: session.user_id,
            aud: of.application.client_id(),
            exp: now.plus(of.lifetime()).unix_seconds(),
            iat: now.unix_seconds(),
            auth_time: family.auth_time.unix_seconds(),
            nonce: user.nonce,
            acr: ACR,
            amr: &session.auth_methods,
            at_hash: at_hash(algorithm, &issued.access_token),
            sid: family.sid,
            tenant_id: session.tenant_id,
            of_scopes: claims(&of.scopes, &family.claims.still_allowed(of.application).id_token, &view),
        };
        self.sign(of.at, algorithm, ID, &claims).await
    }

    async fn sign(
        &self,
        at: &IssuerFacts,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String> {
        self.keys.sign(at.issuer(), at.keys(), algorithm, typ, claims).await
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
