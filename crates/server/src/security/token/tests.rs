//! A corpus of tokens that must not verify, each beside the one that does.

use super::*;
use crate::{env::Env, security::master_key::MasterKey};
use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::{By, SystemReason, TenantRef},
    id::PartnerId,
};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

struct Issuer {
    env: Env,
    tokens: Tokens,
    key: SigningKey,
}

impl Issuer {
    fn new() -> Self {
        Self::with(SigningAlgorithm::Es256)
    }

    fn with(algorithm: SigningAlgorithm) -> Self {
        let env = Env::manual().0;
        let master = MasterKey::parse(&"ab".repeat(32)).unwrap();
        let tokens = Tokens::new(Arc::new(Keyring::new(&master)));
        let tenant = TenantRef { id: env.id(TenantId::from_parts), partner_id: env.id(PartnerId::from_parts) };
        let id = env.id(KeyId::from_parts);
        let material = tokens.seal(tenant.into(), id, KeyPair::generate(algorithm).unwrap());
        let key = SigningKey::create(id, tenant.into(), material, &By::system(SystemReason::Setup), env.now());
        Self { tokens, key: key.into_parts().0, env }
    }

    fn tenant(&self) -> TenantRef {
        self.key.issuer.tenant().unwrap()
    }

    fn claims(&self) -> Value {
        let now = self.env.now().unix_seconds();
        let issuer = "http://127.0.0.1:8000/api/v1/auth/tenants/acme";
        json!({
            "iss": issuer, "aud": issuer, "sub": self.env.id(UserId::from_parts).to_string(), "exp": now + 900, "iat": now,
            "jti": "1", "sid": self.env.id(SessionId::from_parts).to_string(), "client_id": CLIENT_ID,
            "tenant_id": self.tenant().id.to_string(), "partner_id": self.tenant().partner_id.to_string(), "roles": [], "scope": "",
        })
    }

    fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": "ES256", "kid": self.key.id.to_string()})
    }

    /// Signs whatever it is given with the tenant's own key.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        self.tokens.compact(&self.key, header.as_bytes(), claims.as_bytes()).unwrap()
    }

    /// As a request is checked: first the peek, which finds the key, then the verification.
    fn accepts(&self, token: &str) -> bool {
        let is_ours = |it: &Peeked| it.kid == self.key.id && it.tenant_id == Some(self.tenant().id);
        peek(token).as_ref().is_some_and(is_ours) && self.tokens.verify(token, &self.key, self.env.now()).is_some()
    }
}

#[test]
fn own_token_verifies() {
    let issuer = Issuer::new();
    assert!(issuer.accepts(&issuer.sign(&issuer.header(), &issuer.claims())));
}

#[test]
fn each_algorithm_signs_tokens_of_any_type_and_only_one_those_for_access() {
    for (algorithm, name) in [
        (SigningAlgorithm::Es256, Algorithm::ES256),
        (SigningAlgorithm::Rs256, Algorithm::RS256),
        (SigningAlgorithm::EdDsa, Algorithm::EdDSA),
    ] {
        let issuer = Issuer::with(algorithm);
        for typ in [ACCESS, "JWT", "logout+jwt"] {
            let token = issuer.tokens.sign(&issuer.key, typ, &issuer.claims()).unwrap();
            let mut validation = Validation::new(name);
            (validation.validate_exp, validation.validate_aud) = (false, false);
            let read = jsonwebtoken::decode::<Value>(&token, &issuer.tokens.decoder(&issuer.key).unwrap(), &validation);
            let header = read.unwrap().header;
            let kid = issuer.key.id.to_string();
            assert_eq!((header.typ.as_deref(), header.alg, header.kid), (Some(typ), name, Some(kid)));
            assert_eq!(issuer.accepts(&token), typ == ACCESS && algorithm == SigningAlgorithm::Es256, "{typ} {name:?}");
        }
    }
}

#[test]
fn every_required_claim_is_required_and_of_its_type() {
    let issuer = Issuer::new();
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "tenant_id"] {
        let mut without = issuer.claims();
        without.as_object_mut().unwrap().remove(claim);
        assert!(!issuer.accepts(&issuer.sign(&issuer.header(), &without)), "without {claim}");
        for wrong in [json!(null), json!(true), json!([]), json!({}), json!(""), json!("x"), json!(-1), json!(1.5)] {
            // Any text is an id of a token, and any instant of the past may be when it was issued.
            if (claim == "jti" && wrong == json!("x")) || (claim == "iat" && wrong == json!(-1)) {
                continue;
            }
            let mut claims = issuer.claims();
            claims[claim] = wrong.clone();
            assert!(!issuer.accepts(&issuer.sign(&issuer.header(), &claims)), "{claim}: {wrong}");
        }
    }
}

#[test]
fn times_are_numbers_and_are_checked() {
    let issuer = Issuer::new();
    let now = issuer.env.now().unix_seconds();
    for (claim, value, accepted) in [
        ("exp", json!(now + 1), true),
        ("exp", json!(now), false),
        ("exp", json!(now - 1), false),
        ("exp", json!(format!("{}", now + 900)), false),
        ("exp", json!(i64::MAX), false),
        ("exp", json!(1e300), false),
        ("iat", json!(now + 30), true),
        ("iat", json!(now + 600), false),
        ("nbf", json!(now), true),
        ("nbf", json!(now + 600), false),
        ("nbf", json!("soon"), false),
    ] {
        let mut claims = issuer.claims();
        claims[claim] = value.clone();
        assert_eq!(issuer.accepts(&issuer.sign(&issuer.header(), &claims)), accepted, "{claim}: {value}");
    }
}

#[test]
fn audience_client_and_tenant_are_checked() {
    let issuer = Issuer::new();
    let other = issuer.env.id(TenantId::from_parts).to_string();
    for (claim, value) in [
        ("aud", json!("https://elsewhere.example")),
        ("aud", json!([issuer.claims()["aud"]])),
        ("client_id", json!("other")),
        ("tenant_id", json!(other)),
        ("sub", issuer.claims()["sid"].clone()),
        ("sid", issuer.claims()["sub"].clone()),
    ] {
        let mut claims = issuer.claims();
        claims[claim] = value.clone();
        assert!(!issuer.accepts(&issuer.sign(&issuer.header(), &claims)), "{claim}: {value}");
    }
}

#[test]
fn header_may_choose_nothing_but_the_key() {
    let issuer = Issuer::new();
    for (field, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("application/at+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!(null)),
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("ES384")),
        ("alg", json!("es256")),
        ("alg", json!(null)),
        ("kid", json!("key_01h455vb4pex5vsknk084sn02q")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!(null)),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!({"kty": "EC"})),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
    ] {
        let mut header = issuer.header();
        header[field] = value.clone();
        assert!(!issuer.accepts(&issuer.sign(&header, &issuer.claims())), "{field}: {value}");
    }
    for field in ["typ", "alg", "kid"] {
        let mut header = issuer.header();
        header.as_object_mut().unwrap().remove(field);
        assert!(!issuer.accepts(&issuer.sign(&header, &issuer.claims())), "without {field}");
    }
    let twice = format!(r#"{{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"{}"}}"#, issuer.key.id);
    assert!(!issuer.accepts(&issuer.sign_text(&twice, &issuer.claims().to_string())), "a field twice");
}

#[test]
fn public_key_is_no_hmac_secret() {
    let issuer = Issuer::new();
    let jwk: Value = serde_json::from_str(&issuer.key.public_jwk).unwrap();
    let point = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let raw = [vec![4], point("x"), point("y")].concat();
    // The SubjectPublicKeyInfo of a P-256 key (RFC 5480) is this prefix and the point.
    let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let bytes = |i: usize| u8::from_str_radix(&prefix[i..i + 2], 16).unwrap();
    let der = [(0..prefix.len()).step_by(2).map(bytes).collect(), raw.clone()].concat();
    let base64 = base64::prelude::BASE64_STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &base64[..64], &base64[64..]);
    for secret in [
        raw,
        der,
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        issuer.key.public_jwk.clone().into_bytes(),
        Vec::new(),
    ] {
        for alg in ["HS256", "ES256"] {
            let mut header = issuer.header();
            header["alg"] = json!(alg);
            let body = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header.to_string()),
                URL_SAFE_NO_PAD.encode(issuer.claims().to_string())
            );
            let key = EncodingKey::from_secret(&secret);
            let signature = jsonwebtoken::crypto::sign(body.as_bytes(), &key, Algorithm::HS256).unwrap();
            assert!(!issuer.accepts(&format!("{body}.{signature}")), "{alg}");
        }
    }
}

#[test]
fn signature_counts_to_the_last_bit() {
    let issuer = Issuer::new();
    let token = issuer.sign(&issuer.header(), &issuer.claims());
    let (body, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!issuer.accepts(&format!("{body}.{}", URL_SAFE_NO_PAD.encode(flipped))), "bit {bit}");
    }
    for other in [vec![0; 64], vec![0xff; 64], vec![], bytes[..63].to_vec(), [bytes.clone(), vec![0]].concat()] {
        assert!(!issuer.accepts(&format!("{body}.{}", URL_SAFE_NO_PAD.encode(other))));
    }
}

#[test]
fn every_prefix_and_padding_is_refused() {
    let issuer = Issuer::new();
    let token = issuer.sign(&issuer.header(), &issuer.claims());
    for end in 0..token.len() {
        assert!(!issuer.accepts(&token[..end]), "{end} characters");
    }
    for altered in [
        format!("{token}A"),
        format!("{token}="),
        format!("{token}.x"),
        format!(".{token}"),
        format!(" {token}"),
        token.replacen('.', "=.", 1),
        token.replacen('.', "..", 1),
        token.to_uppercase(),
        "a".repeat(MAX_LEN + 1),
        "..".to_owned(),
    ] {
        assert!(!issuer.accepts(&altered), "{altered}");
    }
}

#[test]
fn key_of_another_tenant_signs_for_nobody_else() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    let mut claims = theirs.claims();
    claims["tenant_id"] = json!(ours.tenant().id.to_string());
    let mut header = theirs.header();
    assert!(!ours.accepts(&theirs.sign(&header, &claims)), "under their key id");
    header["kid"] = json!(ours.key.id.to_string());
    assert!(!ours.accepts(&theirs.sign(&header, &claims)), "under our key id");
}
