//! What an issuer says of itself, at each address where clients look for it.

use serde_json::json;

use crate::harness::{World, api_tests};

const ADDRESSES: [&str; 3] = [
    "/auth/tenants/acme/.well-known/openid-configuration",
    "//.well-known/openid-configuration/api/v1/auth/tenants/acme",
    "//.well-known/oauth-authorization-server/api/v1/auth/tenants/acme",
];

/// A server that has a public address.
async fn public(world: &World) -> World {
    world.replica(|config| config.public_url = Some("https://id.example.com".parse().unwrap())).await
}

api_tests! {
    async fn metadata_are_the_same_bytes_at_three_addresses_and_name_the_issuer_of_tokens(world) {
        let world = public(&world).await;
        let tenant = world.tenant("acme").await;
        let first = world.get(ADDRESSES[0]).send().await.expect(200);
        for address in ADDRESSES {
            let answer = world.get(address).send().await.expect(200);
            assert_eq!((&answer.text, answer.header("etag")), (&first.text, first.header("etag")), "{address}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let known = world.get(address).header("if-none-match", first.header("etag").unwrap()).send().await.expect(304);
            assert_eq!((known.text.as_str(), known.header("access-control-allow-origin")), ("", Some("*")));
        }
        let says = first.json();
        let issuer = "https://id.example.com/api/v1/auth/tenants/acme";
        assert_eq!((&says["issuer"], &says["service_documentation"]), (&json!(issuer), &json!("https://id.example.com/docs/")));
        let signed = world.login(&world.person(&tenant, "ada").await).await;
        assert_eq!(signed.claim("iss"), issuer);
        let keys = says["jwks_uri"].as_str().unwrap().strip_prefix("https://id.example.com").unwrap();
        world.get(&format!("/{keys}")).send().await.expect(200);
    }

    async fn metadata_are_those_of_the_public_address_whatever_a_request_says_of_its_way(world) {
        let world = public(&world).await;
        world.tenant("acme").await;
        let first = world.get(ADDRESSES[0]).send().await.expect(200);
        for address in ADDRESSES {
            for (name, value) in [
                ("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"),
                ("x-forwarded-prefix", "/evil"), ("x-forwarded-port", "81"), ("origin", "https://app.example"),
                ("forwarded", "host=evil.example;proto=http"), ("authorization", "Bearer none.of.ours"),
            ] {
                let answer = world.get(address).header(name, value).send().await.expect(200);
                assert_eq!((&answer.text, answer.header("etag")), (&first.text, first.header("etag")), "{address} {name}");
            }
        }
    }

    async fn metadata_of_a_suspended_tenant_stay_and_nobody_elses_are_there(world) {
        let tenant = world.tenant("acme").await;
        let first = world.get(ADDRESSES[0]).send().await.expect(200);
        world.set_status("tenants", &tenant.id, "SUSPENDED").await;
        for address in ADDRESSES {
            assert_eq!(world.get(address).send().await.expect(200).text, first.text);
            for other in ["nobody", "ACME", "acme/x"] {
                world.get(&address.replace("acme", other)).send().await.expect(404);
            }
        }
        for address in ["//.well-known/openid-configuration", "//.well-known/oauth-authorization-server"] {
            world.get(address).send().await.expect(404);
        }
    }
}
