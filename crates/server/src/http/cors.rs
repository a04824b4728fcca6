//! Which pages of other origins may read what is answered (Fetch, section 3.2). At an issuer those that an active application
//! of it allows; at the API, and there only what is asked with an access token, those that any active application allows or
//! the configuration names. Cookies never come along.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderMap, HeaderValue, ORIGIN,
        },
    },
};
use gatehouse_domain::key::Issuer;

use super::edge::Edge;
use crate::http::{context::RequestContext, operation::Features, problem::Failure, routes::RouteMatch};

/// What a page may send to the API.
const SENT: &str = "authorization, content-type, dpop, idempotency-key, if-match, if-none-match, x-request-id";

impl Edge {
    /// The origin of the page that sends a request, if it may read the answer; `None` where no other page may, whoever it is.
    pub(super) async fn shared_with(
        &self,
        found: Option<&RouteMatch<'_>>,
        features: Features,
        state: &RequestContext,
        headers: &HeaderMap,
    ) -> Result<Option<Option<HeaderValue>>, Failure> {
        let Some(found) = found else { return Ok(None) };
        if found.route.is_shared() {
            let issuer = match (&state.tenant, &found.tenant_slug) {
                (Some(facts), _) => facts.reference().into(),
                (None, None) => Issuer::Platform,
                (None, Some(_)) => return Ok(Some(None)),
            };
            return self.allowed(Some(issuer), headers).await.map(Some);
        }
        let is_asked_with_a_token = features.secured && headers.contains_key(AUTHORIZATION);
        if found.route.surface.takes_tokens() && is_asked_with_a_token && headers.contains_key(ORIGIN) {
            return self.allowed(None, headers).await.map(Some);
        }
        Ok(None)
    }

    /// What a browser is answered that asks whether a page may call the API with an access token, and whose page that is;
    /// nothing where it asks something else.
    pub(super) async fn preflight(
        &self,
        request: &ServiceRequest,
    ) -> Result<Option<(HttpResponse, Option<HeaderValue>)>, Failure> {
        let headers = request.headers();
        let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| *request.method() == Method::OPTIONS);
        let Some(asked) = asked.and_then(|name| Method::from_bytes(name.as_bytes()).ok()) else { return Ok(None) };
        let Some(found) = self.site.routes.find(request.path()) else { return Ok(None) };
        let is_secured = found.route.operation(&asked).is_some_and(|features| features.secured);
        if !found.route.surface.takes_tokens() || !is_secured {
            return Ok(None);
        }
        let methods: Vec<_> = found.route.allowed().into_iter().map(|method| method.to_string()).collect();
        let answer = HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods.join(", ")))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, SENT))
            .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
            .finish();
        Ok(Some((answer, self.allowed(None, headers).await?)))
    }

    /// The origin of a page, if an active application of an issuer allows it, or of any where none is named.
    async fn allowed(&self, issuer: Option<Issuer>, headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
        let Ok(text) = origin.to_str() else { return Ok(None) };
        let is_configured = issuer.is_none() && self.site.cors_origins.iter().any(|known| known.as_str() == text);
        let is_allowed = is_configured || self.app.clients().allows_origin(issuer, text).await?;
        Ok(is_allowed.then(|| origin.clone()))
    }
}
