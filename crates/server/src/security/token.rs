//! Signed JWTs, each issuer with keys of its own, and access tokens among them: those of type `at+jwt` (RFC 9068).
//!
//! A key fixes its algorithm; the header of a token chooses nothing but the key, by `kid`. A header with anything else
//! in it than `typ`, `alg` and `kid` is refused, so `jku`, `x5u`, `jwk`, `crit` and the like have no effect.

mod hint;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    id::{FamilyId, KeyId, SessionId, TenantId, UserId},
    issue::Parse,
    key::{Issuer, KeyMaterial, SigningKey},
    oauth::{Act, Confirmation, Scopes, Thumbprint},
    session::AuthMethod,
    time::Timestamp,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::security::{
    key_pair::{KeyPair, Signer},
    keyring::Keyring,
};

pub use hint::{Hint, key_of_id_token};

/// The longest token that is looked at.
pub const MAX_LEN: usize = 8 * 1024;
/// The `typ` of access tokens (RFC 9068 section 2.1).
pub const ACCESS: &str = "at+jwt";
/// The `typ` of ID tokens (RFC 7519, section 5.1).
pub const ID: &str = "JWT";
/// The `typ` of logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4).
pub const LOGOUT: &str = "logout+jwt";
/// How far another replica's clock may be ahead.
const SKEW_SECONDS: i64 = 60;
/// Who the tokens of first-party sign-in are issued to.
pub const CLIENT_ID: &str = "gatehouse";

/// The claims of an access token (RFC 9068 section 2.2).
#[derive(Debug, Clone, Serialize)]
pub struct Claims<'a> {
    /// The issuer.
    pub iss: &'a str,
    /// The user; of an application in its own name its id.
    pub sub: String,
    /// Who the token is for: the issuer itself, in first-party sign-in.
    pub aud: &'a str,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Its own id.
    pub jti: String,
    /// The session; none of an application in its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// Who it was issued to.
    pub client_id: &'a str,
    /// The tenant; none of an application in its own name at the platform's issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The partner of that tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<gatehouse_domain::id::PartnerId>,
    /// Names of the roles held; none where they would not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<&'a str>>,
    /// What it opens, separated by blanks; none where it would not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The key that it is bound to (RFC 9449, section 6.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// What only tokens of applications say.
    #[serde(flatten)]
    pub of_application: Option<FamilyClaims<'a>>,
}

/// The claims of an access token that an application got for its user (RFC 9068, section 2.2.1).
#[derive(Debug, Clone, Serialize)]
pub struct FamilyClaims<'a> {
    /// What its code was exchanged for.
    pub family_id: FamilyId,
    /// When the user had last proved to be who they are, in seconds since 1970.
    pub auth_time: i64,
    /// How well.
    pub acr: &'static str,
    /// With what (RFC 8176).
    pub amr: &'a [AuthMethod],
    /// Which application acts for the user with it, where that is not the one that the user signed in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it.
    pub kid: KeyId,
    /// Its issuer.
    pub iss: String,
    /// Whether that is the platform's.
    pub is_of_platform: bool,
    /// The tenant; none of an application in its own name at the platform's issuer.
    pub tenant_id: Option<TenantId>,
    /// When it was issued; of which only the second is known.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Who acts by it.
    pub whose: Whose,
}

/// Who acts by an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A user who signed in here.
    User(OfUser),
    /// A user, for whom an application got it; the family is what its code was exchanged for.
    UserThrough(OfUser, FamilyId, OfApplication),
    /// An application in its own name.
    Application(OfApplication),
}

/// What a verified token of a user says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfUser {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
}

/// What a verified token of an application says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfApplication {
    /// What OAuth calls the application: its id, or the address of a document, and then the family says which one it is.
    pub client_id: String,
    /// The token's own id.
    pub token_id: Uuid,
    /// Whom the token is for.
    pub audience: String,
    /// What it opens.
    pub scopes: Scopes,
    /// Which applications act for the user one behind the other, if it got the token in exchange.
    pub act: Option<Act>,
    /// The key that whoever shows it has to hold.
    pub bound_to: Option<Thumbprint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    typ: String,
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct StrictClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
    #[serde(default)]
    sid: Option<String>,
    client_id: String,
    #[serde(default)]
    tenant_id: Option<String>,
    #[serde(default)]
    family_id: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    act: Option<Act>,
    #[serde(default)]
    cnf: Option<Confirmation>,
}

impl StrictClaims {
    /// Who acts by it; none where the claims do not go together.
    fn whose(&self) -> Option<Whose> {
        let user = match &self.sid {
            Some(sid) => {
                let (user_id, session_id) = (UserId::parse(&self.sub).ok()?, SessionId::parse(sid).ok()?);
                Some(OfUser { user_id, session_id })
            }
            None => None,
        };
        match (user, &self.family_id) {
            (Some(user), None) => {
                let is_first_party = self.client_id == CLIENT_ID && self.aud == self.iss && self.cnf.is_none();
                is_first_party.then_some(Whose::User(user))
            }
            (Some(user), Some(family)) => {
                Some(Whose::UserThrough(user, FamilyId::parse(family).ok()?, self.application()?))
            }
            (None, None) if self.sub == self.client_id => self.application().map(Whose::Application),
            (None, _) => None,
        }
    }

    fn application(&self) -> Option<OfApplication> {
        Some(OfApplication {
            client_id: self.client_id.clone(),
            token_id: Uuid::try_parse(&self.jti).ok()?,
            audience: self.aud.clone(),
            scopes: Scopes::read(self.scope.as_deref().unwrap_or_default()),
            act: self.act.clone(),
            bound_to: self.cnf.clone().map(|cnf| cnf.jkt),
        })
    }
}

/// Signs and verifies.
pub struct Tokens {
    keyring: Arc<Keyring>,
    signers: Cache<KeyId, Arc<Signer>>,
    decoders: Cache<KeyId, Arc<DecodingKey>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// A key cannot be used: sealed with another master key, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key cannot be used")]
pub struct BadKey;

impl Tokens {
    /// Signs and verifies with keys sealed by this keyring.
    #[must_use]
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring, signers: Cache::new(10_000), decoders: Cache::new(10_000) }
    }

    /// Seals a new key.
    #[must_use]
    pub fn seal(&self, issuer: Issuer, id: KeyId, pair: KeyPair) -> KeyMaterial {
        let KeyPair { algorithm, private, public_jwk } = pair;
        KeyMaterial {
            algorithm,
            public_jwk,
            private_sealed: self.keyring.seal(&Self::owner(issuer.uuid(), id), &private),
        }
    }

    /// What seals a signing key is over what stands for its issuer and the id of the key.
    #[must_use]
    pub fn owner(issuer: Uuid, key: KeyId) -> Vec<u8> {
        [issuer.as_bytes().as_slice(), key.uuid().as_bytes()].concat()
    }

    fn signer(&self, key: &SigningKey) -> Result<Arc<Signer>, BadKey> {
        self.signers
            .try_get_with(key.id, || {
                let pkcs8 = self
                    .keyring
                    .open(&Self::owner(key.issuer.uuid(), key.id), &key.private_sealed)
                    .map_err(|_| BadKey)?;
                Signer::open(key.algorithm, &pkcs8).map(Arc::new)
            })
            .map_err(|_| BadKey)
    }

    fn decoder(&self, key: &SigningKey) -> Result<Arc<DecodingKey>, BadKey> {
        self.decoders
            .try_get_with(key.id, || {
                let jwk: Jwk = serde_json::from_str(&key.public_jwk).map_err(|_| BadKey)?;
                DecodingKey::from_jwk(&jwk).map(Arc::new).map_err(|_| BadKey)
            })
            .map_err(|_| BadKey)
    }

    /// Signs claims as a JWT of a type (RFC 7519, section 5.1), with the algorithm of the key.
    ///
    /// # Errors
    /// [`BadKey`] when the key cannot be opened.
    pub fn sign(&self, key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, BadKey> {
        let header = json!({"typ": typ, "alg": key.algorithm.as_str(), "kid": key.id.to_string()}).to_string();
        let claims = serde_json::to_vec(claims).map_err(|_| BadKey)?;
        self.compact(key, header.as_bytes(), &claims)
    }

    /// The JWS Compact Serialization (RFC 7515 section 7.1) of texts. `jsonwebtoken::encode` would read and check the
    /// private key anew each time, which takes nearly as long as a signature.
    fn compact(&self, key: &SigningKey, header: &[u8], payload: &[u8]) -> Result<String, BadKey> {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signer(key)?.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Verifies the signature and every claim that does not depend on state. `key` is the one that the token names,
    /// and verifies at this time.
    #[must_use]
    pub fn verify(&self, token: &str, key: &SigningKey, now: Timestamp) -> Option<Verified> {
        let mut validation = Validation::new(Algorithm::ES256);
        // Time and audience are checked below, against our clock and the token's own issuer.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<StrictClaims>(token, &*self.decoder(key).ok()?, &validation).ok()?.claims;
        let seconds = now.unix_seconds();
        let in_time = claims.exp > seconds
            && claims.iat <= seconds + SKEW_SECONDS
            && claims.nbf.is_none_or(|at| at <= seconds + SKEW_SECONDS);
        if !in_time || claims.jti.is_empty() {
            return None;
        }
        let tenant_id = claims.tenant_id.as_deref().map(TenantId::parse).transpose().ok()?;
        let whose = claims.whose()?;
        // Whom a key of a tenant signs for is of that tenant. The platform's signs for applications of its own, and for users
        // of any tenant who signed in through one.
        let is_theirs = match (key.issuer.tenant(), &whose) {
            (Some(tenant), _) => tenant_id == Some(tenant.id),
            (None, Whose::User(_)) => false,
            (None, Whose::UserThrough(..)) => tenant_id.is_some(),
            (None, Whose::Application(_)) => tenant_id.is_none(),
        };
        is_theirs.then_some(())?;
        Some(Verified {
            whose,
            kid: key.id,
            is_of_platform: key.issuer == Issuer::Platform,
            tenant_id,
            issued_at: Timestamp::from_micros(claims.iat.checked_mul(1_000_000)?),
            expires_at: Timestamp::from_micros(claims.exp.checked_mul(1_000_000)?),
            iss: claims.iss,
        })
    }
}

/// What a token says of itself before anything is verified: which key of which issuer to verify it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The key.
    pub kid: KeyId,
    /// The issuer.
    pub iss: String,
    /// The tenant.
    pub tenant_id: Option<TenantId>,
}

/// Looks at what a token says of itself.
#[must_use]
pub fn peek(token: &str) -> Option<Peeked> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
        #[serde(default)]
        tenant_id: Option<String>,
    }
    if token.len() > MAX_LEN {
        return None;
    }
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || signature.is_empty() {
        return None;
    }
    let header: StrictHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    // Every access token of ours is of this algorithm.
    if header.typ != ACCESS || header.alg != "ES256" {
        return None;
    }
    let claimed: Claimed = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(Peeked {
        kid: KeyId::parse(&header.kid).ok()?,
        iss: claimed.iss,
        tenant_id: claimed.tenant_id.as_deref().map(TenantId::parse).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests;
