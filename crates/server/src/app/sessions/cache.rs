//! Who presents this token? The question of every request, answered without a statement or a signature check when the
//! answer is warm.
//!
//! Two things are remembered. *That a token was signed by us* never changes: its digest is kept until it expires, and
//! counts only while its key verifies. *Where its session stands* changes at any time: it is kept for less than a
//! second and forgotten at once when this process changes it. A database that cannot answer makes a check fail as
//! unavailable; it never lets anybody in, nor tells anybody that their session is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use gatehouse_domain::{
    authz::{Actor, Presence, UserActor},
    id::{KeyId, SessionId, TenantId},
    role::HeldRole,
    session::{Session, SessionStatus},
    text::Slug,
    time::Timestamp,
    user::{UserStatus, UserView},
};
use gatehouse_persistence::{Change, TenantFacts};
use moka::{Expiry, sync::Cache};

use crate::{
    app::{App, Error, Result, ttl_cache::TtlCache},
    security::token::{self, Verified},
};

/// Who acts in a request, and everything about them that answers may need.
#[derive(Debug)]
pub struct Caller {
    /// Who acts.
    pub actor: Arc<Actor>,
    /// The user with the roles held.
    pub view: UserView,
    /// The session.
    pub session: Session,
}

impl Caller {
    /// Whether the session can be used.
    fn stands(&self, now: Timestamp) -> bool {
        self.session.status(now) == SessionStatus::Active && self.view.user.status == UserStatus::Active
    }
}

/// What is remembered between requests.
#[derive(Debug)]
pub struct SessionCache {
    tokens: Cache<[u8; 32], Arc<Verified>>,
    callers: TtlCache<SessionId, Caller>,
    tenants: TtlCache<TenantId, TenantFacts>,
    slugs: Cache<String, TenantId>,
    seen: Mutex<HashMap<SessionId, Timestamp>>,
}

struct UntilExpiry;

impl Expiry<[u8; 32], Arc<Verified>> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], _: &Arc<Verified>, _: std::time::Instant) -> Option<Duration> {
        // No access token lives longer; each is checked against its own end besides.
        Some(Duration::from_secs(15 * 60))
    }
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            tokens: Cache::builder().max_capacity(100_000).expire_after(UntilExpiry).build(),
            callers: TtlCache::new(100_000),
            tenants: TtlCache::new(10_000),
            slugs: Cache::new(10_000),
            seen: Mutex::default(),
        }
    }
}

impl SessionCache {
    /// Follows a commit.
    pub fn forget(&self, change: Change) {
        match change {
            Change::Session(id) => self.callers.forget(&id),
            Change::Everything => {
                self.callers.forget_all();
                self.tenants.forget_all();
            }
        }
    }

    /// Takes what has been seen since the last time: sessions with the instant they were last used.
    pub fn take_seen(&self) -> Vec<(SessionId, Timestamp)> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    fn note(&self, session: SessionId, now: Timestamp) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(session, now);
    }
}

/// The actor that a user is through a session.
pub(crate) fn actor_of(session: &Session, roles: &[HeldRole]) -> Actor {
    Actor::User(UserActor {
        user_id: session.user_id,
        tenant_id: session.tenant_id,
        partner_id: session.partner_id,
        session_id: session.id,
        presence: Presence::SignedIn,
        rights: roles.iter().map(HeldRole::right).collect(),
    })
}

impl App {
    /// What is to be known of a tenant; at most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn tenant_facts(&self, id: TenantId) -> Result<Option<Arc<TenantFacts>>> {
        if let Some(facts) = self.session_cache.tenants.get(&id) {
            return Ok(Some(facts));
        }
        let load = async || self.reading().tenant_facts(id, self.env.now()).await;
        Ok(self.session_cache.tenants.load(id, load).await?)
    }

    /// The same, by slug.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn tenant_facts_by_slug(&self, slug: &Slug) -> Result<Option<Arc<TenantFacts>>> {
        if let Some(id) = self.session_cache.slugs.get(slug.as_str())
            && let Some(facts) = self.tenant_facts(id).await?
            && facts.tenant.slug == *slug
        {
            return Ok(Some(facts));
        }
        let Some(facts) = self.reading().tenant_facts_by_slug(slug, self.env.now()).await? else { return Ok(None) };
        self.session_cache.slugs.insert(slug.as_str().to_owned(), facts.tenant.id);
        // Through the cache that invalidations reach.
        self.tenant_facts(facts.tenant.id).await
    }

    /// Who presents this access token. `ours` says whether an issuer is one that this instance uses for a tenant.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database does not answer.
    pub async fn authenticate(&self, token: &[u8], ours: impl Fn(&str, &Slug) -> bool) -> Result<Arc<Caller>> {
        let now = self.env.now();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        let known = self.session_cache.tokens.get(&hash);
        let text = || std::str::from_utf8(token).ok();
        let (kid, tenant_id) = match &known {
            Some(verified) => (verified.kid, verified.tenant_id),
            None => text().and_then(token::peek).ok_or(Error::InvalidToken)?,
        };
        let facts = self.tenant_facts(tenant_id).await?.ok_or(Error::InvalidToken)?;
        let verified = match known {
            Some(verified)
                if self.key(&facts, kid, now).is_some()
                    && verified.expires_at > now
                    // The tenant may have got another slug meanwhile, and with it another issuer.
                    && ours(&verified.iss, &facts.tenant.slug) =>
            {
                verified
            }
            Some(_) => return Err(Error::InvalidToken),
            None => {
                let key = self.key(&facts, kid, now).ok_or(Error::InvalidToken)?;
                let token = text().ok_or(Error::InvalidToken)?;
                let verified = self.tokens.verify(token, key, now).ok_or(Error::InvalidToken)?;
                if !ours(&verified.iss, &facts.tenant.slug) {
                    return Err(Error::InvalidToken);
                }
                let verified = Arc::new(verified);
                self.session_cache.tokens.insert(hash, Arc::clone(&verified));
                verified
            }
        };
        let caller = match self.session_cache.callers.get(&verified.session_id) {
            Some(caller) => caller,
            None => self.load_caller(verified.session_id).await?.ok_or(Error::InvalidToken)?,
        };
        if caller.session.tenant_id != verified.tenant_id || caller.session.user_id != verified.user_id {
            return Err(Error::InvalidToken);
        }
        if !facts.is_active() || !caller.stands(now) {
            return Err(Error::SessionRevoked);
        }
        Ok(caller)
    }

    /// Who uses a session now.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] when it is over, [`Error::Unavailable`] when the database does not answer.
    pub(crate) async fn caller(&self, session: SessionId) -> Result<Arc<Caller>> {
        let caller = match self.session_cache.callers.get(&session) {
            Some(caller) => Some(caller),
            None => self.load_caller(session).await?,
        };
        let caller = caller.filter(|caller| caller.stands(self.env.now())).ok_or(Error::SessionRevoked)?;
        let facts = self.tenant_facts(caller.session.tenant_id).await?;
        facts.filter(|facts| facts.is_active()).map(|_| caller).ok_or(Error::SessionRevoked)
    }

    fn key<'f>(
        &self,
        facts: &'f TenantFacts,
        kid: KeyId,
        now: Timestamp,
    ) -> Option<&'f gatehouse_domain::key::SigningKey> {
        facts.keys.iter().find(|key| key.id == kid && key.verifies(now))
    }

    async fn load_caller(&self, id: SessionId) -> Result<Option<Arc<Caller>>> {
        let now = self.env.now();
        let load = async || {
            let found = self.reading().session_state(id, now).await?;
            Ok::<_, Error>(found.map(|state| Caller {
                actor: Arc::new(actor_of(&state.session, &state.roles)),
                view: UserView { user: state.user, roles: state.roles },
                session: state.session,
            }))
        };
        let caller = self.session_cache.callers.load(id, load).await?;
        // Here and not on every request: an entry lives for less than a second, so this is exact to a second and
        // costs the warm path nothing.
        if let Some(caller) = &caller
            && caller.stands(now)
        {
            self.session_cache.note(id, now);
        }
        Ok(caller)
    }
}
