//! Assertions that are changed at random: one counts as it was signed, or not at all. More cases by `PROPTEST_CASES`.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::{Jwks, SigningAlgorithm},
    time::Timestamp,
};
use gatehouse_server::security::{
    client_assertion::{key_of, subject, verify},
    key_pair::{KeyPair, Signer},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const APP: &str = "app_01h455vb4pex5vsknk084sn02q";
const ISSUER: &str = "https://id.example.com/api/v1/auth/tenants/acme";
const NOW: i64 = 1_800_000_000;

/// What an application is registered with, and what it signs with that.
struct Known {
    keys: Jwks,
    signers: Vec<(SigningAlgorithm, Signer)>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let (mut keys, mut signers) = (Vec::new(), Vec::new());
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa] {
        let pair = KeyPair::generate(algorithm).unwrap();
        let mut jwk: BTreeMap<String, String> = serde_json::from_str(&pair.public_jwk).unwrap();
        jwk.insert("kid".to_owned(), algorithm.to_string());
        keys.push(jwk);
        signers.push((algorithm, Signer::open(algorithm, &pair.private).unwrap()));
    }
    Known { keys: Jwks::new(keys).unwrap(), signers }
});

fn signed(which: usize, header: &[u8], payload: &[u8]) -> String {
    let text = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload));
    let signature = KNOWN.signers[which].1.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn header(which: usize) -> Value {
    let name = KNOWN.signers[which].0.to_string();
    json!({"alg": name, "kid": name, "typ": "JWT"})
}

fn payload() -> Value {
    json!({"iss": APP, "sub": APP, "aud": ISSUER, "exp": NOW + 60, "jti": "1"})
}

fn counts(assertion: &str) -> bool {
    let now = Timestamp::from_micros(NOW * 1_000_000);
    drop((subject(assertion), key_of(assertion)));
    verify(assertion, &KNOWN.keys, APP, ISSUER, false, now).is_ok()
}

/// A place, how much is taken away there, and what is put there.
pub type Edit = (prop::sample::Index, usize, Vec<u8>);

pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let put = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(&b"{}[]\",:.=-_\\\0 AZaz09"[..]).prop_map(|byte| vec![byte]),
        prop::sample::select(
            &["none", "null", "true", "1e99", "\"alg\":", "\\u0000", "HS256", "..", "ES256", "[[[["][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, put), 1..4)
}

pub fn edited(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut text = text.to_vec();
    for (at, cut, put) in edits {
        let start = at.index(text.len() + 1);
        let end = Ord::min(start + cut, text.len());
        text.splice(start..end, put.iter().copied());
    }
    text
}

/// A value of JSON of any kind.
pub fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (NOW - 400..NOW + 400).prop_map(Value::from),
        prop::sample::select(&[APP, ISSUER, "", "JWT", "none", "ES256", "RS256", "EdDSA", "PS256", "HS256"][..])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

const CLAIMS: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "other"];

proptest! {
    #[test]
    fn assertion_whose_text_was_changed_is_none(which in 0..3_usize, edits in edits()) {
        let good = signed(which, header(which).to_string().as_bytes(), payload().to_string().as_bytes());
        prop_assert!(counts(&good));
        let changed = edited(good.as_bytes(), &edits);
        if let Ok(changed) = String::from_utf8(changed) {
            prop_assert!(changed == good || !counts(&changed), "{}", changed);
        }
    }

    #[test]
    fn assertion_that_is_signed_counts_as_it_can_be_read_and_no_other(which in 0..3_usize, edits in edits(), of_header in any::<bool>()) {
        let (mut head, mut body) = (header(which).to_string().into_bytes(), payload().to_string().into_bytes());
        let part = if of_header { &mut head } else { &mut body };
        *part = edited(part, &edits);
        if counts(&signed(which, &head, &body)) {
            // A member that nobody reads may have an escape that stands for no character: then it is not looked into here.
            let (head, body) = (serde_json::from_slice::<Value>(&head), serde_json::from_slice::<Value>(&body));
            let (Ok(head), Ok(body)) = (head, body) else { return Ok(()) };
            prop_assert!(head.get("crit").is_none_or(Value::is_null));
            for (name, value) in payload().as_object().unwrap() {
                let says = &body[name];
                let is_right = match name.as_str() {
                    "exp" => says.as_f64().is_some_and(|exp| exp > NOW as f64 && exp <= (NOW + 311) as f64),
                    "jti" => says.as_str().is_some_and(|jti| !jti.is_empty()),
                    "aud" => says == value || says == &json!([value]),
                    _ => says == value,
                };
                prop_assert!(is_right, "{}: {}", name, says);
            }
        }
    }

    #[test]
    fn claims_that_are_others_count_only_if_they_are_right(which in 0..3_usize, name in prop::sample::select(&CLAIMS[..]), value in values()) {
        let mut claims = payload();
        claims[name] = value.clone();
        let counted = counts(&signed(which, header(which).to_string().as_bytes(), claims.to_string().as_bytes()));
        let seconds = value.as_f64().map(f64::floor);
        let is_right = match name {
            "iss" | "sub" => value == APP,
            "aud" => value == ISSUER || value == json!([ISSUER]),
            "exp" => seconds.is_some_and(|exp| exp > NOW as f64 && exp <= (NOW + 310) as f64),
            "nbf" | "iat" => value.is_null() || seconds.is_some_and(|at| at <= (NOW + 10) as f64),
            "jti" => value.as_str().is_some_and(|jti| !jti.is_empty()),
            _ => true,
        };
        prop_assert_eq!(counted, is_right, "{} {}", name, value);
    }

    #[test]
    fn text_that_nobody_signed_is_none(text in any::<String>(), parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        prop_assert!(!counts(&text));
        prop_assert!(!counts(&parts.join(".")));
    }
}
