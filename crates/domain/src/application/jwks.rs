//! Public keys of applications as a JWK set (RFC 7517).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::issue::Fault;

/// A public key: its members that are texts.
pub type Jwk = BTreeMap<String, String>;

/// Public keys: RSA of 2,048 bits or more, P-256, Ed25519.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

/// The members that are kept; others say nothing that is needed.
const KEPT: [&str; 9] = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
/// The members of a private or a symmetric key (RFC 7518, section 6).
const PRIVATE: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];
/// The most bits of an RSA modulus: verifying takes longer with each.
const RSA_BITS_MAX: usize = 8_192;

impl Jwks {
    /// The most keys.
    pub const MAX: usize = 10;

    /// Whether a member makes a key a private or a symmetric one, whatever its value.
    #[must_use]
    pub fn is_private(member: &str) -> bool {
        PRIVATE.contains(&member)
    }

    /// A set of these keys. Members that are no texts are dropped before, but those that no public key has.
    ///
    /// # Errors
    /// The rule that is broken, by the first key that breaks one.
    pub fn new(keys: Vec<Jwk>) -> Result<Self, Fault> {
        let fault = |msg: &'static str| Err(Fault::new("jwks", msg));
        if keys.is_empty() || keys.len() > Self::MAX {
            return fault("must have 1 to 10 keys");
        }
        for key in &keys {
            if key.keys().any(|member| Self::is_private(member)) {
                return fault("must hold public keys only");
            }
            if !is_supported(key) {
                return fault("must hold RSA keys of 2048 to 8192 bits, P-256 keys and Ed25519 keys only");
            }
            if !may_verify(key) {
                return fault("must name an alg that fits the key: RS256 or PS256, ES256, EdDSA");
            }
            if key.get("use").is_some_and(|word| word != "sig") {
                return fault("must hold keys for signatures only");
            }
            if KEPT.iter().any(|name| key.get(*name).is_some_and(|text| text.len() > 2_000)) {
                return fault("has a member that is too long");
            }
        }
        let mut ids: Vec<_> = keys.iter().map(|key| key.get("kid")).collect();
        ids.sort();
        if keys.len() > 1 && (ids.contains(&None) || ids.windows(2).any(|pair| pair[0] == pair[1])) {
            return fault("must name each of several keys by a kid of its own");
        }
        let named = |(name, value): (String, String)| match name.as_str() {
            "alg" => (name, older_name(&value).to_owned()),
            _ => (name, value),
        };
        let kept = |key: Jwk| key.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str())).map(named).collect();
        Ok(Self { keys: keys.into_iter().map(kept).collect() })
    }
}

/// The name of an algorithm that RFC 8037 gave it, where RFC 9864 gives it another: with keys of Ed25519 both are one.
fn older_name(algorithm: &str) -> &str {
    if algorithm == "Ed25519" { "EdDSA" } else { algorithm }
}

impl Jwks {
    /// The keys of a set that somebody publishes which signatures can be verified with, the first [`Jwks::MAX`] of them. What
    /// else is there is left out (RFC 7517, section 5); none where nothing is left, or where one cannot tell them apart.
    #[must_use]
    pub fn of_published(keys: Vec<Jwk>) -> Option<Self> {
        let fits = |key: &Jwk| Self::new(vec![key.clone()]).is_ok();
        Self::new(keys.into_iter().filter(fits).take(Self::MAX).collect()).ok()
    }

    /// Whether one of the keys is for an algorithm alone.
    #[must_use]
    pub fn names(&self, algorithm: &str) -> bool {
        self.keys.iter().any(|key| key.get("alg").is_some_and(|alg| alg == algorithm))
    }

    /// The key that an assertion names, or the only one of its algorithm: at most one is ever tried.
    #[must_use]
    pub fn key(&self, kid: Option<&str>, algorithm: &str) -> Option<&Jwk> {
        let algorithm = older_name(algorithm);
        let fits = match algorithm {
            "RS256" | "PS256" => "RSA",
            "ES256" => "EC",
            "EdDSA" => "OKP",
            _ => return None,
        };
        let signs = |key: &&Jwk| {
            let is_named = kid.is_none_or(|asked| key.get("kid").is_none_or(|kid| kid == asked));
            let is_for = key.get("alg").is_none_or(|alg| alg == algorithm);
            is_named && is_for && key.get("kty").is_some_and(|kty| kty == fits)
        };
        let mut keys = self.keys.iter().filter(signs);
        keys.next().filter(|_| keys.next().is_none())
    }
}

/// What the thumbprint of a public key is a digest of (RFC 7638, section 3.2): the members that it cannot do without.
#[must_use]
pub fn thumbprint_input(key: &Jwk) -> String {
    let needed = |name: &str| ["crv", "e", "kty", "n", "x", "y"].contains(&name);
    let members: Vec<_> = key
        .iter()
        .filter(|(name, _)| needed(name))
        .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), Value::from(value.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn bytes(key: &Jwk, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(key.get(name)?).ok()
}

/// Whether what the key says it is for is what assertions are signed with (RFC 7518, section 3.1; RFC 8037).
fn may_verify(key: &Jwk) -> bool {
    let member = |name: &str| key.get(name).map(String::as_str);
    matches!(
        (member("kty"), member("alg")),
        (_, None)
            | (Some("RSA"), Some("RS256" | "PS256"))
            | (Some("EC"), Some("ES256"))
            | (Some("OKP"), Some("EdDSA" | "Ed25519"))
    )
}

fn is_supported(key: &Jwk) -> bool {
    let member = |name: &str| key.get(name).map(String::as_str);
    let has_32 = |name: &str| bytes(key, name).is_some_and(|bytes| bytes.len() == 32);
    match (member("kty"), member("crv")) {
        (Some("RSA"), _) => {
            let exponent = bytes(key, "e")
                .is_some_and(|e| (1..=8).contains(&e.len()) && e.last().is_some_and(|b| b & 1 == 1) && e != [1]);
            let is_odd = |n: &Vec<u8>| n.last().is_some_and(|last| last & 1 == 1);
            let bits = bytes(key, "n").filter(is_odd).map_or(0, |n| {
                let zeros = n.first().map_or(0, |first| first.leading_zeros() as usize);
                n.len() * 8 - zeros
            });
            exponent && (2_048..=RSA_BITS_MAX).contains(&bits)
        }
        (Some("EC"), Some("P-256")) => has_32("x") && has_32("y"),
        (Some("OKP"), Some("Ed25519")) => has_32("x"),
        _ => false,
    }
}
