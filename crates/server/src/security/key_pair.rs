//! Key pairs for signatures, from the randomness of the operating system.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::application::SigningAlgorithm;
use serde_json::{Map, Value, json};

use crate::security::token::BadKey;

/// The members of public keys of all kinds (RFC 7518, section 6, and RFC 8037).
const PUBLIC: [&str; 6] = ["crv", "e", "kty", "n", "x", "y"];

/// A new key pair.
pub struct KeyPair {
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// The private key as PKCS #8.
    pub private: Vec<u8>,
    /// The public key as a JWK.
    pub public_jwk: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({})", self.algorithm)
    }
}

impl KeyPair {
    /// A new one. That of RS256 takes a while.
    ///
    /// # Errors
    /// [`BadKey`] when the library refuses.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, BadKey> {
        let (private, public_jwk) = generate(algorithm)?;
        Ok(Self { algorithm, private, public_jwk })
    }
}

fn generate(algorithm: SigningAlgorithm) -> Result<(Vec<u8>, String), BadKey> {
    let (random, text) = (SystemRandom::new(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
    let (private, public) = match algorithm {
        SigningAlgorithm::Es256 => {
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let private = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(|_| BadKey)?;
            let pair = EcdsaKeyPair::from_pkcs8(kind, private.as_ref()).map_err(|_| BadKey)?;
            // An uncompressed point (SEC 1, section 2.3.3): 4, x, y.
            let (x, y) = pair.public_key().as_ref().get(1..65).ok_or(BadKey)?.split_at(32);
            (private.as_ref().to_vec(), json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)}))
        }
        SigningAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
            let private = AsDer::<Pkcs8V1Der<'static>>::as_der(&pair).map_err(|_| BadKey)?;
            let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
            let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
            (private.as_ref().to_vec(), json!({"kty": "RSA", "n": text(n), "e": text(e)}))
        }
        SigningAlgorithm::EdDsa => {
            let private = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| BadKey)?;
            let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(|_| BadKey)?;
            let x = text(pair.public_key().as_ref());
            (private.as_ref().to_vec(), json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
        }
    };
    Ok((private, public.to_string()))
}

/// A private key, read and checked.
pub enum Signer {
    /// ECDSA with P-256 and SHA-256.
    Es256(EcdsaKeyPair),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256(RsaKeyPair),
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// Reads a private key that [`KeyPair::generate`] has made.
    ///
    /// # Errors
    /// [`BadKey`] when it is none of the algorithm.
    pub fn open(algorithm: SigningAlgorithm, private: &[u8]) -> Result<Self, BadKey> {
        let signer = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map(Self::Es256)
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(private).map(Self::Rs256),
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(private).map(Self::EdDsa),
        };
        signer.map_err(|_| BadKey)
    }

    /// Signs bytes, as a JWS has the signature (RFC 7518, section 3, and RFC 8037).
    ///
    /// # Errors
    /// [`BadKey`] when the library refuses.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, BadKey> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => pair.sign(&random, bytes).map(|signature| signature.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).map(|()| signature)
            }
            Self::EdDsa(pair) => Ok(pair.sign(bytes).as_ref().to_vec()),
        }
        .map_err(|_| BadKey)
    }
}

/// A public key as it is published: what it is, whose and what for.
#[must_use]
pub fn published(public_jwk: &str, kid: &str, algorithm: SigningAlgorithm) -> Value {
    let mut members: Map<String, Value> = serde_json::from_str(public_jwk).unwrap_or_default();
    members.retain(|name, _| PUBLIC.contains(&name.as_str()));
    members.extend(
        [("use", "sig"), ("alg", algorithm.as_str()), ("kid", kid)].map(|(name, text)| (name.to_owned(), text.into())),
    );
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatehouse_domain::application::Jwks;

    #[test]
    fn public_parts_are_those_of_the_algorithm_and_say_nothing_of_private_ones() {
        for (algorithm, members) in [
            (SigningAlgorithm::Es256, &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
            (SigningAlgorithm::Rs256, &["alg", "e", "kid", "kty", "n", "use"]),
            (SigningAlgorithm::EdDsa, &["alg", "crv", "kid", "kty", "use", "x"]),
        ] {
            let pair = KeyPair::generate(algorithm).unwrap();
            let published = published(&pair.public_jwk, "key_1", algorithm);
            let mut names: Vec<_> = published.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, members, "{algorithm}");
            assert!(pair.private.len() > 32);
            // They are what applications may register as well.
            let texts = published
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
            assert!(Jwks::new(vec![texts.collect()]).is_ok(), "{algorithm}");
        }
    }
}
