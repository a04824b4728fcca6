//! What a mailed link may do for somebody who cannot sign in: set another password, show that an address is one's own.
//!
//! Asking for such a link tells nobody who has an account: it is written down as it came, whatever the address, and
//! looked into when mail is sent. Only the mailed token sets a password, once; it neither signs in nor stands for a
//! second factor.

use gatehouse_domain::{
    authz::{Grant, SystemReason, WriteUsers},
    id::UserId,
    job::JobKind,
    mail,
    password::Password,
    session::Revoked,
    text::Email,
    throttle::Gate,
    user::{NotChanged, Purpose, RESET_LIFETIME, Useless, VERIFICATION_LIFETIME},
};
use gatehouse_persistence::{ChangeContext, ClaimedJob, TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        account::Recovery,
        attempts::{Limited, RateLimit, pass},
        authority::authority,
        mail::{
            Waiting, letters,
            requests::{Request, Wish},
        },
        request::client::RequestMeta,
    },
    mail::Letter,
    security::{keyring::token_hash, opaque_token},
};

const AUTH: SystemReason = SystemReason::Authentication;
/// Where the page is on which a password is set.
pub const RESET_PAGE: &str = "/password-reset";
/// Where the page is on which an address is confirmed.
pub const EMAIL_PAGE: &str = "/email";
/// How much mail of a tenant may wait for strangers to be let add to it.
const MOST_WAITING: u32 = 1_000;

impl From<Useless> for Error {
    fn from(Useless: Useless) -> Self {
        Self::InvalidLink
    }
}

impl Recovery<'_> {
    /// Has something mailed to an address, if it is that of an account which that helps. Asking too often for one
    /// address changes nothing of the answer: what there is to know has been mailed.
    pub async fn ask(&self, facts: &TenantFacts, wish: Wish, email: Email, meta: &RequestMeta) -> Limited<()> {
        let mut quota = None;
        let result = self.try_ask(facts, wish, &email, meta, &mut quota).await;
        Limited { quota, result }
    }

    async fn try_ask(
        &self,
        facts: &TenantFacts,
        wish: Wish,
        email: &Email,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<()> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let ChangeContext { now, ip, user_agent, request_id, clock: _, condition: _ } = meta.ctx.clone();
        let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
        let request =
            Request { wish, email: email.to_string(), ip, user_agent: text(user_agent), request_id: text(request_id) };
        let mail = self.outbox.mail(&Waiting::Request(request), mail::give_up_at(now, None))?;
        let (tenant, requests) = (facts.reference(), self.attempts.mail_requests(meta));
        let mailbox = self.attempts.mailbox(facts, email);
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let counted = requests.count(&system, now).await?;
            if counted.gate != Gate::Open {
                return Ok(counted);
            }
            if system.read().jobs_waiting(JobKind::Mail, tenant.id, MOST_WAITING).await? >= u64::from(MOST_WAITING) {
                return Err(Error::Overloaded);
            }
            if mailbox.count(&system, now).await?.gate == Gate::Open {
                system.enqueue(tenant, None, mail.clone()).await?;
            }
            Ok::<_, Error>(counted)
        };
        let counted = self.db.write(meta.ctx.clone(), work).await?;
        *quota = counted.quota;
        pass(counted.gate)
    }

    /// Makes the letter that answers a request, if there is anything to say to whoever reads that mailbox.
    pub(crate) async fn letter(&self, claim: &ClaimedJob, request: Request) -> Result<Option<Letter>> {
        let facts = self.states.tenant(claim.tenant.id).await?.filter(|facts| facts.is_active());
        let Some(facts) = facts else { return Ok(None) };
        let (outbox, now, claim) = (self.outbox.clone(), self.env.now(), claim.clone());
        let Request { wish, email, ip, user_agent, request_id } = request;
        let email = Email::from_stored(email);
        let token = match wish {
            Wish::PasswordReset => opaque_token::mint_reset(self.env),
            Wish::Verification => opaque_token::mint_verification(self.env),
        };
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let by = system.by();
            let Some(user) = system.user_by_email(claim.tenant.id, &email).await? else { return Ok(None) };
            let address = user.email.clone();
            let issued = match wish {
                Wish::PasswordReset => user.issue_reset(now.plus(RESET_LIFETIME), &by),
                Wish::Verification => user.issue_verification(address.clone(), now.plus(VERIFICATION_LIFETIME), &by),
            };
            let Ok(issued) = issued else { return Ok(None) };
            let issued = system.put_token(issued, token.hash).await?;
            let slug = &facts.tenant.slug;
            let letter = match wish {
                Wish::PasswordReset => {
                    letters::reset(&facts.tenant, &issued.user, outbox.link(RESET_PAGE, slug, &token.text)?, false)
                }
                Wish::Verification => {
                    let url = outbox.link(EMAIL_PAGE, slug, &token.text)?;
                    letters::verification(&facts.tenant, &address, url)
                }
            };
            let sealed = Some(outbox.seal(claim.job.id, JobKind::Mail, &Waiting::Letter(letter.clone().into()))?);
            let until = mail::give_up_at(now, Some(issued.expires_at));
            // From here on the mail is that letter, however often it has to be sent.
            if system.rewrite_job(&claim, issued.user.id, sealed, until).await? {
                Ok(Some(letter))
            } else {
                Err(Error::Stale)
            }
        };
        let (user_agent, request_id) = (user_agent.map(Into::into), request_id.map(Into::into));
        let ctx = ChangeContext { ip, user_agent, request_id, ..ChangeContext::at(now) };
        match self.db.write(ctx, work).await {
            // Somebody else has it by now, and answers it.
            Err(Error::Stale) => Ok(None),
            answered => answered,
        }
    }

    /// Sets another password with a mailed link, which is used up by that, and by nothing else: a password that is too
    /// weak leaves it as it is. Every session ends, and failed sign-ins are forgotten. Nobody is signed in by it.
    ///
    /// # Errors
    /// [`Error::InvalidLink`], [`Error::Invalid`] when the password is too weak, [`Error::TenantSuspended`],
    /// [`Error::Overloaded`].
    pub async fn reset_password(
        &self,
        facts: &TenantFacts,
        token: &str,
        password: Password,
        meta: &RequestMeta,
    ) -> Result<()> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let (tenant, hash, now) = (facts.reference(), token_hash(token), meta.ctx.now);
        // Nobody without a link makes the server hash.
        let owner = self.db.system(AUTH).token_owner(tenant, Purpose::PasswordReset, hash, now).await?;
        let user = self.db.system(AUTH).user(owner.ok_or(Error::InvalidLink)?).await?.ok_or(Error::InvalidLink)?;
        let password = self.new_passwords.choose(facts, "new_password", password, &user.username, &user.email).await?;
        let (outbox, tenant) = (self.outbox.clone(), facts.tenant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(AUTH), tx.now());
            let spent = system
                .spend_token(tenant.reference(), Purpose::PasswordReset, hash)
                .await?
                .ok_or(Error::InvalidLink)?;
            let user = system.user(spent.user_id).await?.ok_or(Error::InvalidLink)?;
            let mailed_to = spent.mailed_to.ok_or(Error::InvalidLink)?;
            let (changed, ends) = user.reset_password(&mailed_to, password.clone(), now)?;
            let user = system.update(changed).await?.user;
            system.revoke_many(&ends).await?;
            system.forget_failures(&user).await?;
            outbox.post(&system, &user, letters::password_changed(&tenant, &user), now).await
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// Makes a user set another password. Whoever asks for that suspects that somebody else has the old one: it stops
    /// working and every session ends at once, and the user is mailed a link. Not for those who may do more than whoever
    /// asks: it shuts out until the mail is read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] when the user may not sign in anyway or is the last
    /// administrator of the platform.
    pub async fn force_reset(&self, grant: &Grant<WriteUsers>, id: UserId, meta: &RequestMeta) -> Result<Revoked> {
        let (token, outbox, grant) = (opaque_token::mint_reset(self.env), self.outbox.clone(), grant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, now) = (tx.scope(&grant).await?, tx.now());
            let view = scope.user_view(id, now).await?.ok_or(Error::NotFound)?;
            let caller = authority(&grant, &scope, view.user.tenant(), &view.roles).await?;
            let inactive = |Useless| Error::Conflict("The user is not active.".into());
            let cleared = view.user.clear_password(&view.roles, &caller, now);
            let (changed, ends) = cleared.map_err(|error| match error {
                NotChanged::State(useless) => inactive(useless),
                NotChanged::Denied(denied) => denied.into(),
            })?;
            let user = scope.update(changed).await?.user;
            let revoked = scope.revoke_many(&ends).await?;
            let tenant = scope.tenant(user.tenant_id).await?.ok_or(Error::NotFound)?;
            let issued = user.issue_reset(now.plus(RESET_LIFETIME), &grant.by()).map_err(inactive)?;
            let issued = scope.put_token(issued, token.hash).await?;
            let url = outbox.link(RESET_PAGE, &tenant.slug, &token.text)?;
            outbox.post_link(&scope, &issued, letters::reset(&tenant, &issued.user, url, true), now).await?;
            Ok::<_, Error>(revoked)
        };
        self.idempotency.write(meta, work).await
    }
}
