//! Registering, signing in, refreshing, signing out: `POST /auth/tenants/{tenant_slug}/…`.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Signed, api_tests, claims};

api_tests! {
    async fn registered_person_signs_in_with_user_name_or_email(world) {
        let tenant = world.tenant("acme").await;
        let ada = world.person(&tenant, "ada").await;
        for name in ["ada", "ada@acme.example", "ADA@ACME.example"] {
            let signed = Signed::of(&world.try_login("acme", name, PASSWORD).await.expect(200));
            let me = world.get("/me").bearer(&signed).send().await.expect(200).data();
            assert_eq!(me["id"], Value::String(ada.id.clone()));
        }
    }

    async fn login_answers_a_bare_token_pair(world) {
        let tenant = world.tenant("acme").await;
        world.person(&tenant, "ada").await;
        let answer = world.try_login("acme", "ada", PASSWORD).await.expect(200);
        let pair = answer.json();
        let mut keys: Vec<_> = pair.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["access_token", "expires_in", "refresh_token", "token_type"]);
        assert_eq!(pair["token_type"], "bearer");
        assert_eq!(pair["expires_in"], 900);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let claims = claims(pair["access_token"].as_str().unwrap());
        assert_eq!(claims["iss"], claims["aud"]);
    }

    async fn register_takes_no_role(world) {
        world.tenant("acme").await;
        let body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD, "rol_id": 1});
        let answer = world.post("/auth/tenants/acme/register").json(body).send().await;
        assert_eq!(answer.faults(), ["body.rol_id extra_forbidden"]);
        world.try_login("acme", "eve", PASSWORD).await.problem(401, "invalid_credentials");
    }
}
