//! Assertions by which applications prove who they are (RFC 7523, section 3; OpenID Connect Core 1.0, section 9).

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::Jwks,
    secret::TokenHash,
    time::{MINUTE, Timestamp},
};
use jsonwebtoken::{Algorithm, DecodingKey, jwk::Jwk};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::security::keyring::token_hash;

/// The only type that the parameter `client_assertion_type` may name.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest assertion that is looked at.
const LONGEST: usize = 8 * 1024;
/// How far ahead it may expire.
const AHEAD: Duration = MINUTE.saturating_mul(5);
/// How far the clock of an application may differ from ours.
const SKEW_SECONDS: i64 = 10;

/// What is used up with an assertion that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// A digest of who made it and of its id.
    pub id: TokenHash,
    /// Until when nobody may use it again.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that have to be understood (RFC 7515, section 4.1.11); none is.
    #[serde(default)]
    crit: Option<Value>,
    #[serde(default)]
    b64: Option<Value>,
    #[serde(default)]
    typ: Option<String>,
    /// Keys that an assertion brings along, or says where to find: the registered ones count and no others.
    #[serde(default)]
    jwk: Option<Value>,
    #[serde(default)]
    jku: Option<Value>,
    #[serde(default)]
    x5c: Option<Value>,
    #[serde(default)]
    x5u: Option<Value>,
    /// Encryption and compression, which there are none of.
    #[serde(default)]
    enc: Option<Value>,
    #[serde(default)]
    zip: Option<Value>,
}

impl Header {
    /// Whether it has a parameter that would mean something to others, and nothing here.
    fn says_more(&self) -> bool {
        let Self { crit, b64, jwk, jku, x5c, x5u, enc, zip, .. } = self;
        [crit, b64, jwk, jku, x5c, x5u, enc, zip].into_iter().any(Option::is_some)
    }
}

/// What an assertion may say that it is; a token for something else is none (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// Seconds since 1970, which may have a fraction (RFC 7519, section 2): of that nothing counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, reason = "what lies beyond is as good as never")]
        let whole = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64));
        whole.map(Self).ok_or_else(|| D::Error::custom("not a number of seconds"))
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: NumericDate,
    #[serde(default)]
    nbf: Option<NumericDate>,
    #[serde(default)]
    iat: Option<NumericDate>,
    jti: String,
}

/// Whom an assertion says that it is of, before anything is verified.
#[must_use]
pub fn subject(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    let payload = assertion.split('.').nth(1).filter(|_| assertion.len() <= LONGEST)?;
    let subject: Subject = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(subject.sub)
}

/// What names the key that an assertion is signed with: its id, if there is one, and its algorithm.
#[must_use]
pub fn key_of(assertion: &str) -> Option<(Option<String>, String)> {
    header(assertion).map(|header| (header.kid, header.alg))
}

fn header(assertion: &str) -> Option<Header> {
    let header = assertion.split('.').next().filter(|_| assertion.len() <= LONGEST)?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let fits = header.typ.as_ref().is_none_or(|typ| TYPES.contains(&typ.to_ascii_lowercase().as_str()));
    (fits && !header.says_more()).then_some(header)
}

/// What is between the header and the end of what is signed.
fn payload(signed: &str) -> Option<Vec<u8>> {
    let (_, payload) = signed.split_once('.')?;
    URL_SAFE_NO_PAD.decode(payload).ok()
}

/// Verifies an assertion of an application to an issuer: one signature is checked at most.
///
/// # Errors
/// What is wrong, for the application's developers.
pub fn verify(
    assertion: &str,
    keys: &Jwks,
    client_id: &str,
    issuer: &str,
    now: Timestamp,
) -> Result<Proof, &'static str> {
    let header = header(assertion).ok_or("client_assertion cannot be read")?;
    let algorithm = match header.alg.as_str() {
        "ES256" => Algorithm::ES256,
        "RS256" => Algorithm::RS256,
        "PS256" => Algorithm::PS256,
        // By its older name, and by the one of RFC 9864.
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return Err("client_assertion must be signed with ES256, RS256, PS256 or EdDSA"),
    };
    let unknown = "client_assertion is signed by no key that the application is registered with";
    let key = keys.key(header.kid.as_deref(), &header.alg).ok_or(unknown)?;
    let key: Jwk = serde_json::to_value(key).and_then(serde_json::from_value).map_err(|_| unknown)?;
    let key = DecodingKey::from_jwk(&key).map_err(|_| unknown)?;
    // Not `decode`: it knows no algorithm by two names. Time and audience are checked below, by our clock and rules.
    let (signed, signature) = assertion.rsplit_once('.').ok_or(unknown)?;
    if !jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm).unwrap_or(false) {
        return Err(unknown);
    }
    let claims: Claims = payload(signed).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(unknown)?;
    if claims.iss != client_id || claims.sub != client_id {
        return Err("iss and sub of client_assertion must be the client_id");
    }
    let is_ours = match &claims.aud {
        Value::String(aud) => aud == issuer,
        Value::Array(all) => matches!(&all[..], [Value::String(aud)] if aud == issuer),
        _ => false,
    };
    if !is_ours {
        return Err("aud of client_assertion must be the issuer and nothing else");
    }
    let seconds = now.unix_seconds();
    let ahead = i64::try_from(AHEAD.as_secs()).unwrap_or(i64::MAX);
    let begins = [claims.nbf, claims.iat].into_iter().flatten().max().map_or(seconds, |begins| begins.0);
    let ends = claims.exp.0;
    if ends <= seconds || ends > seconds + ahead + SKEW_SECONDS || begins > seconds + SKEW_SECONDS {
        return Err("client_assertion must be valid now, and expire within five minutes");
    }
    if claims.jti.is_empty() {
        return Err("client_assertion must have a jti");
    }
    let expires_at = Timestamp::from_micros(ends.saturating_mul(1_000_000));
    Ok(Proof { id: token_hash(&format!("{client_id}\0{}", claims.jti)), expires_at })
}
