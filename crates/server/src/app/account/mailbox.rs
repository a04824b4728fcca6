//! One's e-mail address: changing it, and showing that it is one's own.

use gatehouse_domain::{
    audit::Refused,
    authz::{Grant, ProveOneself, SystemReason},
    mail,
    password::Password,
    text::Email,
    user::{Purpose, Useless, VERIFICATION_LIFETIME},
};
use gatehouse_persistence::{TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        account::{Accounts, recovery::EMAIL_PAGE},
        attempts::pass,
        mail::{Waiting, letters},
        request::client::RequestMeta,
    },
    security::{keyring::token_hash, opaque_token},
};

const AUTH: SystemReason = SystemReason::Authentication;

impl Accounts<'_> {
    /// Mails a link to an address, with which it becomes that of the account; until then the old one stays. Who has an
    /// account at that address already is told so there, and nowhere else.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when the password is wrong, [`Error::Conflict`] when it is the verified address of
    /// the account already, [`Error::RateLimited`].
    pub async fn change_email(
        &self,
        grant: &Grant<ProveOneself>,
        facts: &TenantFacts,
        email: Email,
        password: Password,
        meta: &RequestMeta,
    ) -> Result<()> {
        let id = grant.own().ok_or(Error::NotFound)?;
        let session = grant.session_id().ok_or(Error::Unauthenticated)?;
        let proved = self.passwords.again(facts, (id, session), password, Refused::email_change, meta).await?;
        let mailbox = self.attempts.mailbox(facts, &email);
        let (token, outbox, tenant) =
            (opaque_token::mint_verification(self.env), self.outbox.clone(), facts.tenant.clone());
        let (grant, user, keys) = (grant.clone(), proved.found.user, proved.keys);
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, system) = (tx.scope(&grant).await?, tx.system(AUTH));
            let now = tx.now();
            system.forgive(&keys).await?;
            let issued = user.clone().issue_verification(email.clone(), now.plus(VERIFICATION_LIFETIME), &grant.by());
            let issued = issued.map_err(|Useless| Error::Conflict("That is the verified address already.".into()))?;
            pass(mailbox.count(&system, now).await?.gate)?;
            let holder = system.user_by_email(tenant.id, &email).await?;
            if holder.is_some_and(|holder| holder.id != user.id) {
                let letter = Waiting::Letter(letters::address_taken(&tenant, &email).into());
                let mail = outbox.mail(&letter, mail::give_up_at(now, None))?;
                return Ok(system.enqueue(tenant.reference(), None, mail).await?);
            }
            let issued = scope.put_token(issued, token.hash).await?;
            let url = outbox.link(EMAIL_PAGE, &tenant.slug, &token.text)?;
            let letter = letters::verification(&tenant, &email, url);
            outbox.post_link(&system, &issued, letter, now).await
        };
        self.idempotency.write(meta, work).await
    }

    /// Makes the address that a link was mailed to the verified one of the account. Both addresses are told when that is
    /// another than before.
    ///
    /// # Errors
    /// [`Error::InvalidLink`], [`Error::AlreadyRegistered`] when somebody else has the address by now,
    /// [`Error::TenantSuspended`].
    pub async fn verify_email(&self, facts: &TenantFacts, token: &str, meta: &RequestMeta) -> Result<()> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let hash = token_hash(token);
        let (outbox, tenant) = (self.outbox.clone(), facts.tenant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let spent =
                system.spend_token(tenant.reference(), Purpose::Email, hash).await?.ok_or(Error::InvalidLink)?;
            let user = system.user(spent.user_id).await?.ok_or(Error::InvalidLink)?;
            let (old, email) = (user.email.clone(), spent.mailed_to.ok_or(Error::InvalidLink)?);
            let user = system.update(user.verify_email(email, now)?).await?;
            if user.email.key() != old.key() {
                for letter in letters::email_changed(&tenant, &user, &old) {
                    outbox.post(&system, &user, letter, now).await?;
                }
            }
            Ok::<_, Error>(())
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
