//! What becomes of a sign-in after each proof. Whoever has proved enough is admitted, in one transaction.
//!
//! A sign-in costs one hash and four statements: credentials with roles, device and counters, and in the transaction the
//! admission with the counters again, the session and its audit event. To know a new device takes three more.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason},
    id::{DeviceId, SessionId, UserId},
    role::HeldRole,
    secret::{Secret, TokenHash},
    session::{EndReason, NewSession, Session},
    settings::Policy,
    sign_in::{Authentication, Judgement, Proofs, Refusal},
    throttle::{AttemptRules, KnownDevice},
};
use gatehouse_persistence::{Admission, SessionState, TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        attempts::{RateLimit, pass},
        request::client::RequestMeta,
        sessions::{
            revocation::{end, make_room},
            tokens::TokenPair,
        },
        sign_in::{
            SignIn,
            factor::{Challenged, Factor},
            password::Proved,
        },
    },
    security::opaque_token,
};

const AUTH: SystemReason = SystemReason::Authentication;

/// What is to open the session that a sign-in begins.
#[derive(Debug, Clone)]
pub enum Opens {
    /// Tokens of the API.
    Tokens,
    /// The cookie of a browser, which has this session already: it goes on if the same user signs in, and ends otherwise.
    Cookie(Option<Box<Session>>),
}

/// What opens the session.
#[derive(Debug)]
pub enum Opened {
    /// Tokens of the API.
    Tokens(TokenPair),
    /// The cookie of a browser, and what it opens.
    Cookie(Box<SessionState>, Secret<String>),
}

/// What signing in answers.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// What opens the session.
    pub opened: Opened,
    /// What makes the device known from now on, if it was asked for and the device was not known yet.
    pub device_token: Option<Secret<String>>,
}

impl SignedIn {
    /// The tokens of the session.
    ///
    /// # Errors
    /// [`Error::Internal`] when a cookie opens it.
    pub fn tokens(self) -> Result<TokenPair> {
        match self.opened {
            Opened::Tokens(pair) => Ok(pair),
            Opened::Cookie(..) => Err(Error::Internal("a cookie opens the session".into())),
        }
    }
}

/// What a proof leads to.
#[derive(Debug)]
pub enum Step {
    /// The sign-in is complete.
    SignedIn(SignedIn),
    /// Another factor is needed.
    Challenged(Challenged),
}

impl Step {
    /// The end of the sign-in, for who cannot ask for another factor.
    ///
    /// # Errors
    /// [`Error::Internal`] when one is needed: nobody is let in without it.
    pub fn signed_in(self) -> Result<SignedIn> {
        match self {
            Self::SignedIn(signed_in) => Ok(signed_in),
            Self::Challenged(_) => Err(Error::Internal("another factor cannot be asked for here".into())),
        }
    }
}

/// A sign-in that is under way.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) proved: Proved,
    pub(super) proofs: Proofs<Factor>,
    /// Whether the client keeps what makes its device known.
    pub(super) keeps_device: bool,
    /// What is to open the session.
    pub(super) opens: Opens,
}

/// A sign-in that waits for its transaction.
#[derive(Debug)]
struct Entry {
    proved: Proved,
    session: NewSession,
    /// The session that the browser has.
    former: Option<Box<Session>>,
    device: Option<(DeviceId, TokenHash)>,
    policy: Policy,
    rules: AttemptRules,
}

impl SignIn<'_> {
    /// Goes on after a proof, to the end if it is enough.
    pub(super) async fn go_on(
        &self,
        facts: &TenantFacts,
        progress: Progress,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Step> {
        let (user, policy) = (&progress.proved.found.user, facts.layers().policy(self.defaults));
        match progress.proofs.judge(user, Factor::enrolled(user), &policy) {
            Judgement::Complete(authentication) => {
                self.admission.sign_in(user.id, meta.ctx.now, quota)?;
                self.complete(facts, progress, authentication, policy, meta).await.map(Step::SignedIn)
            }
            Judgement::Needs(factors) => {
                self.attempts.still_open(progress.proved.keys, meta).await?;
                let progress = Progress { proved: self.rehashed(progress.proved, meta).await?, ..progress };
                self.challenge(facts, &progress, factors, meta.ctx.now).map(Step::Challenged)
            }
            Judgement::Refused(Refusal::EmailNotVerified) => {
                self.attempts.still_open(progress.proved.keys, meta).await?;
                let refused = Refused::login(facts.reference(), Some(user.id), "email_not_verified");
                self.refusals.record(refused, meta).await?;
                Err(Error::EmailNotVerified)
            }
        }
    }

    /// Stores the better hash of a password before anything else is asked for: the password is gone then.
    ///
    /// # Errors
    /// [`Error::Stale`] when somebody else stored another one meanwhile.
    async fn rehashed(&self, mut proved: Proved, meta: &RequestMeta) -> Result<Proved> {
        let Some(better) = proved.upgrade.take() else { return Ok(proved) };
        let old = std::mem::replace(&mut proved.hash, better.clone());
        let user = proved.found.user.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let changed = user.clone().rehash_password(better.clone());
            Ok::<_, Error>(tx.system(AUTH).rehash_password(changed, &old).await?)
        };
        if self.db.write(meta.ctx.clone(), work).await? { Ok(proved) } else { Err(Error::Stale) }
    }

    /// Begins the session of somebody who has proved enough.
    async fn complete(
        &self,
        facts: &TenantFacts,
        Progress { proved, keeps_device, opens, .. }: Progress,
        authentication: Authentication,
        policy: Policy,
        meta: &RequestMeta,
    ) -> Result<SignedIn> {
        let (tenant, user_id) = (facts.reference(), proved.found.user.id);
        let id = self.env.id(SessionId::from_parts);
        let token = opaque_token::mint(self.keyring, self.env, id, 0);
        let (cookie, former) = match opens {
            Opens::Tokens => (None, None),
            Opens::Cookie(former) => (Some(opaque_token::mint_cookie(self.env)), former),
        };
        let is_new = keeps_device && proved.keys.known.is_none();
        let device = is_new.then(|| opaque_token::mint_device(self.keyring, self.env));
        let session = NewSession {
            id,
            tenant_id: tenant.id,
            partner_id: tenant.partner_id,
            user_id,
            administers: false,
            client: self.clients.of(meta),
            authentication,
            refresh_hash: token.hash,
            cookie: cookie.as_ref().map(|cookie| cookie.hash),
        };
        let entry = Entry {
            proved,
            session,
            former,
            device: device.as_ref().map(|token| (self.env.id(DeviceId::from_parts), token.hash)),
            policy: policy.clone(),
            rules: self.attempts.rules(),
        };
        let work = async move |tx: &WriteTx<'_>| entry.enter(tx).await;
        let entered = self.db.write_in_company(meta.ctx.clone(), self.passwords.is_busy(), work).await;
        if let Err(Error::LimitReached(_)) = &entered {
            self.refusals.record(Refused::login(tenant, Some(user_id), "session_limit"), meta).await?;
        }
        let state = entered?;
        let opened = match cookie {
            Some(cookie) => Opened::Cookie(Box::new(state), cookie.text),
            None => {
                let SessionState { session, roles, .. } = &state;
                Opened::Tokens(self.access_tokens.pair(facts, session, roles, &policy, &token.text, meta)?)
            }
        };
        Ok(SignedIn { user: user_id, opened, device_token: device.map(|token| token.text) })
    }
}

impl Entry {
    async fn enter(&self, tx: &WriteTx<'_>) -> Result<SessionState> {
        let (system, now) = (tx.system(AUTH), tx.now());
        let Proved { found, hash, upgrade, keys } = &self.proved;
        let admission = system.admit(&found.user, hash, keys).await?.ok_or(Error::InvalidCredentials)?;
        pass(self.rules.gate(&admission.failures, now))?;
        let goes_on = self.former.as_ref().filter(|former| former.user_id == found.user.id);
        if goes_on.is_none() {
            make_room(&system, &found.user, admission.sessions, &self.policy, now).await?;
        }
        if admission.failures.account.failures > 0 || admission.failures.own().failures > 0 {
            system.forgive(keys).await?;
        }
        if let Some(better) = upgrade {
            system.rehash_password(found.user.clone().rehash_password(better.clone()), hash).await?;
        }
        let roles = if admission.roles_given == found.roles_given {
            found.roles.clone()
        } else {
            system.user_view(found.user.id, now).await?.map(|view| view.roles).unwrap_or_default()
        };
        if let (Some(former), Some(cookie)) = (goes_on, self.session.cookie) {
            let proved = Session::clone(former).reauthenticate(cookie, now);
            let session = proved.value().clone();
            if system.reauthenticate(proved).await? {
                return Ok(self.state(session, roles, &admission));
            }
        }
        if let Some(former) = self.former.clone().filter(|former| former.user_id != found.user.id) {
            let by = By::oneself(former.user_id, Some(former.id));
            end(&system, *former, EndReason::Logout, &by, now).await?;
        }
        let new = NewSession { administers: !roles.is_empty(), ..self.session.clone() };
        let session = system.insert(Session::start(new.clone(), &self.policy, now)).await?;
        if let Some((id, hash)) = self.device {
            system.know_device(KnownDevice::add(id, hash, &new, now)).await?;
        }
        Ok(self.state(session, roles, &admission))
    }

    fn state(&self, session: Session, roles: Vec<HeldRole>, admission: &Admission) -> SessionState {
        SessionState { session, user: self.proved.found.user.clone(), roles, roles_given: admission.roles_given }
    }
}
