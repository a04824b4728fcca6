//! What applications, APIs and browsers find at issuers (OAuth 2.1, OpenID Connect Core 1.0).

pub(super) mod authorize;
mod device;
pub(super) mod interaction;
mod logout;
pub mod metadata;
pub(super) mod params;
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
        document::Document,
        extract::access::{Anybody, PathTenant},
        hosted::{STYLE, brand},
        oauth::metadata::{ABILITIES, Described},
        operation::Operations,
        problem::Failure,
        request,
        surface::{OAuth, Pages, SentByOthers},
    },
};

/// Everything below issuers.
#[must_use]
pub fn all() -> [Operations; 3] {
    let mut programs = Operations::of(&OAuth, "");
    programs.page(at_issuer!("/.well-known/jwks.json"), jwks);
    // OpenID Connect puts it behind the issuer, RFC 8414 between host and path, and MCP clients try both names there.
    programs.page(at_issuer!("/.well-known/openid-configuration"), configuration);
    programs.page("/.well-known/openid-configuration/api/v1/auth/tenants/{tenant_slug}", configuration);
    programs.page("/.well-known/oauth-authorization-server/api/v1/auth/tenants/{tenant_slug}", configuration);
    programs.page("/api/v1/platform/.well-known/jwks.json", platform_jwks);
    programs.form(at_issuer!("/oauth/token"), token::token);
    programs.form(at_issuer!("/oauth/par"), token::push);
    programs.form(at_issuer!("/oauth/device_authorization"), token::device_authorization);
    programs.form(at_issuer!("/oauth/introspect"), token::introspect);
    programs.form(at_issuer!("/oauth/revoke"), token::revoke);
    programs.page(at_issuer!("/oauth/userinfo"), user_info::user_info);
    programs.form(at_issuer!("/oauth/userinfo"), user_info::user_info);
    programs.preflight(at_issuer!("/oauth/token"), preflight);
    programs.preflight(at_issuer!("/oauth/par"), preflight);
    programs.preflight(at_issuer!("/oauth/device_authorization"), preflight);
    programs.preflight(at_issuer!("/oauth/revoke"), preflight);
    programs.preflight(at_issuer!("/oauth/userinfo"), preflight);
    let mut sent = Operations::of(&SentByOthers, "");
    sent.page(at_issuer!("/oauth/authorize"), authorize::authorize);
    sent.form(at_issuer!("/oauth/authorize"), authorize::as_get);
    sent.page(at_issuer!("/oauth/logout"), logout::logout);
    sent.form(at_issuer!("/oauth/logout"), authorize::as_get);
    let mut pages = Operations::of(&Pages, "");
    pages.form(at_issuer!("/oauth/sign-in"), authorize::sign_in);
    pages.form(at_issuer!("/oauth/select-account"), authorize::select_account);
    pages.form(at_issuer!("/oauth/consent"), authorize::consent);
    pages.form(at_issuer!("/oauth/sign-out"), logout::sign_out);
    pages.page(at_issuer!("/oauth/device"), device::ask_at_issuer);
    pages.form(at_issuer!("/oauth/device"), device::typed_at_issuer);
    pages.form(at_issuer!("/oauth/device/answer"), device::answer);
    pages.page(device::PAGE, device::ask);
    pages.form(device::PAGE, device::typed);
    pages.page(at_issuer!("/oauth/brand.css"), brand_style);
    pages.page(STYLE, style);
    [programs, sent, pages]
}

/// What the issuer of a tenant says of itself.
async fn configuration(tenant: PathTenant, request: HttpRequest, app: Data<App>, site: Data<Site>) -> HttpResponse {
    let meta = request::meta(&request);
    let issuer = meta.issuer(&tenant.0.tenant.slug);
    let described = Described {
        endpoints: format!("{issuer}/oauth"),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        issuer,
        documentation: site.docs.is_some().then(|| format!("{}/docs/", meta.base_url)),
        is_open: app.accounts().registration(&tenant.0) == Registration::Open,
        takes_documents: app.clients().takes_documents(&tenant.0),
    };
    public(&request, described.metadata(ABILITIES))
}

/// The keys of a tenant (RFC 7517): those that verify, and those that sign next.
async fn jwks(tenant: PathTenant, request: HttpRequest, app: Data<App>) -> HttpResponse {
    public(&request, app.keys().published(&tenant.0.keys))
}

/// The keys of the platform.
async fn platform_jwks(_: Anybody, request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Failure> {
    Ok(public(&request, app.keys().published(&app.session_states().platform_keys().await?)))
}

/// What everybody may read and keep for five minutes, scripts of any page included.
fn public(request: &HttpRequest, text: String) -> HttpResponse {
    let mut response = Document::new(text).respond(request);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What a page of another origin may send, if an application allows it at all: see [`crate::http::edge`].
async fn preflight(_: PathTenant) -> HttpResponse {
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
