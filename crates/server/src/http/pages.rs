//! Pages for people who have nothing but a browser. Their files and templates are part of the program and load nothing
//! from elsewhere but the logo of a tenant.

mod forgot;
mod links;
mod pending;
pub(in crate::http) mod sign_up;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use crate::{
    app::{directory::tenants::TenantFacts, request::client::ISSUER_PATH},
    http::{extract::access::Anybody, operation::Operations, ops, page::SCRIPTED, surface::Pages},
};

/// Everything that is not part of the API.
#[must_use]
pub fn all(with_docs: bool) -> Operations {
    let mut pages = Operations::of(&Pages, "");
    ops::mount(&mut pages, with_docs);
    links::mount(&mut pages);
    pages.page("/link.js", script);
    pages.page("/favicon.ico", icon);
    pages
}

/// The pages below the issuers of tenants.
#[must_use]
pub fn at_issuers() -> Operations {
    let mut pages = Operations::of(&Pages, "");
    links::mount_at_issuers(&mut pages);
    pages.page(at_issuer!("/forgot"), forgot::ask);
    pages.form(at_issuer!("/forgot"), forgot::send);
    pages.page(at_issuer!("/sign-up"), sign_up::ask);
    pages.form(at_issuer!("/sign-up"), sign_up::register);
    pages
}

/// The path of a page of a tenant, below its issuer.
pub(in crate::http) fn at_tenant(facts: &TenantFacts, name: &str) -> String {
    format!("{ISSUER_PATH}{}/{name}", facts.tenant.slug)
}

/// What browsers show beside the title of each page. It is drawn in one colour that is seen on light and on dark.
async fn icon(_: Anybody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/svg+xml"))
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(include_str!("../../assets/icon.svg"))
}

async fn script(_: Anybody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, SCRIPTED))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(include_str!("../../assets/link.js"))
}
