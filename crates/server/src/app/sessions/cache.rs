//! What is remembered of tokens, sessions and tenants between requests.
//!
//! *That a token was signed by us* never changes: its digest is kept until it expires, and counts only while its key
//! verifies. *Where its session stands* changes at any time: it is kept for less than a second and forgotten at once when
//! this process changes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gatehouse_domain::{
    application::Application,
    authz::{Actor, TokenScope, UserActor},
    id::{ApplicationId, FamilyId, SessionId, TenantId},
    oauth::TokenFamily,
    secret::TokenHash,
    session::{Session, SessionStatus},
    time::Timestamp,
    user::{UserStatus, UserView},
};
use gatehouse_persistence::{ApplicationUse, Change, PlatformFacts, TenantFacts};
use moka::{Expiry, sync::Cache};
use uuid::Uuid;

use crate::{app::ttl_cache::TtlCache, security::token::Verified};

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
    /// The same user through a token of an application, with what this opens.
    pub(in crate::app) fn narrowed(&self, scope: TokenScope) -> Actor {
        let Actor::User(user) = &*self.actor else { return Actor::clone(&self.actor) };
        let rights = scope.narrow(user.rights.clone());
        Actor::User(UserActor { rights, scope: Some(scope), ..user.clone() })
    }

    /// Whether the session can be used.
    pub(super) fn stands(&self, now: Timestamp) -> bool {
        self.session.status(now) == SessionStatus::Active && self.view.user.status == UserStatus::Active
    }
}

/// What is remembered between requests.
#[derive(Debug)]
pub struct SessionCache {
    pub(super) tokens: Cache<[u8; 32], Arc<Verified>>,
    pub(super) callers: TtlCache<SessionId, Caller>,
    pub(super) tenants: TtlCache<TenantId, TenantFacts>,
    pub(super) platform: TtlCache<(), PlatformFacts>,
    pub(super) slugs: Cache<String, TenantId>,
    pub(in crate::app) applications: TtlCache<ApplicationId, Application>,
    pub(in crate::app) apis: TtlCache<(Uuid, [u8; 32]), Application>,
    pub(in crate::app) documents: TtlCache<(TenantId, [u8; 32]), Application>,
    pub(in crate::app) origins: TtlCache<(Uuid, [u8; 32]), bool>,
    pub(in crate::app) families: TtlCache<FamilyId, TokenFamily>,
    pub(in crate::app) revoked: TtlCache<Uuid, bool>,
    seen: Mutex<HashMap<SessionId, Timestamp>>,
    used: Mutex<HashMap<(ApplicationId, Option<TokenHash>), Timestamp>>,
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
            platform: TtlCache::new(1),
            slugs: Cache::new(10_000),
            applications: TtlCache::new(10_000),
            apis: TtlCache::new(10_000),
            documents: TtlCache::new(10_000),
            origins: TtlCache::new(10_000),
            families: TtlCache::new(100_000),
            revoked: TtlCache::new(100_000),
            seen: Mutex::default(),
            used: Mutex::default(),
        }
    }
}

impl SessionCache {
    /// Follows a commit.
    pub fn forget(&self, change: Change) {
        match change {
            Change::Session(id) => self.callers.forget(&id),
            Change::Family(id) => self.families.forget(&id),
            Change::Application(id) => self.applications.forget(&id),
            Change::Token(id) => self.revoked.forget(&id),
            Change::Everything => {
                self.applications.forget_all();
                self.apis.forget_all();
                self.documents.forget_all();
                self.origins.forget_all();
                self.families.forget_all();
                self.revoked.forget_all();
                self.callers.forget_all();
                self.tenants.forget_all();
                self.platform.forget_all();
            }
        }
    }

    /// Takes what has been seen since the last time: sessions with the instant they were last used.
    pub fn take_seen(&self) -> Vec<(SessionId, Timestamp)> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    /// Takes which applications were used since the last time.
    pub fn take_used(&self) -> Vec<ApplicationUse> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        used.into_iter().map(|((application, secret), at)| ApplicationUse { application, secret, at }).collect()
    }

    /// Notes that an application proved its identity, by a secret or otherwise.
    pub(in crate::app) fn note_use(&self, application: ApplicationId, secret: Option<TokenHash>, now: Timestamp) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert((application, secret), now);
    }

    pub(in crate::app) fn note(&self, session: SessionId, now: Timestamp) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(session, now);
    }
}
