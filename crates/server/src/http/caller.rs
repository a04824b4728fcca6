//! Who calls: whose the credential of a request is.

use std::sync::OnceLock;

use actix_web::{HttpMessage, dev::ServiceRequest, http::Method};
use gatehouse_domain::{oauth::Thumbprint, text::Slug};

use crate::{
    app::{
        self, App,
        sessions::access_token::{Authenticated, Presented, Proving},
    },
    http::{
        Site,
        context::Auth,
        credential::{AccessToken, Credential},
        operation::Features,
        problem::Failure,
        surface::Surface,
    },
    security::dpop::Sent,
};

/// Who calls. `proved` is the key that the sender of the request has proved to hold, once it has: a request may be asked
/// twice, and its proof counts once.
pub(super) async fn of(
    app: &App,
    site: &Site,
    (surface, features): (&dyn Surface, Features),
    request: &ServiceRequest,
    proved: &OnceLock<Thumbprint>,
) -> Result<Auth, Failure> {
    match Credential::of(request, surface, site.base_urls.is_https()) {
        Ok(Some(Credential::Operator(operator))) => Ok(Auth::Operator(operator)),
        Ok(None) => Ok(Auth::Anonymous),
        _ if !features.secured => Ok(Auth::Anonymous),
        Ok(Some(Credential::AccessToken(token))) => authenticate(app, site, &token, request, proved).await,
        // These open pages and the endpoints of applications, which look at them themselves, and nothing else.
        Ok(Some(Credential::Cookie(_) | Credential::Client(_))) | Err(_) => Ok(Auth::Invalid),
    }
}

/// That a request came as HEAD, and is answered as GET.
pub(super) struct CameAsHead;

/// The method that a request was sent with, where that matters.
pub(super) fn sent_method<'r>(method: &'r Method, request: &impl HttpMessage) -> &'r str {
    if request.extensions().get::<CameAsHead>().is_some() { "HEAD" } else { method.as_str() }
}

async fn authenticate(
    app: &App,
    site: &Site,
    shown: &AccessToken<'_>,
    request: &ServiceRequest,
    proved: &OnceLock<Thumbprint>,
) -> Result<Auth, Failure> {
    let is_issuer = |issuer: &str, tenant: Option<&Slug>| site.base_urls.is_issuer(issuer, tenant);
    let peer = request.peer_addr().map(|peer| peer.ip());
    let url = shown.proof.map(|_| format!("{}{}", site.base_urls.of(peer, request.headers()), request.path()));
    let method = sent_method(request.method(), request);
    let sent = |(proof, url)| Sent { proof, method, url };
    let proof = shown.proof.zip(url.as_deref()).map(|shown| Proving { sent: sent(shown), proved });
    match app.session_states().authenticate(&Presented { token: shown.token, proof }, is_issuer).await {
        Ok(Authenticated::User(caller)) => Ok(Auth::Caller(caller)),
        Ok(Authenticated::Application(actor)) => Ok(Auth::Application(actor)),
        Err(app::Error::InvalidToken) => Ok(Auth::Invalid),
        Err(app::Error::InvalidProof(why)) => Ok(Auth::Unproved(why)),
        Err(app::Error::SessionRevoked) => Ok(Auth::Revoked),
        Err(error) => Err(error.into()),
    }
}
