use std::cell::RefCell;

use gatehouse_domain::application::SigningAlgorithm;
use serde_json::json;

use super::*;
use crate::security::key_pair::{KeyPair, Signer};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const URL: &str = "https://id.example/api/v1/me";

/// Who makes proofs.
struct Holder {
    pair: KeyPair,
}

impl Holder {
    fn new(algorithm: SigningAlgorithm) -> Self {
        Self { pair: KeyPair::generate(algorithm).unwrap() }
    }

    fn jwk(&self) -> Value {
        serde_json::from_str(&self.pair.public_jwk).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signer = Signer::open(self.pair.algorithm, &self.pair.private).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap()))
    }

    fn proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut header = json!({"typ": "dpop+jwt", "alg": self.pair.algorithm.to_string(), "jwk": self.jwk()});
        let mut claims = json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW.unix_seconds()});
        change(&mut header, &mut claims);
        self.sign(&header, &claims)
    }
}

fn check(proof: &str, token: Option<&[u8]>) -> Result<Proof, &'static str> {
    verify(&Sent { proof, method: "GET", url: URL }, token, NOW)
}

#[test]
fn proof_of_each_algorithm_names_the_thumbprint_of_its_key() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let holder = Holder::new(algorithm);
        let proof = check(&holder.proof(|_, _| ()), None).unwrap();
        assert_eq!(proof.is_rs256, algorithm == SigningAlgorithm::Rs256);
        let other = check(&holder.proof(|_, claims| claims["jti"] = json!("2")), None).unwrap();
        assert!(proof.key == other.key && proof.id != other.id);
    }
    // The example of RFC 7638, section 3.1.
    let key: Jwk = [
        ("kty", "RSA"),
        ("n", "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"),
        ("e", "AQAB"),
        ("alg", "RS256"),
        ("kid", "2011-04-29"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut digest_of = [0; 32];
    digest_of.copy_from_slice(digest(&SHA256, thumbprint_input(&key).as_bytes()).as_ref());
    assert_eq!(Thumbprint::of_digest(digest_of).as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn proof_counts_for_a_minute_and_clocks_may_differ_by_ten_seconds() {
    let (holder, now) = (Holder::new(SigningAlgorithm::Es256), NOW.unix_seconds());
    let made = |at: i64| check(&holder.proof(|_, claims| claims["iat"] = json!(at)), None);
    for ago in [-10, 0, 10, 60] {
        assert!(made(now - ago).is_ok(), "{ago} seconds ago");
    }
    for ago in [-11, 61, now] {
        assert!(made(now - ago).is_err(), "{ago} seconds ago");
    }
    assert!(check(&holder.proof(|_, claims| claims["iat"] = json!(now as f64 + 0.5)), None).is_ok());
    // It is remembered for longer than it counts.
    let latest = made(now + 10).unwrap();
    assert!(latest.expires_at.since(NOW).as_secs() >= 70);
}

#[test]
fn proof_is_for_one_address_and_its_query_does_not_count() {
    let holder = Holder::new(SigningAlgorithm::Es256);
    let at = |url: &str| check(&holder.proof(|_, claims| claims["htu"] = json!(url)), None);
    for same in [
        URL,
        "https://ID.example:443/api/v1/me",
        "HTTPS://id.example/api/v1/me?a=b#c",
        "https://id.example/api/./v1/me",
        "https://id.example/api/v1/me/",
    ] {
        assert!(at(same).is_ok(), "{same}");
    }
    for other in [
        "",
        "/api/v1/me",
        "http://id.example/api/v1/me",
        "https://id.example:8443/api/v1/me",
        "https://id.example/api/v1/me//",
        "https://id.example/api/v1/ME",
        "https://id.example/api/v1/me%2f",
        "https://evil.example/api/v1/me",
        "https://id.example@evil.example/api/v1/me",
        "https://user@id.example/api/v1/me",
    ] {
        assert!(at(other).is_err(), "{other}");
    }
}

/// A change of a proof that makes it none.
type Spoil = Box<dyn Fn(&mut Value, &mut Value)>;

fn spoils(holder: &Holder) -> Vec<(&'static str, Spoil)> {
    fn header(name: &'static str, value: Value) -> Spoil {
        Box::new(move |header, _| header[name] = value.clone())
    }
    fn claim(name: &'static str, value: Value) -> Spoil {
        Box::new(move |_, claims| claims[name] = value.clone())
    }
    fn without(name: &'static str) -> Spoil {
        Box::new(move |header, claims| {
            let _ = (header.as_object_mut().unwrap().remove(name), claims.as_object_mut().unwrap().remove(name));
        })
    }
    let now = NOW.unix_seconds();
    let mut private = holder.jwk();
    private["d"] = json!("AAAA");
    let mut numbered = holder.jwk();
    numbered["d"] = json!(1);
    let other = Holder::new(SigningAlgorithm::Es256).jwk();
    vec![
        ("no typ", without("typ")),
        ("typ of access tokens", header("typ", json!("at+jwt"))),
        ("typ JWT", header("typ", json!("JWT"))),
        ("no alg", without("alg")),
        ("alg none", header("alg", json!("none"))),
        ("alg HS256", header("alg", json!("HS256"))),
        ("alg of another key", header("alg", json!("RS256"))),
        ("alg ES384", header("alg", json!("ES384"))),
        ("no key", without("jwk")),
        ("key is no object", header("jwk", json!("AAAA"))),
        ("another's key", header("jwk", other)),
        ("private key", header("jwk", private)),
        ("private member of another kind", header("jwk", numbered)),
        ("symmetric key", header("jwk", json!({"kty": "oct", "k": "AAAA"}))),
        ("point that is none", header("jwk", json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}))),
        ("crit", header("crit", json!(["b64"]))),
        ("b64", header("b64", json!(false))),
        ("jku", header("jku", json!("https://evil.example/keys"))),
        ("x5u", header("x5u", json!("https://evil.example/cert"))),
        ("x5c", header("x5c", json!(["AAAA"]))),
        ("no jti", without("jti")),
        ("empty jti", claim("jti", json!(""))),
        ("jti is a number", claim("jti", json!(1))),
        ("no htm", without("htm")),
        ("another method", claim("htm", json!("POST"))),
        ("method in lower case", claim("htm", json!("get"))),
        ("no htu", without("htu")),
        ("no iat", without("iat")),
        ("iat is a text", claim("iat", json!(now.to_string()))),
        ("iat in milliseconds", claim("iat", json!(now * 1_000))),
        ("iat is endless", claim("iat", json!(1e300))),
        ("ended", claim("exp", json!(now - 1))),
        ("not begun", claim("nbf", json!(now + 60))),
    ]
}

#[test]
fn proof_that_is_none_is_refused_for_its_reason() {
    let holder = Holder::new(SigningAlgorithm::Es256);
    let told = RefCell::new(std::collections::BTreeSet::new());
    for (what, spoil) in spoils(&holder) {
        let refused = check(&holder.proof(spoil), None);
        told.borrow_mut().insert(refused.clone().expect_err(what));
        assert!(refused.unwrap_err().is_ascii());
    }
    assert!(told.borrow().len() >= 9, "{told:?}");
    let good = holder.proof(|_, _| ());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    for bad in [
        String::new(),
        head.to_owned(),
        format!("{head}."),
        format!("{good}.{signature}"),
        format!("{header}.{signature}.{claims}"),
        format!(" {good}"),
        format!("{head}.{}", "A".repeat(86)),
        "A".repeat(9_000),
    ] {
        assert!(check(&bad, None).is_err(), "{bad}");
    }
}

#[test]
fn proof_at_an_api_is_for_the_token_that_it_comes_with() {
    let holder = Holder::new(SigningAlgorithm::Es256);
    let with = |ath: Value| holder.proof(move |_, claims| claims["ath"] = ath);
    let token = b"a.b.c".as_slice();
    assert!(check(&with(json!(token_digest(token))), Some(token)).is_ok());
    assert!(check(&with(json!(token_digest(b"a.b.d"))), Some(token)).is_err());
    assert!(check(&holder.proof(|_, _| ()), Some(token)).is_err(), "none");
    assert!(check(&with(json!("x")), None).is_ok(), "nothing is held against it where there is no token");
}
