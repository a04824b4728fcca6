//! The first start and the first administrator. There are no default credentials.

use std::time::Duration;

use gatehouse_domain::{
    audit::Refused,
    authz::{Authority, SystemReason},
    id::{AssignmentId, PartnerId, TenantId, UserId},
    issue::{Fault, Parse},
    key::Issuer,
    partner::{NewPartner, Partner},
    password::Password,
    role::{Anchor, AnyRole, Assignment, BuiltinRole, NewAssignment},
    secret::Secret,
    settings::Settings,
    tenant::{Branding, NewTenant, Tenant},
    text::{Email, Name, Slug, Username},
    time::Timestamp,
    user::{NewUser, User, UserView},
};
use gatehouse_persistence::{ChangeContext, Error as Storage, TenantFacts, WriteTx};

use crate::{
    app::{Error, Result, StartError, platform::Setup, request::client::RequestMeta},
    config::FirstAdmin,
    security::{keyring::token_hash, opaque_token},
};

/// How long a setup token can be used.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 60);
const SETUP: SystemReason = SystemReason::Setup;
/// The slugs of a fresh installation.
const PARTNER: &str = "platform";
/// The tenant of a fresh installation.
pub const DEFAULT_TENANT: &str = "default";

/// A value of the program's own, which its own rules accept.
fn own<T: Parse>(text: &str) -> Result<T> {
    T::parse(text).map_err(|fault| Error::Internal(fault.msg.into()))
}

/// Who the first administrator will be.
#[derive(Debug, Clone)]
pub struct SetUp {
    /// The one-time token.
    pub token: Secret<String>,
    /// The e-mail address.
    pub email: Email,
    /// The user name.
    pub username: Username,
    /// The password.
    pub password: Password,
}

impl Setup<'_> {
    /// Makes the installation with its partner `platform` and its tenant `default`, unless it exists, and checks that
    /// the master key is the one it was made with.
    pub(crate) async fn install(&self) -> Result<(), StartError> {
        if self.db.system(SETUP).installation().await?.is_none() {
            match self.first_start().await {
                // Another process was faster.
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(Error::Internal(error))
                    if matches!(error.downcast_ref(), Some(Storage::Conflict("pk_installation"))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.db.system(SETUP).installation().await? {
            Some(installation) if self.keyring.turn_to(&installation.key_check) => Ok(()),
            Some(installation) if installation.key_check == self.keyring.check_before() => {
                self.trail.upgrade().await;
                Ok(())
            }
            _ => Err(StartError::WrongMasterKey),
        }
    }

    async fn first_start(&self) -> Result<()> {
        let (by, now) = (self.db.system(SETUP).by(), self.env.now());
        let partner = NewPartner {
            name: own::<Name>("Platform")?,
            slug: own::<Slug>(PARTNER)?,
            contact_email: None,
            max_tenants: None,
            max_users_per_tenant: None,
            max_applications_per_tenant: None,
        };
        let partner = Partner::create(self.env.id(PartnerId::from_parts), partner, &by, now);
        let tenant = NewTenant {
            partner_id: partner.value().id,
            name: own::<Name>("Default")?,
            slug: own::<Slug>(DEFAULT_TENANT)?,
            contact_email: None,
            settings: Settings::default(),
            branding: Branding::default(),
        };
        let tenant = Tenant::create(self.env.id(TenantId::from_parts), tenant, &by, now);
        let mut keys = self.keys.new_keys(Issuer::Platform, &by)?;
        keys.extend(self.keys.new_keys(tenant.value().reference().into(), &by)?);
        let check = self.keyring.check();
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(SETUP);
            system.install(&check).await?;
            system.begin_trail().await?;
            system.insert(partner.clone()).await?;
            system.insert(tenant.clone()).await?;
            system.insert_many(keys.clone()).await?;
            Ok::<_, Error>(())
        };
        self.db.write(self.env.ctx(), work).await
    }

    /// When the installation was made; none where there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn made_at(&self) -> Result<Option<Timestamp>> {
        Ok(self.db.system(SETUP).installation().await?.map(|installation| installation.created_at))
    }

    /// Where the server that ran last is found.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn public_url(&self) -> Result<Option<url::Url>> {
        Ok(self.db.system(SETUP).public_url().await?.and_then(|url| url.parse().ok()))
    }

    /// Notes where this server is found.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn note_public_url(&self, url: &str) -> Result<()> {
        if self.db.system(SETUP).public_url().await?.as_deref() == Some(url) {
            return Ok(());
        }
        let url = url.to_owned();
        let work = async move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.system(SETUP).note_public_url(&url).await?);
        self.db.write(self.env.ctx(), work).await
    }

    /// Whether there is an administrator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn is_done(&self) -> Result<bool> {
        Ok(self.db.system(SETUP).installation().await?.is_some_and(|installation| installation.set_up_at.is_some()))
    }

    /// Makes a one-time token for the setup.
    ///
    /// # Errors
    /// [`Error::AlreadySetUp`] when there is an administrator.
    pub async fn new_token(&self) -> Result<Secret<String>> {
        if self.is_done().await? {
            return Err(Error::AlreadySetUp);
        }
        let token = opaque_token::mint_setup(self.env);
        let hash = token.hash;
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.system(SETUP).add_setup_token(hash, tx.now().plus(TOKEN_LIFETIME)).await?)
        };
        self.db.write(self.env.ctx(), work).await?;
        Ok(token.text)
    }

    async fn default_tenant(&self) -> Result<std::sync::Arc<TenantFacts>> {
        let facts = self.states.tenant_by_slug(&own::<Slug>(DEFAULT_TENANT)?).await?;
        facts.ok_or_else(|| Error::Internal("the default tenant is gone".into()))
    }

    /// Makes the first administrator with a setup token.
    ///
    /// # Errors
    /// [`Error::AlreadySetUp`], [`Error::InvalidSetupToken`], [`Error::Invalid`] when the password is too weak; then
    /// the token can be used again.
    pub async fn complete(&self, new: SetUp, meta: &RequestMeta) -> Result<UserView> {
        if self.is_done().await? {
            return Err(Error::AlreadySetUp);
        }
        let hash = token_hash(new.token.expose());
        // Looked up before anything is hashed: this door is open to strangers.
        if !self.db.system(SETUP).has_setup_token(hash, meta.ctx.now).await? {
            return Err(self.attempts.record_refusal(Refused::setup(), Error::InvalidSetupToken, meta).await);
        }
        self.first_administrator(new.email, new.username, new.password, Some(hash), meta.ctx.clone()).await
    }

    /// What is wrong with the password of the first administrator, where other things are wrong as well. Nobody without
    /// a setup token makes the server judge.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub async fn judge(
        &self,
        token: &str,
        password: Password,
        username: Option<&Username>,
        email: Option<&Email>,
        meta: &RequestMeta,
    ) -> Result<Option<Fault>> {
        let is_ours = self.db.system(SETUP).has_setup_token(token_hash(token), meta.ctx.now).await?;
        if !is_ours || self.is_done().await? {
            return Ok(None);
        }
        let facts = self.default_tenant().await?;
        self.new_passwords.judge(&facts, password, username, email).await
    }

    /// Makes the first administrator from the configuration, unless there is one.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the password is too weak.
    pub async fn complete_unattended(&self, admin: &FirstAdmin) -> Result<()> {
        if self.is_done().await? {
            return Ok(());
        }
        let ctx = self.env.ctx();
        match self
            .first_administrator(admin.email.clone(), admin.username.clone(), admin.password.clone(), None, ctx)
            .await
        {
            Ok(_) | Err(Error::AlreadySetUp) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn first_administrator(
        &self,
        email: Email,
        username: Username,
        password: Password,
        token: Option<gatehouse_domain::secret::TokenHash>,
        ctx: ChangeContext,
    ) -> Result<UserView> {
        let facts = self.default_tenant().await?;
        let hash = self.new_passwords.choose(&facts, "password", password, &username, &email).await?;

        let (by, tenant) = (self.db.system(SETUP).by(), facts.reference());
        let id = self.env.id(UserId::from_parts);
        let new = NewUser { tenant, username, email, display_name: None, phone: None };
        let assignment = NewAssignment {
            id: self.env.id(AssignmentId::from_parts),
            tenant,
            user_id: id,
            role: AnyRole::Builtin(BuiltinRole::SuperAdmin),
            anchor: Anchor::Platform,
            expires_at: None,
        };
        let work = async move |tx: &WriteTx<'_>| {
            let (system, now) = (tx.system(SETUP), tx.now());
            if let Some(token) = token
                && !system.spend_setup_token(token).await?
            {
                return Err(Error::InvalidSetupToken);
            }
            if !system.finish_setup().await? {
                return Err(Error::AlreadySetUp);
            }
            system.insert(User::set_up(id, new.clone(), hash.clone(), &by, now)).await?;
            system.insert(Assignment::create(assignment.clone(), &Authority::system(SETUP), now)?).await?;
            Ok(system.user_view(id, now).await?)
        };
        self.db.write(ctx, work).await?.ok_or(Error::NotFound)
    }
}
