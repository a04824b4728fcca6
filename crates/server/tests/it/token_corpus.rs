//! Tokens that are forged, mangled or shown where they do not belong, at everybody who takes tokens. What is not exactly
//! what is taken there is refused in the same words as nonsense, and the token that it was made of goes on counting where
//! it belongs.

mod forge;
mod headers;
mod mutant;
mod payloads;
mod signatures;
mod swaps;
mod verifiers;

use std::{rc::Rc, time::Instant};

use futures_util::future::LocalBoxFuture;
use gatehouse_domain::{
    application::SigningAlgorithm::{EdDsa, Es256, Rs256},
    authz::SystemReason,
    id::KeyId,
    issue::Parse,
    key::{Issuer, KeyState},
};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Browser, Form, PASSWORD, Tenant, World, api_tests, claims,
    oauth::{App, Site, code, text},
};

use forge::{Key, Kind, Real};
use mutant::{Mutant, Others};
use verifiers::{At, Said};

const API: &str = "https://files.example/v1";
const ENDED: &str = "ended something";
const PUBLIC: &str = "https://id.example.com";

/// Where a token counts that was not touched.
const fn belongs(kind: Kind) -> &'static [At] {
    match kind {
        Kind::Access => &[At::Me, At::Users, At::UserInfo, At::UserInfoForm, At::Introspection, At::Revocation],
        Kind::Subject => &[At::UserInfo, At::UserInfoForm, At::Introspection, At::Revocation, At::Subject],
        Kind::Id => &[At::Authorize, At::Logout],
        Kind::Assertion => &[At::Assertion],
    }
}

/// An administrator who is signed in to an application, and a service that signs assertions.
pub struct Scene {
    world: World,
    site: Site,
    /// The tenant of others.
    far: Tenant,
    wiki: App,
    robot: App,
    browser: Browser,
    tokens: Vec<Real>,
    others: Others,
}

async fn sign_in(site: &Site, browser: &Browser, app: &App, name: &str, scope: &str) -> Value {
    let page = browser.get(&site.request(app, &[("scope", scope)])).await;
    let answer = if page.status == 200 {
        browser.submit(&Form::of(&page), &[("username", name), ("password", PASSWORD)]).await
    } else {
        page
    };
    site.exchange(app, &code(&answer)).await.expect(200).json()
}

/// The application that people sign in to, which also exchanges tokens, and the service.
async fn applications(site: &Site, key: &Key) -> (App, App) {
    let api = json!({"name": "Files", "application_type": "SERVICE", "redirect_uris": [], "resource_uris": [API],
        "resource_scopes": [{"name": "files:read", "description": null}]});
    site.app(api).await;
    let wiki = json!({"allowed_scopes": ["openid", "profile", "account:read", "users:read"], "allowed_resources": [API],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]});
    let mut jwk: Value = serde_json::from_str(&key.jwk).unwrap();
    jwk["kid"] = json!(key.id);
    let robot = json!({"application_type": "SERVICE", "redirect_uris": [], "allowed_scopes": ["users:read"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}});
    (site.app(wiki).await, site.app(robot).await)
}

/// An assertion that is right but for its id.
fn assertion(robot: &App, key: &Rc<Key>, now: i64) -> Real {
    let header = json!({"alg": "ES256", "kid": key.id, "typ": "JWT"});
    let issuer = format!("{PUBLIC}/api/v1/auth/tenants/acme");
    let payload = json!({"iss": robot.id, "sub": robot.id, "aud": issuer, "exp": now + 60, "jti": "first"});
    let text = format!("{}.{}", forge::encoded(header.to_string()), forge::encoded(payload.to_string()));
    let text = format!("{text}.{}", key.signature(&text));
    Real { kind: Kind::Assertion, header, payload, key: Rc::clone(key), text }
}

impl Scene {
    fn new(world: &World) -> LocalBoxFuture<'_, Self> {
        // Boxed, because the tests that wait for it would otherwise be as large as it is.
        Box::pin(Self::make(world))
    }

    async fn make(world: &World) -> Self {
        let world = world.replica(|config| config.public_url = Some(PUBLIC.parse().unwrap())).await;
        let (site, far) = (Site::new(&world).await, world.tenant("far").await);
        let key = Rc::new(Key::new("key_robot", Es256));
        let (wiki, robot) = applications(&site, &key).await;
        let browser = Browser::new(&world);
        let of_api = sign_in(&site, &browser, &wiki, "boss", "openid account:read users:read").await;
        let own = sign_in(&site, &browser, &wiki, "boss", "openid profile").await;
        let issuer = site.tenant.issuer();
        let signs = async |algorithm| Rc::new(Key::of(&world, issuer, algorithm, KeyState::Current).await);
        let now = world.app.env().now().unix_seconds();
        let tokens = vec![
            Real::of(Kind::Access, text(&of_api, "access_token"), &signs(Es256).await),
            Real::of(Kind::Subject, text(&own, "access_token"), &signs(Es256).await),
            Real::of(Kind::Id, text(&of_api, "id_token"), &signs(Rs256).await),
            assertion(&robot, &key, now),
        ];
        let others = others(&site, &far, &wiki, &of_api).await;
        Self { world, site, far, wiki, robot, browser, tokens, others }
    }

    fn real(&self, kind: Kind) -> &Real {
        self.tokens.iter().find(|token| token.kind == kind).unwrap()
    }

    /// Whether nothing has ended of what was signed in.
    async fn stands(&self) -> bool {
        let mut stands = true;
        for kind in [Kind::Access, Kind::Subject] {
            stands &= self.site.user_info(&self.real(kind).text).await.status == 200;
        }
        stands
    }

    /// Shows a token, and says what was wrong with the answer; `counts` says whether it does here.
    async fn fault(&self, at: At, token: &str, counts: bool, nonsense: &Answer) -> Option<String> {
        if counts && at.ends() {
            return None;
        }
        let answer = at.show(self, token).await?;
        let said = at.said(&answer);
        let is_usual = said == Said::Refused(at.usual().to_owned());
        let is_documented = match &said {
            Said::Taken => counts,
            // Sessions that have ended are told so (the contract of the API), other users than the one asked for too.
            Said::Refused(error) => !counts && (is_usual || other_errors(at).contains(&error.as_str())),
            Said::Wrong(_) => false,
        };
        if !is_documented {
            return Some(format!("{said:?}, expected {}", if counts { "to be taken" } else { "to be refused" }));
        }
        // A form with a NUL is not read at all.
        let is_compared = matches!(at, At::Me | At::Users | At::Authorize | At::Subject) && !token.contains('\0');
        if is_usual && is_compared && !is_alike(&answer, nonsense) {
            return Some(format!("tells more than it tells nonsense: {answer:?}"));
        }
        if at.ends() && !self.stands().await { Some(ENDED.to_owned()) } else { None }
    }

    /// Every mutant of a token everywhere.
    async fn assert_refused(&self, kind: Kind, mutants: Vec<Mutant>) {
        let (mut faults, mut shown, mut longest) = (Vec::new(), 0, (0.0, String::new()));
        let nonsense = self.nonsense().await;
        let all = mutants.len();
        for (n, mutant) in mutants.into_iter().enumerate() {
            let real = self.real(kind).renewed(n);
            let token = (mutant.make)(&real, &self.others);
            assert!(token != real.text || !mutant.still.is_empty(), "{} changes nothing", mutant.name);
            for (at, nonsense) in At::ALL.into_iter().zip(&nonsense) {
                let counts = mutant.still.contains(&at) && belongs(kind).contains(&at);
                let began = Instant::now();
                if let Some(fault) = self.fault(at, &token, counts, nonsense).await {
                    faults.push(format!("{kind:?}, {} at {at:?}: {fault}", mutant.name));
                    assert_ne!(fault, ENDED, "nothing more can be said:\n{}", faults.join("\n"));
                }
                let took = began.elapsed().as_secs_f64();
                if took > longest.0 {
                    longest = (took, format!("{} at {at:?}", mutant.name));
                }
                shown += 1;
            }
        }
        println!(
            "{kind:?}: {all} mutants, {shown} times shown; the longest took {:.1} ms: {}",
            longest.0 * 1e3,
            longest.1
        );
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    /// What is said to what is no token at all, in the order of [`At::ALL`].
    async fn nonsense(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for at in At::ALL {
            let answer = at.show(self, "nonsense").await.unwrap();
            assert_eq!(at.said(&answer), Said::Refused(at.usual().to_owned()), "{at:?}");
            answers.push(answer);
        }
        answers
    }

    /// What was not touched counts where it belongs. What ends by that comes last.
    async fn assert_real_ones_count(&self) {
        for ends in [false, true] {
            for (real, at) in self.tokens.iter().flat_map(|real| At::ALL.map(|at| (real, at))) {
                let counts = belongs(real.kind).contains(&at);
                if (counts && at.ends()) == ends {
                    let said = at.said(&at.show(self, &real.text).await.unwrap());
                    // Who takes a token back is not told whether it was one.
                    let counts = counts && at != At::Revocation;
                    assert_eq!(said == Said::Taken, counts, "{:?} at {at:?}: {said:?}", real.kind);
                }
            }
        }
        for kind in [Kind::Access, Kind::Subject] {
            let told = self.send("introspect", &self.wiki, &[("token", &self.real(kind).text)]).await;
            assert_eq!(told.json(), json!({"active": false}), "{kind:?}");
        }
    }
}

/// What else may be said to a token that is none.
const fn other_errors(at: At) -> &'static [&'static str] {
    match at {
        At::Me | At::Users => &["session_revoked", "too long"],
        At::Authorize => &["login_required", "error page", "too long"],
        At::Logout => &["error page", "too long"],
        At::Introspection | At::Revocation | At::Assertion | At::UserInfoForm => &["invalid_request", "too long"],
        At::UserInfo | At::Subject => &["too long"],
    }
}

/// Whether two answers say the same.
fn is_alike(a: &Answer, b: &Answer) -> bool {
    let essence = |answer: &Answer| {
        let (status, headers, text) = answer.anonymised();
        let headers: Vec<_> = headers.into_iter().filter(|(name, _)| name != "set-cookie").collect();
        (status, headers, text)
    };
    essence(a) == essence(b)
}

async fn issuer_of(world: &World, path: &str) -> String {
    let metadata = world.get(&format!("{path}/.well-known/openid-configuration")).send().await.expect(200).json();
    text(&metadata, "issuer").to_owned()
}

/// What others have.
async fn others(site: &Site, far: &Tenant, wiki: &App, of_api: &Value) -> Others {
    let (world, issuer) = (&site.world, site.tenant.issuer());
    world.app.keys().sign(issuer, &[], EdDsa, "JWT", &json!({})).await.unwrap();
    let sid = |tokens: &Value| text(&claims(text(tokens, "access_token")), "sid").to_owned();
    let spa = site.spa().await;
    let other = sign_in(site, &Browser::new(world), wiki, "boss", "openid").await;
    let ended = sign_in(site, &Browser::new(world), wiki, "boss", "openid").await;
    let ada = site.tokens(&Browser::new(world), &spa, &[]).await;
    world
        .delete(&format!("/tenants/{}/sessions/{}", site.tenant.id, sid(&ended)))
        .bearer(&site.boss)
        .send()
        .await
        .expect(204);
    assert_ne!(sid(&other), sid(of_api));
    let key = async |issuer, algorithm, state| Key::of(world, issuer, algorithm, state).await;
    Others {
        strangers: [Es256, Rs256].map(|algorithm| Key::new("key_01h455vb4pex5vsknk084sn02q", algorithm)).into(),
        foreign: [
            key(far.issuer(), Es256, KeyState::Current).await,
            key(Issuer::Platform, Es256, KeyState::Current).await,
        ],
        own: [key(issuer, Es256, KeyState::Next).await, key(issuer, EdDsa, KeyState::Current).await],
        issuers: [issuer_of(world, "/auth/tenants/far").await, issuer_of(world, "/platform/oauth").await],
        tenant: far.id.clone(),
        user: site.ada.id.clone(),
        application: spa.id.clone(),
        family: text(&claims(text(&ada, "access_token")), "family_id").to_owned(),
        sessions: [sid(&ended), sid(&other), sid(&ada)],
        now: world.app.env().now().unix_seconds(),
    }
}

fn mutants() -> Vec<Mutant> {
    let all: Vec<_> = [headers::all(), signatures::all(), payloads::all()].into_iter().flatten().collect();
    assert!(all.len() >= 120, "{}", all.len());
    all
}

api_tests! {
    async fn access_token_that_is_mangled_counts_nowhere(world) {
        let scene = Scene::new(&world).await;
        scene.assert_refused(Kind::Access, mutants()).await;
        scene.assert_real_ones_count().await;
    }

    async fn subject_token_that_is_mangled_counts_nowhere(world) {
        let scene = Scene::new(&world).await;
        scene.assert_refused(Kind::Subject, mutants()).await;
        scene.assert_real_ones_count().await;
    }

    async fn id_token_that_is_mangled_counts_nowhere(world) {
        let scene = Scene::new(&world).await;
        scene.assert_refused(Kind::Id, mutants()).await;
        scene.assert_real_ones_count().await;
    }

    async fn assertion_that_is_mangled_counts_nowhere(world) {
        let scene = Scene::new(&world).await;
        scene.assert_refused(Kind::Assertion, mutants()).await;
        scene.assert_real_ones_count().await;
    }

    async fn token_counts_nowhere_but_where_it_belongs(world) {
        let scene = Scene::new(&world).await;
        scene.assert_swaps_are_refused().await;
        scene.assert_real_ones_count().await;
    }

    async fn what_a_withdrawn_key_signed_counts_nowhere(world) {
        let scene = Scene::new(&world).await;
        for kind in [Kind::Access, Kind::Id] {
            let key = KeyId::parse(&scene.real(kind).key.id).unwrap();
            scene.world.app.keys().withdraw(key, SystemReason::Cli).await.unwrap();
        }
        scene.world.clock.advance(std::time::Duration::from_secs(1));
        let nonsense = scene.nonsense().await;
        for kind in [Kind::Access, Kind::Subject, Kind::Id] {
            for (at, nonsense) in At::ALL.into_iter().zip(&nonsense).filter(|(at, _)| !at.ends()) {
                let fault = scene.fault(at, &scene.real(kind).text, false, nonsense).await;
                assert_eq!(fault, None, "{kind:?} at {at:?}");
            }
        }
    }
}
