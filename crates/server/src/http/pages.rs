//! Pages for people who have nothing but a browser. Their files and templates are part of the program and load nothing
//! from elsewhere.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use askama::Template;

use crate::http::{
    extract::access::Anybody,
    operation::Operations,
    ops,
    page::{SCRIPTED, page},
    problem::Failure,
    surface::Pages,
};

/// A page to which a link of a letter leads: its script takes the secret out of the address and asks the API.
#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    title: &'static str,
    /// What the API is asked for, below the tenant.
    action: &'static str,
    /// The field of a new password, where one is asked for.
    field: Option<&'static str>,
    /// What the script says in the end, unless the answer names a user.
    done: Option<&'static str>,
    button: &'static str,
}

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

/// Where the link of an invitation leads; see [`crate::app::directory::invitations::PAGE`].
async fn invitation(_: Anybody) -> Result<HttpResponse, Failure> {
    let (title, button) = ("Accept your invitation", "Set the password");
    let accept = LinkPage { title, action: "invitations/accept", field: Some("password"), done: None, button };
    page(&accept, SCRIPTED)
}

/// Where a link leads with which another password is set; see [`crate::app::account::recovery::RESET_PAGE`].
async fn password_reset(_: Anybody) -> Result<HttpResponse, Failure> {
    let done = "Done. You can sign in with the new password. You have been signed out everywhere.";
    let reset = LinkPage {
        title: "Set another password",
        action: "password/reset",
        field: Some("new_password"),
        done: Some(done),
        button: "Set the password",
    };
    page(&reset, SCRIPTED)
}

/// Where a link leads with which an address is confirmed; see [`crate::app::account::recovery::EMAIL_PAGE`]. It takes a
/// button: what looks at links before people do, such as a filter of mail, confirms nothing.
async fn email(_: Anybody) -> Result<HttpResponse, Failure> {
    let confirm = LinkPage {
        title: "Confirm your e-mail address",
        action: "email/verify",
        field: None,
        done: Some("Done. The address is confirmed."),
        button: "Confirm the address",
    };
    page(&confirm, SCRIPTED)
}

fn file(content_type: &'static str, body: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, SCRIPTED))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(body)
}

async fn script(_: Anybody) -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("../../assets/link.js"))
}

async fn style(_: Anybody) -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../../assets/link.css"))
}
