//! Access tokens that an application exchanges for others, to act for the same user at another API (RFC 8693).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, World, api_tests, claims,
    oauth::{App, Site, basic, refused, text},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

/// An application that the user signs in to, which calls an API (`orders`), which calls others in turn.
struct Chain {
    site: Site,
    shop: App,
    orders: App,
    stock: App,
    tokens: Value,
}

fn uri(name: &str) -> String {
    format!("https://{name}.example/")
}

/// An API with what more it is registered with.
async fn api(site: &Site, name: &str, more: Value) -> App {
    let scopes = [json!({"name": "read", "description": "Read"}), json!({"name": "write", "description": "Write"})];
    let mut body = json!({
        "name": name, "application_type": "SERVICE", "redirect_uris": [], "grant_types": [GRANT],
        "resource_uris": [uri(name)], "resource_scopes": scopes, "allowed_scopes": [],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    site.app(body).await
}

impl Chain {
    async fn new(world: &World) -> Self {
        let site = Site::new(world).await;
        let stock = api(&site, "stock", json!({})).await;
        let next = json!({"allowed_resources": [uri("stock")], "allowed_scopes": ["read", "profile"]});
        let orders = api(&site, "orders", next).await;
        let more =
            json!({"allowed_resources": [uri("orders")], "allowed_scopes": ["openid", "profile", "read", "write"]});
        let shop = site.app(more).await;
        let asked = [("scope", "openid profile read write"), ("resource", &*uri("orders"))];
        let tokens = site.tokens(&Browser::new(world), &shop, &asked).await;
        Self { site, shop, orders, stock, tokens }
    }

    fn subject(&self) -> &str {
        text(&self.tokens, "access_token")
    }

    async fn by(&self, app: &App, token: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields = vec![("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS)];
        fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.site.token(app, &fields).await
    }

    /// What the API gets that the shop calls.
    async fn exchanged(&self) -> Value {
        self.by(&self.orders, self.subject(), &[("resource", &uri("stock"))]).await.expect(200).json()
    }

    async fn told(&self, app: &App, token: &str) -> Value {
        let call = self.site.world.post("/auth/tenants/acme/oauth/introspect");
        let call = call.header("authorization", &basic(&app.id, app.secret.as_deref().unwrap()));
        call.form(&[("token", token)]).send().await.expect(200).json()
    }
}

api_tests! {
    async fn api_gets_a_token_for_the_next_one_that_says_who_acts_for_whom(world) {
        let chain = Chain::new(&world).await;
        let answer = chain.exchanged().await;
        assert_eq!((&answer["issued_token_type"], &answer["token_type"]), (&json!(ACCESS), &json!("Bearer")));
        assert_eq!(answer["scope"], "profile read", "what both have");
        assert!(answer["refresh_token"].is_null() && answer["id_token"].is_null());
        let (before, after) = (claims(chain.subject()), claims(text(&answer, "access_token")));
        for claim in ["sub", "sid", "family_id", "auth_time", "iss", "tenant_id"] {
            assert_eq!(before[claim], after[claim], "{claim}");
        }
        assert_eq!((&after["client_id"], &after["aud"]), (&json!(chain.orders.id), &json!(uri("stock"))));
        assert_eq!(after["act"], json!({"sub": chain.orders.id}));
        let told = chain.told(&chain.stock, text(&answer, "access_token")).await;
        assert_eq!((&told["active"], &told["act"], &told["scope"]), (&json!(true), &after["act"], &json!("profile read")));
        let family = text(&before, "family_id").to_owned();
        assert_eq!(world.events("token_family.exchanged", &family).await, 1);
    }

    async fn target_may_be_named_by_its_client_id(world) {
        let chain = Chain::new(&world).await;
        let stock = chain.stock.id.clone();
        let answer = chain.by(&chain.orders, chain.subject(), &[("audience", &stock)]).await.expect(200).json();
        assert_eq!(claims(text(&answer, "access_token"))["aud"], uri("stock"));
        let both = [("audience", stock.as_str()), ("resource", &uri("stock"))];
        chain.by(&chain.orders, chain.subject(), &both).await.expect(200);
        for more in [
            &[("audience", chain.shop.id.as_str())][..], &[("audience", "app_nobody")], &[("resource", "https://other.example")],
            &[("audience", chain.orders.id.as_str()), ("resource", &uri("stock"))],
        ] {
            assert_eq!(refused(chain.by(&chain.orders, chain.subject(), more).await, 400), "invalid_target", "{more:?}");
        }
        assert_eq!(refused(chain.by(&chain.orders, chain.subject(), &[]).await, 400), "invalid_request");
    }

    async fn scopes_are_within_both_the_token_and_the_application(world) {
        let chain = Chain::new(&world).await;
        let stock = uri("stock");
        let ask = async |scope: &str| chain.by(&chain.orders, chain.subject(), &[("resource", &stock), ("scope", scope)]).await;
        assert_eq!(ask("read").await.expect(200).json()["scope"], "read");
        for scope in ["write", "read write", "openid", "nonsense", "admin:read"] {
            assert_eq!(refused(ask(scope).await, 400), "invalid_scope", "{scope}");
        }
    }

    async fn only_a_token_of_a_user_that_is_for_the_application_is_exchanged(world) {
        let chain = Chain::new(&world).await;
        let (site, target) = (&chain.site, uri("stock"));
        let target = [("resource", target.as_str())];
        let other = api(site, "other", json!({"allowed_resources": [uri("stock")]})).await;
        let robot = json!({"grant_types": ["client_credentials"], "allowed_resources": [uri("orders")], "allowed_scopes": ["read"]});
        let robot = api(site, "robot", robot).await;
        let own = site.token(&robot, &[("grant_type", "client_credentials"), ("resource", &uri("orders"))]).await;
        let own = text(&own.expect(200).json(), "access_token").to_owned();
        let first_party = world.login(&site.ada).await;
        let for_shop = site.tokens(&Browser::new(&world), &site.app(json!({})).await, &[]).await;
        for (app, token) in [
            (&other, chain.subject()), (&chain.orders, own.as_str()), (&chain.orders, first_party.as_ref()),
            (&chain.orders, text(&for_shop, "access_token")), (&chain.orders, text(&for_shop, "id_token")),
            (&chain.orders, text(&chain.tokens, "refresh_token")), (&chain.orders, "nonsense"),
        ] {
            assert_eq!(refused(chain.by(app, token, &target).await, 400), "invalid_request", "{token}");
        }
        assert_eq!(refused(chain.by(&chain.shop, chain.subject(), &target).await, 400), "unauthorized_client");
        for more in [
            ("actor_token", "x"), ("subject_token_type", ""), ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), ("subject_token", ""),
        ] {
            let more = [target[0], more];
            assert_eq!(refused(chain.by(&chain.orders, chain.subject(), &more).await, 400), "invalid_request", "{more:?}");
        }
        chain.by(&chain.orders, chain.subject(), &[target[0], ("requested_token_type", ACCESS)]).await.expect(200);
    }

    async fn token_that_was_got_in_exchange_opens_nothing_of_ours(world) {
        let chain = Chain::new(&world).await;
        let token = chain.exchanged().await;
        let token = text(&token, "access_token");
        chain.site.user_info(token).await.expect(401);
        world.get("/me").bearer(token).send().await.expect(401);
        assert_eq!(chain.told(&chain.site.app(json!({})).await, token).await, json!({"active": false}));
    }

    async fn it_ends_no_later_than_the_one_that_was_shown(world) {
        let chain = Chain::new(&world).await;
        world.clock.advance(Duration::from_secs(200));
        let answer = chain.exchanged().await;
        let (before, after) = (claims(chain.subject()), claims(text(&answer, "access_token")));
        assert_eq!(before["exp"], after["exp"]);
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds <= 100), "{answer}");
        world.clock.advance(Duration::from_secs(100));
        let late = chain.by(&chain.orders, chain.subject(), &[("resource", &uri("stock"))]).await;
        assert_eq!(refused(late, 400), "invalid_request");
    }

    async fn at_most_five_applications_act_one_behind_the_other(world) {
        let chain = Chain::new(&world).await;
        let stock = uri("stock");
        let rounds = json!({"allowed_resources": [stock], "allowed_scopes": ["read"]});
        let path = format!("/tenants/{}/applications/{}", chain.site.tenant.id, chain.stock.id);
        world.patch(&path).bearer(&chain.site.boss).json(rounds).send().await.expect(200);
        let mut token = text(&chain.exchanged().await, "access_token").to_owned();
        for _ in 2..=5 {
            let next = chain.by(&chain.stock, &token, &[("resource", &stock)]).await.expect(200).json();
            text(&next, "access_token").clone_into(&mut token);
        }
        assert_eq!(claims(&token)["act"]["act"]["act"]["act"]["act"], json!({"sub": chain.orders.id}));
        assert_eq!(refused(chain.by(&chain.stock, &token, &[("resource", &stock)]).await, 400), "invalid_request");
    }

    async fn whatever_ends_the_first_token_ends_those_that_were_got_for_it(world) {
        let chain = Chain::new(&world).await;
        let (site, token) = (&chain.site, chain.exchanged().await);
        let token = text(&token, "access_token");
        let is_active = async || chain.told(&chain.stock, token).await["active"].clone();
        assert_eq!(is_active().await, true);
        site.change(&chain.shop, json!({"status": "SUSPENDED"})).await;
        assert_eq!(is_active().await, false);
        site.change(&chain.shop, json!({"status": "ACTIVE"})).await;
        assert_eq!(is_active().await, true);
        site.change(&chain.orders, json!({"status": "SUSPENDED"})).await;
        assert_eq!(is_active().await, false);
        site.change(&chain.orders, json!({"status": "ACTIVE"})).await;
        let session = text(&claims(token), "sid").to_owned();
        world.delete(&format!("/tenants/{}/sessions/{session}", site.tenant.id)).bearer(&site.boss).send().await.expect(204);
        assert_eq!(is_active().await, false);
    }

    async fn revoking_the_tokens_of_an_application_ends_those_that_it_got_in_exchange(world) {
        let chain = Chain::new(&world).await;
        let before = chain.exchanged().await;
        let path = format!("/tenants/{}/applications/{}/revoke-tokens", chain.site.tenant.id, chain.orders.id);
        world.post(&path).bearer(&chain.site.boss).send().await.expect(200);
        let after = chain.exchanged().await;
        for (tokens, is_active) in [(before, false), (after, true)] {
            assert_eq!(chain.told(&chain.stock, text(&tokens, "access_token")).await["active"], is_active);
        }
    }

    async fn exchange_costs_two_statements_at_most(world) {
        let chain = Chain::new(&world).await;
        let mut least = u64::MAX;
        for _ in 0..4 {
            let before = world.app.db().statements().0;
            chain.exchanged().await;
            least = least.min(world.app.db().statements().0 - before);
        }
        assert!(least <= 2, "{least}");
    }
}
