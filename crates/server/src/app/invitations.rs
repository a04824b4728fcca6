//! Invitations: how an account that an administrator made comes to its owner. An administrator never sets or sees a
//! password.

use std::sync::Arc;

use gatehouse_domain::{
    authz::{Grant, SystemReason, WriteUsers},
    id::UserId,
    password::Password,
    secret::Secret,
    text::Slug,
    time::Timestamp,
    user::{Acceptance, INVITATION_LIFETIME, NotInvited, UserView},
};
use gatehouse_persistence::{Purpose, TenantFacts, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        accounts::{password_context, password_issue},
        assignments::may_become,
        client::Origin,
    },
    security::{keyring::token_hash, refresh},
};

/// Where the page is that a link leads to. What follows the fragment sign never leaves the browser.
pub const PAGE: &str = "/invitation";

/// A link that makes its holder the owner of an account. Shown once.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The link.
    pub url: Secret<String>,
    /// The token in it.
    pub token: Secret<String>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl From<NotInvited> for Error {
    fn from(NotInvited: NotInvited) -> Self {
        Self::Conflict("The account has its owner.".into())
    }
}

impl App {
    /// Makes the token of an invitation.
    pub(crate) fn new_invitation(&self, now: Timestamp) -> (refresh::NewToken, Timestamp) {
        (refresh::mint_invitation(&self.env), now.plus(INVITATION_LIFETIME))
    }

    /// The link of an invitation into a tenant.
    pub(crate) fn invitation(
        base_url: &str,
        tenant: &Slug,
        token: &Secret<String>,
        expires_at: Timestamp,
    ) -> Invitation {
        let url = format!("{base_url}{PAGE}#{tenant}/{}", token.expose());
        Invitation { url: Secret::new(url), token: token.clone(), expires_at }
    }

    /// Makes a link for an account that waits for its owner; an earlier one stops working. Whoever has the link can
    /// become the user, so it is made by those only who may do whatever the user may, for as long.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Conflict`] when the account has its owner, [`Error::Stale`].
    pub async fn invite(&self, grant: &Grant<WriteUsers>, id: UserId, origin: &Origin) -> Result<Invitation> {
        let (token, expires_at) = self.new_invitation(origin.ctx.now);
        let (grant, base_url) = (grant.clone(), Arc::clone(&origin.base_url));
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant);
            let view = scope.user_view(id, tx.now()).await?.ok_or(Error::NotFound)?;
            let invited = view.user.invite(expires_at, &grant.by())?;
            may_become(&grant, &scope, &view.roles).await?;
            let user = scope.update(invited).await?;
            scope.put_token(&user, Purpose::Invitation, token.hash, expires_at).await?;
            let slug = scope.tenant(user.tenant_id).await?.ok_or(Error::NotFound)?.slug;
            Ok::<_, Error>(Self::invitation(&base_url, &slug, &token.text, expires_at))
        };
        self.answer(origin, work).await
    }

    /// Makes the link of an account stop working.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user or no link, [`Error::Conflict`] when the account has its owner.
    pub async fn cancel_invitation(&self, grant: &Grant<WriteUsers>, id: UserId, origin: &Origin) -> Result<()> {
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant);
            let user = scope.user(id).await?.ok_or(Error::NotFound)?;
            let changed = user.cancel_invitation(&grant.by())?;
            if !scope.drop_token(changed.value(), Purpose::Invitation).await? {
                return Err(Error::NotFound);
            }
            scope.update(changed).await?;
            Ok::<_, Error>(())
        };
        self.db.write(origin.ctx.clone(), work).await
    }

    /// The owner of an account sets the first password. The link is used up by that, and by nothing else: a password
    /// that is too weak leaves it as it is.
    ///
    /// # Errors
    /// [`Error::InvalidInvitation`], [`Error::Invalid`] when the password is too weak, [`Error::AlreadyRegistered`] when
    /// the chosen user name is taken, [`Error::TenantSuspended`], [`Error::Overloaded`].
    pub async fn accept_invitation(
        &self,
        facts: &TenantFacts,
        token: &str,
        chosen: Acceptance,
        password: Password,
        origin: &Origin,
    ) -> Result<UserView> {
        if !facts.is_active() {
            return Err(Error::TenantSuspended);
        }
        let (tenant, hash, now) = (facts.reference(), token_hash(token), origin.ctx.now);
        // Nobody without a link makes the server hash.
        let owner = self.reading().token_owner(tenant, Purpose::Invitation, hash, now).await?;
        let owner = owner.ok_or(Error::InvalidInvitation)?;
        let user = self.reading().user(owner).await?.ok_or(Error::InvalidInvitation)?;
        let policy = self.policy(&facts.tenant);
        password.check_length(policy.password_min_length).map_err(|fault| password_issue("password", fault))?;
        let username = chosen.username.as_ref().unwrap_or(&user.username);
        let context = password_context(facts, username, &user.email);
        let password = self.hasher.choose(tenant.id, password, context).await?;
        let password = password.map_err(|fault| password_issue("password", fault))?;
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(SystemReason::Authentication);
            let owner = system.spend_token(tenant, Purpose::Invitation, hash).await?;
            let owner = owner.ok_or(Error::InvalidInvitation)?;
            let user = system.user(owner).await?.ok_or(Error::InvalidInvitation)?;
            let accepted = user
                .accept_invitation(chosen.clone(), password.clone(), tx.now())
                .map_err(|NotInvited| Error::InvalidInvitation)?;
            let user = system.update(accepted).await?.user;
            let view = system.user_view(user.id, tx.now()).await?;
            view.ok_or(Error::InvalidInvitation)
        };
        self.db.write(origin.ctx.clone(), work).await
    }
}
