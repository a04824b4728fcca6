//! A factor that shows how one is made: a word that only the user knows. Whoever has a telephone number has enrolled it,
//! and the number is the word.

use gatehouse_domain::{session::AuthMethod, user::User};

use super::Prove;

/// The word of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWord(String);

impl CodeWord {
    /// That of a user who enrolled one.
    pub(super) fn of(user: &User) -> Option<Self> {
        user.phone.as_ref().map(|phone| Self(phone.to_string()))
    }
}

impl Prove for CodeWord {
    fn kind(&self) -> &'static str {
        "code_word"
    }

    fn method(&self) -> AuthMethod {
        AuthMethod::Password
    }

    fn is_proved_by(&self, shown: &str) -> bool {
        self.0 == shown
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc, time::Duration};

    use gatehouse_domain::{
        authz::{Authority, SystemReason},
        id::UserId,
        issue::Parse,
        password::Password,
        secret::Secret,
        session::SessionStatus,
        text::{Email, LoginName, Phone, Slug, Username},
        throttle::Failures,
        user::{NewUser, UserPatch, UserStatus},
    };
    use gatehouse_persistence::{ChangeContext, TenantFacts, WriteTx};

    use super::super::{CHALLENGE_LIFETIME, Challenged, Shown};
    use crate::{
        app::{
            App, Error, Result,
            platform::setup::DEFAULT_TENANT,
            request::client::RequestMeta,
            sessions::access_token::{Authenticated, Presented},
            sign_in::complete::Step,
        },
        config::Config,
        env::{Env, ManualClock},
        security::password::Cost,
    };

    const PASSWORD: &str = "mountain otter juggles 42 lamps";
    const WORD: &str = "+34 600 000 000";

    struct Stage {
        app: App,
        clock: ManualClock,
        facts: Arc<TenantFacts>,
        folder: PathBuf,
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }

    impl Stage {
        /// An installation with `ada`, who enrolled a word, and `eve`, who did not.
        async fn new() -> Self {
            let (env, clock) = Env::manual();
            let folder = std::env::temp_dir().join(format!("gh-factor-{:032x}", u128::from_be_bytes(env.random())));
            let mut config = Config::defaults(folder.clone()).unwrap();
            config.hasher.cost = Cost { memory_kib: 8, passes: 1 };
            let app = Box::pin(App::open(&config, env)).await.unwrap();
            let facts = app.session_states().tenant_by_slug(&Slug::parse(DEFAULT_TENANT).unwrap()).await;
            let stage = Self { app, clock, facts: facts.unwrap().unwrap(), folder };
            stage.person("ada", Some(WORD)).await;
            stage.person("eve", None).await;
            stage
        }

        async fn person(&self, name: &str, phone: Option<&str>) {
            let new = NewUser {
                tenant: self.facts.reference(),
                username: Username::parse(name).unwrap(),
                email: Email::parse(&format!("{name}@example.com")).unwrap(),
                display_name: None,
                phone: phone.map(|text| Phone::parse(text).unwrap()),
            };
            let password = Password::parse(PASSWORD).unwrap();
            let passwords = self.app.new_passwords();
            let hash = passwords.choose(&self.facts, "password", password, &new.username, &new.email).await.unwrap();
            let id = self.app.env().id(UserId::from_parts);
            let user = gatehouse_domain::user::User::register(id, new, hash, self.app.env().now());
            let work = async move |tx: &WriteTx<'_>| {
                Ok::<_, Error>(tx.system(SystemReason::Setup).insert(user.clone()).await?)
            };
            self.app.db().write(ChangeContext::at(self.app.env().now()), work).await.unwrap();
        }

        fn meta(&self) -> RequestMeta {
            RequestMeta {
                ctx: ChangeContext::at(self.app.env().now()),
                declared_device: None,
                store_response: None,
                base_url: "https://id.example.com".into(),
            }
        }

        async fn password(&self, name: &str) -> Step {
            let (name, password) = (LoginName::parse(name).unwrap(), Password::parse(PASSWORD).unwrap());
            self.app
                .sign_in()
                .password(
                    &self.facts,
                    &name,
                    password,
                    None,
                    &crate::app::sign_in::complete::Opens::Tokens,
                    &self.meta(),
                )
                .await
                .result
                .unwrap()
        }

        async fn challenge(&self) -> Secret<String> {
            let Step::Challenged(Challenged { challenge, factors }) = self.password("ada").await else {
                panic!("signed in without the factor")
            };
            assert_eq!(factors.iter().map(super::super::Factor::kind).collect::<Vec<_>>(), ["code_word"]);
            challenge
        }

        async fn show(&self, challenge: &Secret<String>, word: &str) -> Result<Step> {
            self.show_in(&self.facts, challenge, word).await
        }

        async fn show_in(&self, facts: &TenantFacts, challenge: &Secret<String>, word: &str) -> Result<Step> {
            let (challenge, value) = (challenge.clone(), Secret::new(word.to_owned()));
            let shown = Shown { challenge, kind: "code_word".to_owned(), value };
            self.app.sign_in().factor(facts, &shown, &self.meta()).await.result
        }

        async fn failures(&self) -> Failures {
            let name = LoginName::parse("ada").unwrap();
            self.app
                .attempts()
                .of_name(self.facts.reference(), &name, None, crate::app::attempts::Counts::All, &self.meta())
                .await
                .unwrap()
                .failures
        }
    }

    #[tokio::test]
    async fn sign_in_with_a_factor_goes_on_after_the_password_and_counts_what_is_wrong() {
        let stage = Stage::new().await;
        let challenge = stage.challenge().await;
        assert!(matches!(stage.show(&challenge, "+34 600 000 001").await, Err(Error::InvalidCredentials)));
        let failures = stage.failures().await;
        assert_eq!((failures.account.failures, failures.networks[0].failures, failures.tenant.failures), (1, 1, 1));
        let Ok(Step::SignedIn(signed_in)) = stage.show(&challenge, WORD).await else { panic!("not signed in") };
        assert_eq!(stage.failures().await.account.failures, 0, "success forgives");
        let tokens = signed_in.tokens().unwrap();
        let token = Presented { token: tokens.access_token.as_bytes(), proof: None };
        let caller = stage.app.session_states().authenticate(&token, |_, tenant| tenant.is_some()).await;
        let Authenticated::User(caller) = caller.unwrap() else { panic!("no user") };
        let session = &caller.session;
        assert_eq!(session.status(stage.app.env().now()), SessionStatus::Active);
    }

    #[tokio::test]
    async fn who_enrolled_no_factor_signs_in_with_the_password_alone() {
        let stage = Stage::new().await;
        assert!(matches!(stage.password("eve").await, Step::SignedIn(_)));
    }

    #[tokio::test]
    async fn challenge_ends_after_five_minutes_and_holds_in_its_tenant_only() {
        let stage = Stage::new().await;
        let challenge = stage.challenge().await;
        let mut other = (*stage.facts).clone();
        other.tenant.id = stage.app.env().id(gatehouse_domain::id::TenantId::from_parts);
        assert!(matches!(stage.show_in(&other, &challenge, WORD).await, Err(Error::InvalidCredentials)));
        let cut = Secret::new(challenge.expose()[..challenge.expose().len() - 1].to_owned());
        assert!(matches!(stage.show(&cut, WORD).await, Err(Error::InvalidCredentials)));
        stage.clock.advance(CHALLENGE_LIFETIME - Duration::from_micros(1));
        assert!(matches!(stage.show(&challenge, WORD).await, Ok(Step::SignedIn(_))));
        stage.clock.advance(Duration::from_micros(1));
        assert!(matches!(stage.show(&challenge, WORD).await, Err(Error::InvalidCredentials)));
    }

    #[tokio::test]
    async fn challenge_of_an_old_password_is_none() {
        let stage = Stage::new().await;
        let challenge = stage.challenge().await;
        let name = LoginName::parse("ada").unwrap();
        let user = stage.app.users().find(&stage.facts, &name, SystemReason::Cli).await.unwrap().unwrap();
        let hash = gatehouse_domain::secret::PasswordHash::new("another".to_owned());
        let changed = user.reset_password(&Email::parse("ada@example.com").unwrap(), hash, stage.app.env().now());
        let changed = changed.unwrap().0;
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.system(SystemReason::Setup).update(changed.clone()).await.map(drop)?)
        };
        stage.app.db().write(ChangeContext::at(stage.app.env().now()), work).await.unwrap();
        assert!(matches!(stage.show(&challenge, WORD).await, Err(Error::InvalidCredentials)));
    }

    #[tokio::test]
    async fn factor_of_somebody_who_was_suspended_meanwhile_counts_as_a_failure_even_if_it_is_right() {
        let stage = Stage::new().await;
        let challenge = stage.challenge().await;
        let (name, now) = (LoginName::parse("ada").unwrap(), stage.app.env().now());
        let user = stage.app.users().find(&stage.facts, &name, SystemReason::Cli).await.unwrap().unwrap();
        let patch = UserPatch { status: Some(UserStatus::Suspended), ..UserPatch::default() };
        let changed = user.update(patch, true, &[], &Authority::system(SystemReason::Setup), now).unwrap().0;
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.system(SystemReason::Setup).update(changed.clone()).await.map(drop)?)
        };
        stage.app.db().write(ChangeContext::at(now), work).await.unwrap();
        assert!(matches!(stage.show(&challenge, WORD).await, Err(Error::InvalidCredentials)));
        assert_eq!(stage.failures().await.account.failures, 1);
    }

    #[tokio::test]
    async fn factors_that_are_guessed_make_the_account_wait() {
        let stage = Stage::new().await;
        let challenge = stage.challenge().await;
        for _ in 0..10 {
            assert!(matches!(stage.show(&challenge, "guess").await, Err(Error::InvalidCredentials)));
        }
        assert!(matches!(stage.show(&challenge, WORD).await, Err(Error::RateLimited(_))));
    }
}
