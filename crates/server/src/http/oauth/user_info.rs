//! The UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).

use std::sync::OnceLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, WWW_AUTHENTICATE},
    },
    web::Data,
};
use gatehouse_domain::oauth::{ErrorCode, RequestFault};
use serde_json::json;

use crate::{
    app::{
        App,
        oauth::NotGiven,
        sessions::access_token::{Presented, Proving},
    },
    http::{
        Site,
        caller::sent_method,
        credential::AccessToken,
        extract::access::AtIssuer,
        oauth::params,
        problem::{Failure, unproved},
        request,
    },
    security::dpop::Sent,
};

/// What an access token tells of its user. The token is in the header, or in the form of a POST.
pub async fn user_info(
    at: AtIssuer,
    request: HttpRequest,
    app: Data<App>,
    site: Data<Site>,
) -> Result<HttpResponse, Failure> {
    let form = params::of(&request)?;
    if form.repeated().is_some() {
        let description = "a parameter is there more than once";
        return Ok(refused(RequestFault::new(ErrorCode::InvalidRequest, description)));
    }
    let shown = match (AccessToken::of(request.headers()), form.get("access_token")) {
        (Ok(Some(header)), None) => header,
        (Ok(None), Some(field)) => AccessToken { token: field.as_bytes(), proof: None },
        // Who shows nothing is told how, and not what is wrong (RFC 6750, section 3.1).
        (Ok(None), None) => {
            return Ok(HttpResponse::Unauthorized().insert_header((WWW_AUTHENTICATE, "Bearer")).finish());
        }
        (Ok(Some(_)), Some(_)) => {
            let description = "the access token is there more than once";
            return Ok(refused(RequestFault::new(ErrorCode::InvalidRequest, description)));
        }
        (Err(_), _) => {
            return Ok(refused(RequestFault::new(ErrorCode::InvalidToken, "the access token cannot be read")));
        }
    };
    let ours = |issuer: &str, slug: Option<&_>| site.base_urls.is_issuer(issuer, slug);
    let (url, proved) = (format!("{}{}", request::meta(&request).base_url, request.path()), OnceLock::new());
    let sent = |proof| Sent { proof, method: sent_method(request.method(), &request), url: &url };
    let proof = shown.proof.map(|proof| Proving { sent: sent(proof), proved: &proved });
    match app.user_info().claims(&Presented { token: shown.token, proof }, &at.0, ours).await {
        Ok(claims) => Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(claims)),
        Err(NotGiven::Fault(fault)) => Ok(refused(fault)),
        Err(NotGiven::App(error)) => Err(error.into()),
    }
}

/// Why a token opens nothing (RFC 6750, section 3; RFC 9449, section 7.1).
fn refused(RequestFault { error, description }: RequestFault) -> HttpResponse {
    let (status, scope) = match error {
        ErrorCode::InvalidRequest => (StatusCode::BAD_REQUEST, ""),
        ErrorCode::InsufficientScope => (StatusCode::FORBIDDEN, ", scope=\"openid\""),
        _ => (StatusCode::UNAUTHORIZED, ""),
    };
    let challenge = match error {
        ErrorCode::InvalidDpopProof => unproved(description),
        _ => format!("Bearer error=\"{error}\", error_description=\"{description}\"{scope}"),
    };
    HttpResponse::build(status)
        .insert_header((WWW_AUTHENTICATE, challenge))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({"error": error, "error_description": description}))
}
