//! Opening an account.

use gatehouse_domain::{
    authz::{By, SystemReason},
    id::UserId,
    issue::Fault,
    password::Password,
    secret::PasswordHash,
    settings::Registration,
    text::{DisplayName, Email, Phone, Username},
    user::{NewUser, User, UserView, VERIFICATION_LIFETIME},
};
use gatehouse_persistence::{TenantFacts, WriteTx};

use crate::{
    app::{
        Error, Result,
        account::{Accounts, recovery::EMAIL_PAGE},
        attempts::{Limited, Quota, pass},
        directory::tenants::another_user_fits,
        mail::letters,
        request::client::Origin,
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
    /// Opens an account.
    pub async fn register(&self, facts: &TenantFacts, new: Register, origin: &Origin) -> Limited<UserView> {
        let mut quota = None;
        let attempt = async |facts: &TenantFacts| self.try_register(facts, new.clone(), origin, &mut quota).await;
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
        origin: &Origin,
    ) -> Limited<Option<Fault>> {
        if let Err(fault) = self.new_passwords.check_length(facts, &password) {
            return Limited { quota: None, result: Ok(Some(fault)) };
        }
        let mut quota = None;
        let result = match self.may_register(facts, origin, &mut quota).await {
            Ok(()) => self.new_passwords.judge(facts, password, username, email).await,
            Err(error) => Err(error),
        };
        Limited { quota, result }
    }

    /// Whether somebody may register, which counts.
    async fn may_register(&self, facts: &TenantFacts, origin: &Origin, quota: &mut Option<Quota>) -> Result<()> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        if facts.layers().policy(self.defaults).registration != Registration::Open {
            return Err(Error::RegistrationClosed);
        }
        let counted = self.attempts.count(self.attempts.registrations(origin), origin).await?;
        *quota = counted.quota;
        pass(counted.gate)
    }

    async fn try_register(
        &self,
        facts: &TenantFacts,
        new: Register,
        origin: &Origin,
        quota: &mut Option<Quota>,
    ) -> Result<UserView> {
        self.may_register(facts, origin, quota).await?;
        let hash = self.new_passwords.choose(facts, "password", new.password, &new.username, &new.email).await?;
        let new = NewUser {
            tenant: facts.reference(),
            username: new.username,
            email: new.email,
            display_name: new.display_name,
            phone: new.phone,
        };
        let user = self.open(facts, new, hash, origin).await?;
        Ok(UserView { user, roles: Vec::new() })
    }

    /// Writes the account, and the link that shows that the address is its owner's.
    async fn open(&self, facts: &TenantFacts, new: NewUser, hash: PasswordHash, origin: &Origin) -> Result<User> {
        let id = self.env.id(UserId::from_parts);
        let tenant = facts.reference();
        let (token, outbox, house) =
            (opaque_token::mint_verification(self.env), self.outbox.clone(), facts.tenant.clone());
        let insert = async move |tx: &WriteTx<'_>| {
            another_user_fits(tx, tenant).await?;
            let (system, now) = (tx.system(SystemReason::Authentication), tx.now());
            let user = system.insert(User::register(id, new.clone(), hash.clone(), now)).await?.user;
            let (address, by) = (user.email.clone(), By::oneself(user.id, None));
            let issued = user.clone().issue_verification(address, now.plus(VERIFICATION_LIFETIME), &by)?;
            let issued = system.put_token(issued, token.hash).await?;
            let url = outbox.link(EMAIL_PAGE, &house.slug, &token.text);
            outbox.post_link(&system, &issued, letters::verification(&house, &user.email, url), now).await?;
            Ok::<_, Error>(user)
        };
        self.db.write(origin.ctx.clone(), insert).await
    }
}
