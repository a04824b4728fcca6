//! The keys of an issuer as applications and APIs read them, and how one takes the place of another.

use std::time::Duration;

use gatehouse_domain::{
    application::SigningAlgorithm,
    authz::{SystemReason, TenantRef},
    id::{PartnerId, TenantId},
    issue::Parse,
};
use gatehouse_server::app::{Error, platform::keys::Activation};
use serde_json::{Value, json};

use crate::harness::{Answer, Signed, Tenant, World, api_tests};

const ES256: SigningAlgorithm = SigningAlgorithm::Es256;
const CLI: SystemReason = SystemReason::Cli;

fn reference(tenant: &Tenant) -> TenantRef {
    TenantRef { id: TenantId::parse(&tenant.id).unwrap(), partner_id: PartnerId::parse(&tenant.partner_id).unwrap() }
}

async fn read(world: &World, slug: &str) -> Answer {
    world.get(&format!("/auth/tenants/{slug}/.well-known/jwks.json")).send().await
}

/// The ids of the keys that are published, with an algorithm.
async fn kids(world: &World, algorithm: &str) -> Vec<String> {
    // What is known of a tenant is never older than a second.
    world.clock.advance(Duration::from_secs(1));
    let keys = read(world, "acme").await.expect(200).json()["keys"].as_array().unwrap().clone();
    let of = keys.iter().filter(|key| key["alg"] == algorithm);
    of.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that signed.
fn kid(signed: &Signed) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let header = BASE64_URL_SAFE_NO_PAD.decode(signed.access.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
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
        assert!(kids(&world, "ES256").await.contains(&kid(&ada)));
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
        let rotate = async |when| world.app.keys().rotate(reference(&tenant), ES256, when, CLI).await;
        assert!(matches!(rotate(Activation::Published).await, Err(Error::Conflict(_))));
        assert_eq!(kids(&world, "ES256").await, published);
        world.clock.advance(Duration::from_secs(600));
        let signing = rotate(Activation::Published).await.unwrap().id.to_string();
        assert!(published.contains(&signing) && signing != kid(&before));
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 3 && published.iter().all(|kid| now.contains(kid)), "{now:?}");
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_eq!((kid(&after), world.me(&before).await, world.me(&after).await), (signing, 200, 200));
        // The one before verifies for an hour, and is published for as long.
        world.clock.advance(Duration::from_secs(3_600));
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 2 && !now.contains(&kid(&before)), "{now:?}");
    }

    async fn withdrawn_key_is_published_no_more_and_the_next_one_signs(world) {
        let (_, before) = ada(&world).await;
        let published = kids(&world, "ES256").await;
        let next = published.iter().find(|id| **id != kid(&before)).unwrap().clone();
        let id = gatehouse_domain::id::KeyId::parse(&kid(&before)).unwrap();
        world.app.keys().withdraw(id, CLI).await.unwrap();
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 2 && !now.contains(&kid(&before)) && now.contains(&next), "{now:?}");
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_eq!(kid(&after), next);
    }

    async fn keys_that_have_come_of_age_are_replaced_and_missing_ones_are_published(world) {
        let (_, before) = ada(&world).await;
        world.execute("DELETE FROM signing_keys WHERE state = 'next'").await;
        assert_eq!((world.app.keys().rotate_due().await.unwrap(), kids(&world, "ES256").await.len()), (0, 2));
        world.clock.advance(Duration::from_secs(90 * 86_400));
        // The default tenant's key is as old.
        assert!(world.app.keys().rotate_due().await.unwrap() >= 1);
        let now = kids(&world, "ES256").await;
        assert!(now.len() == 3 && now.contains(&kid(&before)), "{now:?}");
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
        let facts = world.app.session_states().tenant(reference(&tenant).id).await.unwrap().unwrap();
        world.execute("DELETE FROM signing_keys WHERE algorithm = 'EdDSA'").await;
        world.clock.advance(Duration::from_secs(1));
        let facts = gatehouse_persistence::TenantFacts { keys: Vec::new(), ..(*facts).clone() };
        let both = tokio::join!(keys.signer(&facts, SigningAlgorithm::EdDsa), keys.signer(&facts, SigningAlgorithm::EdDsa));
        assert_eq!(both.0.unwrap().id, both.1.unwrap().id);
        let events = world.number("SELECT COUNT(*) FROM audit_events WHERE action = 'key.created' AND actor_id IS NOT NULL").await;
        assert!(events >= 4, "{events}");
    }
}
