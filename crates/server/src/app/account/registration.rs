//! Opening an account.

use gatehouse_domain::{
    authz::{Authority, By, SystemReason},
    id::UserId,
    issue::Fault,
    password::Password,
    secret::PasswordHash,
    settings::Registration,
    text::{DisplayName, Email, Phone, Username},
    throttle::Gate,
    user::{Attributes, NewUser, Purpose, User, UserView, VERIFICATION_LIFETIME},
};
use gatehouse_persistence::{TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        account::{Accounts, password::password_issue, recovery::EMAIL_PAGE},
        attempts::{Limited, RateLimit, pass},
        directory::{invitations::PAGE, tenants::another_user_fits},
        mail::letters,
        request::client::RequestMeta,
    },
    security::opaque_token,
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

impl Accounts<'_> {
    /// Opens an account, or mails somebody who is invited the link once more where an invitation is needed.
    pub async fn register(&self, facts: &TenantFacts, new: Register, meta: &RequestMeta) -> Limited<UserView> {
        let mut quota = None;
        let attempt = async |facts: &TenantFacts| self.try_register(facts, new.clone(), meta, &mut quota).await;
        let result = self.states.again_if_moved(facts, attempt).await;
        Limited { quota, result }
    }

    /// What is wrong with the password of a registration, where other things are wrong as well. As it takes time to judge
    /// one that is long enough, that counts as an attempt.
    pub async fn judge_registration(
        &self,
        facts: &TenantFacts,
        password: Password,
        username: Option<&Username>,
        email: Option<&Email>,
        meta: &RequestMeta,
    ) -> Limited<Option<Fault>> {
        if let Err(fault) = self.new_passwords.check_length(facts, &password) {
            return Limited { quota: None, result: Ok(Some(fault)) };
        }
        let mut quota = None;
        let result = match self.may_register(facts, meta, &mut quota).await {
            Ok(()) => self.new_passwords.judge(facts, password, username, email).await,
            Err(error) => Err(error),
        };
        Limited { quota, result }
    }

    /// Whether somebody may register, which counts.
    async fn may_register(&self, facts: &TenantFacts, meta: &RequestMeta, quota: &mut Option<RateLimit>) -> Result<()> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        if self.registration(facts) == Registration::Closed {
            return Err(Error::RegistrationClosed);
        }
        let counted = self.attempts.count(self.attempts.registrations(meta), meta).await?;
        *quota = counted.quota;
        pass(counted.gate)
    }

    async fn try_register(
        &self,
        facts: &TenantFacts,
        new: Register,
        meta: &RequestMeta,
        quota: &mut Option<RateLimit>,
    ) -> Result<UserView> {
        self.may_register(facts, meta, quota).await?;
        if self.registration(facts) == Registration::Invite {
            let judged = self.new_passwords.judge(facts, new.password, Some(&new.username), Some(&new.email)).await?;
            return match judged {
                Some(fault) => Err(password_issue("password", fault)),
                None => self.invite_again(facts, (new.username, new.email), meta).await,
            };
        }
        let hash = self.new_passwords.choose(facts, "password", new.password, &new.username, &new.email).await?;
        let new = NewUser {
            tenant: facts.reference(),
            username: new.username,
            email: new.email,
            display_name: new.display_name,
            phone: new.phone,
        };
        let user = self.open(facts, new, hash, meta).await?;
        Ok(UserView { user, roles: Vec::new() })
    }

    /// Who may open an account.
    #[must_use]
    pub fn registration(&self, facts: &TenantFacts) -> Registration {
        facts.layers().policy(self.defaults).registration
    }

    /// Whether nobody signs in before the address is confirmed.
    #[must_use]
    pub fn wants_confirmation(&self, facts: &TenantFacts) -> bool {
        facts.layers().policy(self.defaults).require_verified_email
    }

    /// Mails the link of an open invitation to its address once more. Whoever registers has shown no more than that they
    /// know the address, and the account may hold roles already: names and password are chosen with the link, and the
    /// answer tells nothing of its profile. The invitation ends when it would have ended. A link that was handed over
    /// stays as it is: nobody who only knows the address makes it useless.
    async fn invite_again(
        &self,
        facts: &TenantFacts,
        (username, email): (Username, Email),
        meta: &RequestMeta,
    ) -> Result<UserView> {
        let (token, outbox, tenant) =
            (opaque_token::mint_invitation(self.env), self.outbox.clone(), facts.tenant.clone());
        let mailbox = self.attempts.mailbox(facts, &email);
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(SystemReason::Authentication), tx.now());
            let user = system.user_by_email(tenant.id, &email).await?.ok_or(Error::RegistrationClosed)?;
            let until = system.read().open_until(&user, Purpose::Invitation, now).await?;
            let (until, is_mailed) = until.ok_or(Error::RegistrationClosed)?;
            let gatehouse = Authority::system(SystemReason::Authentication);
            let invited = user.clone().invite(true, until, &[], &gatehouse).map_err(|_| Error::RegistrationClosed)?;
            if is_mailed && mailbox.count(&system, now).await?.gate == Gate::Open {
                let issued = system.put_token(invited, token.hash).await?;
                let letter = letters::invitation(&tenant, &issued, outbox.link(PAGE, &tenant.slug, &token.text)?, now);
                outbox.post_link(&system, &issued, letter, now).await?;
            }
            Ok::<_, Error>((user, now))
        };
        let (user, now) = self.db.write(meta.ctx.clone(), work).await?;
        let user = User {
            username,
            display_name: None,
            phone: None,
            attributes: Attributes::default(),
            email_verified: false,
            created_at: now,
            updated_at: now,
            ..user
        };
        Ok(UserView { user, roles: Vec::new() })
    }

    /// Writes the account, and the link that shows that the address is its owner's.
    async fn open(&self, facts: &TenantFacts, new: NewUser, hash: PasswordHash, meta: &RequestMeta) -> Result<User> {
        let id = self.env.id(UserId::from_parts);
        let (token, outbox, tenant) =
            (opaque_token::mint_verification(self.env), self.outbox.clone(), facts.tenant.clone());
        let insert = async move |tx: &WriteTx<'_>| {
            another_user_fits(tx, tenant.reference()).await?;
            let (system, now) = (tx.system(SystemReason::Authentication), tx.now());
            let user = system.insert(User::register(id, new.clone(), hash.clone(), now)).await?.user;
            let (address, by) = (user.email.clone(), By::oneself(user.id, None));
            let issued = user.clone().issue_verification(address, now.plus(VERIFICATION_LIFETIME), &by)?;
            let issued = system.put_token(issued, token.hash).await?;
            let url = outbox.link(EMAIL_PAGE, &tenant.slug, &token.text)?;
            outbox.post_link(&system, &issued, letters::verification(&tenant, &user.email, url), now).await?;
            Ok::<_, Error>(user)
        };
        self.db.write(meta.ctx.clone(), insert).await
    }
}
