//! Users as administrators see them. No administrator ever sees a password, or sets one but by
//! bringing its hash along from another system.

use gatehouse_domain::{
    authz::{Grant, ReadUsers, SystemReason, WriteUsers},
    id::{TenantId, UserId},
    page::{Direction, Page, PageRequest},
    session::Effects,
    text::{DisplayName, Email, LoginName, Phone, Username},
    throttle::NETWORKS,
    user::{NewUser, User, UserDetail, UserPatch, UserStatus, UserView},
};
use gatehouse_persistence::{AttemptKeys, Db, TenantFacts, ThrottleKey, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        audit::Trail,
        authority::authority,
        directory::{
            invitations::{Delivery, Invitation, Invitations},
            tenants::another_user_fits,
        },
        effects::{Mode, change, end},
        jobs::Outbox,
        mail::letters,
        request::{Idempotency, client::RequestMeta},
    },
    env::Env,
};

pub use gatehouse_persistence::{UserFilter, UserSort};

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

/// Users, as administrators see them.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a> {
    pub(super) db: &'a Db,
    env: &'a Env,
    outbox: &'a Outbox,
    pub(super) trail: Trail<'a>,
    invitations: Invitations<'a>,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Users, as administrators see them.
    pub fn users(&self) -> Users<'_> {
        Users {
            db: &self.db,
            env: &self.env,
            outbox: &self.outbox,
            trail: self.trail(),
            invitations: self.invitations(),
            idempotency: self.idempotency(),
        }
    }
}

impl Users<'_> {
    /// Lists users within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadUsers>,
        filter: &UserFilter,
        sort: UserSort,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<UserDetail>> {
        Ok(self.db.scope(grant).users(filter, sort, direction, page, self.env.now()).await?)
    }

    /// One user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadUsers>, id: UserId) -> Result<UserDetail> {
        self.db.scope(grant).user_detail(id, self.env.now()).await?.ok_or(Error::NotFound)
    }

    /// Makes an account, which cannot sign in before its owner has set a password, and the link for that if asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such tenant, [`Error::AlreadyRegistered`], [`Error::LimitReached`].
    pub async fn create(
        &self,
        grant: &Grant<WriteUsers>,
        new: CreateUser,
        meta: &RequestMeta,
    ) -> Result<(UserDetail, Option<Invitation>)> {
        Error::suits(&new.username, &new.email)?;
        let id = self.env.id(UserId::from_parts);
        let invitation = new.delivery.map(|delivery| self.invitations.prepare(delivery, meta));
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let tenant = scope.tenant(new.tenant_id).await?.ok_or_else(|| Error::unknown("tenant_id"))?;
            let user = NewUser {
                tenant: tenant.reference(),
                username: new.username.clone(),
                email: new.email.clone(),
                display_name: new.display_name.clone(),
                phone: new.phone.clone(),
            };
            another_user_fits(tx, tenant.reference()).await?;
            let user = scope.insert(User::create(id, user, &grant.by(), tx.now())).await?;
            let view = UserView { user, roles: Vec::new() };
            let invitation = match &invitation {
                Some(new) => {
                    let caller = grant.authority([tenant.reference()]);
                    Some(new.issue(&scope, &tenant, &view, &caller, tx.now()).await?)
                }
                None => None,
            };
            Ok::<_, Error>((UserDetail { view, sessions: 0, locked: false }, invitation))
        };
        self.idempotency.write(meta, work).await
    }

    /// Changes a user. Suspending one ends all the user's sessions; activating one forgets failed sign-ins.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::AlreadyRegistered`], [`Error::Conflict`], [`Error::Stale`].
    pub async fn update(
        &self,
        grant: &Grant<WriteUsers>,
        id: UserId,
        patch: UserPatch,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<(UserDetail, Effects)> {
        let (grant, outbox) = (grant.clone(), self.outbox.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let caller = authority(&grant, &scope, view.user.tenant(), &view.roles).await?;
            let old = view.user.email.clone();
            if let Some(username) = &patch.username {
                Error::suits(username, patch.email.as_ref().unwrap_or(&old))?;
            }
            let has_password = match patch.status {
                Some(UserStatus::Active) => scope.portable_user(id).await?.is_some_and(|user| user.hash.is_some()),
                _ => true,
            };
            let (changed, ends) = view.user.update(patch.clone(), has_password, &view.roles, &caller, tx.now())?;
            let user = scope.update(changed).await?;
            if user.email.key() != old.key() && user.status == UserStatus::Active {
                let tenant = scope.tenant(user.tenant_id).await?.ok_or(Error::NotFound)?;
                for letter in letters::email_changed(&tenant, &user, &old) {
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
        change(self.db, meta.ctx.clone(), mode, work).await
    }

    /// Forgets the failed sign-ins of an account, so that its owner need not wait. By those only who may do whatever the
    /// owner may, as it lets somebody go on guessing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn unlock(&self, grant: &Grant<WriteUsers>, id: UserId, meta: &RequestMeta) -> Result<UserDetail> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let detail = scope.user_detail(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let UserView { user, roles } = &detail.view;
            let caller = authority(&grant, &scope, user.tenant(), roles).await?;
            let unlocked = user.clone().unlock(roles, &caller)?;
            if !scope.forget_failures(&detail.view.user).await? {
                return Ok(detail);
            }
            let user = scope.update(unlocked).await?;
            Ok(UserDetail { view: UserView { user, roles: detail.view.roles }, locked: false, ..detail })
        };
        self.idempotency.write(meta, work).await
    }

    /// The user of a name or address in a tenant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn find(&self, facts: &TenantFacts, name: &LoginName, reason: SystemReason) -> Result<Option<User>> {
        // Nobody tries a password: the counters are of no interest.
        let (key, now) = (ThrottleKey::Digest([0; 32]), self.env.now());
        let keys = AttemptKeys { account: key, known: None, networks: [None; NETWORKS], tenant: key };
        let attempt = self.db.system(reason).attempt(facts.reference(), name, None, &keys, now).await?;
        Ok(attempt.found.map(|found| found.user))
    }
}
