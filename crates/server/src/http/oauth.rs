//! What applications and APIs find at issuers.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderValue},
    web::Data,
};

use crate::{
    app::App,
    http::{
        document::Document,
        extract::access::{Anybody, PathTenant},
        operation::Operations,
        problem::Failure,
        surface::OAuth,
    },
};

/// Everything below issuers.
#[must_use]
pub fn all() -> Operations {
    let mut operations = Operations::of(&OAuth, "");
    operations.page("/api/v1/auth/tenants/{tenant_slug}/.well-known/jwks.json", jwks);
    operations.page("/api/v1/platform/.well-known/jwks.json", platform_jwks);
    operations
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
