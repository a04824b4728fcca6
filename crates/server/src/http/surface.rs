//! The kinds of clients: each proves in its own way who it is, and is told in its own words why something failed.

mod oauth;
mod page;

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{Method, header::HeaderMap},
};

pub use oauth::OAuth;
pub use page::{Pages, SentByOthers};

use crate::http::{
    credential::{AccessToken, Credential, Unreadable},
    problem::Failure,
};

/// A kind of client.
pub trait Surface: std::fmt::Debug + Sync {
    /// The credential that its requests show.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    fn credential<'r>(&self, headers: &'r HeaderMap, is_https: bool) -> Result<Option<Credential<'r>>, Unreadable>;

    /// What is answered to a request that failed. [`Failure::response`] logs it and adds what all surfaces have.
    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse;

    /// Refuses what its clients cannot have sent themselves.
    ///
    /// # Errors
    /// [`Failure::CrossSite`].
    fn admit(&self, _method: &Method, _headers: &HeaderMap, _base_url: &dyn Fn() -> Arc<str>) -> Result<(), Failure> {
        Ok(())
    }

    /// How a client with these headers is answered here.
    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface;

    /// Whether its requests may show access tokens.
    fn takes_tokens(&self) -> bool {
        false
    }

    /// Whether what is read may be asked for without its body (RFC 9110, section 9.3.2).
    fn answers_head(&self) -> bool {
        true
    }

    /// Whether its requests may have query parameters that nothing here knows.
    fn ignores_unknown_query(&self) -> bool {
        true
    }
}

/// Programs that call the API, with access tokens. They get `application/problem+json`.
#[derive(Debug)]
pub struct Api;

impl Surface for Api {
    fn credential<'r>(&self, headers: &'r HeaderMap, _: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        Ok(AccessToken::of(headers)?.map(Credential::AccessToken))
    }

    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse {
        failure.problem(request_id)
    }

    fn towards(&self, _: &HeaderMap) -> &'static dyn Surface {
        &Self
    }

    fn ignores_unknown_query(&self) -> bool {
        false
    }

    fn takes_tokens(&self) -> bool {
        true
    }
}

/// Whether a path can only be of the API.
#[must_use]
pub fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// The surface of a path that is not known yet, or nothing.
#[must_use]
pub fn of(path: &str) -> &'static dyn Surface {
    if is_api(path) { &Api } else { &Pages }
}
