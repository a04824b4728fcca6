//! Accounts as their owners see them: opening one, changing the profile, changing the password.

use gatehouse_domain::{
    audit::Refused,
    authz::{By, Grant, Oneself, SystemReason, TenantRef},
    id::{SessionId, UserId},
    issue::{Fault, Issue},
    password::Password,
    settings::Registration,
    text::{DisplayName, Email, Phone, Username},
    throttle::Gate,
    user::{NewUser, User, UserPatch, UserView, VERIFICATION_LIFETIME},
};
use gatehouse_persistence::{AttemptKeys, Credentials, TenantFacts, ThrottleKey, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        account::recovery::EMAIL_PAGE,
        directory::tenants::another_user_fits,
        mail::letters,
        request::client::Origin,
        sign_in::attempts::{Limited, Quota, count},
    },
    security::{
        opaque_token,
        password::{Check, Overloaded, Verified},
    },
};

/// What a person gives to open an account.
#[derive(Debug, Clone)]
pub struct Register {
    /// The user name.
    pub username: Username,
    /// The e-mail address.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// How to be addressed.
    pub display_name: Option<DisplayName>,
    /// Where to be called.
    pub phone: Option<Phone>,
}

/// A password that breaks a rule, as an issue with a field of the body.
pub(crate) fn password_issue(field: &'static str, fault: Fault) -> Error {
    Error::Invalid(Issue { loc: vec!["body".into(), field.into()], msg: fault.msg, kind: fault.kind }.into())
}

/// The words that an attacker would try first.
pub(crate) fn password_context(facts: &TenantFacts, username: &Username, email: &Email) -> Vec<String> {
    let tenant = &facts.tenant;
    ["gatehouse", username.as_str(), email.as_str(), tenant.slug.as_str(), tenant.name.as_str()]
        .map(str::to_lowercase)
        .to_vec()
}

impl App {
    /// Opens an account.
    pub async fn register(&self, facts: &TenantFacts, new: Register, origin: &Origin) -> Limited<UserView> {
        let mut quota = None;
        let mut result = self.try_register(facts, new.clone(), origin, &mut quota).await;
        if matches!(result, Err(Error::Stale)) {
            result = match self.moved(facts).await {
                Ok(facts) => self.try_register(&facts, new, origin, &mut quota).await,
                Err(error) => Err(error),
            };
        }
        Limited { quota, result }
    }

    async fn try_register(
        &self,
        facts: &TenantFacts,
        new: Register,
        origin: &Origin,
        quota: &mut Option<Quota>,
    ) -> Result<UserView> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let policy = self.policy(facts);
        if policy.registration != Registration::Open {
            return Err(Error::RegistrationClosed);
        }
        let (rule, now) = (self.limits.registrations, origin.ctx.now);
        let keys = self.network_keys("registrations", origin);
        let work = async move |tx: &WriteTx<'_>| {
            count(&tx.system(SystemReason::Authentication), rule.rules(), keys, tx.now()).await
        };
        let (gate, counters) = self.db.write(origin.ctx.clone(), work).await?;
        *quota = Some(Quota::of_networks("registration", rule, &counters, now));
        if let Gate::Wait(delay) = gate {
            return Err(Error::RateLimited(delay));
        }

        new.password.check_length(policy.password_min_length).map_err(|fault| password_issue("password", fault))?;
        let context = password_context(facts, &new.username, &new.email);
        let chosen = self.hasher.choose(facts.tenant.id, new.password, context).await?;
        let hash = chosen.map_err(|fault| password_issue("password", fault))?;
        let new = NewUser {
            tenant: facts.reference(),
            username: new.username,
            email: new.email,
            display_name: new.display_name,
            phone: new.phone,
        };
        let id = self.env.id(UserId::from_parts);
        let tenant = facts.reference();
        let (token, outbox, house) =
            (opaque_token::mint_verification(&self.env), self.outbox.clone(), facts.tenant.clone());
        let insert = async move |tx: &WriteTx<'_>| {
            another_user_fits(tx, tenant).await?;
            let (system, now) = (tx.system(SystemReason::Authentication), tx.now());
            let user = system.insert(User::register(id, new.clone(), hash.clone(), now)).await?.user;
            let (address, by) = (user.email.clone(), By::oneself(user.id, None));
            let issued = user.clone().issue_verification(address, now.plus(VERIFICATION_LIFETIME), &by)?;
            let issued = system.put_token(issued, token.hash).await?;
            let url = outbox.link(EMAIL_PAGE, &house.slug, &token.text);
            outbox.post_link(&system, &issued, letters::verification(&house, &user, &user.email, url), now).await?;
            Ok::<_, Error>(user)
        };
        let user = self.db.write(origin.ctx.clone(), insert).await?;
        Ok(UserView { user, roles: Vec::new() })
    }

    /// Changes one's own profile.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was changed meanwhile.
    pub async fn update_profile(
        &self,
        grant: &Grant<Oneself>,
        display_name: Option<Option<DisplayName>>,
        phone: Option<Option<Phone>>,
        origin: &Origin,
    ) -> Result<UserView> {
        let id = grant.own().ok_or(Error::NotFound)?;
        let patch = UserPatch { display_name, phone, ..UserPatch::default() };
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let (changed, _) = view.user.update(patch.clone(), &grant.by(), tx.now());
            Ok::<_, Error>(UserView { user: scope.update(changed).await?, roles: view.roles })
        };
        self.db.write(origin.ctx.clone(), work).await
    }

    /// Has a user who is signed in show the password once more. A wrong one counts like a failed sign-in; whether it gets
    /// an answer depends on what failed in this session, not on what strangers did.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when it is wrong, [`Error::RateLimited`] after too many of these.
    pub(crate) async fn prove(
        &self,
        facts: &TenantFacts,
        (id, session): (UserId, SessionId),
        password: Password,
        refused: impl FnOnce(TenantRef, UserId, &'static str) -> Refused,
        origin: &Origin,
    ) -> Result<(Credentials, AttemptKeys)> {
        let now = origin.ctx.now;
        let session = self.keyring.throttle_key("session", session.uuid().as_bytes());
        let keys = self.attempt_keys(facts, ThrottleKey::User(id), Some(session), origin);
        let before = self.reading().attempt_of(facts.reference(), id, &keys, now).await?;
        match self.limits.attempts.gate(&before.failures, now) {
            Gate::Open => {}
            Gate::Wait(delay) => return Err(Error::RateLimited(delay)),
            Gate::Locked => return Err(Error::InvalidCredentials),
        }
        let found = before.found.ok_or(Error::NotFound)?;
        let check = Check { hash: found.hash.as_ref(), lets_in: true, dearest: before.dearest };
        let verified = self.hasher.verify(facts.tenant.id, password, check).await?;
        if !verified.is_right() {
            let refused = refused(facts.reference(), id, verified.refusal());
            return Err(self.not_proved(&verified, keys, refused, origin).await);
        }
        Ok((found, keys))
    }

    /// A password that was not found to be right. Where there was no time to find out, that counts as a failure, too:
    /// that it was none must not show for some accounts.
    pub(crate) async fn not_proved(
        &self,
        verified: &Verified,
        keys: AttemptKeys,
        refused: Refused,
        origin: &Origin,
    ) -> Error {
        match self.failed(keys, refused, origin).await {
            Error::InvalidCredentials if *verified == Verified::Crowded => Overloaded.into(),
            error => error,
        }
    }

    /// Changes one's own password. Every other session ends. A wrong current password counts like a failed sign-in.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when the current password is wrong, [`Error::RateLimited`] after too many of
    /// these, [`Error::Invalid`] when the new one is too weak.
    pub async fn change_password(
        &self,
        grant: &Grant<Oneself>,
        facts: &TenantFacts,
        current: Password,
        new: Password,
        origin: &Origin,
    ) -> Result<()> {
        let id = grant.own().ok_or(Error::NotFound)?;
        let session = grant.session_id().ok_or(Error::Unauthenticated)?;
        let (found, keys) = self.prove(facts, (id, session), current, Refused::password_change, origin).await?;
        let policy = self.policy(facts);
        new.check_length(policy.password_min_length).map_err(|fault| password_issue("new_password", fault))?;
        let context = password_context(facts, &found.user.username, &found.user.email);
        let chosen = self.hasher.choose(facts.tenant.id, new, context).await?;
        let hash = chosen.map_err(|fault| password_issue("new_password", fault))?;
        let (grant, outbox, house) = (grant.clone(), self.outbox.clone(), facts.tenant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, now) = (tx.scope(&grant).await?, tx.now());
            let (changed, ends) = found.user.clone().change_password(hash.clone(), session, now);
            let user = scope.update(changed).await?.user;
            scope.revoke_many(&ends).await?;
            let system = tx.system(SystemReason::Authentication);
            system.forgive(&keys).await?;
            // Nor does the old password lock anything any more.
            system.forget_failures(&user).await?;
            outbox.post(&scope, &user, letters::password_changed(&house, &user), now).await
        };
        self.idempotency().write(origin, work).await
    }
}
