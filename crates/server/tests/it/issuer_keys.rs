//! The keys of an issuer as applications and APIs read them, and how one takes the place of another.

use std::time::Duration;

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::SystemReason,
    id::KeyId,
    issue::Parse,
    key::{Issuer, PUBLISHED},
    time::Timestamp,
};
use gatehouse_server::app::{Error, platform::keys::Activation};
use jsonwebtoken::{
    DecodingKey, Validation,
    jwk::{Jwk, JwkSet},
};
use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

const ES256: SigningAlgorithm = SigningAlgorithm::Es256;
const CLI: SystemReason = SystemReason::Cli;

async fn read(world: &World, slug: &str) -> Answer {
    world.get(&format!("/auth/tenants/{slug}/.well-known/jwks.json")).send().await
}

/// The ids of the keys that are published, with an algorithm.
async fn kids(world: &World, algorithm: &str) -> Vec<String> {
    // What is known of a tenant is never older than a second.
    world.clock.advance(Duration::from_secs(1));
    published(&read(world, "acme").await.expect(200), algorithm)
}

fn published(keys: &Answer, algorithm: &str) -> Vec<String> {
    let keys = keys.json()["keys"].as_array().unwrap().clone();
    let of = keys.iter().filter(|key| key["alg"] == algorithm);
    of.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that signed.
fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

/// Who checks tokens by the keys that were read some time ago, and reads no others before that time is over.
struct Verifier {
    max_age: Duration,
    read: Option<(Timestamp, Vec<Jwk>)>,
}

impl Verifier {
    async fn verifies(&mut self, replica: &World, token: &str) -> bool {
        let now = replica.app.env().now();
        if self.read.as_ref().is_none_or(|(at, _)| now.since(*at) >= self.max_age) {
            let keys: JwkSet = serde_json::from_str(&read(replica, "acme").await.expect(200).text).unwrap();
            self.read = Some((now, keys.keys));
        }
        let header = jsonwebtoken::decode_header(token).unwrap();
        let known = self.read.iter().flat_map(|(_, keys)| keys).find(|key| key.common.key_id == header.kid);
        let mut rules = Validation::new(header.alg);
        (rules.validate_exp, rules.validate_aud) = (false, false);
        rules.required_spec_claims.clear();
        known.is_some_and(|key| {
            jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &rules).is_ok()
        })
    }
}

async fn ada(world: &World) -> (Tenant, Signed) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    (tenant, world.login(&ada).await)
}

api_tests! {
    async fn keys_are_public_and_say_what_they_are_for_and_nothing_private(world) {
        let (tenant, ada) = ada(&world).await;
        let answer = read(&world, "acme").await.expect(200);
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        assert_eq!(keys.len(), 2, "one that signs and one that signs next");
        for key in &keys {
            let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            members.sort_unstable();
            assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
            assert_eq!((&key["alg"], &key["use"], &key["crv"]), (&json!("ES256"), &json!("sig"), &json!("P-256")));
        }
        assert!(kids(&world, "ES256").await.contains(&kid(&ada.access)));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        // Suspended, it keeps them: what it signed can still be told from what it did not.
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        assert_eq!(kids(&world, "ES256").await.len(), 2);
        let unknown = read(&world, "nobody").await.expect(404);
        assert_eq!((unknown.json()["error"].as_str(), unknown.header("cache-control")), (Some("invalid_request"), Some("no-store")));
    }

    async fn keys_are_the_same_bytes_whatever_a_request_says_of_its_way(world) {
        ada(&world).await;
        let first = read(&world, "acme").await.expect(200);
        let path = "/auth/tenants/acme/.well-known/jwks.json";
        for (name, value) in [
            ("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"),
            ("x-forwarded-prefix", "/evil"), ("forwarded", "host=evil.example;proto=http"), ("origin", "https://app.example"),
        ] {
            let answer = world.get(path).header(name, value).send().await.expect(200);
            assert_eq!((answer.text.as_str(), answer.header("etag")), (first.text.as_str(), first.header("etag")), "{name}");
        }
        let tag = first.header("etag").unwrap();
        let again = world.get(path).header("if-none-match", tag).send().await.expect(304);
        assert_eq!((again.text.as_str(), again.header("etag"), again.header("cache-control")), ("", Some(tag), Some("public, max-age=300")));
        let bearer = world.get(path).header("authorization", "Bearer none.of.ours").send().await.expect(200);
        assert_eq!(bearer.text, first.text);
    }

    async fn next_key_signs_when_it_was_published_for_ten_minutes_and_another_is_published(world) {
        let (tenant, before) = ada(&world).await;
        let published = kids(&world, "ES256").await;
        let rotate = async |when| world.app.keys().rotate(tenant.issuer(), ES256, when, CLI).await;
        assert!(matches!(rotate(Activation::Published).await, Err(Error::Conflict(_))));
        assert_eq!(kids(&world, "ES256").await, published);
        world.clock.advance(Duration::from_secs(600));
        let signing = rotate(Activation::Published).await.unwrap().id.to_string();
        assert!(published.contains(&signing) && signing != kid(&before.access));
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 3 && published.iter().all(|kid| now.contains(kid)), "{now:?}");
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_eq!((kid(&after.access), world.me(&before).await, world.me(&after).await), (signing, 200, 200));
        // The one before verifies for an hour, and is published for as long.
        world.clock.advance(Duration::from_secs(3_600));
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 2 && !now.contains(&kid(&before.access)), "{now:?}");
    }

    async fn withdrawn_key_is_published_no_more_and_the_next_one_signs(world) {
        let (_, before) = ada(&world).await;
        let published = kids(&world, "ES256").await;
        let next = published.iter().find(|id| **id != kid(&before.access)).unwrap().clone();
        let id = KeyId::parse(&kid(&before.access)).unwrap();
        world.app.keys().withdraw(id, CLI).await.unwrap();
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 2 && !now.contains(&kid(&before.access)) && now.contains(&next), "{now:?}");
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_eq!(kid(&after.access), next);
    }

    async fn keys_that_have_come_of_age_are_replaced_and_missing_ones_are_published(world) {
        let (_, before) = ada(&world).await;
        world.execute("DELETE FROM signing_keys WHERE state = 'next'").await;
        assert_eq!((world.app.keys().rotate_due().await.unwrap(), kids(&world, "ES256").await.len()), (0, 2));
        world.clock.advance(Duration::from_secs(90 * 86_400));
        // The default tenant's key is as old.
        assert!(world.app.keys().rotate_due().await.unwrap() >= 1);
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 3 && now.contains(&kid(&before.access)), "{now:?}");
        assert_eq!(world.app.keys().rotate_due().await.unwrap(), 0);
    }

    async fn first_application_that_asks_for_an_algorithm_brings_its_keys(world) {
        let (tenant, _) = ada(&world).await;
        let ask = |kind: &str, algorithm: &str| {
            let body = json!({
                "name": "x", "application_type": kind, "tenant_id": tenant.id, "id_token_signed_response_alg": algorithm,
                "redirect_uris": ["https://app.example/"],
            });
            let world = &world;
            async move { world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201) }
        };
        ask("SERVICE", "RS256").await;
        assert_eq!(kids(&world, "RS256").await.len(), 0, "it gets no ID tokens");
        for algorithm in ["RS256", "EdDSA", "ES256"] {
            ask("WEB", algorithm).await;
            let keys = kids(&world, algorithm).await;
            ask("SPA", algorithm).await;
            assert_eq!((keys.len(), kids(&world, algorithm).await), (2, keys), "{algorithm}");
        }
        // Who needs a key that is not there makes it, once.
        let keys = world.app.keys();
        world.execute("DELETE FROM signing_keys WHERE algorithm = 'EdDSA'").await;
        let sign = async || keys.sign(tenant.issuer(), &[], SigningAlgorithm::EdDsa, "JWT", &json!({})).await.unwrap();
        let both = tokio::join!(sign(), sign());
        assert_eq!(both.0, both.1, "a signature of Ed25519 is always the same");
        let events = world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'key.created' AND actor_id IS NOT NULL").await;
        assert!(events >= 4, "{events}");
    }

    async fn platform_has_keys_of_its_own(world) {
        let (tenant, _) = ada(&world).await;
        let of = async |algorithm: &str| {
            // What is known is never older than a second.
            world.clock.advance(Duration::from_secs(1));
            published(&world.get("/platform/.well-known/jwks.json").send().await.expect(200), algorithm)
        };
        let before = of("ES256").await;
        let others = kids(&world, "ES256").await;
        assert!(before.len() == 2 && before.iter().all(|kid| !others.contains(kid)), "{before:?}");
        let body = json!({"name": "x", "application_type": "WEB", "scope_level": "GLOBAL", "redirect_uris": ["https://app.example/"]});
        world.post("/admin/applications").bearer(world.admin().await).json(body).send().await.expect(201);
        assert_eq!((of("RS256").await.len(), kids(&world, "RS256").await.len()), (2, 0));
        world.clock.advance(Duration::from_secs(600));
        let signing = world.app.keys().rotate(Issuer::Platform, ES256, Activation::Published, CLI).await.unwrap();
        let after = of("ES256").await;
        assert!(after.len() == 3 && before.contains(&signing.id.to_string()), "{after:?}");
        assert_eq!(kids(&world, "ES256").await, others);
        let token = world.app.keys().sign(Issuer::Platform, &[], ES256, "JWT", &json!({})).await.unwrap();
        assert_eq!(kid(&token), signing.id.to_string());
        // An installation of before gets them, and a withdrawn one is gone.
        world.execute("DELETE FROM signing_keys WHERE tenant_id IS NULL").await;
        world.app.keys().rotate_due().await.unwrap();
        let made = of("ES256").await;
        world.app.keys().withdraw(KeyId::parse(&made[0]).unwrap(), CLI).await.unwrap();
        let left = of("ES256").await;
        assert!(made.len() == 2 && left.len() == 2 && !left.contains(&made[0]), "{made:?} {left:?}");
        assert_eq!(world.app.keys().list(tenant.issuer(), CLI).await.unwrap().len(), 2);
    }

    async fn rotations_as_often_as_is_allowed_fail_nobody_on_any_replica(world) {
        const STEPS: u32 = 5;
        const RS256: SigningAlgorithm = SigningAlgorithm::Rs256;
        let other = world.replica(|_| {}).await;
        let (tenant, mut session) = ada(&world).await;
        let (id, issuer) = (tenant.issuer().tenant().unwrap().id, tenant.issuer());
        let id_token = async |replica: &World| {
            let facts = replica.app.session_states().tenant(id).await.unwrap().unwrap();
            replica.app.keys().sign(issuer, &facts.keys, RS256, "JWT", &json!({"sub": "ada"})).await.unwrap()
        };
        id_token(&world).await;
        world.clock.advance(PUBLISHED);
        // One keeps keys for as long as the answer says, another for nearly as long as they are published before.
        let mut verifiers = [300, 590].map(|seconds| Verifier { max_age: Duration::from_secs(seconds), read: None });
        let (mut live, mut signers) = (Vec::new(), std::collections::BTreeSet::new());
        for round in 0..4 {
            let rotating = if round % 2 == 0 { &world } else { &other };
            for algorithm in [ES256, RS256] {
                rotating.app.keys().rotate(issuer, algorithm, Activation::Published, CLI).await.unwrap();
            }
            for step in 0..STEPS {
                let now = world.app.env().now();
                for replica in [&other, &world] {
                    session = Signed::of(&replica.refresh("acme", &session.refresh).await.expect(200));
                    live.push((now, session.clone(), id_token(replica).await));
                }
                live.retain(|(at, ..)| now.since(*at) < Duration::from_secs(15 * 60));
                for (_, access, id_token) in &live {
                    signers.extend([kid(&access.access), kid(id_token)]);
                    for replica in [&world, &other] {
                        assert_eq!(replica.me(access).await, 200, "round {round}, step {step}");
                        for verifier in &mut verifiers {
                            let known = [verifier.verifies(replica, &access.access).await, verifier.verifies(replica, id_token).await];
                            assert_eq!(known, [true, true], "round {round}, step {step}, {:?}", verifier.max_age);
                        }
                    }
                }
                // The clock of the test is faster than a replica, which knows within a second what another has done.
                let began = std::time::Instant::now();
                while read(&world, "acme").await.text != read(&other, "acme").await.text {
                    assert!(began.elapsed() < Duration::from_secs(10), "the replicas publish different keys");
                }
                world.clock.advance(PUBLISHED / STEPS);
            }
        }
        assert!(signers.len() >= 8, "{signers:?}");
    }
}
