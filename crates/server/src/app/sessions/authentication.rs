//! Who presents this token? The question of every request, answered without a statement or a signature check when the
//! answer is warm. A database that cannot answer makes a check fail as unavailable; it never lets anybody in, nor tells
//! anybody that their session is over.

use std::sync::Arc;

use aws_lc_rs::digest;
use gatehouse_domain::{
    application::Owner,
    authz::{Actor, Area, Grant, Permission, PermissionSet, Presence, SystemReason, TenantRef, UserActor, authorize},
    id::{SessionId, TenantId},
    oauth::DeviceRequest,
    role::HeldRole,
    session::Session,
    text::Slug,
    time::Timestamp,
    user::UserView,
};
use gatehouse_persistence::{Change, TenantFacts};

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        sessions::{SessionStates, cache::Caller},
    },
    security::token::{self, OfUser, Verified},
};

const AUTH: SystemReason = SystemReason::Authentication;

/// The actor that a user is through a session.
pub(crate) fn actor_of(session: &Session, roles: &[HeldRole]) -> Actor {
    Actor::User(UserActor {
        user_id: session.user_id,
        tenant_id: session.tenant_id,
        partner_id: session.partner_id,
        session_id: session.id,
        presence: Presence::SignedIn,
        rights: roles.iter().map(HeldRole::right).collect(),
        scope: None,
    })
}

impl SessionStates<'_> {
    /// What is to be known of a tenant; at most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Arc<TenantFacts>>> {
        if let Some(facts) = self.cache.tenants.get(&id) {
            return Ok(Some(facts));
        }
        let load = async || self.db.system(AUTH).tenant_facts(id, self.env.now()).await;
        Ok(self.cache.tenants.load(id, load).await?)
    }

    /// The same, by slug.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn tenant_by_slug(&self, slug: &Slug) -> Result<Option<Arc<TenantFacts>>> {
        if let Some(id) = self.cache.slugs.get(slug.as_str())
            && let Some(facts) = self.tenant(id).await?
            && facts.tenant.slug == *slug
        {
            return Ok(Some(facts));
        }
        let Some(facts) = self.db.system(AUTH).tenant_facts_by_slug(slug, self.env.now()).await? else {
            return Ok(None);
        };
        self.cache.slugs.insert(slug.as_str().to_owned(), facts.tenant.id);
        // Through the cache that invalidations reach.
        self.tenant(facts.tenant.id).await
    }

    /// The issuer of the platform; at most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn platform(&self) -> Result<IssuerFacts> {
        if let Some(facts) = self.cache.platform.get(&()) {
            return Ok(IssuerFacts::Platform(facts));
        }
        let load = async || self.db.system(AUTH).platform_facts(self.env.now()).await.map(Some);
        let facts = self.cache.platform.load((), load).await?;
        facts.map(IssuerFacts::Platform).ok_or_else(|| Error::Internal("there is no platform".into()))
    }

    /// The issuer that a device asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn issuer_of_device(&self, device: &DeviceRequest) -> Result<Option<IssuerFacts>> {
        match device.tenant.filter(|_| device.owner != Owner::Platform) {
            Some(tenant) => Ok(self.tenant(tenant.id).await?.map(IssuerFacts::Tenant)),
            None => self.platform().await.map(Some),
        }
    }

    /// The tenant of a user who uses an issuer: that of the issuer itself, or at the platform's any.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn home(&self, at: &IssuerFacts, tenant: TenantId) -> Result<Option<Arc<TenantFacts>>> {
        match at {
            IssuerFacts::Tenant(facts) => Ok((facts.tenant.id == tenant).then(|| Arc::clone(facts))),
            IssuerFacts::Platform(_) => self.tenant(tenant).await,
        }
    }

    /// Attempts something, and once more if its transaction found that the tenant is not what it was: it was given to
    /// another partner.
    pub(crate) async fn again_if_moved<T>(
        &self,
        facts: &TenantFacts,
        mut attempt: impl AsyncFnMut(&TenantFacts) -> Result<T>,
    ) -> Result<T> {
        match attempt(facts).await {
            Err(Error::Stale) => {
                self.cache.forget(Change::Everything);
                attempt(&*self.tenant(facts.tenant.id).await?.ok_or(Error::NotFound)?).await
            }
            result => result,
        }
    }

    /// Who uses the session of a token of this tenant. A request of the user is activity in it (`is_activity`); one of an
    /// application is none, or a program that asks all the time would keep a browser signed in.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn standing(
        &self,
        OfUser { user_id, session_id }: OfUser,
        facts: &TenantFacts,
        is_activity: bool,
        now: Timestamp,
    ) -> Result<Arc<Caller>> {
        let caller = match self.cache.callers.get(&session_id) {
            Some(caller) => caller,
            None => self.load_caller(session_id, is_activity).await?.ok_or(Error::InvalidToken)?,
        };
        if caller.session.tenant_id != facts.tenant.id || caller.session.user_id != user_id {
            return Err(Error::InvalidToken);
        }
        if !facts.is_active() || !caller.stands(now) {
            return Err(Error::SessionRevoked);
        }
        Ok(caller)
    }

    /// What a token of ours says, and the issuer whose key signed it. `ours` says whether an issuer is one that this instance
    /// uses for a tenant, or for the platform where there is none.
    pub(in crate::app) async fn verify(
        &self,
        token: &[u8],
        ours: impl Fn(&str, Option<&Slug>) -> bool,
        now: Timestamp,
    ) -> Result<(Arc<Verified>, IssuerFacts)> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        let known = self.cache.tokens.get(&hash);
        let text = || std::str::from_utf8(token).ok();
        let (kid, tenant_id) = match &known {
            Some(verified) => (verified.kid, verified.tenant_id.filter(|_| !verified.is_of_platform)),
            None => {
                let peeked = text().and_then(token::peek).ok_or(Error::InvalidToken)?;
                (peeked.kid, peeked.tenant_id.filter(|_| !ours(&peeked.iss, None)))
            }
        };
        let at = match tenant_id {
            Some(id) => IssuerFacts::Tenant(self.tenant(id).await?.ok_or(Error::InvalidToken)?),
            None => self.platform().await?,
        };
        let key = at.keys().iter().find(|key| key.id == kid && key.verifies(now)).ok_or(Error::InvalidToken)?;
        let (verified, is_new) = match known {
            Some(verified) => (verified, false),
            None => {
                let verified = self.tokens.verify(text().ok_or(Error::InvalidToken)?, key, now);
                (Arc::new(verified.ok_or(Error::InvalidToken)?), true)
            }
        };
        // The tenant may have got another slug meanwhile, and with it another issuer.
        if verified.expires_at <= now || !ours(&verified.iss, at.slug()) {
            return Err(Error::InvalidToken);
        }
        if is_new {
            self.cache.tokens.insert(hash, Arc::clone(&verified));
        }
        Ok((verified, at))
    }

    /// Who uses a session now.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] when it is over, [`Error::Unavailable`] when the database does not answer.
    pub(crate) async fn caller(&self, session: SessionId) -> Result<Arc<Caller>> {
        let caller = match self.cache.callers.get(&session) {
            Some(caller) => Some(caller),
            None => self.load_caller(session, true).await?,
        };
        let caller = caller.filter(|caller| caller.stands(self.env.now())).ok_or(Error::SessionRevoked)?;
        let facts = self.tenant(caller.session.tenant_id).await?;
        facts.filter(|facts| facts.is_active()).map(|_| caller).ok_or(Error::SessionRevoked)
    }

    async fn load_caller(&self, id: SessionId, is_activity: bool) -> Result<Option<Arc<Caller>>> {
        let now = self.env.now();
        let load = async || {
            let found = self.db.system(AUTH).session_state(id, now).await?;
            Ok::<_, Error>(found.map(|state| Caller {
                actor: Arc::new(actor_of(&state.session, &state.roles)),
                view: UserView { user: state.user, roles: state.roles },
                session: state.session,
            }))
        };
        let caller = self.cache.callers.load(id, load).await?;
        // Here and not on every request: an entry lives for less than a second, so this is exact to a second and
        // costs the warm path nothing.
        if let Some(caller) = &caller
            && is_activity
            && caller.stands(now)
        {
            self.cache.note(id, now);
        }
        Ok(caller)
    }

    /// The grant that the actor of another one would get now.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] and [`Error::Denied`] when that is none, [`Error::Unavailable`].
    pub(crate) async fn renew<P>(&self, grant: &Grant<P>, area: Area) -> Result<Grant<P>>
    where
        P: Permission<Target = Area>,
    {
        let actor = match grant.actor() {
            Actor::System(_) => return Ok(grant.clone()),
            Actor::User(user) => {
                let caller = self.caller(user.session_id).await?;
                user.scope.as_ref().map_or(Arc::clone(&caller.actor), |scope| Arc::new(caller.narrowed(scope.clone())))
            }
            Actor::Application(it) => {
                let permissions = PermissionSet::union(it.rights.iter().map(|right| &right.permissions));
                Arc::new(
                    self.actor_of_application(it.application_id, it.tenant.map(|tenant| tenant.id), &permissions)
                        .await?,
                )
            }
        };
        let area = match area {
            Area::Tenant(tenant) => Area::Tenant(self.tenant(tenant.id).await?.ok_or(Error::NotFound)?.reference()),
            other => other,
        };
        Ok(authorize(&actor, &area)?)
    }

    /// The grant for one tenant, and what the policy knows of that.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Denied`] when the grant does not reach the tenant, [`Error::Unavailable`].
    pub(crate) async fn within<P>(&self, grant: &Grant<P>, tenant: TenantId) -> Result<(Grant<P>, TenantRef)>
    where
        P: Permission<Target = Area>,
    {
        let tenant = self.tenant(tenant).await?.ok_or(Error::NotFound)?.reference();
        Ok((grant.also(&Area::Tenant(tenant))?, tenant))
    }
}
