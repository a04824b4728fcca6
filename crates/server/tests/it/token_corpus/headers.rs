//! Tokens with other headers, under signatures that are right, or would be if the header had its way.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{
    forge::{Real, decoded, encoded},
    mutant::{Mutant, counts_at, refused},
    verifiers::At,
};

/// Assertions may have headers that mean nothing (RFC 7515, section 4); tokens of ours have three and no others.
const ASSERTION: &[At] = &[At::Assertion];

/// Signed with what everybody knows.
fn by_mac(real: &Real, alg: &str, hash: hmac::Algorithm, secret: &[u8]) -> String {
    let mut header = real.header.clone();
    header["alg"] = json!(alg);
    let text = format!("{}.{}", encoded(header.to_string()), real.parts()[1]);
    let mac = hmac::sign(&hmac::Key::new(hash, secret), text.as_bytes());
    format!("{text}.{}", encoded(mac))
}

/// The bytes of the public key, without what is around them.
fn public_bytes(real: &Real) -> Vec<u8> {
    let jwk: Value = serde_json::from_str(&real.key.jwk).unwrap();
    ["n", "x", "y"].iter().filter_map(|name| jwk[name].as_str()).flat_map(decoded).collect()
}

fn unsigned(real: &Real, alg: &str) -> String {
    let mut header = real.header.clone();
    header["alg"] = json!(alg);
    format!("{}.{}.", encoded(header.to_string()), real.parts()[1])
}

/// Signed with a key of one's own, which the header brings along.
fn by_stranger(real: &Real, stranger: &super::forge::Key, name: &str, value: &Value) -> String {
    let mut header = real.header.clone();
    header[name] = value.clone();
    let text = format!("{}.{}", encoded(header.to_string()), real.parts()[1]);
    format!("{text}.{}", stranger.signature(&text))
}

fn algorithms() -> Vec<Mutant> {
    let mut all = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "HS256", "ES256", ""] {
        all.push(refused(format!("alg {alg:?} without a signature"), move |real, _| unsigned(real, alg)));
    }
    for alg in [
        "none", "NONE", "HS256", "es256", "rs256", "ES256 ", " RS256", "ES256\0", "ES384", "ES512", "ES256K", "PS256",
        "RS384", "EdDSA", "Ed25519", "SHA256", "dir", "RSA-OAEP", "",
    ] {
        all.push(refused(format!("alg {alg:?} with a good signature"), move |real, _| real.header("alg", &json!(alg))));
    }
    all.push(refused("alg of another kind of key", |real, _| {
        let other = if real.header["alg"] == "ES256" { "RS256" } else { "ES256" };
        real.header("alg", &json!(other))
    }));
    all.push(refused("alg missing", |real, _| real.header("alg", &Value::Null)));
    for value in [json!(256), json!(["ES256"]), json!({"alg": "ES256"}), json!(true)] {
        all.push(refused(format!("alg {value}"), move |real, _| real.header("alg", &value)));
    }
    all.push(refused("alg null", |real, _| {
        real.with_header(real.header.to_string().replacen(
            &format!("\"alg\":{}", real.header["alg"]),
            "\"alg\":null",
            1,
        ))
    }));
    for (alg, hash) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        all.push(refused(format!("{alg} with the public key as JSON"), move |real, _| {
            by_mac(real, alg, hash, real.key.jwk.as_bytes())
        }));
        all.push(refused(format!("{alg} with the public key as bytes"), move |real, _| {
            by_mac(real, alg, hash, &public_bytes(real))
        }));
        all.push(refused(format!("{alg} with no secret"), move |real, _| by_mac(real, alg, hash, b"")));
        all.push(refused(format!("{alg} with the id of the key"), move |real, _| {
            by_mac(real, alg, hash, real.key.id.as_bytes())
        }));
    }
    all
}

fn types() -> Vec<Mutant> {
    let mut all = Vec::new();
    for typ in [
        "AT+JWT",
        "At+Jwt",
        "application/at+jwt",
        "at+jwt ",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JWS",
        "JWE",
        "JOSE",
        "token-introspection+jwt",
        "",
        "\0",
    ] {
        all.push(refused(format!("typ {typ:?}"), move |real, _| real.header("typ", &json!(typ))));
    }
    all.push(counts_at(ASSERTION, "typ jwt", |real, _| real.header("typ", &json!("jwt"))));
    all.push(counts_at(ASSERTION, "typ of assertions", |real, _| {
        real.header("typ", &json!("client-authentication+jwt"))
    }));
    all.push(counts_at(ASSERTION, "typ missing", |real, _| real.header("typ", &Value::Null)));
    all.push(refused("typ of another kind", |real, _| {
        let other = if real.header["typ"] == "at+jwt" { "logout+jwt" } else { "at+jwt" };
        real.header("typ", &json!(other))
    }));
    all.push(refused("typ is a list", |real, _| real.header("typ", &json!([real.header["typ"]]))));
    all
}

fn keys() -> Vec<Mutant> {
    let mut all = vec![
        counts_at(ASSERTION, "kid missing", |real, _| real.header("kid", &Value::Null)),
        refused("kid of another tenant", |real, others| real.header("kid", &json!(others.foreign[0].id))),
        refused("kid of the platform", |real, others| real.header("kid", &json!(others.foreign[1].id))),
        refused("kid of the next key", |real, others| real.header("kid", &json!(others.own[0].id))),
        refused("kid of another algorithm", |real, others| real.header("kid", &json!(others.own[1].id))),
        refused("kid of an application", |real, others| real.header("kid", &json!(others.application))),
        refused("kid in upper case", |real, _| real.header("kid", &json!(real.key.id.to_uppercase()))),
        refused("kid with a blank", |real, _| real.header("kid", &json!(format!("{} ", real.key.id)))),
        refused("kid without its prefix", |real, _| real.header("kid", &json!(real.key.id.split('_').next_back()))),
        refused("kid is a list", |real, _| real.header("kid", &json!([real.key.id]))),
        refused("kid is a number", |real, _| real.header("kid", &json!(1))),
    ];
    for kid in [
        "",
        "*",
        "%",
        "0",
        "null",
        "key_01h455vb4pex5vsknk084sn02q",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "C:\\nul",
        "https://evil.example/jwks.json",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "1; DROP TABLE signing_keys",
        "key_\0",
        "\u{202e}yek",
        "$(id)",
        "{{7*7}}",
    ] {
        all.push(refused(format!("kid {kid:?}"), move |real, _| real.header("kid", &json!(kid))));
    }
    all.push(refused("kid of 1,000 characters", |real, _| real.header("kid", &json!("k".repeat(1_000)))));
    all.push(refused("kid of 70,000 characters", |real, _| real.header("kid", &json!("k".repeat(70_000)))));
    all
}

fn members() -> Vec<Mutant> {
    let mut all = vec![
        refused("crit", |real, _| real.header("crit", &json!(["exp"]))),
        refused("crit that is empty", |real, _| real.header("crit", &json!([]))),
        refused("crit of what is there", |real, _| real.header("crit", &json!(["alg"]))),
        refused("b64 false", |real, _| real.header("b64", &json!(false))),
        refused("payload that is not encoded", |real, _| {
            let mut header = real.header.clone();
            (header["b64"], header["crit"]) = (json!(false), json!(["b64"]));
            real.signed(&encoded(header.to_string()), &real.payload.to_string().replace('.', ""))
        }),
    ];
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("epk", json!({})),
        ("p2c", json!(2_000_000_000)),
        ("nonce", json!("n")),
        ("unknown", json!({"a": [1]})),
        ("iss", json!("https://evil.example")),
    ] {
        let (ours, theirs) = (value.clone(), value);
        // What would bring keys along, or hide what is signed, is refused; the rest means nothing.
        let still = if ["jku", "x5u", "x5c", "zip", "enc"].contains(&name) { &[] } else { ASSERTION };
        all.push(counts_at(still, format!("{name} and a good signature"), move |real, _| real.header(name, &ours)));
        all.push(refused(format!("{name} and the signature of a stranger"), move |real, others| {
            by_stranger(real, others.stranger(real), name, &theirs)
        }));
    }
    all.push(refused("jwk and a good signature", |real, _| {
        real.header("jwk", &serde_json::from_str(&real.key.jwk).unwrap())
    }));
    all.push(refused("jwk and its signature", |real, others| {
        let stranger = others.stranger(real);
        by_stranger(real, stranger, "jwk", &serde_json::from_str(&stranger.jwk).unwrap())
    }));
    for name in ["alg", "typ", "kid"] {
        all.push(refused(format!("{name} twice, alike"), move |real, _| {
            real.header_after(&format!("\"{name}\":{}", real.header[name]))
        }));
        all.push(refused(format!("{name} twice, first otherwise"), move |real, _| {
            real.header_after(&format!("\"{name}\":\"none\""))
        }));
    }
    all
}

fn texts() -> Vec<Mutant> {
    let mut all = Vec::new();
    for text in ["", "{}", "[]", "null", "1", "\"none\"", "alg=ES256", "{\"alg\":\"none\"}", "{\"alg\":", "\0"] {
        all.push(refused(format!("header {text:?}"), move |real, _| real.with_header(text)));
    }
    let around = |before: &'static [u8], after: &'static [u8]| {
        move |real: &Real, _: &super::mutant::Others| {
            real.with_header([before, real.header.to_string().as_bytes(), after].concat())
        }
    };
    all.push(refused("header with a byte order mark", around(b"\xef\xbb\xbf", b"")));
    all.push(refused("header with more behind it", around(b"", b"{}")));
    all.push(refused("header with a NUL behind it", around(b"", b"\0")));
    all.push(refused("header with a comment", around(b"", b"//")));
    all.push(refused("header in a list", around(b"[", b"]")));
    all.push(refused("header that is not UTF-8", around(b"{\"x\":\"\xff\"}", b"")));
    all.push(refused("header in UTF-16", |real, _| {
        real.with_header(real.header.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
    }));
    all.push(refused("header with a member nested deep", |real, _| {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        real.with_header(real.header.to_string().replacen("\"typ\":\"", &format!("\"typ\":{deep},\"x\":\""), 1))
    }));
    all
}

/// Every token with another header.
pub fn all() -> Vec<Mutant> {
    [algorithms(), types(), keys(), members(), texts()].into_iter().flatten().collect()
}
