//! Assertions by which applications prove who they are (RFC 7523, section 3; OpenID Connect Core 1.0, section 9).

use std::time::Duration;

use gatehouse_domain::{
    application::Jwks,
    secret::TokenHash,
    time::{MINUTE, Timestamp},
};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use crate::security::{
    jws::{self, Header, NumericDate},
    keyring::token_hash,
};

/// The only type that the parameter `client_assertion_type` may name.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
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

/// What an assertion may say that it is; a token for something else is none (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

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
    jws::payload::<Subject>(assertion).map(|subject| subject.sub)
}

/// What names the key that an assertion is signed with: its id, if there is one, and its algorithm.
#[must_use]
pub fn key_of(assertion: &str) -> Option<(Option<String>, String)> {
    header(assertion).map(|header| (header.kid, header.alg))
}

fn header(assertion: &str) -> Option<Header> {
    let header = Header::of(assertion).filter(|header| !header.says_more() && header.jwk.is_none())?;
    let fits = header.typ.as_ref().is_none_or(|typ| TYPES.contains(&typ.to_ascii_lowercase().as_str()));
    fits.then_some(header)
}

/// Verifies an assertion of an application to an issuer: one signature is checked at most. `is_strict`: the application
/// keeps the profile `fapi2`, in which there is no RS256.
///
/// # Errors
/// What is wrong, for the application's developers.
pub fn verify(
    assertion: &str,
    keys: &Jwks,
    client_id: &str,
    issuer: &str,
    is_strict: bool,
    now: Timestamp,
) -> Result<Proof, &'static str> {
    let header = header(assertion).ok_or("client_assertion cannot be read")?;
    let algorithm =
        jws::algorithm(&header.alg).ok_or("client_assertion must be signed with ES256, RS256, PS256 or EdDSA")?;
    if is_strict && algorithm == Algorithm::RS256 {
        return Err("client_assertion must be signed with ES256, PS256 or EdDSA with the profile fapi2");
    }
    let unknown = "client_assertion is signed by no key that the application is registered with";
    let key = keys.key(header.kid.as_deref(), &header.alg).ok_or(unknown)?;
    // Time and audience are checked below, by our clock and rules.
    if !jws::is_signed(assertion, key, algorithm) {
        return Err(unknown);
    }
    let claims: Claims = jws::payload(assertion).ok_or(unknown)?;
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
