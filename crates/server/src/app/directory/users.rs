//! Users as administrators see them. No administrator ever sees a password, or sets one but by
//! bringing its hash along from another system.

use gatehouse_domain::{
    authz::{Grant, ReadUsers, SystemReason, WriteUsers},
    id::{TenantId, UserId},
    page::{Direction, Page, PageRequest},
    role::BuiltinRole,
    session::Effects,
    text::{DisplayName, Email, LoginName, Phone, Username},
    throttle::NETWORKS,
    user::{NewUser, User, UserDetail, UserPatch, UserStatus, UserView},
};
use gatehouse_persistence::{AttemptKeys, TenantFacts, WriteTx};

use crate::app::{
    App, Error, Result,
    authority::assignments::{an_owner_stays, may_become, may_do_as_much},
    directory::{
        invitations::{Delivery, Invitation},
        tenants::{another_user_fits, unknown},
    },
    effects::{Mode, change, end},
    mail::letters,
    request::client::Origin,
};

pub use gatehouse_persistence::UserFilter;

/// What an administrator gives to make an account.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The user name.
    pub username: Username,
    /// The e-mail address.
    pub email: Email,
    /// How to be addressed.
    pub display_name: Option<DisplayName>,
    /// Where to be called.
    pub phone: Option<Phone>,
    /// How the owner gets the link with which to set the password; none is made if not at all.
    pub delivery: Option<Delivery>,
}

impl App {
    /// Lists users within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list_users(
        &self,
        grant: &Grant<ReadUsers>,
        filter: &UserFilter,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<UserDetail>> {
        Ok(self.db.scope(grant).users(filter, direction, page, self.env.now()).await?)
    }

    /// One user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn user(&self, grant: &Grant<ReadUsers>, id: UserId) -> Result<UserDetail> {
        self.db.scope(grant).user_detail(id, self.env.now()).await?.ok_or(Error::NotFound)
    }

    /// Makes an account, which cannot sign in before its owner has set a password, and the link for that if asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such tenant, [`Error::AlreadyRegistered`], [`Error::LimitReached`].
    pub async fn create_user(
        &self,
        grant: &Grant<WriteUsers>,
        new: CreateUser,
        origin: &Origin,
    ) -> Result<(UserDetail, Option<Invitation>)> {
        let (id, invitation) =
            (self.env.id(UserId::from_parts), new.delivery.map(|delivery| self.new_invitation(delivery, origin)));
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let house = scope.tenant(new.tenant_id).await?.ok_or_else(|| unknown("tenant_id"))?;
            let tenant = house.reference();
            let user = NewUser {
                tenant,
                username: new.username.clone(),
                email: new.email.clone(),
                display_name: new.display_name.clone(),
                phone: new.phone.clone(),
            };
            another_user_fits(tx, tenant).await?;
            let user = scope.insert(User::create(id, user, &grant.by(), tx.now())).await?;
            let invitation = match &invitation {
                Some(new) => Some(new.issue(&scope, &house, user.clone(), &grant.by(), tx.now()).await?),
                None => None,
            };
            let view = UserView { user, roles: Vec::new() };
            Ok::<_, Error>((UserDetail { view, sessions: 0, locked: false }, invitation))
        };
        self.idempotency().write(origin, work).await
    }

    /// Changes a user. Suspending one ends all the user's sessions; activating one forgets failed sign-ins.
    ///
    /// Whoever reads the mail of an account can become its owner, a suspended account has no rights, and an owner who
    /// finds the account renamed, unverified or suspended is shut out: user name, address, its verification and status
    /// are changed by those only who may do whatever the owner may, an address and its verification by those only who
    /// may do so for as long. Ending the owner's sessions is not among this, and stays with whoever may end sessions
    /// there: it stops a stolen session, and the owner signs in again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::AlreadyRegistered`], [`Error::Conflict`], [`Error::Stale`].
    pub async fn update_user(
        &self,
        grant: &Grant<WriteUsers>,
        id: UserId,
        patch: UserPatch,
        mode: Mode,
        origin: &Origin,
    ) -> Result<(UserDetail, Effects)> {
        let (grant, outbox) = (grant.clone(), self.outbox.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            if patch.email.is_some() || patch.email_verified == Some(true) {
                may_become(&grant, &scope, &view.roles).await?;
            }
            if patch.username.is_some() || patch.email_verified.is_some() || patch.status.is_some() {
                may_do_as_much(&grant, &scope, &view.roles).await?;
            }
            let (verified, old) = (view.user.email_verified, view.user.email.clone());
            let (changed, ends) = view.user.update(patch.clone(), &grant.by(), tx.now());
            let user = scope.update(changed).await?;
            let owned = view.roles.iter().any(|role| role.role_id == BuiltinRole::SuperAdmin.id());
            let unverified = verified && !user.email_verified;
            if owned && (user.status == UserStatus::Suspended || unverified) {
                an_owner_stays(tx).await?;
            }
            if user.email.key() != old.key() && user.status == UserStatus::Active {
                let house = scope.tenant(user.tenant_id).await?.ok_or(Error::NotFound)?;
                for letter in letters::email_changed(&house, &user, &old) {
                    outbox.post(&scope, &user, letter, tx.now()).await?;
                }
            }
            let effects = match ends {
                Some(ends) => end(tx, &scope, &ends, mode).await?,
                None => Effects::default(),
            };
            if patch.status == Some(UserStatus::Active) {
                scope.forget_failures(&user).await?;
            }
            Ok((scope.user_detail(id, tx.now()).await?.ok_or(Error::NotFound)?, effects))
        };
        change(&self.db, origin.ctx.clone(), mode, work).await
    }

    /// Forgets the failed sign-ins of an account, so that its owner need not wait. By those only who may do whatever the
    /// owner may, as it lets somebody go on guessing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn unlock_user(&self, grant: &Grant<WriteUsers>, id: UserId, origin: &Origin) -> Result<UserDetail> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let detail = scope.user_detail(id, tx.now()).await?.ok_or(Error::NotFound)?;
            if grant.by().user_id() != Some(id) {
                may_do_as_much(&grant, &scope, &detail.view.roles).await?;
            }
            if !scope.forget_failures(&detail.view.user).await? {
                return Ok(detail);
            }
            let user = scope.update(detail.view.user.unlock(&grant.by())).await?;
            Ok(UserDetail { view: UserView { user, roles: detail.view.roles }, locked: false, ..detail })
        };
        self.idempotency().write(origin, work).await
    }

    /// The user of a name or address in a tenant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn find_user(&self, facts: &TenantFacts, name: &LoginName, reason: SystemReason) -> Result<Option<User>> {
        let (key, now) = (self.attempts().name_key(facts, name), self.env.now());
        let keys = AttemptKeys { account: key, known: None, networks: [None; NETWORKS], tenant: key };
        let attempt = self.db.system(reason).attempt(facts.reference(), name, None, &keys, now).await?;
        Ok(attempt.found.map(|found| found.user))
    }

    /// What the caller's own tenant is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone.
    pub async fn home(&self, tenant: TenantId) -> Result<std::sync::Arc<TenantFacts>> {
        self.session_states().tenant(tenant).await?.ok_or(Error::NotFound)
    }
}
