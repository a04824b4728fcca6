//! The sessions that a browser has. At the issuer of a tenant that is one at most; at the platform's the browser may have one
//! of each tenant, of which one is used unless its user says otherwise: that of the tenant last used there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    authz::SystemReason,
    id::{SessionId, TenantId, UserId},
    oauth::{Answered, Before},
    session::{Session, SessionStatus},
    user::UserStatus,
};
pub use gatehouse_persistence::SessionState;

use crate::{
    app::{Result, directory::issuers::IssuerFacts, oauth::Authorization, sessions::authentication::actor_of},
    security::keyring::token_hash,
};

/// The sessions of a browser that last, as far as an issuer may know of them.
#[derive(Debug, Default)]
pub struct BrowserSessions {
    all: Vec<SessionState>,
    /// The one that is used unless its user says otherwise.
    usual: Option<SessionId>,
}

impl BrowserSessions {
    /// One alone.
    #[must_use]
    pub fn one(state: SessionState) -> Self {
        Self { usual: Some(state.session.id), all: vec![state] }
    }

    /// Those of a tenant alone, where one is named.
    #[must_use]
    pub fn at(mut self, tenant: Option<TenantId>) -> Self {
        self.all.retain(|state| tenant.is_none_or(|id| state.session.tenant_id == id));
        self
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[SessionState] {
        &self.all
    }

    /// The one that is used unless its user says otherwise.
    #[must_use]
    pub fn usual(&self) -> Option<&SessionState> {
        self.named(self.usual?)
    }

    /// The one that somebody means who wants to sign out without saying of which.
    #[must_use]
    pub fn likeliest(&self) -> Option<&SessionState> {
        self.usual().or_else(|| self.all.first())
    }

    /// One by its id.
    #[must_use]
    pub fn named(&self, id: SessionId) -> Option<&SessionState> {
        self.all.iter().find(|state| state.session.id == id)
    }

    /// That of a tenant.
    #[must_use]
    pub fn of_tenant(&self, id: TenantId) -> Option<&SessionState> {
        self.all.iter().find(|state| state.session.tenant_id == id)
    }

    /// The one to go on with: which its user chose, else the usual one. A request that names another user chooses nothing.
    #[must_use]
    pub fn current(&self, answered: &Answered) -> Option<&SessionState> {
        answered.selected.and_then(|id| self.named(id)).or_else(|| self.usual())
    }

    /// What is remembered of them when their user is first asked something.
    #[must_use]
    pub fn before(&self) -> Before {
        Before::of(self.all.iter().map(|state| &state.session))
    }
}

impl Authorization<'_> {
    /// The sessions that the cookies of a browser open. `is_usual` says which is used unless its user says otherwise; that one
    /// counts as a request of its user.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn sessions(&self, cookies: &[&str], is_usual: impl Fn(&Session) -> bool) -> Result<BrowserSessions> {
        let now = self.env.now();
        let hashes: Vec<_> = cookies.iter().map(|cookie| token_hash(cookie)).collect();
        let mut all = self.db.system(SystemReason::Authentication).session_states_by_cookie(&hashes, now).await?;
        all.retain(|state| {
            state.session.status(now) == SessionStatus::Active && state.user.status == UserStatus::Active
        });
        let usual = all.iter().find(|state| is_usual(&state.session));
        if let Some(SessionState { session, roles, .. }) = usual {
            // The look-up took its time.
            self.admission.admit(&actor_of(session, roles), self.env.now()).result?;
        }
        Ok(BrowserSessions { usual: usual.map(|state| state.session.id), all })
    }

    /// Whether a session can be used at an issuer: neither its tenant nor the partner of that is suspended.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn serves(&self, at: &IssuerFacts, session: &Session) -> Result<bool> {
        Ok(self.states.home(at, session.tenant_id).await?.is_some_and(|home| home.is_active()))
    }

    /// Whose session was last used at the platform's issuer, as the browser keeps it. It names the user: another one of the
    /// same tenant has chosen nothing there.
    #[must_use]
    pub fn seal_last_used(&self, session: &Session) -> String {
        URL_SAFE_NO_PAD.encode(self.keyring.seal_last_used(session.tenant_id, session.user_id))
    }

    /// Opens what [`Self::seal_last_used`] sealed; none for anything else.
    #[must_use]
    pub fn open_last_used(&self, sealed: &str) -> Option<(TenantId, UserId)> {
        self.keyring.open_last_used(&URL_SAFE_NO_PAD.decode(sealed).ok()?)
    }
}
