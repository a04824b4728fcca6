//! The UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).

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
    app::{App, oauth::NotGiven},
    http::{Site, credential::Bearer, extract::access::AtIssuer, oauth::params, problem::Failure},
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
    let token = match (Bearer::of(request.headers()), form.get("access_token")) {
        (Ok(Some(header)), None) => header.token().to_vec(),
        (Ok(None), Some(field)) => field.as_bytes().to_vec(),
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
    match app.user_info().claims(&token, &at.0, ours).await {
        Ok(claims) => Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(claims)),
        Err(NotGiven::Fault(fault)) => Ok(refused(fault)),
        Err(NotGiven::App(error)) => Err(error.into()),
    }
}

/// Why a token opens nothing (RFC 6750, section 3).
fn refused(RequestFault { error, description }: RequestFault) -> HttpResponse {
    let (status, scope) = match error {
        ErrorCode::InvalidRequest => (StatusCode::BAD_REQUEST, ""),
        ErrorCode::InsufficientScope => (StatusCode::FORBIDDEN, ", scope=\"openid\""),
        _ => (StatusCode::UNAUTHORIZED, ""),
    };
    let challenge = format!("Bearer error=\"{error}\", error_description=\"{description}\"{scope}");
    HttpResponse::build(status)
        .insert_header((WWW_AUTHENTICATE, challenge))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({"error": error, "error_description": description}))
}
