//! Browsers, whose people read pages.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{
        Method, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue},
    },
};
use askama::Template;
use url::Url;

use super::{Api, Surface};
use crate::http::{
    credential::{Credential, SessionCookies, Unreadable},
    page::{READ, page},
    problem::Failure,
};

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    title: &'static str,
    request_id: &'a str,
}

/// Browsers, with cookies. They get a page with the request id, by which an operator finds in the log what happened.
#[derive(Debug)]
pub struct Pages;

/// Browsers that another site sends here on purpose. What comes with a form of that site is believed no more than what is
/// in an address: it is read again as one.
#[derive(Debug)]
pub struct SentByOthers;

impl Surface for SentByOthers {
    fn credential<'r>(&self, headers: &'r HeaderMap, is_https: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        Pages.credential(headers, is_https)
    }

    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse {
        Pages.render(failure, request_id)
    }

    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface {
        Pages.towards(headers)
    }
}

/// Whether an element of `Accept` asks for HTML (RFC 9110, section 12.5.1); one of weight 0 refuses it.
fn is_html(element: &str) -> bool {
    let mut parts = element.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
    let weight = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    is_named && weight.is_none_or(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

impl Surface for Pages {
    fn credential<'r>(&self, headers: &'r HeaderMap, is_https: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        let cookies = SessionCookies::of(headers, is_https);
        Ok((!cookies.is_empty()).then_some(Credential::Cookie(cookies)))
    }

    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse {
        let kind = failure.kind();
        let page = page(&FailurePage { title: kind.title, request_id }, READ);
        let mut response = page.unwrap_or_else(|_| HttpResponse::new(kind.status));
        *response.status_mut() = match failure {
            Failure::OAuth(_) => StatusCode::BAD_REQUEST,
            _ => kind.status,
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// A form can be sent by any site that somebody visits, with the cookies of this one. Browsers say who sent it:
    /// `Sec-Fetch-Site`, or `Origin` from those that do not know that yet. Of one that says neither nothing is taken.
    fn admit(&self, method: &Method, headers: &HeaderMap, base_url: &dyn Fn() -> Arc<str>) -> Result<(), Failure> {
        let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let is_ours = match (told("sec-fetch-site"), told("origin")) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => {
                Url::parse(&base_url()).is_ok_and(|own| own.origin().ascii_serialization() == origin)
            }
            (None, None) => false,
        };
        if method.is_safe() || is_ours { Ok(()) } else { Err(Failure::CrossSite) }
    }

    /// Browsers ask for HTML by its name; programs that look for a page get what the API answers.
    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface {
        let values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        if values.flat_map(|value| value.split(',')).any(is_html) { &Self } else { &Api }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_by_the_media_type_that_they_name() {
        for html in ["text/html", " TEXT/HTML ", "text/html;q=0.1", "text/html; charset=utf-8"] {
            assert!(is_html(html), "{html}");
        }
        for other in ["text/htmlx", "text/html;q=0", "*/*", "", "application/json"] {
            assert!(!is_html(other), "{other}");
        }
    }
}
