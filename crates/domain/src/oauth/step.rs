//! What is to be done about a request before it can be granted.

use std::time::Duration;

use crate::{
    application::Application,
    id::SessionId,
    oauth::{AuthorizationRequest, Consent, ErrorCode, Prompt, RequestFault},
    session::Session,
    time::Timestamp,
};

/// The sessions that the browser had when its user was first asked something about a request, and when each had last been
/// proved. A sign-in since then was for this request. It is not told by the time alone, because the clocks of replicas
/// differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before(pub Vec<(SessionId, Timestamp)>);

impl Before {
    /// The sessions that it has now.
    #[must_use]
    pub fn of<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> Self {
        Self(sessions.into_iter().map(|session| (session.id, session.authenticated_at)).collect())
    }

    /// Whether a session was there, and has not been proved anew.
    fn has(&self, session: &Session) -> bool {
        self.0.iter().any(|(id, at)| session.id == *id && session.authenticated_at <= *at)
    }
}

impl Answered {
    /// Whether the user signed in for this request.
    #[must_use]
    pub fn has_signed_in(&self, session: &Session) -> bool {
        self.before.as_ref().is_some_and(|before| !before.has(session))
    }
}

/// What the user has answered about a request so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// Which sessions the browser had when the user was first asked something.
    pub before: Option<Before>,
    /// The session that the user chose to go on with.
    pub selected: Option<SessionId>,
    /// The session in which the user consented.
    pub consented: Option<SessionId>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The user has to sign in.
    SignIn,
    /// The user has to say which account it is.
    SelectAccount,
    /// The user has to consent.
    Consent,
    /// The application gets a code.
    Grant,
    /// The application is told why it gets none.
    Refuse(RequestFault),
}

impl AuthorizationRequest {
    /// What is to be done next, with the session that the browser has, if it has one that lasts, and what its user let the
    /// application have before.
    #[must_use]
    pub fn next(
        &self,
        application: &Application,
        session: Option<&Session>,
        answered: &Answered,
        remembered: Option<&Consent>,
        now: Timestamp,
    ) -> Step {
        let is_silent = self.asks(Prompt::None);
        let refuse = |error, description| Step::Refuse(RequestFault { error, description });
        let Some(session) = session.filter(|session| self.is_recent(session, answered, now)) else {
            return match is_silent {
                true => refuse(ErrorCode::LoginRequired, "the user has to sign in"),
                false => Step::SignIn,
            };
        };
        let is_selected = answered.has_signed_in(session) || answered.selected == Some(session.id);
        if self.asks(Prompt::SelectAccount) && !is_selected {
            return Step::SelectAccount;
        }
        let is_remembered = remembered.is_some_and(|consent| consent.covers(self));
        let is_asked = application.metadata.require_consent && !is_remembered || self.asks(Prompt::Consent);
        match (is_asked && answered.consented != Some(session.id), is_silent) {
            (false, _) => Step::Grant,
            (true, true) => refuse(ErrorCode::ConsentRequired, "the user has to consent"),
            (true, false) => Step::Consent,
        }
    }

    /// Whether the user signed in as recently as the request wants.
    fn is_recent(&self, session: &Session, answered: &Answered, now: Timestamp) -> bool {
        let for_this = answered.has_signed_in(session);
        match self.max_age {
            // Who is to open an account is nobody who has one already.
            _ if self.asks(Prompt::Login) || self.asks(Prompt::Create) || self.max_age == Some(0) => for_this,
            Some(seconds) => for_this || now.since(session.authenticated_at) <= Duration::from_secs(u64::from(seconds)),
            None => true,
        }
    }
}
