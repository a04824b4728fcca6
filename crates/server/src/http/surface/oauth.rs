//! Applications at the endpoints of OAuth 2.0.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderMap, WWW_AUTHENTICATE},
    },
};
use gatehouse_domain::oauth::{ErrorCode, RequestFault};
use serde::Serialize;

use super::Surface;
use crate::http::{
    credential::{ClientSecret, Credential, Unreadable},
    problem::{Code, Failure},
};

/// Applications, with an id and a secret. They get what RFC 6749 section 5.2 says.
#[derive(Debug)]
pub struct OAuth;

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

impl Surface for OAuth {
    fn credential<'r>(&self, headers: &'r HeaderMap, _: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        Ok(ClientSecret::of(headers)?.map(Credential::Client))
    }

    fn render(&self, failure: &Failure, _: &str) -> HttpResponse {
        let kind = failure.kind();
        let (error, description, status) = match failure {
            Failure::OAuth(RequestFault { error: ErrorCode::InvalidClient, description }) => {
                ("invalid_client", *description, StatusCode::UNAUTHORIZED)
            }
            Failure::OAuth(fault) => (fault.error.as_str(), fault.description, StatusCode::BAD_REQUEST),
            _ => {
                let (error, status) = error(kind);
                (error, kind.title, status)
            }
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if error == "invalid_client" {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"gatehouse\""));
        }
        response.json(Body { error, error_description: description })
    }

    fn towards(&self, _: &HeaderMap) -> &'static dyn Surface {
        &Self
    }
}

/// The error and its status. Those that the RFC has no word for keep the status that they have elsewhere.
fn error(kind: Code) -> (&'static str, StatusCode) {
    match (kind.code, kind.status) {
        ("unauthenticated" | "invalid_credentials" | "invalid_token", status) => ("invalid_client", status),
        ("missing_permission", _) => ("unauthorized_client", StatusCode::BAD_REQUEST),
        // A token that was given for another one, or whoever it was given for, counts no longer.
        ("email_not_verified" | "tenant_suspended", _) | (_, StatusCode::UNAUTHORIZED) => {
            ("invalid_grant", StatusCode::BAD_REQUEST)
        }
        (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            ("temporarily_unavailable", kind.status)
        }
        (_, status) if status.is_server_error() => ("server_error", status),
        (
            _,
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE,
        ) => ("invalid_request", kind.status),
        _ => ("invalid_request", StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{app::Error, http::problem::CODES};
    use actix_web::{
        body::to_bytes,
        http::{
            Method,
            header::{ALLOW, HeaderName, RETRY_AFTER},
        },
    };

    async fn body(failure: Failure) -> (u16, serde_json::Value) {
        let response = failure.response(&OAuth, "id");
        (response.status().as_u16(), serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap())
    }

    #[actix_web::test]
    async fn failure_has_the_fields_of_the_rfc_and_no_others() {
        let (status, body) = body(Error::RefreshSpent.into()).await;
        let description = "The refresh token has just been used";
        assert_eq!(
            (status, body),
            (400, serde_json::json!({"error": "invalid_grant", "error_description": description}))
        );
    }

    #[test]
    fn every_failure_has_an_error_and_a_description_in_ascii() {
        let errors = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"];
        for code in CODES {
            let (name, status) = error(*code);
            assert!(errors.contains(&name) || name == "temporarily_unavailable" || name == "server_error", "{name}");
            assert!(status.as_u16() == 400 || status == code.status, "{}: {status}", code.code);
            assert!(code.title.is_ascii(), "{}", code.title);
        }
    }

    #[test]
    fn what_an_application_has_to_know_is_in_the_headers() {
        let header = |failure: Failure, name: HeaderName| {
            let response = failure.response(&OAuth, "id");
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        for error in [Error::InvalidCredentials, Error::InvalidToken] {
            assert_eq!(header(error.into(), WWW_AUTHENTICATE).as_deref(), Some("Basic realm=\"gatehouse\""));
        }
        assert_eq!(header(Error::RateLimited(Duration::from_secs(7)).into(), RETRY_AFTER).as_deref(), Some("7"));
        assert_eq!(header(Failure::MethodNotAllowed(vec![Method::POST]), ALLOW).as_deref(), Some("POST"));
        assert_eq!(header(Error::NotFound.into(), CACHE_CONTROL).as_deref(), Some("no-store"));
    }
}
