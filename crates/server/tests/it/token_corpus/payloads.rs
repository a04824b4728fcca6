//! Tokens that say something else, under signatures that are right: what only a mistake of ours could sign.

use serde_json::{Value, json};

use super::{
    forge::Real,
    mutant::{Mutant, counts_at, refused},
    verifiers::At,
};

/// A hint says who was signed in, however long ago and whatever else it says.
const HINTS: &[At] = &[At::Authorize, At::Logout];
/// What neither hints nor assertions look at.
const UNREAD: &[At] = &[At::Authorize, At::Logout, At::Assertion];

/// Where the session does not matter: what its application takes back is gone either way.
const SESSION: &[At] = &[At::Revocation, At::Authorize, At::Assertion];
const FAMILY: &[At] = &[At::Revocation, At::Authorize, At::Logout, At::Assertion];

/// A claim with a value, or without.
fn claim(still: &[At], name: &'static str, value: Value) -> Mutant {
    counts_at(still, format!("{name} {value}"), move |real, _| real.claim(name, &value))
}

/// A claim that is there, as null.
fn null(still: &[At], name: &'static str) -> Mutant {
    counts_at(still, format!("{name} is null"), move |real, _| {
        let without = real.claim(name, &Value::Null);
        let without = super::forge::decoded(without.split('.').nth(1).unwrap());
        let text = String::from_utf8(without).unwrap();
        real.with_payload(text.replacen('{', &format!("{{\"{name}\":null,"), 1))
    })
}

fn issuers() -> Vec<Mutant> {
    let mut all = vec![
        refused("iss of another tenant", |real, others| real.claim("iss", &json!(others.issuers[0]))),
        refused("iss of the platform", |real, others| real.claim("iss", &json!(others.issuers[1]))),
        claim(&[], "iss", Value::Null),
        null(&[], "iss"),
    ];
    type Change = fn(&str) -> Value;
    let changes: [(&str, Change); 14] = [
        ("with a slash behind", |iss| json!(format!("{iss}/"))),
        ("in upper case", |iss| json!(iss.to_uppercase())),
        ("with a host in upper case", |iss| json!(iss.replacen("id.example.com", "ID.example.com", 1))),
        ("over http", |iss| json!(iss.replacen("https", "http", 1))),
        ("without a scheme", |iss| json!(iss.trim_start_matches("https://"))),
        ("with a port", |iss| json!(iss.replacen("example.com", "example.com:443", 1))),
        ("with a user", |iss| json!(iss.replacen("https://", "https://id.example.com@evil.example/", 1))),
        ("with a query", |iss| json!(format!("{iss}?"))),
        ("with a fragment", |iss| json!(format!("{iss}#"))),
        ("with a blank", |iss| json!(format!("{iss} "))),
        ("with a NUL", |iss| json!(format!("{iss}\0"))),
        ("with dots", |iss| json!(iss.replacen("/acme", "/other/../acme", 1))),
        ("that is longer", |iss| json!(format!("{iss}-two"))),
        ("in a list", |iss| json!([iss])),
    ];
    for (name, change) in changes {
        all.push(refused(format!("iss {name}"), move |real, _| {
            let mut other = change(real.payload["iss"].as_str().unwrap());
            // An assertion is of an application, whose id has no host.
            if other == real.payload["iss"] {
                other = json!("https://evil.example");
            }
            real.claim("iss", &other)
        }));
    }
    all
}

fn audiences() -> Vec<Mutant> {
    // Whom a token of the caller is for is not what makes it the caller's; whom an ID token is for does not matter to a hint.
    const THEIRS: &[At] = &[At::Introspection, At::Revocation, At::Authorize, At::Logout];
    let mut all = vec![
        claim(&[], "aud", Value::Null),
        null(&[], "aud"),
        claim(&[], "aud", json!([])),
        claim(&[], "aud", json!({})),
        claim(&[], "aud", json!(true)),
        claim(THEIRS, "aud", json!("https://other.example")),
        claim(THEIRS, "aud", json!("*")),
        claim(THEIRS, "aud", json!("")),
        counts_at(THEIRS, "aud with a slash behind", |real, _| {
            real.claim("aud", &json!(format!("{}/", real.payload["aud"].as_str().unwrap())))
        }),
        counts_at(THEIRS, "aud of another application", |real, others| real.claim("aud", &json!(others.application))),
        counts_at(&[At::Assertion], "aud in a list", |real, _| real.claim("aud", &json!([real.payload["aud"]]))),
        refused("aud in a list in a list", |real, _| real.claim("aud", &json!([[real.payload["aud"]]]))),
        refused("aud twice in a list", |real, _| real.claim("aud", &json!([real.payload["aud"], real.payload["aud"]]))),
    ];
    for other in ["https://other.example", ""] {
        all.push(refused(format!("aud in a list before {other:?}"), move |real, _| {
            real.claim("aud", &json!([real.payload["aud"], other]))
        }));
        all.push(refused(format!("aud in a list behind {other:?}"), move |real, _| {
            real.claim("aud", &json!([other, real.payload["aud"]]))
        }));
    }
    all
}

fn times() -> Vec<Mutant> {
    let mut all = Vec::new();
    for value in [
        Value::Null,
        json!("2100-01-01"),
        json!("4102444800"),
        json!(-1),
        json!(0),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1e300),
        json!(true),
        json!([]),
        json!({}),
    ] {
        all.push(claim(HINTS, "exp", value));
    }
    all.push(null(HINTS, "exp"));
    all.push(counts_at(HINTS, "exp now", |real, others| real.claim("exp", &json!(others.now))));
    all.push(counts_at(HINTS, "exp a second ago", |real, others| real.claim("exp", &json!(others.now - 1))));
    all.push(counts_at(HINTS, "exp in milliseconds ago", |real, others| {
        real.claim("exp", &json!((others.now - 60) as f64 + 0.5))
    }));
    all.push(counts_at(HINTS, "iat ahead", |real, others| real.claim("iat", &json!(others.now + 86_400))));
    all.push(counts_at(HINTS, "nbf ahead", |real, others| real.claim("nbf", &json!(others.now + 86_400))));
    for value in [json!("now"), json!(true), json!([]), json!({})] {
        all.push(claim(HINTS, "iat", value.clone()));
        all.push(claim(HINTS, "nbf", value));
    }
    all.push(claim(UNREAD, "iat", Value::Null));
    all
}

fn people() -> Vec<Mutant> {
    let mut all = vec![
        counts_at(&[At::Revocation, At::Logout], "sub of another user", |real, others| {
            real.claim("sub", &json!(others.user))
        }),
        refused("sub of another application", |real, others| real.claim("sub", &json!(others.application))),
        refused("sub of the tenant", |real, others| real.claim("sub", &json!(others.tenant))),
        refused("sub with a NUL", |real, _| {
            real.claim("sub", &json!(format!("{}\0", real.payload["sub"].as_str().unwrap())))
        }),
        refused("sub in upper case", |real, _| {
            real.claim("sub", &json!(real.payload["sub"].as_str().unwrap().to_uppercase()))
        }),
        refused("sub in a list", |real, _| real.claim("sub", &json!([real.payload["sub"]]))),
        null(&[], "sub"),
    ];
    for value in [Value::Null, json!(""), json!(1), json!("admin"), json!("' OR 1=1 --"), json!("*")] {
        all.push(claim(&[], "sub", value));
    }
    for (name, at) in [("that has ended", 0), ("of another browser", 1), ("of another user", 2)] {
        all.push(counts_at(SESSION, format!("sid {name}"), move |real, others| {
            real.claim("sid", &json!(others.sessions[at]))
        }));
    }
    all.push(counts_at(SESSION, "sid of nobody", |real, _| {
        real.claim("sid", &json!("ses_01h455vb4pex5vsknk084sn02q"))
    }));
    for value in [Value::Null, json!(""), json!(1), json!("x")] {
        all.push(claim(&[At::Assertion], "sid", value));
    }
    all
}

fn places() -> Vec<Mutant> {
    let mut all = vec![
        counts_at(UNREAD, "tenant_id of another tenant", |real, others| real.claim("tenant_id", &json!(others.tenant))),
        counts_at(UNREAD, "client_id of another application", |real, others| {
            real.claim("client_id", &json!(others.application))
        }),
        counts_at(FAMILY, "family_id of another", |real, others| real.claim("family_id", &json!(others.family))),
        counts_at(UNREAD, "client_id of our own pages", |real, _| real.claim("client_id", &json!("gatehouse"))),
        null(UNREAD, "tenant_id"),
        null(UNREAD, "family_id"),
    ];
    for name in ["tenant_id", "client_id", "family_id"] {
        for value in [Value::Null, json!(""), json!(1), json!([]), json!("nobody")] {
            all.push(claim(UNREAD, name, value));
        }
    }
    for value in [json!(1), json!(["openid"]), json!({})] {
        all.push(claim(UNREAD, "scope", value));
    }
    for value in [json!("app"), json!([]), json!({}), json!({"sub": 1})] {
        all.push(claim(UNREAD, "act", value));
    }
    for value in [Value::Null, json!(""), json!(1), json!([])] {
        all.push(claim(HINTS, "jti", value));
    }
    all.push(claim(UNREAD, "jti", json!("not one of ours")));
    all
}

/// An end that may be no number of JSON, or none that fits.
fn exp_as_written(real: &Real, number: &str) -> String {
    let without = real.payload.as_object().unwrap().iter().filter(|(name, _)| *name != "exp");
    let without: serde_json::Map<_, _> = without.map(|(name, value)| (name.clone(), value.clone())).collect();
    real.with_payload(Value::from(without).to_string().replacen('{', &format!("{{\"exp\":{number},"), 1))
}

fn texts() -> Vec<Mutant> {
    let mut all = Vec::new();
    for text in ["{}", "[]", "null", "1", "\"x\"", "x", "{", "{\"sub\":", "sub=x&aud=y", "<xml/>", "\0", " "] {
        all.push(refused(format!("payload {text:?}"), move |real, _| real.with_payload(text)));
    }
    for name in ["iss", "sub", "aud"] {
        all.push(refused(format!("{name} twice, alike"), move |real, _| {
            real.claims_after(&format!("\"{name}\":{}", real.payload[name]))
        }));
        all.push(refused(format!("{name} twice, first otherwise"), move |real, _| {
            real.claims_after(&format!("\"{name}\":\"x\""))
        }));
        all.push(refused(format!("{name} twice, spelled otherwise"), move |real, _| {
            let escaped = format!("\\u{:04x}{}", u32::from(name.chars().next().unwrap()), &name[1..]);
            real.claims_after(&format!("\"{escaped}\":{}", real.payload[name]))
        }));
    }
    let around = |before: &'static [u8], after: &'static [u8]| {
        move |real: &Real, _: &super::mutant::Others| {
            real.with_payload([before, real.payload.to_string().as_bytes(), after].concat())
        }
    };
    all.push(refused("payload with a byte order mark", around(b"\xef\xbb\xbf", b"")));
    all.push(refused("payload with another behind it", around(b"", b"{\"sub\":\"x\"}")));
    all.push(refused("payload with a NUL behind it", around(b"", b"\0")));
    all.push(refused("payload with a comma", around(b"", b",")));
    all.push(refused("payload in a list", around(b"[", b"]")));
    all.push(refused("payload nested deep", |real, _| {
        real.with_payload(format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000)))
    }));
    all.push(refused("payload in UTF-16", |real, _| {
        real.with_payload(real.payload.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>())
    }));
    for (name, bytes) in [
        ("that is not UTF-8", &b"\xff"[..]),
        ("that ends in half a character", b"\xe2\x82"),
        ("with half a pair", b"\\ud800"),
        ("with a line break", b"\n"),
        ("with a NUL", b"\\u0000"),
        ("with a character longer than it is", b"\xc0\xaf"),
    ] {
        all.push(refused(format!("sub {name}"), move |real, _| {
            let sub = real.payload["sub"].as_str().unwrap();
            let text = real.payload.to_string();
            let (before, after) = text.split_once(&format!("\"sub\":\"{sub}")).unwrap();
            let sub = format!("\"sub\":\"{sub}");
            real.with_payload([before.as_bytes(), sub.as_bytes(), bytes, after.as_bytes()].concat())
        }));
    }
    all.push(counts_at(HINTS, "exp 1e999 as it is written", |real, _| exp_as_written(real, "1e999")));
    for number in ["NaN", "Infinity", "0x10", "01", "+1", "1_000", "--1", "'1'"] {
        all.push(refused(format!("exp {number} as it is written"), move |real, _| exp_as_written(real, number)));
    }
    // Longer than any token that is looked at.
    for kib in [12, 64, 256] {
        all.push(refused(format!("payload of {kib} KiB"), move |real, _| {
            real.claim("x", &json!("x".repeat(kib * 1024)))
        }));
    }
    all
}

/// Every token that says something else.
pub fn all() -> Vec<Mutant> {
    [issuers(), audiences(), times(), people(), places(), texts()].into_iter().flatten().collect()
}
