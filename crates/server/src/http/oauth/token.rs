//! The token endpoint, and how applications prove there who they are (RFC 6749, sections 2.3 and 3.2).

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};
use gatehouse_domain::{
    oauth::{ErrorCode, Params, RequestFault},
    secret::Secret,
};

use crate::{
    app::{App, oauth::clients::Shown},
    http::{
        credential::ClientSecret, extract::access::PathTenant, oauth::params::Form, problem::Failure,
        request::ChangeRequest,
    },
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
    let ways = [header.is_some(), secret.is_some(), params.get("client_assertion").is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(fault(ErrorCode::InvalidRequest, "the application shows who it is in more than one way"));
    }
    match (header, id) {
        (Some((known, _)), Some(id)) if known != id => {
            Err(fault(ErrorCode::InvalidRequest, "client_id is not that of the header Authorization"))
        }
        (Some((id, secret)), _) => Ok(Shown { id, secret }),
        (None, Some(id)) => Ok(Shown { id, secret }),
        (None, None) => Err(fault(ErrorCode::InvalidClient, "client_id is missing")),
    }
}

/// Exchanges a code or a refresh token.
pub async fn token(
    tenant: PathTenant,
    form: Form,
    request: HttpRequest,
    call: ChangeRequest,
    app: Data<App>,
) -> Result<HttpResponse, Failure> {
    let params = &form.0;
    if params.repeats("resource") {
        return Err(fault(ErrorCode::InvalidTarget, "there may be one resource"));
    }
    if params.repeated().is_some() {
        return Err(fault(ErrorCode::InvalidRequest, "a parameter is there more than once"));
    }
    let application = app.clients().authenticate(&tenant.0, &shown(&request, params)?, &call.meta).await?;
    let issued = app.token_endpoint().exchange(&tenant.0, &application, params, &call.meta).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(issued))
}
