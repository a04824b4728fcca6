//! Failures, and how callers of the API see them: `application/problem+json` (RFC 9457), or for invalid input the list of
//! issues. How others see them is in [`crate::http::surface`].

use std::time::Duration;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        Method, StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use gatehouse_domain::{
    authz::Denied,
    issue::{Fault, Issues},
    oauth::RequestFault,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{self, oauth::NotGiven},
    http::surface::Surface,
    security::dpop::ALGORITHMS,
};

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A use case says so.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The path has no such method; it has these.
    #[error("method not allowed")]
    MethodNotAllowed(Vec<Method>),
    /// The body did not come in time.
    #[error("request timeout")]
    RequestTimeout,
    /// The body is too long.
    #[error("payload too large")]
    PayloadTooLarge,
    /// The body is of another type.
    #[error("unsupported media type")]
    UnsupportedMediaType(&'static str),
    /// An application does not get what it asks for, and is told so in the words of OAuth.
    #[error("{}: {}", .0.error, .0.description)]
    OAuth(RequestFault),
    /// Another site had the form sent, or one that is not this browser's.
    #[error("cross-site request")]
    CrossSite,
    /// A handler panicked, in the request of this id, which was for this surface.
    #[error("a handler panicked")]
    Panic(std::sync::Arc<str>, &'static dyn Surface),
}

impl From<Issues> for Failure {
    fn from(issues: Issues) -> Self {
        Self::App(app::Error::Invalid(issues))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::App(app::Error::Denied(denied))
    }
}

impl From<NotGiven> for Failure {
    fn from(why: NotGiven) -> Self {
        match why {
            NotGiven::Fault(fault) => Self::OAuth(fault),
            NotGiven::App(error) => Self::App(error),
        }
    }
}

/// Rendering needs the surface and the request id, which the edge knows: see [`Failure::response`].
impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.kind().status
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            // Nothing of the request is left for the edge to render it with.
            Self::Panic(request_id, surface) => self.response(*surface, request_id),
            _ => HttpResponse::new(self.status_code()),
        }
    }
}

/// One row of the table of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The stable slug.
    pub code: &'static str,
    /// The status.
    pub status: StatusCode,
    /// What it means, in a few words.
    pub title: &'static str,
    /// What to do about it, for the documentation.
    pub help: &'static str,
}

/// `STALE CONFLICT "stale" "Somebody else changed it" "Load it again.";` becomes
/// `const STALE: Code = Code { code: "stale", status: StatusCode::CONFLICT, title: …, help: … };` and a member of `CODES`.
macro_rules! codes {
    ($($name:ident $status:ident $code:literal $title:literal $help:literal;)*) => {
        $(const $name: Code = Code { code: $code, status: StatusCode::$status, title: $title, help: $help };)*
        /// Every code there is.
        pub const CODES: &[Code] = &[$($name,)*];
    };
}

codes! {
    UNAUTHENTICATED UNAUTHORIZED "unauthenticated" "Authentication is required" "Send an access token: Authorization: Bearer ….";
    INVALID_TOKEN UNAUTHORIZED "invalid_token" "The access token is not valid" "It is malformed, expired, not ours, or not for this API: its `aud` says for whom it is. Refresh it, sign in, or ask for a scope of this API.";
    SESSION_REVOKED UNAUTHORIZED "session_revoked" "The session has ended" "It was ended, or its user, tenant or partner is suspended. Sign in again.";
    INVALID_CREDENTIALS UNAUTHORIZED "invalid_credentials" "User name or password is wrong" "The answer is the same for unknown, suspended and locked accounts.";
    INVALID_SETUP_TOKEN UNAUTHORIZED "invalid_setup_token" "The setup token is not valid" "It is unknown, spent, or older than 30 minutes. Make another with `gatehouse setup-token`.";
    INVALID_INVITATION UNAUTHORIZED "invalid_invitation" "The invitation is not valid" "It is unknown, expired, cancelled or accepted. Whoever sent it can send another.";
    INVALID_LINK UNAUTHORIZED "invalid_link" "The link is not valid" "It is unknown, used, replaced by a later one, too old, or the address or the password has changed since. Ask for another.";
    REFRESH_TOKEN_SPENT UNAUTHORIZED "refresh_token_spent" "The refresh token has just been used" "Another request was faster; use the token that it got.";
    REFRESH_TOKEN_INVALID UNAUTHORIZED "refresh_token_invalid" "The refresh token is not valid" "It is malformed, expired, or of another tenant. Sign in.";
    MISSING_PERMISSION FORBIDDEN "missing_permission" "A permission is missing" "`detail` names the permission. An administrator can give a role that has it.";
    INSUFFICIENT_SCOPE FORBIDDEN "insufficient_scope" "The token lacks a scope" "`detail` names the scope. The application has to ask for it when it asks for tokens.";
    CROSS_SITE FORBIDDEN "cross_site" "The form was not sent by its own page" "Open the page again, and send the form that is there.";
    EMAIL_NOT_VERIFIED FORBIDDEN "email_not_verified" "The e-mail address is not verified" "The tenant lets nobody sign in before.";
    REGISTRATION_CLOSED FORBIDDEN "registration_closed" "Registration is closed" "The tenant's setting `registration` opens it.";
    TENANT_SUSPENDED FORBIDDEN "tenant_suspended" "The tenant is suspended" "The tenant or its partner is suspended; an operator can activate it.";
    NOT_FOUND NOT_FOUND "not_found" "Not found" "There is nothing of that name that you may see.";
    METHOD_NOT_ALLOWED METHOD_NOT_ALLOWED "method_not_allowed" "The method is not allowed here" "The header Allow lists those that are.";
    CONFLICT CONFLICT "conflict" "The request conflicts with what is there" "`detail` says with what.";
    ALREADY_REGISTERED CONFLICT "already_registered" "The user name or e-mail address is taken" "Choose another, or sign in.";
    ALREADY_SET_UP CONFLICT "already_set_up" "There is an administrator already" "The setup works once.";
    LIMIT_REACHED CONFLICT "limit_reached" "A limit is reached" "`detail` says which.";
    STALE CONFLICT "stale" "Somebody else changed it meanwhile" "Load it again and repeat the change.";
    IDEMPOTENCY_IN_PROGRESS CONFLICT "idempotency_in_progress" "The same request is being answered" "Another request with this Idempotency-Key has come and is not over. Repeat it after Retry-After.";
    PRECONDITION_FAILED PRECONDITION_FAILED "precondition_failed" "It is not as If-Match says" "It was changed since it was loaded. Load it again and repeat the change with its new ETag.";
    REQUEST_TIMEOUT REQUEST_TIMEOUT "request_timeout" "The body took too long" "It must be complete within 30 seconds, and of a file every 256 KiB. Send it again on a new connection.";
    PAYLOAD_TOO_LARGE PAYLOAD_TOO_LARGE "payload_too_large" "The body is too large" "At most 64 KiB are accepted, and files up to 16 MiB.";
    UNSUPPORTED_MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is of the wrong type" "`detail` names the right one.";
    RATE_LIMITED TOO_MANY_REQUESTS "rate_limited" "Too many attempts or requests" "The header Retry-After says when to try again.";
    OVERLOADED SERVICE_UNAVAILABLE "overloaded" "Too much to do at the moment" "Try again; the header Retry-After says when.";
    UNAVAILABLE SERVICE_UNAVAILABLE "unavailable" "Not available at the moment" "Try again; the header Retry-After says when.";
    INTERNAL INTERNAL_SERVER_ERROR "internal" "Something went wrong" "It is our fault. Quote the request id when you report it.";
    INVALID UNPROCESSABLE_ENTITY "invalid" "The input is not valid" "The body lists every fault: {\"detail\": [{\"loc\", \"msg\", \"type\"}]}.";
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem and leads to its description.
    #[schema(format = "uri-reference", max_length = 200, example = "/docs/errors#not_found")]
    pub r#type: String,
    /// The kind of problem, in words.
    #[schema(max_length = 200, example = "Not found")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// This problem, in words.
    #[schema(max_length = 1000, example = "There is nothing of that name that you may see.")]
    pub detail: String,
    /// This very problem, as a URI.
    #[schema(format = "uri", max_length = 200, example = "urn:gatehouse:request:0198c5d2e8f47b7c9d0a1b2c3d4e5f60")]
    pub instance: String,
    /// The kind of problem, as a stable slug.
    #[schema(max_length = 64, example = "not_found")]
    pub code: &'static str,
    /// The id of the request.
    #[schema(max_length = 128, example = "0198c5d2e8f47b7c9d0a1b2c3d4e5f60")]
    pub request_id: String,
}

/// What somebody is told who has to wait, in seconds: rounded up, so that whoever waits that long is let through.
pub(super) fn wait_seconds(delay: Duration) -> u64 {
    Ord::max(delay.as_secs() + u64::from(delay.subsec_nanos() > 0), 1)
}

/// The challenge to who does not prove to hold the key of a token (RFC 9449, section 7.1).
pub(super) fn unproved(why: &str) -> String {
    format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{why}\", algs=\"{ALGORITHMS}\"")
}

impl Failure {
    /// The row of the table.
    #[must_use]
    pub const fn kind(&self) -> Code {
        match self {
            Self::App(error) => match error {
                app::Error::Unauthenticated => UNAUTHENTICATED,
                app::Error::InvalidToken | app::Error::InvalidProof(_) => INVALID_TOKEN,
                app::Error::SessionRevoked => SESSION_REVOKED,
                app::Error::InvalidCredentials => INVALID_CREDENTIALS,
                app::Error::EmailNotVerified => EMAIL_NOT_VERIFIED,
                app::Error::InvalidSetupToken => INVALID_SETUP_TOKEN,
                app::Error::InvalidInvitation => INVALID_INVITATION,
                app::Error::InvalidLink => INVALID_LINK,
                app::Error::RefreshSpent => REFRESH_TOKEN_SPENT,
                app::Error::RefreshInvalid => REFRESH_TOKEN_INVALID,
                app::Error::Denied(Denied::Forbidden(_)) => MISSING_PERMISSION,
                app::Error::Denied(Denied::Scope(_)) => INSUFFICIENT_SCOPE,
                app::Error::Denied(Denied::Hidden) | app::Error::NotFound => NOT_FOUND,
                app::Error::RegistrationClosed => REGISTRATION_CLOSED,
                app::Error::TenantSuspended => TENANT_SUSPENDED,
                app::Error::AlreadyRegistered => ALREADY_REGISTERED,
                app::Error::AlreadySetUp => ALREADY_SET_UP,
                app::Error::Conflict(_) => CONFLICT,
                app::Error::LimitReached(_) => LIMIT_REACHED,
                app::Error::Stale => STALE,
                app::Error::AlreadyAnswered | app::Error::InProgress => IDEMPOTENCY_IN_PROGRESS,
                app::Error::KeyReused => INVALID,
                app::Error::Precondition => PRECONDITION_FAILED,
                app::Error::Invalid(_) => INVALID,
                app::Error::RateLimited(_) => RATE_LIMITED,
                app::Error::Overloaded => OVERLOADED,
                app::Error::Unavailable(_) => UNAVAILABLE,
                app::Error::Internal(_) => INTERNAL,
            },
            Self::MethodNotAllowed(_) => METHOD_NOT_ALLOWED,
            Self::RequestTimeout => REQUEST_TIMEOUT,
            Self::PayloadTooLarge => PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => UNSUPPORTED_MEDIA_TYPE,
            Self::OAuth(_) => INVALID,
            Self::CrossSite => CROSS_SITE,
            Self::Panic(..) => INTERNAL,
        }
    }

    fn detail(&self, kind: Code) -> String {
        match self {
            Self::App(app::Error::Denied(Denied::Forbidden(permission))) => format!("Missing permission {permission}"),
            Self::App(app::Error::Denied(Denied::Scope(scope))) => format!("Missing scope {scope}"),
            Self::App(app::Error::Conflict(what) | app::Error::LimitReached(what)) => what.to_string(),
            Self::App(app::Error::InvalidProof(why)) => {
                format!("The request must prove that its sender holds the key of the token: {why}.")
            }
            Self::UnsupportedMediaType(expected) => format!("The body must be {expected}."),
            _ => kind.help.to_owned(),
        }
    }

    /// The answer. What went wrong inside is logged here, once, and shown to nobody.
    pub fn response(&self, surface: &dyn Surface, request_id: &str) -> HttpResponse {
        let kind = self.kind();
        if kind.status.is_server_error() {
            let mut causes = Vec::new();
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            let causes = causes.join(": ");
            if kind == OVERLOADED {
                // Whoever sends many passwords at once brings it about, and nothing is broken.
                tracing::warn!(request_id, code = kind.code, error = %self, causes, "a request failed");
            } else {
                tracing::error!(request_id, code = kind.code, error = %self, causes, "a request failed");
            }
        }
        let mut response = surface.render(self, request_id);
        let headers = response.headers_mut();
        if let Self::MethodNotAllowed(methods) = self {
            let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
            if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
                headers.insert(ALLOW, methods);
            }
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    /// After how many seconds it may be tried again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        let kind = self.kind();
        match self {
            Self::App(app::Error::RateLimited(delay)) => Some(wait_seconds(*delay)),
            _ if kind.status == StatusCode::SERVICE_UNAVAILABLE || kind.code == IDEMPOTENCY_IN_PROGRESS.code => Some(1),
            _ => None,
        }
    }

    /// The answer as the API gives it.
    pub(super) fn problem(&self, request_id: &str) -> HttpResponse {
        let kind = self.kind();
        let mut response = HttpResponse::build(kind.status);
        if let Self::App(app::Error::KeyReused) = self {
            let fault = Fault::new("idempotency_key_reused", "belongs to another request: with another query or body");
            let issues = Issues::from(fault.at(vec!["header".into(), "Idempotency-Key".into()]));
            return Self::from(issues).problem(request_id);
        }
        if let Self::App(app::Error::Invalid(issues)) = self {
            #[derive(Serialize)]
            struct Body<'a> {
                detail: &'a Issues,
            }
            return response.json(Body { detail: issues });
        }
        let problem = Problem {
            r#type: format!("/docs/errors#{}", kind.code),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: self.detail(kind),
            instance: format!("urn:gatehouse:request:{request_id}"),
            code: kind.code,
            request_id: request_id.to_owned(),
        };
        if let Some(challenge) = self.challenge() {
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        response.body(serde_json::to_vec(&problem).unwrap_or_default())
    }

    /// The challenge (RFC 6750 section 3): a wrong password is not a wrong token, and a permission is a scope.
    fn challenge(&self) -> Option<HeaderValue> {
        if let Self::App(app::Error::Denied(Denied::Scope(scope))) = self {
            return HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")).ok();
        }
        if let Self::App(app::Error::InvalidProof(why)) = self {
            return HeaderValue::try_from(unproved(why)).ok();
        }
        let kind = self.kind();
        let challenge = match (kind.status, kind.code) {
            (StatusCode::UNAUTHORIZED, "invalid_credentials" | "invalid_setup_token") => "Bearer",
            (StatusCode::UNAUTHORIZED, _) => "Bearer error=\"invalid_token\"",
            (StatusCode::FORBIDDEN, "missing_permission") => "Bearer error=\"insufficient_scope\"",
            _ => return None,
        };
        Some(HeaderValue::from_static(challenge))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt as _},
    };

    use super::*;
    use crate::http::surface::Api;

    #[test]
    fn codes_are_unique_slugs() {
        for (i, code) in CODES.iter().enumerate() {
            assert!(code.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.code);
            assert!(CODES[..i].iter().all(|other| other.code != code.code), "{}", code.code);
        }
    }

    /// The levels of the lines that are logged.
    #[derive(Default, Clone)]
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

    impl<S: tracing::Subscriber> Layer<S> for Levels {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    #[test]
    fn full_queue_is_a_warning_and_whatever_is_broken_an_error() {
        let levels = Levels::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(levels.clone()), || {
            for error in [app::Error::Overloaded, app::Error::Internal("broken".into()), app::Error::NotFound] {
                Failure::App(error).response(&Api, "id");
            }
        });
        assert_eq!(*levels.0.lock().unwrap(), [tracing::Level::WARN, tracing::Level::ERROR]);
    }

    #[test]
    fn delay_is_rounded_up_to_whole_seconds() {
        for (delay, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (900_000, "900")] {
            let failure = Failure::App(app::Error::RateLimited(Duration::from_millis(delay)));
            assert_eq!(failure.response(&Api, "id").headers().get(RETRY_AFTER).unwrap(), header);
        }
    }
}
