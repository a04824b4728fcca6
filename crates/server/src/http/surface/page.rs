//! Browsers, whose people read pages.

use actix_web::{
    HttpResponse,
    http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap},
};

use super::{Api, Surface};
use crate::http::{
    credential::{Credential, SessionCookies, Unreadable},
    problem::Failure,
};

/// What a page of a failure may load.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Browsers, with cookies. They get a page with the request id, by which an operator finds in the log what happened.
#[derive(Debug)]
pub struct Pages;

/// Whether an element of `Accept` asks for HTML (RFC 9110, section 12.5.1); one of weight 0 refuses it.
fn is_html(element: &str) -> bool {
    let mut parts = element.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
    let weight = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    is_named && weight.is_none_or(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

impl Surface for Pages {
    fn credential<'r>(&self, headers: &'r HeaderMap, is_https: bool) -> Result<Option<Credential<'r>>, Unreadable> {
        Ok(SessionCookies::of(headers, is_https).map(Credential::Cookie))
    }

    fn render(&self, failure: &Failure, request_id: &str) -> HttpResponse {
        let kind = failure.kind();
        // Titles are ours and request ids have no marks; nothing that a client sent is shown.
        let body = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"/link.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             <p>Reference: <code>{request_id}</code></p>\n</main>\n</body>\n</html>\n",
            title = kind.title
        );
        HttpResponse::build(kind.status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(body)
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
