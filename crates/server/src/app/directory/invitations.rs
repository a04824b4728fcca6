//! Invitations: how an account that an administrator made comes to its owner. An administrator never sets or sees a
//! password.

use std::{sync::Arc, time::Duration};

use gatehouse_domain::{
    authz::{Authority, Grant, SystemReason, WriteUsers},
    id::{TenantId, UserId},
    import::Import,
    job::JobKind,
    password::Password,
    secret::Secret,
    tenant::Tenant,
    time::Timestamp,
    user::{Acceptance, INVITATION_LIFETIME, NotInvited, Purpose, UserView},
};
use gatehouse_persistence::{ClaimedJob, Db, TenantFacts, WriteScope, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        account::NewPasswords,
        authority::authority,
        jobs::Outbox,
        mail::letters,
        request::{Idempotency, client::RequestMeta},
    },
    env::Env,
    security::{keyring::token_hash, opaque_token},
};

/// Where the page is that a link leads to. What follows the fragment sign never leaves the browser.
pub const PAGE: &str = "/invitation";

const JOB: SystemReason = SystemReason::Job;
/// How many users are invited in one step, and how long after it the next step is: to a mail server thousands of mails at
/// once are spam.
const AT_ONCE: u64 = 50;
const PAUSE: Duration = Duration::from_secs(5);
/// While so many mails of the tenant wait, nobody is invited: other mails are not held up.
const MOST_WAITING: u32 = 200;

/// How the owner of an account gets the invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is mailed to the address of the account. Accepting it proves that mailbox.
    Email,
    /// Whoever makes it gets the link, once, and hands it on.
    Link,
}

/// A link that makes its holder the owner of an account.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The link, where it is to be handed over; shown once.
    pub handed: Option<HandedLink>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A link for whoever asked for it.
#[derive(Debug, Clone)]
pub struct HandedLink {
    /// The link.
    pub url: Secret<String>,
    /// The token in it.
    pub token: Secret<String>,
}

/// An invitation in the making; goes along into transactions.
#[derive(Debug, Clone)]
pub(crate) struct NewInvitation {
    is_mailed: bool,
    token: opaque_token::NewToken,
    base_url: Arc<str>,
    outbox: Outbox,
}

impl NewInvitation {
    /// Makes the link of a user; an earlier one stops working. It is mailed, or the answer has it.
    pub(crate) async fn issue(
        &self,
        scope: &WriteScope<'_>,
        tenant: &Tenant,
        view: &UserView,
        caller: &Authority,
        now: Timestamp,
    ) -> Result<Invitation> {
        let (expires_at, token) = (now.plus(INVITATION_LIFETIME), &self.token.text);
        let invited = view.user.clone().invite(self.is_mailed, expires_at, &view.roles, caller)?;
        let issued = scope.put_token(invited, self.token.hash).await?;
        if self.is_mailed {
            let letter = letters::invitation(tenant, &issued, self.outbox.link(PAGE, &tenant.slug, token)?, now);
            self.outbox.post_link(scope, &issued, letter, now).await?;
            return Ok(Invitation { handed: None, expires_at });
        }
        let url = Secret::new(self.outbox.link_of(&self.base_url, PAGE, &tenant.slug, token)?);
        Ok(Invitation { handed: Some(HandedLink { url, token: token.clone() }), expires_at })
    }
}

impl From<NotInvited> for Error {
    fn from(NotInvited: NotInvited) -> Self {
        Self::Conflict("The account has its owner.".into())
    }
}

/// Invitations.
#[derive(Debug, Clone, Copy)]
pub struct Invitations<'a> {
    db: &'a Db,
    env: &'a Env,
    new_passwords: NewPasswords<'a>,
    outbox: &'a Outbox,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Invitations.
    pub const fn invitations(&self) -> Invitations<'_> {
        Invitations {
            db: &self.db,
            env: &self.env,
            new_passwords: self.new_passwords(),
            outbox: &self.outbox,
            idempotency: self.idempotency(),
        }
    }
}

impl Invitations<'_> {
    /// Prepares an invitation.
    pub(crate) fn prepare(&self, delivery: Delivery, meta: &RequestMeta) -> NewInvitation {
        NewInvitation {
            is_mailed: delivery == Delivery::Email,
            token: opaque_token::mint_invitation(self.env),
            base_url: Arc::clone(&meta.base_url),
            outbox: self.outbox.clone(),
        }
    }

    /// Makes a link for an account that waits for its owner; an earlier one stops working. Whoever has the link can
    /// become the user, so it is made by those only who may do whatever the user may, for as long.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] when the account has its owner, [`Error::Stale`].
    pub async fn create(
        &self,
        grant: &Grant<WriteUsers>,
        id: UserId,
        delivery: Delivery,
        meta: &RequestMeta,
    ) -> Result<Invitation> {
        let (new, grant) = (self.prepare(delivery, meta), grant.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let tenant = scope.tenant(view.user.tenant_id).await?.ok_or(Error::NotFound)?;
            let caller = authority(&grant, &scope, view.user.tenant(), &view.roles).await?;
            new.issue(&scope, &tenant, &view, &caller, tx.now()).await
        };
        self.idempotency.write(meta, work).await
    }

    /// Asks for invitations to all users of a tenant, or to those whom an import has brought, who wait for it: they have no
    /// link that works, and hold no role, because whoever invites somebody with a role must hold it, too. They are mailed,
    /// so many at a time. While that goes on, asking again adds nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn invite_all(
        &self,
        grant: &Grant<WriteUsers>,
        tenant: TenantId,
        brought_by: Option<&Import>,
        meta: &RequestMeta,
    ) -> Result<()> {
        let (grant, job, is_about_all) = (grant.clone(), self.outbox.invitations(brought_by)?, brought_by.is_none());
        let work = async move |tx: &WriteTx<'_>| {
            let (scope, system) = (tx.scope(&grant).await?, tx.system(JOB));
            let tenant = scope.tenant(tenant).await?.ok_or(Error::NotFound)?.reference();
            // One after the other: a tenant has one job about all, in the place of those about some.
            system.user_quota(tenant).await?;
            if !system.read().has_job_about_all(job.kind, tenant.id).await? {
                if is_about_all {
                    system.drop_jobs(job.kind, tenant.id).await?;
                }
                scope.enqueue(tenant, None, job.clone()).await?;
            }
            Ok::<_, Error>(scope.note_invitations(tenant, grant.by()).await?)
        };
        self.idempotency.write(meta, work).await
    }

    /// Invites the next ones of those who wait; false if somebody else has the job by now.
    pub(crate) async fn run(&self, claim: &ClaimedJob, made: Option<[Timestamp; 2]>) -> Result<bool> {
        let (claim, outbox) = (claim.clone(), self.outbox.clone());
        let tokens: Vec<_> = (0..AT_ONCE).map(|_| opaque_token::mint_invitation(self.env)).collect();
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(JOB), tx.now());
            // Where nobody may sign in links would run out unused: who asks again later invites whoever is left.
            let facts = system.read().tenant_facts(claim.tenant.id, now).await?.filter(TenantFacts::is_active);
            let Some(TenantFacts { tenant, .. }) = facts else {
                system.drop_job(&claim).await?;
                return Ok(true);
            };
            // Another job of the tenant waits for this one, and sees whom it has invited.
            system.user_quota(claim.tenant).await?;
            if !system.continue_job(&claim, now.plus(PAUSE)).await? {
                return Ok(false);
            }
            let waiting = system.read().jobs_waiting(JobKind::Mail, claim.tenant.id, MOST_WAITING).await?;
            if waiting >= u64::from(MOST_WAITING) {
                return Ok(true);
            }
            let users = system.uninvited(claim.tenant, made, now, AT_ONCE).await?;
            if (users.len() as u64) < AT_ONCE {
                system.drop_job(&claim).await?;
            }
            for (user, token) in users.into_iter().zip(&tokens) {
                let view = UserView { user, roles: Vec::new() };
                let new = NewInvitation {
                    is_mailed: true,
                    token: token.clone(),
                    base_url: "".into(),
                    outbox: outbox.clone(),
                };
                new.issue(&system, &tenant, &view, &Authority::system(JOB), now).await?;
            }
            Ok::<_, Error>(true)
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// Makes the link of an account stop working; where there is none, that changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user, [`Error::Conflict`] when the account has its owner.
    pub async fn cancel(&self, grant: &Grant<WriteUsers>, id: UserId, meta: &RequestMeta) -> Result<()> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let user = scope.user(id).await?.ok_or(Error::NotFound)?;
            let changed = user.cancel_invitation(&grant.by())?;
            scope.drop_token(changed, Purpose::Invitation).await?;
            Ok::<_, Error>(())
        };
        self.db.write(meta.ctx.clone(), work).await
    }

    /// The owner of an account sets the first password. The link is used up by that, and by nothing else: a password
    /// that is too weak leaves it as it is.
    ///
    /// # Errors
    /// [`Error::InvalidInvitation`], [`Error::Invalid`] when the password is too weak, [`Error::AlreadyRegistered`] when
    /// the chosen user name is taken, [`Error::TenantSuspended`], [`Error::Overloaded`].
    pub async fn accept(
        &self,
        facts: &TenantFacts,
        token: &str,
        chosen: Acceptance,
        password: Password,
        meta: &RequestMeta,
    ) -> Result<UserView> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let (tenant, hash, now) = (facts.reference(), token_hash(token), meta.ctx.now);
        // Nobody without a link makes the server hash.
        let reading = self.db.system(SystemReason::Authentication);
        let owner = reading.token_owner(tenant, Purpose::Invitation, hash, now).await?;
        let user = reading.user(owner.ok_or(Error::InvalidInvitation)?).await?.ok_or(Error::InvalidInvitation)?;
        let username = chosen.username.as_ref().unwrap_or(&user.username);
        let password = self.new_passwords.choose(facts, "password", password, username, &user.email).await?;
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(SystemReason::Authentication);
            let spent = system.spend_token(tenant, Purpose::Invitation, hash).await?;
            let spent = spent.ok_or(Error::InvalidInvitation)?;
            let user = system.user(spent.user_id).await?.ok_or(Error::InvalidInvitation)?;
            let accepted = user
                .accept_invitation(spent.mailed_to.as_ref(), chosen.clone(), password.clone(), tx.now())
                .map_err(|NotInvited| Error::InvalidInvitation)?;
            let user = system.update(accepted).await?.user;
            let view = system.user_view(user.id, tx.now()).await?;
            view.ok_or(Error::InvalidInvitation)
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
