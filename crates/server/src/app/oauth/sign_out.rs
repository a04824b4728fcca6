//! Signing out of a browser's session because an application asks for it (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use gatehouse_domain::{
    application::Application,
    authz::{By, SystemReason},
    id::SessionId,
    oauth::Params,
    session::{EndReason, Session},
};
use gatehouse_persistence::WriteTx;

use crate::app::{
    Error, Result, directory::issuers::IssuerFacts, oauth::Authorization, request::client::RequestMeta,
    sessions::revocation::end,
};

/// What an application asks for.
#[derive(Debug)]
pub struct AskedToSignOut {
    /// Where the browser goes then, with what is sent back as it came.
    pub to: Option<(String, Option<String>)>,
    /// The session that the application shows to have.
    pub session: Option<SessionId>,
    /// The application, where it is known.
    pub application: Option<Arc<Application>>,
}

impl Authorization<'_> {
    /// Reads a request to sign out. The browser goes nowhere but to an address that is registered for the application.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn read_sign_out(&self, at: &IssuerFacts, params: &Params, meta: &RequestMeta) -> Result<AskedToSignOut> {
        if params.repeated().is_some() {
            return Ok(AskedToSignOut { to: None, session: None, application: None });
        }
        let hint = match params.get("id_token_hint") {
            Some(token) => self.hint(at, token, meta).await?,
            None => None,
        };
        let hinted = hint.as_ref().map(|hint| hint.client_id.clone());
        let named = params.get("client_id").map(str::to_owned);
        // Both have to be one; and with a hint that is none, nothing is sure.
        let is_sure = params.get("id_token_hint").is_none() == hint.is_none();
        let id = match (hinted, named) {
            (Some(hinted), Some(named)) if hinted != named => None,
            (hinted, named) => hinted.or(named).filter(|_| is_sure),
        };
        let application = match &id {
            Some(id) => self.clients.application(at, id).await?,
            None => None,
        };
        let is_registered = |application: &Arc<Application>, uri: &str| {
            application.metadata.post_logout_redirect_uris.iter().any(|known| known.as_str() == uri)
        };
        let uri = params.get("post_logout_redirect_uri");
        let uri = uri.filter(|uri| application.as_ref().is_some_and(|application| is_registered(application, uri)));
        Ok(AskedToSignOut {
            to: uri.map(|uri| (uri.to_owned(), params.get("state").map(str::to_owned))),
            session: hint.filter(|_| id.is_some()).map(|hint| hint.session_id),
            application,
        })
    }

    /// Ends the session of a browser. Ending one that has ended already is no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer: nobody is told to be signed out who is not.
    pub async fn sign_out(&self, session: Session, meta: &RequestMeta) -> Result<()> {
        let work = async move |tx: &WriteTx<'_>| {
            let by = By::oneself(session.user_id, Some(session.id));
            let system = tx.system(SystemReason::Authentication);
            end(&system, session.clone(), EndReason::Logout, &by, tx.now()).await.map(drop)
        };
        self.db.write::<_, Error, _>(meta.ctx.clone(), work).await
    }
}
