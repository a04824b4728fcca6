//! Sessions of an application's own: with the scope `offline_access`, and on devices without a browser.

use std::sync::Arc;

use gatehouse_domain::{
    application::Application,
    change::Changed,
    id::SessionId,
    oauth::TokenFamily,
    secret::TokenHash,
    session::{NewOwnSession, Session, SessionKind},
    settings::Policy,
    time::Timestamp,
};
use gatehouse_persistence::{Exchanged, SessionState, WriteTx};

use crate::app::{
    Error, Result,
    oauth::{NotGiven, TokenEndpoint, tokens::AUTH},
    request::client::RequestMeta,
    sessions::revocation::make_room,
};

/// A session of an application's own that is to begin.
pub(super) struct Beginning<'a> {
    /// The session.
    pub(super) session: Changed<Session>,
    /// What the application gets tokens of.
    pub(super) family: Changed<TokenFamily>,
    /// The application.
    pub(super) application: &'a Arc<Application>,
    /// The session in which its user agreed.
    pub(super) state: &'a SessionState,
    /// What holds in the tenant.
    pub(super) policy: &'a Policy,
    /// What is exchanged for it.
    pub(super) exchanged: Exchanged,
}

impl TokenEndpoint<'_> {
    /// The session that an application is to have of its own.
    pub(super) fn own_session(
        &self,
        kind: SessionKind,
        application: &Application,
        state: &SessionState,
        policy: &Policy,
        meta: &RequestMeta,
        now: Timestamp,
    ) -> Changed<Session> {
        let new = NewOwnSession {
            id: self.env.id(SessionId::from_parts),
            kind,
            application_id: application.id,
            from: &state.session,
            administers: !state.roles.is_empty(),
            client: self.devices.of(meta),
            idle: TokenFamily::lifetime(application, policy),
            refresh_hash: TokenHash::new(self.env.random()),
        };
        Session::start_own(new, policy, now)
    }

    /// Stores it with its family; false if the code has been spent, or if its session or user have changed since they were
    /// read.
    ///
    /// # Errors
    /// `invalid_grant` when the user may have no more sessions.
    pub(super) async fn begin_own(&self, new: Beginning<'_>, meta: &RequestMeta) -> Result<bool, NotGiven> {
        let Beginning { session, family, application, state, policy, exchanged } = new;
        let (application, policy, state) = (Arc::clone(application), policy.clone(), state.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            let Some(held) = system.spend_within(exchanged, &state.session).await? else { return Ok(false) };
            if held.roles_given != state.roles_given {
                return Err(Error::Stale);
            }
            make_room(&system, &state.user, held.sessions, &policy, tx.now()).await?;
            system.begin_own(session.clone(), family.clone(), &application).await?;
            Ok(true)
        };
        match self.db.write(meta.ctx.clone(), work).await {
            Err(Error::Stale) => Ok(false),
            Err(Error::LimitReached(_)) => Err(NotGiven::invalid_grant("the user has as many sessions as may be")),
            other => Ok(other?),
        }
    }
}
