//! DPoP proofs that are changed at random: one counts as it was signed, or not at all. More cases by `PROPTEST_CASES`.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::{application::SigningAlgorithm, time::Timestamp};
use gatehouse_server::security::{
    dpop::{Sent, token_digest, verify},
    key_pair::{KeyPair, Signer},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oauth_assertion_input::{edited, edits, values};

const URL: &str = "https://id.example.com/api/v1/me";
const TOKEN: &[u8] = b"an.access.token";
const NOW: i64 = 1_800_000_000;

/// Keys: what their proofs say of them, and what signs.
static KEYS: LazyLock<Vec<(SigningAlgorithm, Value, Signer)>> = LazyLock::new(|| {
    let of = |algorithm| {
        let pair = KeyPair::generate(algorithm).unwrap();
        let signer = Signer::open(algorithm, &pair.private).unwrap();
        (algorithm, serde_json::from_str(&pair.public_jwk).unwrap(), signer)
    };
    [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa].map(of).into()
});

fn signed(which: usize, header: &[u8], payload: &[u8]) -> String {
    let text = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload));
    let signature = KEYS[which].2.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn header(which: usize) -> Value {
    json!({"typ": "dpop+jwt", "alg": KEYS[which].0.to_string(), "jwk": KEYS[which].1})
}

fn payload() -> Value {
    json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW, "ath": token_digest(TOKEN)})
}

/// The thumbprint of the key of a proof, if it counts.
fn key_of(proof: &str) -> Option<String> {
    let sent = Sent { proof, method: "GET", url: URL };
    let proof = verify(&sent, Some(TOKEN), Timestamp::from_micros(NOW * 1_000_000)).ok()?;
    Some(proof.key.as_str().to_owned())
}

fn proof(which: usize) -> String {
    signed(which, header(which).to_string().as_bytes(), payload().to_string().as_bytes())
}

/// Whether a claim with this value is one of a proof that counts.
fn is_right(name: &str, value: &Value) -> bool {
    let seconds = value.as_f64().map(f64::floor);
    let between = |least: i64, most: i64| seconds.is_some_and(|at| at >= least as f64 && at <= most as f64);
    match name {
        "jti" => value.as_str().is_some_and(|jti| !jti.is_empty()),
        "htm" => value == "GET" || value == "HEAD",
        "iat" => between(NOW - 60, NOW + 10),
        "exp" => value.is_null() || between(NOW + 1, i64::MAX),
        "nbf" => value.is_null() || between(i64::MIN, NOW + 10),
        "htu" | "ath" => *value == payload()[name],
        _ => true,
    }
}

const CLAIMS: [&str; 8] = ["jti", "htm", "htu", "iat", "ath", "exp", "nbf", "other"];

proptest! {
    #[test]
    fn proof_whose_text_was_changed_is_none(which in 0..3_usize, edits in edits()) {
        let good = proof(which);
        prop_assert!(key_of(&good).is_some());
        if let Ok(changed) = String::from_utf8(edited(good.as_bytes(), &edits)) {
            prop_assert!(changed == good || key_of(&changed).is_none(), "{}", changed);
        }
    }

    #[test]
    fn proof_that_is_signed_is_of_the_key_that_signed_it(which in 0..3_usize, edits in edits(), of_header in any::<bool>()) {
        let (mut head, mut body) = (header(which).to_string().into_bytes(), payload().to_string().into_bytes());
        let part = if of_header { &mut head } else { &mut body };
        *part = edited(part, &edits);
        if let Some(key) = key_of(&signed(which, &head, &body)) {
            prop_assert_eq!(Some(key), key_of(&proof(which)));
            let Ok(body) = serde_json::from_slice::<Value>(&body) else { return Ok(()) };
            for name in CLAIMS.iter().filter(|name| **name != "htu") {
                prop_assert!(is_right(name, &body[*name]), "{}: {}", name, body[*name]);
            }
        }
    }

    #[test]
    fn claims_that_are_others_count_only_if_they_are_right(which in 0..3_usize, name in prop::sample::select(&CLAIMS[..]), value in values()) {
        let mut claims = payload();
        claims[name] = value.clone();
        let proof = signed(which, header(which).to_string().as_bytes(), claims.to_string().as_bytes());
        prop_assert_eq!(key_of(&proof).is_some(), is_right(name, &value), "{} {}", name, value);
    }

    #[test]
    fn text_that_nobody_signed_is_none(text in any::<String>(), parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        prop_assert!(key_of(&text).is_none());
        prop_assert!(key_of(&parts.join(".")).is_none());
    }
}
