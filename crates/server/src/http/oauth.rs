//! What applications, APIs and browsers find at issuers (OAuth 2.1, OpenID Connect Core 1.0).

pub(super) mod authorize;
mod device;
pub(super) mod interaction;
mod logout;
pub mod metadata;
pub(super) mod params;
mod platform;
pub mod published;
mod questions;
pub(super) mod respond;
mod token;
mod user_info;
pub(super) mod visit;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderValue,
    },
    web::Data,
};
use gatehouse_domain::settings::Registration;

use crate::{
    app::{App, Error},
    http::{
        Site,
        context::RequestContext,
        document::Document,
        extract::access::{Anybody, AtIssuer, PathTenant},
        hosted::{STYLE, brand},
        oauth::{
            metadata::{ABILITIES, Described},
            published::Kind,
        },
        operation::Operations,
        problem::Failure,
        request,
        surface::{OAuth, Pages, SentByOthers},
    },
};

/// An endpoint of every issuer: at that of a tenant, and at the platform's.
macro_rules! at_each {
    ($list:ident . $method:ident ( $path:literal , $handler:path )) => {
        $list.$method(at_issuer!("/oauth", $path), $handler);
        $list.$method(concat!("/api/v1/platform/oauth", $path), $handler);
    };
}

/// Everything below issuers.
#[must_use]
pub fn all() -> [Operations; 3] {
    let mut programs = Operations::of(&OAuth, "");
    programs.page(at_issuer!("/.well-known/jwks.json"), jwks);
    programs.page("/api/v1/platform/.well-known/jwks.json", jwks);
    // OpenID Connect puts it behind the issuer, RFC 8414 between host and path, and MCP clients try both names there.
    programs.page(at_issuer!("/.well-known/openid-configuration"), configuration);
    programs.page("/.well-known/openid-configuration/api/v1/auth/tenants/{tenant_slug}", configuration);
    programs.page("/.well-known/oauth-authorization-server/api/v1/auth/tenants/{tenant_slug}", configuration);
    programs.page("/api/v1/platform/oauth/.well-known/openid-configuration", configuration);
    programs.page("/.well-known/openid-configuration/api/v1/platform/oauth", configuration);
    programs.page("/.well-known/oauth-authorization-server/api/v1/platform/oauth", configuration);
    at_each!(programs.form("/token", token::token));
    at_each!(programs.form("/par", token::push));
    at_each!(programs.form("/device_authorization", token::device_authorization));
    at_each!(programs.form("/introspect", token::introspect));
    at_each!(programs.form("/revoke", token::revoke));
    at_each!(programs.page("/userinfo", user_info::user_info));
    at_each!(programs.form("/userinfo", user_info::user_info));
    at_each!(programs.preflight("/token", preflight));
    at_each!(programs.preflight("/par", preflight));
    at_each!(programs.preflight("/device_authorization", preflight));
    at_each!(programs.preflight("/revoke", preflight));
    at_each!(programs.preflight("/userinfo", preflight));
    let mut sent = Operations::of(&SentByOthers, "");
    at_each!(sent.page("/authorize", authorize::authorize));
    at_each!(sent.form("/authorize", authorize::as_get));
    at_each!(sent.page("/logout", logout::logout));
    at_each!(sent.form("/logout", authorize::as_get));
    let mut pages = Operations::of(&Pages, "");
    at_each!(pages.form("/sign-in", authorize::sign_in));
    at_each!(pages.form("/select-account", authorize::select_account));
    at_each!(pages.form("/consent", authorize::consent));
    at_each!(pages.form("/sign-out", logout::sign_out));
    at_each!(pages.page("/sign-in", authorize::by_address));
    at_each!(pages.page("/select-account", authorize::by_address));
    at_each!(pages.page("/consent", authorize::by_address));
    at_each!(pages.page("/sign-out", authorize::by_address));
    at_each!(pages.page("/device/answer", authorize::by_address));
    at_each!(pages.page("/device", device::ask_at_issuer));
    at_each!(pages.form("/device", device::typed_at_issuer));
    at_each!(pages.form("/device/answer", device::answer));
    pages.page(device::PAGE, device::ask);
    pages.form(device::PAGE, device::typed);
    pages.page(at_issuer!("/oauth/brand.css"), brand_style);
    pages.page(STYLE, style);
    [programs, sent, pages]
}

/// What an issuer says of itself.
async fn configuration(at: AtIssuer, request: HttpRequest, app: Data<App>, site: Data<Site>) -> HttpResponse {
    let (meta, at) = (request::meta(&request), &at.0);
    let make = || {
        let issuer = at.url(&meta);
        let jwks_uri = match at.tenant() {
            Some(_) => format!("{issuer}/.well-known/jwks.json"),
            None => format!("{}/api/v1/platform/.well-known/jwks.json", meta.base_url),
        };
        let described = Described {
            endpoints: format!("{}{}", meta.base_url, at.endpoints()),
            jwks_uri,
            issuer,
            documentation: site.docs.is_some().then(|| format!("{}/docs/", meta.base_url)),
            is_open: at.tenant().is_some_and(|facts| app.accounts().registration(facts) == Registration::Open),
            takes_documents: at.tenant().is_some_and(|facts| app.clients().takes_documents(facts)),
        };
        described.metadata(ABILITIES)
    };
    site.published
        .with(Kind::Metadata, at, Some(&meta.base_url), meta.ctx.now, make, |document| public(&request, document))
}

/// The keys of an issuer (RFC 7517): those that verify, and those that sign next.
async fn jwks(at: AtIssuer, request: HttpRequest, app: Data<App>, site: Data<Site>) -> HttpResponse {
    let (at, now) = (&at.0, RequestContext::with(&request, |state| state.now));
    let make = || app.keys().published(at.keys());
    site.published.with(Kind::Keys, at, None, now, make, |document| public(&request, document))
}

/// What everybody may read and keep for five minutes, scripts of any page included.
fn public(request: &HttpRequest, document: &Document) -> HttpResponse {
    let mut response = document.respond(request);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What a page of another origin may send, if an application allows it at all: see [`crate::http::edge`].
async fn preflight(_: AtIssuer) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, dpop"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

fn css(text: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(text.into())
}

async fn style(_: Anybody) -> HttpResponse {
    css(include_str!("../../assets/hosted.css"))
}

/// The colours of a tenant's pages.
async fn brand_style(tenant: PathTenant) -> Result<HttpResponse, Failure> {
    let colour = tenant.0.tenant.branding.primary_color.as_ref();
    Ok(css(colour.and_then(|colour| brand::stylesheet(colour.as_str())).ok_or(Error::NotFound)?))
}
