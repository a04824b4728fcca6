//! Pages for people who have nothing but a browser. Their files are part of the program and load nothing from elsewhere.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use crate::http::{extract::access::Anybody, operation::Operations, ops, surface::Pages};

/// What a page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Everything that is not part of the API.
#[must_use]
pub fn all(with_docs: bool) -> Operations {
    let mut pages = Operations::of(&Pages, "");
    ops::mount(&mut pages, with_docs);
    pages.page("/invitation", invitation);
    pages.page("/password-reset", password_reset);
    pages.page("/email", email);
    pages.page("/link.js", script);
    pages.page("/link.css", style);
    pages
}

fn file(content_type: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(body)
}

fn page(body: &'static str) -> HttpResponse {
    file("text/html; charset=utf-8", body)
}

/// Where the link of an invitation leads; see [`crate::app::directory::invitations::PAGE`].
async fn invitation(_: Anybody) -> HttpResponse {
    page(include_str!("../../assets/invitation.html"))
}

/// Where a link leads with which another password is set; see [`crate::app::account::recovery::RESET_PAGE`].
async fn password_reset(_: Anybody) -> HttpResponse {
    page(include_str!("../../assets/password-reset.html"))
}

/// Where a link leads with which an address is confirmed; see [`crate::app::account::recovery::EMAIL_PAGE`]. It takes a button: what
/// looks at links before people do, such as a filter of mail, confirms nothing.
async fn email(_: Anybody) -> HttpResponse {
    page(include_str!("../../assets/email.html"))
}

async fn script(_: Anybody) -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../../assets/link.js"))
}

async fn style(_: Anybody) -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../../assets/link.css"))
}
