//! Pages for people who have nothing but a browser. Their files and templates are part of the program and load nothing
//! from elsewhere but the logo of a tenant.

mod links;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use crate::http::{extract::access::Anybody, operation::Operations, ops, page::SCRIPTED, surface::Pages};

/// Everything that is not part of the API.
#[must_use]
pub fn all(with_docs: bool) -> Operations {
    let mut pages = Operations::of(&Pages, "");
    ops::mount(&mut pages, with_docs);
    links::mount(&mut pages);
    pages.page("/link.js", script);
    pages
}

/// The pages below the issuers of tenants.
#[must_use]
pub fn at_issuers() -> Operations {
    let mut pages = Operations::of(&Pages, "");
    links::mount_at_issuers(&mut pages);
    pages
}

async fn script(_: Anybody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, SCRIPTED))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(include_str!("../../assets/link.js"))
}
