//! What applications and APIs find at issuers.

pub mod metadata;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderValue},
    web::Data,
};
use gatehouse_domain::settings::Registration;

use crate::{
    app::App,
    http::{
        Site,
        document::Document,
        extract::access::{Anybody, PathTenant},
        oauth::metadata::{ABILITIES, Described},
        operation::Operations,
        problem::Failure,
        request,
        surface::OAuth,
    },
};

/// Everything below issuers.
#[must_use]
pub fn all() -> Operations {
    let mut operations = Operations::of(&OAuth, "");
    operations.page("/api/v1/auth/tenants/{tenant_slug}/.well-known/jwks.json", jwks);
    // OpenID Connect puts it behind the issuer, RFC 8414 between host and path, and MCP clients try both names there.
    operations.page("/api/v1/auth/tenants/{tenant_slug}/.well-known/openid-configuration", configuration);
    operations.page("/.well-known/openid-configuration/api/v1/auth/tenants/{tenant_slug}", configuration);
    operations.page("/.well-known/oauth-authorization-server/api/v1/auth/tenants/{tenant_slug}", configuration);
    operations.page("/api/v1/platform/.well-known/jwks.json", platform_jwks);
    operations
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
