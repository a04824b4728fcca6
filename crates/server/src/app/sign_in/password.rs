//! Proving a password: of a name that a stranger gives, or once more in a session.
//!
//! What a stranger learns of a failed attempt is the same whether the user exists, is suspended, locked, or in another
//! tenant: the same answer, after the same hash and the same statements.

use std::sync::Arc;

use gatehouse_domain::{
    audit::Refused,
    authz::{By, SystemReason, TenantRef},
    id::{PartnerId, SessionId, TenantId, UserId},
    password::Password,
    secret::PasswordHash,
    sign_in::Proofs,
    text::{LoginName, Slug},
    throttle::Gate,
    user::UserStatus,
};
use gatehouse_persistence::{Attempt, AttemptKeys, Credentials, TenantFacts};
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        attempts::{Counts, Limited, RateLimit, pass},
        request::client::RequestMeta,
        sign_in::{
            Passwords, SignIn,
            complete::{Opens, Progress, Step},
        },
    },
    measure,
    security::password::{Check, Verified},
};

const fn nobodys(id: Uuid) -> TenantRef {
    TenantRef { id: TenantId::from_uuid(id), partner_id: PartnerId::from_uuid(id) }
}

/// In the place of a tenant, where attempts at the platform's issuer are counted, whatever tenant they are in.
const PLATFORM: TenantRef = nobodys(Uuid::nil());
/// In the place of a tenant, where those are looked for whose tenant is not known.
const NOWHERE: TenantRef = nobodys(Uuid::max());

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

    /// Has a stranger prove the password of a name in a tenant. A locked account, or one that may not sign in, looks like a
    /// wrong password, and so does a name whose tenant is not known, which is nobody's.
    pub(crate) async fn of_name(
        &self,
        (tenant, counts): (Option<TenantRef>, Counts),
        name: &LoginName,
        password: Password,
        device: Option<&str>,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Proved> {
        let (place, now) = (tenant.unwrap_or(NOWHERE), meta.ctx.now);
        let before = self.attempts.of_name(place, name, device, counts, meta).await?;
        let gate = self.attempts.gate(&before.failures, now);
        // Where the networks are counted elsewhere, so is how long somebody waits.
        if counts == Counts::All {
            *quota = self.attempts.left(&before.failures, now);
            if let Gate::Wait(delay) = gate {
                return Err(Error::RateLimited(delay));
            }
        }
        let is_active = before.found.as_ref().is_some_and(|found| found.user.status == UserStatus::Active);
        let lets_in = is_active && gate == Gate::Open;
        let refused = |user, why| Refused::login(tenant, user, why);
        let proved = self.check(place, before, password, lets_in, refused, meta).await?;
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
        let proved = self.check(facts.reference(), before, password, true, refused, meta).await?;
        self.attempts.still_open(proved.keys, meta).await?;
        Ok(proved)
    }

    /// Checks a password: one hash, whosever it is, and if it is nobody's. What is not right is counted.
    async fn check(
        &self,
        tenant: TenantRef,
        before: Attempt,
        password: Password,
        lets_in: bool,
        refused: impl FnOnce(Option<UserId>, &'static str) -> Refused,
        meta: &RequestMeta,
    ) -> Result<Proved> {
        let Attempt { found, keys, dearest, .. } = before;
        let stored = found.as_ref().and_then(|found| found.hash.clone());
        let check = Check { hash: stored.as_ref(), lets_in, dearest };
        let verified = self.hasher.verify(tenant.id, password, check).await?;
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
    /// Signs a user of some tenant in with a password, at the platform's issuer: in the tenant that is named, else where the
    /// address last signed in. `opens` says what the browser has of a tenant already.
    ///
    /// What somebody is told depends on the attempts at this issuer alone, which are counted by address whatever tenant they
    /// are in: an account that waits at its tenant looks like a wrong password, and so does one that there is not, after the
    /// same statements and the same hash. Otherwise counters would tell who is known where.
    pub async fn somewhere(
        &self,
        name: &LoginName,
        tenant: Option<&Slug>,
        password: Password,
        opens: impl Fn(TenantId) -> Opens,
        meta: &RequestMeta,
    ) -> Limited<Step> {
        let mut quota = None;
        let result = self.try_somewhere(name, tenant, password, opens, meta, &mut quota).await;
        measure::sign_in(&result, matches!(result, Ok(Step::Challenged(_))));
        Limited { quota, result }
    }

    async fn try_somewhere(
        &self,
        name: &LoginName,
        tenant: Option<&Slug>,
        password: Password,
        opens: impl Fn(TenantId) -> Opens,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<Step> {
        let before = self.attempts.of_name(PLATFORM, name, None, Counts::All, meta).await?;
        *quota = self.attempts.left(&before.failures, meta.ctx.now);
        pass(self.attempts.gate(&before.failures, meta.ctx.now))?;
        let result = match self.home_of(name, tenant).await? {
            Some(facts) => {
                let (opens, mut of_user) = (opens(facts.tenant.id), None);
                let attempt = async |facts: &TenantFacts| {
                    self.must_be_active(facts, meta).await?;
                    let home = (Some(facts.reference()), Counts::Account);
                    let (password, opens) = (password.clone(), opens.clone());
                    let proved = self.passwords.of_name(home, name, password, None, meta, &mut None).await?;
                    let progress = Progress { proved, proofs: Proofs::password(), keeps_device: false, opens };
                    self.go_on(facts, progress, meta, &mut of_user).await
                };
                let result = self.states.again_if_moved(&facts, attempt).await;
                // Whoever proved the password may know that this user signs in too often.
                if let (Err(Error::RateLimited(_)), Some(_)) = (&result, of_user) {
                    *quota = of_user;
                    return result;
                }
                result
            }
            None => {
                let proved =
                    self.passwords.of_name((None, Counts::Account), name, password, None, meta, &mut None).await;
                proved.and(Err(Error::InvalidCredentials))
            }
        };
        match result {
            Err(Error::InvalidCredentials | Error::RateLimited(_)) => {
                Err(self.attempts.count_failure(before.keys, meta).await)
            }
            Ok(step) => {
                self.attempts.forgive(&before, meta).await?;
                Ok(step)
            }
            Err(error) => Err(error),
        }
    }

    async fn home_of(&self, name: &LoginName, tenant: Option<&Slug>) -> Result<Option<Arc<TenantFacts>>> {
        let id = match tenant {
            Some(slug) => return self.states.tenant_by_slug(slug).await,
            None => self.db.system(SystemReason::Authentication).tenant_of_address(name).await?,
        };
        match id {
            Some(id) => self.states.tenant(id).await,
            None => Ok(None),
        }
    }

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
        self.passwords.of_name((Some(facts.reference()), Counts::All), name, password, device, meta, quota).await
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
