//! What is known of a request before its handler runs, whatever surface the request is for.

use std::{cell::Cell, rc::Rc, sync::Arc};

use actix_web::{HttpMessage, HttpRequest};
use gatehouse_domain::{
    authz::{Actor, Denied, OWN},
    id::{TenantId, UserId},
    time::Timestamp,
};

use crate::{
    app::{
        self, attempts::RateLimit, directory::tenants::TenantFacts, request::client::Clock, sessions::cache::Caller,
    },
    cli::operator::Operator,
    http::problem::Failure,
};

/// Whose the credential of a request is; see [`crate::http::credential::Credential`].
#[derive(Debug, Clone)]
pub enum Auth {
    /// The request has no credential.
    Anonymous,
    /// The credential is none that anything here accepts.
    Invalid,
    /// The credential is an access token that is bound to a key, and it is not proved that the sender holds that; why not.
    Unproved(&'static str),
    /// The credential is a valid access token of a session that has ended.
    Revoked,
    /// The credential is a valid access token of a session that lasts.
    Caller(Arc<Caller>),
    /// The credential is an access token of an application that acts in its own name.
    Application(Arc<Actor>),
    /// The operator of the installation asks, at the command line.
    Operator(Operator),
}

/// A request, as the edge has understood it. Every route has one, a page as well as an operation of the API.
#[derive(Debug)]
pub struct RequestContext {
    /// The request id.
    pub id: Arc<str>,
    /// When it had come, its body included.
    pub now: Timestamp,
    /// What tells the time from then on.
    pub clock: Clock,
    /// Who calls.
    pub auth: Auth,
    /// The tenant that the path names.
    pub tenant: Option<Arc<TenantFacts>>,
    /// Whether the operation knows any query parameters.
    pub takes_query: bool,
    /// What is left of the limit that applies.
    pub quota: Rc<Cell<Option<RateLimit>>>,
    /// Who has signed in by this request, for the log.
    pub subject: Rc<Cell<Option<(TenantId, UserId)>>>,
}

impl RequestContext {
    /// Looks at the context of a request.
    pub fn with<T>(request: &HttpRequest, look: impl FnOnce(&Self) -> T) -> T {
        match request.extensions().get::<Self>() {
            Some(context) => look(context),
            None => unreachable!("the edge wraps every route"),
        }
    }

    /// Who acts.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn actor(&self) -> Result<&Arc<Actor>, Failure> {
        match &self.auth {
            Auth::Operator(operator) => Ok(operator.actor()),
            Auth::Application(actor) => Ok(actor),
            _ => self.caller().map(|caller| &caller.actor),
        }
    }

    /// Who calls, as a user with a session.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn caller(&self) -> Result<&Arc<Caller>, Failure> {
        match &self.auth {
            Auth::Caller(caller) => Ok(caller),
            // It has no account and no session.
            Auth::Application(_) => Err(Denied::Forbidden(OWN).into()),
            Auth::Anonymous | Auth::Operator(_) => Err(app::Error::Unauthenticated.into()),
            Auth::Invalid => Err(app::Error::InvalidToken.into()),
            Auth::Unproved(why) => Err(app::Error::InvalidProof(why).into()),
            Auth::Revoked => Err(app::Error::SessionRevoked.into()),
        }
    }
}
