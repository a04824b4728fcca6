//! Access tokens as the API meets them: in which header, of which tenant, until when.

use std::time::Duration;

use gatehouse_domain::{application::SigningAlgorithm, authz::SystemReason, id::KeyId, issue::Parse};
use gatehouse_server::app::platform::keys::Activation;
use serde_json::{Value, json};

use crate::harness::{Signed, Tenant, World, api_tests};

async fn ada(world: &World) -> (Tenant, Signed) {
    let tenant = world.tenant("acme").await;
    let ada = world.person(&tenant, "ada").await;
    (tenant, world.login(&ada).await)
}

fn kid(token: &str) -> KeyId {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    KeyId::parse(header["kid"].as_str().unwrap()).unwrap()
}

api_tests! {
    async fn token_counts_in_the_authorization_header_only(world) {
        let (_, ada) = ada(&world).await;
        let missing = world.get("/me").send().await.problem(401, "unauthenticated");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        world.get("/me").header("x-access-token", &ada.access).send().await.problem(401, "unauthenticated");
        world.get("/me").header("cookie", &format!("access_token={}", ada.access)).send().await.problem(401, "unauthenticated");
        let in_query = world.get(&format!("/me?access_token={}", ada.access)).send().await;
        in_query.problem(401, "unauthenticated");
        let in_body = [("access_token", ada.access.as_str())];
        world.patch("/me").form(&in_body).send().await.problem(401, "unauthenticated");
    }

    async fn any_shape_of_authorization_is_a_token_or_a_401(world) {
        let (_, ada) = ada(&world).await;
        let token = &ada.access;
        for good in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token}")] {
            world.get("/me").header("authorization", &good).send().await.expect(200);
        }
        let long = "a".repeat(10_000);
        for bad in [
            "", " ", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Bearer null", "Bearer undefined", "Bearer ..", "Bearer a.b.c", "Bearer {}", "Bearer \t",
            "Digest username=\"a\"", "Negotiate", "Token x", "Bearer:x", "Bearer,", "=", "\"", "Bearer %00", "Bearer ' OR '1'='1",
        ] {
            let answer = world.get("/me").header("authorization", bad).send().await.problem(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{bad}");
        }
        for bad in [format!("Bearer {token}x"), format!("Bearer{token}"), token.clone(), format!("Bearer {token}, Bearer {token}"), format!("Bearer {long}"), format!("Bearer {}", ada.refresh)] {
            world.get("/me").header("authorization", &bad).send().await.problem(401, "invalid_token");
        }
        let twice = world.get("/me").bearer(token).bearer(token).send().await;
        twice.problem(401, "invalid_token");
    }

    async fn access_token_ends_after_its_lifetime(world) {
        let (tenant, first) = ada(&world).await;
        world.settings(&tenant, json!({"access_token_minutes": 5})).await;
        let second = Signed::of(&world.try_login("acme", "ada", crate::harness::PASSWORD).await.expect(200));
        world.clock.advance(Duration::from_secs(299));
        assert_eq!((world.me(&first).await, world.me(&second).await), (200, 200));
        world.clock.advance(Duration::from_secs(2));
        assert_eq!((world.me(&first).await, world.me(&second).await), (200, 401));
        world.clock.advance(Duration::from_secs(600));
        world.get("/me").bearer(&first).send().await.problem(401, "invalid_token");
    }

    async fn access_token_is_no_refresh_token_and_the_reverse(world) {
        let (_, ada) = ada(&world).await;
        world.refresh("acme", &ada.access).await.problem(401, "refresh_token_invalid");
        world.get("/me").bearer(&ada.refresh).send().await.problem(401, "invalid_token");
    }

    async fn missing_permission_is_an_insufficient_scope(world) {
        let (tenant, ada) = ada(&world).await;
        let path = format!("/tenants/{}/sessions", tenant.id);
        let answer = world.get(&path).bearer(&ada).send().await.problem(403, "missing_permission");
        assert_eq!(answer.json()["detail"], "Missing permission sessions:read");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"insufficient_scope\""));
    }

    async fn rotated_key_goes_on_verifying_and_the_new_one_signs(world) {
        let (tenant, before) = ada(&world).await;
        world.clock.advance(Duration::from_secs(2));
        world.app.keys().rotate(tenant.issuer(), SigningAlgorithm::Es256, Activation::AtOnce, SystemReason::Cli).await.unwrap();
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_ne!(kid(&before.access), kid(&after.access));
        assert_eq!((world.me(&before).await, world.me(&after).await), (200, 200));
        // Longer than any access token lives, the old key verifies nothing more.
        world.clock.advance(Duration::from_secs(3_601));
        assert_eq!(world.me(&before).await, 401);
    }

    async fn key_signs_nothing_until_every_replica_knows_it(world) {
        let signing = world.replica(|config| config.limits.refreshes = None).await;
        let (tenant, mut before) = ada(&world).await;
        world.clock.advance(Duration::from_secs(2));
        assert_eq!(world.me(&before).await, 200);
        for _ in 0..40 {
            signing.app.keys().rotate(tenant.issuer(), SigningAlgorithm::Es256, Activation::AtOnce, SystemReason::Cli).await.unwrap();
            let after = Signed::of(&signing.refresh("acme", &before.refresh).await.expect(200));
            for replica in [&world, &signing] {
                assert_eq!((replica.me(&before).await, replica.me(&after).await), (200, 200));
            }
            before = after;
        }
    }

    async fn withdrawn_key_verifies_nothing_at_once(world) {
        let (tenant, before) = ada(&world).await;
        assert_eq!(world.me(&before).await, 200);
        world.app.keys().withdraw(kid(&before.access), SystemReason::Cli).await.unwrap();
        world.get("/me").bearer(&before).send().await.problem(401, "invalid_token");
        let after = Signed::of(&world.refresh("acme", &before.refresh).await.expect(200));
        assert_eq!(world.me(&after).await, 200);
        assert_eq!(world.app.keys().list(tenant.issuer(), SystemReason::Cli).await.unwrap().len(), 3);
    }

    async fn private_keys_are_sealed_and_public_parts_say_nothing_of_them(world) {
        ada(&world).await;
        for jwk in world.text("SELECT public_jwk FROM signing_keys").await {
            let jwk: Value = serde_json::from_str(&jwk).unwrap();
            assert!(jwk.get("d").is_none(), "{jwk}");
        }
        // PKCS #8 of an EC key names its curve; what is stored is not PKCS #8.
        let sealed = match world.app.db().is_sqlite() {
            true => "SELECT hex(private_sealed) FROM signing_keys",
            false => "SELECT upper(encode(private_sealed, 'hex')) FROM signing_keys",
        };
        for sealed in world.text(sealed).await {
            assert!(!sealed.contains("2A8648CE3D0201"), "the private key is in the clear");
        }
    }

    async fn token_of_one_tenant_is_of_no_use_at_another(world) {
        let (_, ada) = ada(&world).await;
        let other = world.tenant("globex").await;
        let path = format!("/tenants/{}/sessions", other.id);
        let foreign = world.get(&path).bearer(&ada).send().await.problem(404, "not_found");
        let unknown = world.get("/tenants/tnt_01h455vb4pex5vsknk084sn02q/sessions").bearer(&ada).send().await;
        assert_eq!(foreign.anonymised(), unknown.anonymised());
        world.refresh("globex", &ada.refresh).await.problem(401, "refresh_token_invalid");
        world.refresh("acme", &ada.refresh).await.expect(200);
    }

    async fn issuer_never_follows_the_host_header(world) {
        let (_, ada) = ada(&world).await;
        let honest = ada.claim("iss");
        for (name, value) in [
            ("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil.example;proto=https"),
            ("x-forwarded-prefix", "/evil"), ("x-forwarded-port", "444"), ("x-original-url", "/evil"), ("x-rewrite-url", "/evil"),
        ] {
            let form = [("username", "ada"), ("password", crate::harness::PASSWORD)];
            let answer = world.post("/auth/tenants/acme/login").header(name, value).form(&form).send().await.expect(200);
            assert_eq!(Signed::of(&answer).claim("iss"), honest, "{name}");
            assert!(!answer.text.contains("evil"));
        }
    }

    async fn token_of_a_former_issuer_is_invalid_everywhere(world) {
        let (tenant, ada) = ada(&world).await;
        assert_eq!(world.me(&ada).await, 200);
        let path = format!("/admin/tenants/{}", tenant.id);
        let admin = world.admin().await;
        world.patch(&path).bearer(&admin).json(json!({"slug": "acme-two"})).send().await.expect(200);
        assert_eq!((world.me(&ada).await, world.replica(|_| {}).await.me(&ada).await), (401, 401));
        let next = Signed::of(&world.refresh("acme-two", &ada.refresh).await.expect(200));
        assert_eq!(world.me(&next).await, 200);
    }
}
