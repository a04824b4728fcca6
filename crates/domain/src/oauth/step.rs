//! What is to be done about a request before it can be granted.

use std::time::Duration;

use crate::{
    application::Application,
    id::SessionId,
    oauth::{AuthorizationRequest, Consent, ErrorCode, Prompt, RequestFault},
    session::Session,
    time::Timestamp,
};

/// Who was signed in when the user was first asked something about a request. A sign-in since then was for this request.
/// It is not told by the time alone, because the clocks of replicas differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nobody.
    Nobody,
    /// The user of this session, who had signed in at this time.
    User(SessionId, Timestamp),
}

impl Before {
    /// Who is signed in now.
    #[must_use]
    pub fn of(session: Option<&Session>) -> Self {
        session.map_or(Self::Nobody, |session| Self::User(session.id, session.authenticated_at))
    }
}

impl Answered {
    /// Whether the user signed in for this request.
    #[must_use]
    pub fn has_signed_in(&self, session: &Session) -> bool {
        match self.before {
            None => false,
            Some(Before::Nobody) => true,
            Some(Before::User(id, at)) => session.id != id || session.authenticated_at > at,
        }
    }
}

/// What the user has answered about a request so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// Who was signed in when the user was first asked something.
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
