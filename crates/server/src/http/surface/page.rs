//! Browsers, whose people read pages.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{
        Method, StatusCode,
        header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap},
    },
};
use url::Url;

use super::{Api, OAuth, Surface};
use crate::http::{
    credential::{Credential, SessionCookies, Unreadable},
    hosted::{
        ErrorPage, Look,
        texts::{self, Texts},
    },
    oauth::respond::{Policy, page},
    problem::Failure,
};

/// Browsers, with cookies. They get a page with the request id, by which an operator finds in the log what happened.
#[derive(Debug)]
pub struct Pages;

/// Browsers whose people read a language.
#[derive(Debug)]
struct Readers(&'static Texts);

static READERS: [Readers; 3] = [Readers(&texts::EN), Readers(&texts::ES), Readers(&texts::DE)];

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

    /// Programs that come here are told as at every endpoint of an issuer.
    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface {
        if asks_for_page(headers) { readers(headers) } else { &OAuth }
    }

    /// To look at it would do what a visit does: a code would be issued that nobody gets.
    fn answers_head(&self) -> bool {
        false
    }
}

/// Whether somebody reads the answer: browsers ask for HTML by its name.
fn asks_for_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(is_html)
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
        Readers(&texts::EN).render(failure, request_id)
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

    /// Programs that look for a page get what the API answers.
    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface {
        if asks_for_page(headers) { readers(headers) } else { &Api }
    }
}

/// Who reads the page of a failure.
fn readers(headers: &HeaderMap) -> &'static dyn Surface {
    let t = texts::choose(None, headers.get(ACCEPT_LANGUAGE).and_then(|languages| languages.to_str().ok()));
    READERS.iter().find(|readers| readers.0.lang == t.lang).map_or(&Pages, |readers| readers)
}

impl Readers {
    /// What happened, in a few words and in a sentence.
    fn words(&self, failure: &Failure) -> [String; 2] {
        let Self(t) = self;
        let kind = failure.kind();
        let words = match kind.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => t.account.not_found,
            StatusCode::FORBIDDEN if kind.code == "cross_site" => [t.failed, t.cross_site],
            StatusCode::FORBIDDEN if kind.code == "tenant_suspended" => [t.failed, t.tenant_suspended],
            StatusCode::FORBIDDEN => [t.failed, t.account.not_possible],
            StatusCode::PAYLOAD_TOO_LARGE => [t.failed, t.too_large],
            StatusCode::TOO_MANY_REQUESTS => {
                return [t.too_many_attempts.to_owned(), t.wait(failure.retry_after().unwrap_or(1))];
            }
            StatusCode::SERVICE_UNAVAILABLE => [t.failed, t.account.overloaded],
            status if status.is_server_error() => [t.failed, t.internal],
            _ => [t.failed, t.account.unreadable],
        };
        words.map(str::to_owned)
    }
}

impl Surface for Readers {
    fn credential<'r>(&self, headers: &'r HeaderMap, is_https: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        Pages.credential(headers, is_https)
    }

    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse {
        let (look, [title, what]) = (Look::of(None, self.0), self.words(failure));
        let status = match failure {
            Failure::OAuth(_) => StatusCode::BAD_REQUEST,
            _ => failure.kind().status,
        };
        let shown = ErrorPage { frame: look.frame(), title: &title, what: &what, request_id };
        page(&shown, status, &Policy::default()).unwrap_or_else(|_| HttpResponse::new(status))
    }

    fn towards(&self, headers: &HeaderMap) -> &'static dyn Surface {
        Pages.towards(headers)
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
