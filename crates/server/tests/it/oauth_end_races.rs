//! Applications get tokens while the session ends that they are under: once all have their answers, nothing of it works.
//! `RACE_ROUNDS` says how often each end is raced.

use std::time::Duration;

use futures_util::join;
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, Browser, Form, PASSWORD, Signed, World, api_tests, claims,
        oauth::{App, Site, basic, code, of_code, refused, text},
        rounds,
    },
    revocation_race::hold_back,
};

const API: &str = "https://files.example/v1";
const USUAL: u64 = 8;

/// How the session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    OwnRevocation,
    Administrator,
    SignOut,
    PasswordChange,
    Suspension,
    RevokeAll,
}

impl End {
    /// Whether it is done as quickly as tokens are got: a new password is hashed before anything ends.
    fn is_quick(self) -> bool {
        self != Self::PasswordChange
    }

    /// How much later one side begins than the other: another time in each round.
    fn offset(self, round: u64) -> Duration {
        Duration::from_micros(round * 7_919 % if self.is_quick() { 5_000 } else { 60_000 })
    }
}

/// Applications that somebody is signed in to, again and again.
struct Race {
    site: Site,
    /// Where tokens are got; where the session ends is the site's own world.
    other: World,
    wiki: App,
    spa: App,
    password: String,
}

/// A session that is about to end, and what applications can still get under it.
struct Doomed {
    browser: Browser,
    tokens: Value,
    code: String,
    subject: String,
    /// Another session of the same user, which is no browser's.
    own: Signed,
}

impl Doomed {
    fn session(&self) -> String {
        text(&claims(text(&self.tokens, "id_token")), "sid").to_owned()
    }
}

impl Race {
    async fn new(world: &World) -> Self {
        let site = Site::new(world).await;
        let api = json!({"name": "Files", "application_type": "SERVICE", "redirect_uris": [], "resource_uris": [API],
            "resource_scopes": [{"name": "files:read", "description": null}]});
        site.app(api).await;
        let grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"];
        let wiki = site.app(json!({"allowed_resources": [API], "grant_types": grants})).await;
        let (spa, other) = (site.spa().await, world.replica(|_| ()).await);
        Self { site, other, wiki, spa, password: PASSWORD.to_owned() }
    }

    async fn doom(&self) -> Doomed {
        let (site, browser) = (&self.site, Browser::new(&self.site.world));
        let page = browser.get(&site.request(&self.spa, &[])).await.expect(200);
        let answer = browser.submit(&Form::of(&page), &[("username", "ada"), ("password", &self.password)]).await;
        let tokens = site.exchange(&self.spa, &code(&answer)).await.expect(200).json();
        let subject = site.tokens(&browser, &self.wiki, &[]).await;
        let code = code(&browser.get(&site.request(&self.wiki, &[])).await);
        let own = Signed::of(&site.world.try_login("acme", "ada", &self.password).await.expect(200));
        // Cached, as in use.
        for at in [&site.world, &self.other] {
            site.user_info_at(at, text(&tokens, "access_token")).await.expect(200);
        }
        Doomed { browser, tokens, code, subject: text(&subject, "access_token").to_owned(), own }
    }

    async fn end(&self, end: End, doomed: &Doomed) -> Answer {
        let (site, world, session) = (&self.site, &self.site.world, doomed.session());
        match end {
            End::OwnRevocation => {
                world.delete(&format!("/me/sessions/{session}")).bearer(&doomed.own).send().await.expect(200)
            }
            End::Administrator => {
                let path = format!("/tenants/{}/sessions/{session}", site.tenant.id);
                world.delete(&path).bearer(&site.boss).send().await.expect(204)
            }
            End::SignOut => {
                let hint = text(&doomed.tokens, "id_token");
                let done =
                    doomed.browser.get(&format!("{}/oauth/logout?id_token_hint={hint}", site.issuer_path())).await;
                assert!(done.text.contains("You are signed out"), "{}", done.text);
                done
            }
            End::PasswordChange => {
                let body = json!({"current_password": self.password, "new_password": self.next_password()});
                world.post("/me/password").bearer(&doomed.own).json(body).send().await.expect(204)
            }
            End::Suspension => {
                let path = format!("/tenants/{}/users/{}", site.tenant.id, site.ada.id);
                world.patch(&path).bearer(&site.boss).json(json!({"status": "SUSPENDED"})).send().await.expect(200)
            }
            End::RevokeAll => {
                let path = format!("/tenants/{}/sessions/users/{}/revoke", site.tenant.id, site.ada.id);
                world.post(&path).bearer(&site.boss).json(json!({"revoke_all": true})).send().await.expect(200)
            }
        }
    }

    fn next_password(&self) -> String {
        if self.password == PASSWORD { PASSWORD.replace("42", "43") } else { PASSWORD.to_owned() }
    }

    /// Makes it possible to sign in again.
    async fn recover(&mut self, end: End) {
        match end {
            End::PasswordChange => self.password = self.next_password(),
            End::Suspension => self.site.world.set_status("users", &self.site.ada.id, "ACTIVE").await,
            _ => {}
        }
    }

    /// A code, a refresh token and an access token, each exchanged for more.
    async fn get(&self, at: &World, doomed: &Doomed) -> [Answer; 3] {
        let (site, code) = (&self.site, of_code(&self.wiki, &doomed.code));
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&doomed.tokens, "refresh_token"))];
        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("resource", API),
            ("subject_token", &doomed.subject),
        ];
        join!(
            site.token_at(at, &self.wiki, &code),
            site.token_at(at, &self.spa, &refresh),
            site.token_at(at, &self.wiki, &exchange)
        )
        .into()
    }

    /// Whether an access token is good for anything.
    async fn works(&self, token: &str) -> bool {
        let call = self.site.world.post("/auth/tenants/acme/oauth/introspect");
        let call = call.header("authorization", &basic(&self.wiki.id, self.wiki.secret.as_deref().unwrap()));
        let told = call.form(&[("token", token)]).send().await.expect(200).json();
        told["active"] == true || self.site.user_info(token).await.status != 401
    }

    /// Races once; how many got something before the end.
    async fn run(&self, end: End, round: u64) -> usize {
        let doomed = self.doom().await;
        let offset = end.offset(round);
        let at = if round % 4 < 2 { &self.site.world } else { &self.other };
        let ending = async {
            if end.is_quick() && round.is_multiple_of(2) {
                hold_back(offset).await;
            }
            self.end(end, &doomed).await
        };
        let getting = async {
            if !end.is_quick() || !round.is_multiple_of(2) {
                hold_back(offset).await;
            }
            self.get(at, &doomed).await
        };
        let (_, got) = join!(ending, getting);
        let mut gots = 0;
        for (app, answer) in [&self.wiki, &self.spa, &self.wiki].into_iter().zip(got) {
            if answer.status != 200 {
                refused(answer, 400);
                continue;
            }
            gots += 1;
            self.assert_dead(app, &answer.json(), end, round).await;
        }
        self.assert_dead(&self.spa, &doomed.tokens, end, round).await;
        assert!(!self.works(&doomed.subject).await, "{end:?} round {round}: the token survived that was exchanged");
        // Or a user with too many sessions would lose those that are made for the rounds to come.
        self.site.world.logout("acme", &doomed.own.refresh).await;
        gots
    }

    async fn assert_dead(&self, app: &App, tokens: &Value, end: End, round: u64) {
        assert!(!self.works(text(tokens, "access_token")).await, "{end:?} round {round}: an access token survived");
        if let Some(refresh) = tokens["refresh_token"].as_str() {
            for at in [&self.site.world, &self.other] {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
                let again = refused(self.site.token_at(at, app, &fields).await, 400);
                assert_eq!(again, "invalid_grant", "{end:?} round {round}: a refresh token survived");
            }
        }
    }
}

async fn race(world: &World, end: End) {
    let (mut race, mut gots, rounds) = (Race::new(world).await, 0, rounds(USUAL));
    for round in 0..rounds {
        gots += race.run(end, round).await;
        race.recover(end).await;
    }
    // If one side always came first, this would not be a race.
    assert!(rounds < 100 || (1..rounds as usize * 3).contains(&gots), "{gots} of {rounds} times 3 came first");
    println!("{end:?}: of {} that asked in {rounds} rounds {gots} came first", rounds * 3);
}

api_tests! {
    async fn nothing_survives_that_races_a_session_ended_by_its_user(world) {
        Box::pin(race(&world, End::OwnRevocation)).await;
    }

    async fn nothing_survives_that_races_a_session_ended_by_an_administrator(world) {
        Box::pin(race(&world, End::Administrator)).await;
    }

    async fn nothing_survives_that_races_a_sign_out(world) {
        Box::pin(race(&world, End::SignOut)).await;
    }

    async fn nothing_survives_that_races_a_new_password(world) {
        Box::pin(race(&world, End::PasswordChange)).await;
    }

    async fn nothing_survives_that_races_a_suspension(world) {
        Box::pin(race(&world, End::Suspension)).await;
    }

    async fn nothing_survives_that_races_the_end_of_all_sessions(world) {
        Box::pin(race(&world, End::RevokeAll)).await;
    }
}
