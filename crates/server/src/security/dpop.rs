//! Proofs that the sender of a request holds a key (Demonstrating Proof of Possession, RFC 9449, section 4).

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Jwk, Jwks, thumbprint_input},
    oauth::Thumbprint,
    secret::TokenHash,
    time::Timestamp,
};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::security::{
    jws::{self, Header, NumericDate},
    keyring::token_hash,
};

/// The `typ` of proofs.
const TYPE: &str = "dpop+jwt";
/// How many seconds ago a proof may have been made.
const BACK: i64 = 60;
/// How many seconds ahead of ours the clock of its maker may be.
const AHEAD: i64 = 10;
/// For how many seconds a proof counts at most, from the first time that it does.
pub const LIFETIME_SECONDS: i64 = BACK + AHEAD + 1;
/// The algorithms that proofs may be signed with, as challenges name them.
pub const ALGORITHMS: &str = "ES256 RS256 PS256 EdDSA";

/// A request that comes with a proof.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'r> {
    /// The proof.
    pub proof: &'r str,
    /// The method.
    pub method: &'r str,
    /// The address, as the client has it.
    pub url: &'r str,
}

/// What a proof is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The key that its maker holds.
    pub key: Thumbprint,
    /// Whether it is signed with RS256, which the profile `fapi2` does not know.
    pub is_rs256: bool,
    /// A digest of the key and of the id of the proof: it counts once.
    pub id: TokenHash,
    /// Until when nobody may use it again.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: NumericDate,
    #[serde(default)]
    exp: Option<NumericDate>,
    #[serde(default)]
    nbf: Option<NumericDate>,
    #[serde(default)]
    ath: Option<String>,
}

/// The public key in the header of a proof, if it is one that others may sign with here.
fn key(jwk: Value, algorithm: &str) -> Option<Jwk> {
    let Value::Object(members) = jwk else { return None };
    if members.keys().any(|member| Jwks::is_private(member)) {
        return None;
    }
    let texts = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Jwks::new(vec![texts.collect()]).ok()?.key(None, algorithm).cloned()
}

/// Whether an address in a proof is that of a request. Query and fragment do not count (RFC 9449, section 4.3).
fn is_at(named: &str, url: &str) -> bool {
    let (Ok(named), Ok(url)) = (Url::parse(named), Url::parse(url)) else { return false };
    let is_plain = named.username().is_empty() && named.password().is_none();
    // A path is served with a slash at its end as it is without.
    let path = |url: &Url| url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
    is_plain && named.origin() == url.origin() && path(&named) == path(&url)
}

/// The digest by which a proof names the access token that it is sent with.
#[must_use]
pub fn token_digest(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token))
}

/// Verifies the proof of a request: one signature is checked at most. `token` is the access token that the request has, if it
/// asks for what that opens. Whether the proof has been used is not looked at here.
///
/// # Errors
/// What is wrong, in ASCII, for developers.
pub fn verify(sent: &Sent<'_>, token: Option<&[u8]>, now: Timestamp) -> Result<Proof, &'static str> {
    let header = Header::of(sent.proof).ok_or("the DPoP proof cannot be read")?;
    if header.says_more() || header.typ.as_deref() != Some(TYPE) {
        return Err("the header of the DPoP proof must have the typ dpop+jwt, alg and jwk");
    }
    let algorithm =
        jws::algorithm(&header.alg).ok_or("the DPoP proof must be signed with ES256, RS256, PS256 or EdDSA")?;
    let key = header.jwk.and_then(|jwk| key(jwk, &header.alg));
    let key = key.ok_or("jwk of the DPoP proof must be a public key that fits its alg")?;
    if !jws::is_signed(sent.proof, &key, algorithm) {
        return Err("the DPoP proof is not signed by the key in its header");
    }
    let claims: Claims = jws::payload(sent.proof).ok_or("the DPoP proof must have jti, htm, htu and iat")?;
    if claims.htm != sent.method {
        return Err("htm of the DPoP proof is not the method of this request");
    }
    if !is_at(&claims.htu, sent.url) {
        return Err("htu of the DPoP proof is not the address of this request");
    }
    let seconds = now.unix_seconds();
    let NumericDate(made_at) = claims.iat;
    if made_at < seconds - BACK || made_at > seconds + AHEAD {
        return Err("iat of the DPoP proof must be now: at most 60 seconds ago and 10 seconds ahead");
    }
    let has_ended = claims.exp.is_some_and(|exp| exp.0 <= seconds);
    if has_ended || claims.nbf.is_some_and(|nbf| nbf.0 > seconds + AHEAD) {
        return Err("the DPoP proof is not valid now by its exp or nbf");
    }
    if claims.jti.is_empty() {
        return Err("jti of the DPoP proof is empty");
    }
    if token.is_some_and(|token| claims.ath != Some(token_digest(token))) {
        return Err("ath of the DPoP proof is not the digest of the access token");
    }
    let mut thumbprint = [0; 32];
    thumbprint.copy_from_slice(digest(&SHA256, thumbprint_input(&key).as_bytes()).as_ref());
    let key = Thumbprint::of_digest(thumbprint);
    Ok(Proof {
        is_rs256: algorithm == Algorithm::RS256,
        id: token_hash(&format!("dpop\0{}\0{}", key.as_str(), claims.jti)),
        expires_at: Timestamp::from_micros((made_at + BACK + 1).saturating_mul(1_000_000)),
        key,
    })
}

#[cfg(test)]
mod tests;
