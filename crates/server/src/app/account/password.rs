//! Choosing a password, and changing one's own.

use gatehouse_domain::{
    audit::Refused,
    authz::{Grant, ProveOneself, SystemReason},
    issue::{Fault, Issue},
    password::Password,
    secret::PasswordHash,
    text::{Email, Username},
    user::Purpose,
};
use gatehouse_persistence::{TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        account::{Accounts, NewPasswords},
        mail::letters,
        request::client::RequestMeta,
    },
    security::keyring::token_hash,
};

/// A password that breaks a rule, as an issue with a field of the body.
pub(crate) fn password_issue(field: &'static str, fault: Fault) -> Error {
    Error::Invalid(issue(field, fault).into())
}

fn issue(field: &'static str, fault: Fault) -> Issue {
    Issue { loc: vec!["body".into(), field.into()], msg: fault.msg, kind: fault.kind }
}

impl NewPasswords<'_> {
    /// Hashes a password that its user has chosen, given in `field` of the body.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is too weak, [`Error::Overloaded`].
    pub(crate) async fn choose(
        &self,
        facts: &TenantFacts,
        field: &'static str,
        password: Password,
        username: &Username,
        email: &Email,
    ) -> Result<PasswordHash> {
        if let Err(error) = Error::suits(username, email) {
            let Error::Invalid(mut issues) = error else { return Err(error) };
            if let Some(fault) = self.judge(facts, password, Some(username), Some(email)).await? {
                issues.push(issue(field, fault));
            }
            return Err(Error::Invalid(issues));
        }
        self.check_length(facts, &password).map_err(|fault| password_issue(field, fault))?;
        let chosen = self.hasher.choose(facts.tenant.id, password, context(facts, Some(username), Some(email))).await?;
        chosen.map_err(|fault| password_issue(field, fault))
    }

    /// What is wrong with a password, where other things are wrong as well, which may be the names of its user.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn judge(
        &self,
        facts: &TenantFacts,
        password: Password,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<Option<Fault>> {
        if let Err(fault) = self.check_length(facts, &password) {
            return Ok(Some(fault));
        }
        Ok(self.hasher.judge(facts.tenant.id, password, context(facts, username, email)).await?.err())
    }

    /// The same of a password that is set with a link: nobody without one makes the server judge.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn judge_with_link(
        &self,
        facts: &TenantFacts,
        (purpose, token): (Purpose, &str),
        password: Password,
        username: Option<&Username>,
        meta: &RequestMeta,
    ) -> Result<Option<Fault>> {
        let reading = self.db.system(SystemReason::Authentication);
        let owner = reading.token_owner(facts.reference(), purpose, token_hash(token), meta.ctx.now).await?;
        let Some(owner) = owner.filter(|_| facts.is_active()) else { return Ok(None) };
        let Some(user) = reading.user(owner).await? else { return Ok(None) };
        self.judge(facts, password, username.or(Some(&user.username)), Some(&user.email)).await
    }

    /// Whether a password is long enough.
    pub(crate) fn check_length(&self, facts: &TenantFacts, password: &Password) -> Result<(), Fault> {
        password.check_length(self.least(facts))
    }

    /// How many characters a password has at least.
    #[must_use]
    pub fn least(&self, facts: &TenantFacts) -> usize {
        facts.layers().policy(self.defaults).password_min_length
    }
}

/// The words that an attacker would try first.
fn context(facts: &TenantFacts, username: Option<&Username>, email: Option<&Email>) -> Vec<String> {
    let tenant = &facts.tenant;
    let words = ["gatehouse", tenant.slug.as_str(), tenant.name.as_str()].into_iter();
    words.chain(username.map(Username::as_str)).chain(email.map(Email::as_str)).map(str::to_lowercase).collect()
}

impl Accounts<'_> {
    /// Changes one's own password. Every other session ends. A wrong current password counts like a failed sign-in.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when the current password is wrong, [`Error::RateLimited`] after too many of
    /// these, [`Error::Invalid`] when the new one is too weak.
    pub async fn change_password(
        &self,
        grant: &Grant<ProveOneself>,
        facts: &TenantFacts,
        current: Password,
        new: Password,
        meta: &RequestMeta,
    ) -> Result<()> {
        let id = grant.own().ok_or(Error::NotFound)?;
        let session = grant.session_id().ok_or(Error::Unauthenticated)?;
        let proved = self.passwords.again(facts, (id, session), current, Refused::password_change, meta).await?;
        let (user, keys) = (proved.found.user, proved.keys);
        let hash = self.new_passwords.choose(facts, "new_password", new, &user.username, &user.email).await?;
        let (grant, outbox, tenant) = (grant.clone(), self.outbox.clone(), facts.tenant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, now) = (tx.scope(&grant).await?, tx.now());
            let (changed, ends) = user.clone().change_password(hash.clone(), session, now);
            let user = scope.update(changed).await?.user;
            scope.revoke_many(&ends).await?;
            let system = tx.system(SystemReason::Authentication);
            system.forgive(&keys).await?;
            // Nor does the old password lock anything any more.
            system.forget_failures(&user).await?;
            outbox.post(&scope, &user, letters::password_changed(&tenant, &user), now).await
        };
        self.idempotency.write(meta, work).await
    }
}
