//! Tokens that are real, and of others, or of another kind.

use gatehouse_domain::application::SigningAlgorithm::Rs256;
use serde_json::{Value, json};

use super::{API, At, Kind, Said, Scene, sign_in};
use crate::harness::{
    Browser,
    oauth::{App, Site, code, text},
    platform::{self, AT},
};

/// A token, where it counts, and where it is known for what it is and may do less than is asked.
struct Swap {
    name: &'static str,
    token: String,
    counts: &'static [At],
    lacks: &'static [At],
}

fn swap(name: &'static str, token: impl Into<String>, counts: &'static [At], lacks: &'static [At]) -> Swap {
    Swap { name, token: token.into(), counts, lacks }
}

impl Scene {
    /// What the application itself and its neighbours have.
    async fn of_neighbours(&self) -> Vec<Swap> {
        let (world, site, browser) = (&self.world, &self.site, Browser::new(&self.world));
        let spa = site
            .app(json!({"name": "Till", "application_type": "SPA", "redirect_uris": ["https://till.example/cb"]}))
            .await;
        let of_ada = site.tokens(&browser, &spa, &[]).await;
        let theirs = code(&browser.get(&site.request(&spa, &[])).await);
        let own = code(&self.browser.get(&site.request(&self.wiki, &[("scope", "openid")])).await);
        let of_boss = sign_in(site, &self.browser, &self.wiki, "boss", "openid").await;
        let service = json!({"name": "Clerk", "application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"]});
        let service = site.app(service).await;
        let credentials = site.token(&service, &[("grant_type", "client_credentials")]).await.expect(200).json();
        let pushed = self.send("par", &self.wiki, &[("response_type", "code")]).await;
        let exchanged = At::Subject.show(self, &self.real(Kind::Subject).text).await.unwrap().expect(200).json();
        let bearer = site.boss.clone();
        vec![
            swap("access token of a sign-in", &bearer.access, &[At::Me, At::Users, At::Introspection], &[]),
            swap("refresh token of a sign-in", &bearer.refresh, &[], &[]),
            swap(
                "access token of another application",
                text(&of_ada, "access_token"),
                &[At::UserInfo, At::UserInfoForm],
                &[],
            ),
            swap("ID token of another application and user", text(&of_ada, "id_token"), &[], &[At::Authorize]),
            swap("refresh token of another application", text(&of_ada, "refresh_token"), &[], &[]),
            swap("code of another application", theirs, &[], &[]),
            swap("own refresh token", text(&of_boss, "refresh_token"), &[At::Introspection, At::Revocation], &[]),
            swap("own code", own, &[], &[]),
            swap("own secret", self.wiki.secret.clone().unwrap(), &[], &[]),
            swap("own id", &self.wiki.id, &[], &[]),
            swap("token of a service", text(&credentials, "access_token"), &[At::Users, At::Introspection], &[At::Me]),
            swap("secret of a service", service.secret.unwrap(), &[], &[]),
            swap("exchanged token", text(&exchanged, "access_token"), &[At::Introspection, At::Revocation], &[]),
            swap("answer of a push", pushed.text, &[], &[]),
            swap(
                "cookie of the browser",
                self.browser.cookies().into_values().max_by_key(String::len).unwrap(),
                &[],
                &[],
            ),
            swap("logout token", self.logout_token(world).await, &[], &[]),
        ]
    }

    async fn logout_token(&self, world: &crate::harness::World) -> String {
        let id = &self.real(Kind::Id).payload;
        let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let claims = json!({"iss": id["iss"], "sub": id["sub"], "sid": id["sid"], "aud": id["aud"], "iat": id["iat"],
            "exp": id["exp"], "jti": "0197f2d3-0000-7000-8000-000000000000", "events": events});
        world.app.keys().sign(self.site.tenant.issuer(), &[], Rs256, "logout+jwt", &claims).await.unwrap()
    }

    /// What there is in another tenant and at the platform.
    async fn of_strangers(&self) -> Vec<Swap> {
        let world = &self.world;
        let boss = world.tenant_admin(&self.far, "boss").await;
        let abroad = Site { world: world.clone(), tenant: self.far.clone(), boss: world.login(&boss).await, ada: boss };
        let app = abroad.app(json!({"allowed_scopes": ["openid", "account:read", "users:read"]})).await;
        let of_far = abroad.tokens(&Browser::new(world), &app, &[("scope", "openid")]).await;
        let portal = json!({"allowed_scopes": ["openid", "profile"]});
        let portal = platform::app(world, portal).await;
        let of_platform = platform::tokens(world, &Browser::new(world), &portal, &self.site.ada).await;
        let robot = json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"]});
        let robot: App = platform::app(world, robot).await;
        let credentials = [("grant_type", "client_credentials")];
        let credentials = crate::harness::oauth::token_at(world, AT, &robot, &credentials).await.expect(200).json();
        let of = |tokens: &Value, name: &str| text(tokens, name).to_owned();
        vec![
            swap("access token of a sign-in to another tenant", &abroad.boss.access, &[At::Me], &[At::Users]),
            swap("access token of another tenant", of(&of_far, "access_token"), &[], &[]),
            swap("ID token of another tenant", of(&of_far, "id_token"), &[], &[]),
            swap("refresh token of another tenant", of(&of_far, "refresh_token"), &[], &[]),
            swap("access token of the platform", of(&of_platform, "access_token"), &[], &[]),
            swap("ID token of the platform", of(&of_platform, "id_token"), &[], &[]),
            swap("refresh token of the platform", of(&of_platform, "refresh_token"), &[], &[]),
            swap("token of a service of the platform", of(&credentials, "access_token"), &[At::Users], &[At::Me]),
        ]
    }

    fn nonsensical() -> Vec<Swap> {
        let all = [
            "null",
            "undefined",
            "{}",
            "[]",
            "0",
            "a.b.c",
            "..",
            "...",
            ".",
            "e30.e30.e30",
            "e30.e30.",
            "eyJhbGciOiJub25lIn0.e30.",
            "' OR '1'='1",
            "<script>",
            "../../etc/passwd",
            "%00",
            "${jndi:ldap://evil.example}",
            "ghg_",
            "ghk_",
            "gha_",
            "ghg_x.y",
            API,
        ];
        all.map(|text| swap(text, text, &[], &[])).into()
    }

    pub(super) async fn assert_swaps_are_refused(&self) {
        let swaps = [self.of_neighbours().await, self.of_strangers().await, Self::nonsensical()];
        let nonsense = self.nonsense().await;
        let mut faults = Vec::new();
        for swap in swaps.iter().flatten() {
            for (at, nonsense) in At::ALL.into_iter().zip(&nonsense) {
                let counts = swap.counts.contains(&at);
                if swap.lacks.contains(&at) {
                    let said = at.said(&at.show(self, &swap.token).await.unwrap());
                    let is_less =
                        [("missing_permission", At::Me), ("not_found", At::Users), ("login_required", At::Authorize)]
                            .iter()
                            .any(|(error, place)| *place == at && said == Said::Refused((*error).to_owned()));
                    assert!(is_less, "{} at {at:?}: {said:?}", swap.name);
                } else if let Some(fault) = self.fault(at, &swap.token, counts, nonsense).await {
                    faults.push(format!("{} at {at:?}: {fault}", swap.name));
                }
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        // Nothing of theirs has ended either.
        for swap in swaps.iter().flatten() {
            for at in swap.counts.iter().filter(|at| !at.ends()) {
                let said = at.said(&at.show(self, &swap.token).await.unwrap());
                assert_eq!(said, Said::Taken, "{} at {at:?}", swap.name);
            }
        }
    }
}
