//! Statements that others sign and send: JWS in the compact serialization (RFC 7515, section 7.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::application::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

/// The longest statement that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// Header, payload and signature.
fn parts(statement: &str) -> Option<[&str; 3]> {
    let mut parts = statement.split('.');
    let all = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && statement.len() <= LONGEST).then_some(all)
}

/// What a statement says of how it is signed.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// The algorithm.
    pub alg: String,
    /// The id of the key.
    #[serde(default)]
    pub kid: Option<String>,
    /// Extensions that have to be understood (RFC 7515, section 4.1.11); none is.
    #[serde(default)]
    crit: Option<Value>,
    #[serde(default)]
    b64: Option<Value>,
    /// What kind of statement it is.
    #[serde(default)]
    pub typ: Option<String>,
    /// The key, brought along.
    #[serde(default)]
    pub jwk: Option<Value>,
    /// Where keys are: nobody goes there.
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
    /// The header of a statement, before anything is verified.
    #[must_use]
    pub fn of(statement: &str) -> Option<Self> {
        let [header, ..] = parts(statement)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }

    /// Whether it has a parameter that would mean something to others, and nothing here.
    #[must_use]
    pub fn says_more(&self) -> bool {
        let Self { crit, b64, jku, x5c, x5u, enc, zip, .. } = self;
        [crit, b64, jku, x5c, x5u, enc, zip].into_iter().any(Option::is_some)
    }
}

/// Seconds since 1970, which may have a fraction (RFC 7519, section 2): of that nothing counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(pub i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, reason = "what lies beyond is as good as never")]
        let whole = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64));
        whole.map(Self).ok_or_else(|| D::Error::custom("not a number of seconds"))
    }
}

/// The algorithm of a name (RFC 7518, section 3.1), if it is one that others may sign with here.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "ES256" => Some(Algorithm::ES256),
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        // By its older name, and by the one of RFC 9864.
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// What a statement says, verified or not.
#[must_use]
pub fn payload<T: DeserializeOwned>(statement: &str) -> Option<T> {
    let [_, payload, _] = parts(statement)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Whether a statement is signed by a key.
#[must_use]
pub fn is_signed(statement: &str, key: &Jwk, algorithm: Algorithm) -> bool {
    let key = serde_json::to_value(key).and_then(serde_json::from_value::<jsonwebtoken::jwk::Jwk>);
    let Some(key) = key.ok().and_then(|key| DecodingKey::from_jwk(&key).ok()) else { return false };
    // Not `decode`: it knows no algorithm by two names.
    let Some((signed, signature)) = statement.rsplit_once('.') else { return false };
    jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm).unwrap_or(false)
}
