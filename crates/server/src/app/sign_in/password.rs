//! Proving a password: of a name that a stranger gives, or once more in a session.
//!
//! What a stranger learns of a failed attempt is the same whether the user exists, is suspended, locked, or in another
//! tenant: the same answer, after the same hash and the same statements.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, TenantRef},
    id::{SessionId, UserId},
    password::Password,
    secret::PasswordHash,
    sign_in::Proofs,
    text::LoginName,
    throttle::Gate,
    user::UserStatus,
};
use gatehouse_persistence::{Attempt, AttemptKeys, Credentials, TenantFacts};

use crate::{
    app::{
        Error, Result,
        attempts::{Limited, RateLimit, pass},
        request::client::RequestMeta,
        sign_in::{
            Passwords, SignIn,
            complete::{Opens, Progress, Step},
        },
    },
    measure,
    security::password::{Check, Verified},
};

/// Somebody who has proved a password.
#[derive(Debug, Clone)]
pub(crate) struct Proved {
    /// Who.
    pub(crate) found: Credentials,
    /// The stored hash that the password was right for.
    pub(crate) hash: PasswordHash,
    /// A better hash to be stored in its place.
    pub(crate) upgrade: Option<PasswordHash>,
    /// Where the attempt is counted.
    pub(crate) keys: AttemptKeys,
}

impl Passwords<'_> {
    /// Whether passwords are being hashed at the moment: then other sign-ins come to their end soon.
    pub(crate) fn is_busy(&self) -> bool {
        self.hasher.is_busy()
    }

    /// Has a stranger prove the password of a name. A locked account, or one that may not sign in, looks like a wrong
    /// password.
    pub(crate) async fn of_name(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Proved> {
        let (tenant, now) = (facts.reference(), meta.ctx.now);
        let before = self.attempts.of_name(facts, name, device, meta).await?;
        *quota = self.attempts.left(&before.failures, now);
        let gate = self.attempts.gate(&before.failures, now);
        if let Gate::Wait(delay) = gate {
            return Err(Error::RateLimited(delay));
        }
        let is_active = before.found.as_ref().is_some_and(|found| found.user.status == UserStatus::Active);
        let lets_in = is_active && gate == Gate::Open;
        let refused = |user, why| Refused::login(tenant, user, why);
        let proved = self.check(facts, before, password, lets_in, refused, meta).await?;
        if !lets_in {
            let why = if is_active { "locked" } else { "not_active" };
            return Err(self.attempts.failed(proved.keys, refused(Some(proved.found.user.id), why), meta).await);
        }
        Ok(proved)
    }

    /// Has a user who is signed in prove the password once more. A wrong one counts like a failed sign-in; whether it
    /// gets an answer depends on what failed in this session, not on what strangers did.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when it is wrong, [`Error::RateLimited`] after too many of these, [`Error::NotFound`]
    /// when the user is gone.
    pub(crate) async fn again(
        &self,
        facts: &TenantFacts,
        (id, session): (UserId, SessionId),
        password: Password,
        refused: fn(TenantRef, By, &'static str) -> Refused,
        meta: &RequestMeta,
    ) -> Result<Proved> {
        let before = self.attempts.of_user(facts, id, Some(self.attempts.session_key(session)), meta).await?;
        pass(self.attempts.gate(&before.failures, meta.ctx.now))?;
        if before.found.is_none() {
            return Err(Error::NotFound);
        }
        let refused = |_, why| refused(facts.reference(), By::oneself(id, Some(session)), why);
        let proved = self.check(facts, before, password, true, refused, meta).await?;
        self.attempts.still_open(proved.keys, meta).await?;
        Ok(proved)
    }

    /// Checks a password: one hash, whosever it is, and if it is nobody's. What is not right is counted.
    async fn check(
        &self,
        facts: &TenantFacts,
        before: Attempt,
        password: Password,
        lets_in: bool,
        refused: impl FnOnce(Option<UserId>, &'static str) -> Refused,
        meta: &RequestMeta,
    ) -> Result<Proved> {
        let Attempt { found, keys, dearest, .. } = before;
        let stored = found.as_ref().and_then(|found| found.hash.clone());
        let check = Check { hash: stored.as_ref(), lets_in, dearest };
        let verified = self.hasher.verify(facts.tenant.id, password, check).await?;
        match (found, stored, verified) {
            (Some(found), Some(hash), Verified::Yes) => Ok(Proved { found, hash, upgrade: None, keys }),
            (Some(found), Some(hash), Verified::Upgrade(new)) => Ok(Proved { found, hash, upgrade: Some(new), keys }),
            (found, _, verified) => {
                let refused = refused(found.map(|found| found.user.id), verified.refusal());
                Err(self.attempts.not_proved(&verified, keys, refused, meta).await)
            }
        }
    }
}

impl SignIn<'_> {
    /// Signs a user in with a password. A device token takes the place of no password: it makes strangers' failures not
    /// count here. A client that keeps device tokens sends one, empty at first, and gets another whenever its own is not
    /// known.
    pub async fn password(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        opens: &Opens,
        meta: &RequestMeta,
    ) -> Limited<Step> {
        let mut quota = None;
        let attempt = async |facts: &TenantFacts| {
            let proved = self.prove(facts, name, password.clone(), device, meta, &mut quota).await?;
            let progress =
                Progress { proved, proofs: Proofs::password(), keeps_device: device.is_some(), opens: opens.clone() };
            self.go_on(facts, progress, meta, &mut quota).await
        };
        let result = self.states.again_if_moved(facts, attempt).await;
        measure::sign_in(&result, matches!(result, Ok(Step::Challenged(_))));
        Limited { quota, result }
    }

    async fn prove(
        &self,
        facts: &TenantFacts,
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Proved> {
        self.must_be_active(facts, meta).await?;
        self.passwords.of_name(facts, name, password, device, meta, quota).await
    }

    /// Nobody signs in where the tenant or its partner is suspended.
    pub(super) async fn must_be_active(&self, facts: &TenantFacts, meta: &RequestMeta) -> Result<()> {
        if facts.is_active() {
            return Ok(());
        }
        let refused = Refused::login(facts.reference(), None, "tenant_suspended");
        Err(self.attempts.record_refusal(refused, Error::TenantSuspended, meta).await)
    }
}
