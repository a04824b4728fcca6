//! The token endpoint, and how applications prove there who they are (RFC 6749, sections 2.3 and 3.2).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};
use gatehouse_domain::{
    application::Application,
    oauth::{ErrorCode, PUSHED_LIFETIME, Params, RequestFault, Unanswerable, pushed_uri},
    secret::Secret,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    app::{
        App,
        oauth::{authorization::NotAsked, clients::Shown, key_proof::KeyProof},
    },
    http::{
        Site,
        credential::{ClientSecret, proof},
        extract::access::AtIssuer,
        oauth::params::Form,
        problem::Failure,
        request::ChangeRequest,
    },
    security::{client_assertion, dpop::Sent},
};

fn fault(error: ErrorCode, description: &'static str) -> Failure {
    Failure::OAuth(RequestFault::new(error, description))
}

/// What an application shows of itself, in one way and no other.
pub fn shown(request: &HttpRequest, params: &Params) -> Result<Shown, Failure> {
    let header = ClientSecret::of(request.headers())
        .map_err(|_| fault(ErrorCode::InvalidClient, "the header Authorization cannot be read"))?;
    // An empty secret is none: some clients send one for applications that have none.
    let header = header.map(|it| (it.id, Some(it.secret).filter(|secret| !secret.expose().is_empty())));
    let id = params.get("client_id").map(str::to_owned);
    let secret = params.get("client_secret").map(|secret| Secret::new(secret.to_owned()));
    let assertion = params.get("client_assertion").map(str::to_owned);
    if assertion.is_some() && params.get("client_assertion_type") != Some(client_assertion::TYPE) {
        return Err(fault(ErrorCode::InvalidRequest, "client_assertion_type must be that of RFC 7523"));
    }
    let ways = [header.is_some(), secret.is_some(), assertion.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(fault(ErrorCode::InvalidRequest, "the application shows who it is in more than one way"));
    }
    let id = id.or_else(|| assertion.as_deref().and_then(client_assertion::subject));
    match (header, id) {
        (Some((known, _)), Some(id)) if known != id => {
            Err(fault(ErrorCode::InvalidRequest, "client_id is not that of the header Authorization"))
        }
        (Some((id, secret)), _) => Ok(Shown { id, secret, assertion }),
        (None, Some(id)) => Ok(Shown { id, secret, assertion }),
        (None, None) => Err(fault(ErrorCode::InvalidClient, "client_id is missing")),
    }
}

/// The application that sends a form, which has proved who it is.
async fn client(
    at: &AtIssuer,
    form: &Form,
    request: &HttpRequest,
    call: &ChangeRequest,
    app: &App,
) -> Result<Arc<Application>, Failure> {
    let params = &form.0;
    if params.repeats("resource") {
        return Err(fault(ErrorCode::InvalidTarget, "there may be one resource"));
    }
    if params.repeated().is_some() {
        return Err(fault(ErrorCode::InvalidRequest, "a parameter is there more than once"));
    }
    Ok(app.clients().authenticate(&at.0, &shown(request, params)?, &call.meta).await?)
}

/// The address of a request, as the client has it.
fn address(request: &HttpRequest, call: &ChangeRequest) -> String {
    format!("{}{}", call.meta.base_url, request.path())
}

/// The proof of a request that its sender holds a key, if it has one (RFC 9449, section 4.1).
fn sent<'r>(request: &'r HttpRequest, url: &'r str) -> Result<Option<Sent<'r>>, Failure> {
    let proof = proof(request.headers())
        .map_err(|_| fault(ErrorCode::InvalidDpopProof, "there must be one header DPoP, and a JWT in it"))?;
    Ok(proof.map(|proof| Sent { proof, method: request.method().as_str(), url }))
}

fn uncached(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// Gives tokens for a code, for a refresh token, or to an application in its own name.
pub async fn token(
    at: AtIssuer,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let application = client(&at, &form, &request, &call, &app).await?;
    let url = address(&request, &call);
    let sent = sent(&request, &url)?;
    Ok(uncached(app.token_endpoint().exchange(&at.0, &application, &form.0, sent.as_ref(), &call.meta).await?))
}

/// Takes a request before a browser brings it (RFC 9126).
pub async fn push(
    at: AtIssuer,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let application = client(&at, &form, &request, &call, &app).await?;
    if form.0.get("request_uri").is_some() {
        return Err(fault(ErrorCode::InvalidRequest, "a request that is pushed cannot name another"));
    }
    let url = address(&request, &call);
    let proof = KeyProof::read(&application, sent(&request, &url)?.as_ref(), call.meta.ctx.now)?;
    let bound = proof.as_ref().map(|proof| proof.names(&form.0)).transpose()?;
    let params = bound.as_ref().unwrap_or(&form.0);
    let pushed = app.authorization().push(&at.0, &application, params, &call.meta).await;
    let token = pushed.map_err(|why| match why {
        NotAsked::App(error) => error.into(),
        NotAsked::Told(_, told) => Failure::OAuth(told),
        NotAsked::Unanswerable(why) => fault(ErrorCode::InvalidRequest, unanswerable(why)),
    })?;
    app.token_endpoint().use_up(proof.as_ref(), &call.meta).await?;
    let body = json!({"request_uri": pushed_uri(token.expose()), "expires_in": PUSHED_LIFETIME.as_secs()});
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(body))
}

/// Has a device wait until somebody has signed it in (RFC 8628, section 3.1).
pub async fn device_authorization(
    at: AtIssuer,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let application = client(&at, &form, &request, &call, &app).await?;
    let waits = app.token_endpoint().await_device(&at.0, &application, &form.0, &call.meta).await?;
    let page = format!("{}{}", call.meta.base_url, super::device::PAGE);
    Ok(uncached(json!({
        "device_code": waits.device_code.expose(),
        "user_code": waits.user_code.to_string(),
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", waits.user_code),
        "expires_in": waits.lifetime.as_secs(),
        "interval": waits.interval.as_secs(),
    })))
}

/// What is wrong with where the answer would go.
const fn unanswerable(why: Unanswerable) -> &'static str {
    match why {
        Unanswerable::ApplicationUnknown => "client_id names no application of this issuer",
        Unanswerable::DocumentUnusable => "the document of the application cannot be fetched, or describes none",
        Unanswerable::WrongByUnknown => "the request is wrong",
        Unanswerable::ApplicationSuspended => "the application is suspended",
        Unanswerable::RedirectMissing => "redirect_uri is missing",
        Unanswerable::RedirectUnknown => "redirect_uri is none of the application's",
        Unanswerable::Repeated => "a parameter is there more than once",
        Unanswerable::CodeUnknown => "no device waits with that code",
    }
}

/// Says what a token counts for (RFC 7662).
pub async fn introspect(
    at: AtIssuer,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
    site: Data<Site>,
) -> Result<HttpResponse, Failure> {
    let application = client(&at, &form, &request, &call, &app).await?;
    let ours = |issuer: &str, slug: Option<&_>| site.base_urls.is_issuer(issuer, slug);
    let told = app.token_endpoint().introspect(&at.0, &application, &form.0, ours, &call.meta).await?;
    Ok(uncached(told))
}

/// Takes a token back (RFC 7009).
pub async fn revoke(
    at: AtIssuer,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
    site: Data<Site>,
) -> Result<HttpResponse, Failure> {
    let application = client(&at, &form, &request, &call, &app).await?;
    let ours = |issuer: &str, slug: Option<&_>| site.base_urls.is_issuer(issuer, slug);
    app.token_endpoint().revoke(&at.0, &application, &form.0, ours, &call.meta).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish())
}
