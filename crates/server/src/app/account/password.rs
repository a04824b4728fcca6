//! Choosing a password, and changing one's own.

use gatehouse_domain::{
    audit::Refused,
    authz::{Grant, Oneself, SystemReason},
    issue::{Fault, Issue},
    password::Password,
    secret::PasswordHash,
    text::{Email, Username},
};
use gatehouse_persistence::{TenantFacts, WriteTx};

use crate::app::{
    Error, Result,
    account::{Accounts, NewPasswords},
    mail::letters,
    request::client::Origin,
};

/// A password that breaks a rule, as an issue with a field of the body.
pub(crate) fn password_issue(field: &'static str, fault: Fault) -> Error {
    Error::Invalid(Issue { loc: vec!["body".into(), field.into()], msg: fault.msg, kind: fault.kind }.into())
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
        let min_length = facts.layers().policy(self.defaults).password_min_length;
        password.check_length(min_length).map_err(|fault| password_issue(field, fault))?;
        let tenant = &facts.tenant;
        // The words that an attacker would try first.
        let context = ["gatehouse", username.as_str(), email.as_str(), tenant.slug.as_str(), tenant.name.as_str()];
        let chosen = self.hasher.choose(tenant.id, password, context.map(str::to_lowercase).to_vec()).await?;
        chosen.map_err(|fault| password_issue(field, fault))
    }
}

impl Accounts<'_> {
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
        let proved = self.passwords.again(facts, (id, session), current, Refused::password_change, origin).await?;
        let (user, keys) = (proved.found.user, proved.keys);
        let hash = self.new_passwords.choose(facts, "new_password", new, &user.username, &user.email).await?;
        let (grant, outbox, house) = (grant.clone(), self.outbox.clone(), facts.tenant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, now) = (tx.scope(&grant).await?, tx.now());
            let (changed, ends) = user.clone().change_password(hash.clone(), session, now);
            let user = scope.update(changed).await?.user;
            scope.revoke_many(&ends).await?;
            let system = tx.system(SystemReason::Authentication);
            system.forgive(&keys).await?;
            // Nor does the old password lock anything any more.
            system.forget_failures(&user).await?;
            outbox.post(&scope, &user, letters::password_changed(&house, &user), now).await
        };
        self.idempotency.write(origin, work).await
    }
}
