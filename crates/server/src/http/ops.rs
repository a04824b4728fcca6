//! What operators and developers find beside the API: health, the document, its reference page.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data},
};
use askama::Template;
use serde::Serialize;
use utoipa_swagger_ui::Config;

use crate::{
    app::{self, App},
    http::{
        Site,
        extract::access::Anybody,
        manual,
        operation::Operations,
        page::page,
        problem::{CODES, Code, Failure},
    },
};

/// Mounts them; the document and what belongs to it only where that is wanted.
pub fn mount(pages: &mut Operations, with_docs: bool) {
    pages.page("/healthz", healthz);
    pages.page("/readyz", readyz);
    if with_docs {
        manual::mount(pages);
        pages.page("/openapi.json", openapi_json);
        pages.page("/docs/errors", errors);
        pages.page("/", root);
        pages.page("/docs", docs);
        pages.page(REFERENCE, reference);
        pages.page("/docs/{*file}", reference);
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Whether the process lives.
async fn healthz(_: Anybody) -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Whether it can take requests: the database reads and writes, and nobody asked it to stop.
async fn readyz(_: Anybody, app: Data<App>, site: Data<Site>) -> HttpResponse {
    if site.draining.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().json(Health { status: "draining" });
    }
    if app.db().is_ready(site.probe).await {
        HttpResponse::Ok().json(Health { status: "ready" })
    } else {
        HttpResponse::ServiceUnavailable().json(Health { status: "database unavailable" })
    }
}

async fn openapi_json(_: Anybody, request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Failure> {
    let document = site.docs.as_ref().ok_or(app::Error::NotFound)?;
    Ok(document.respond(&request))
}

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    codes: &'static [Code],
}

/// The page of problem codes that `type` of a problem points to.
async fn errors(_: Anybody) -> Result<HttpResponse, Failure> {
    page(&ErrorsPage { codes: CODES }, REFERENCE_POLICY)
}

/// People who open the address in a browser look for the reference.
async fn root(_: Anybody) -> HttpResponse {
    HttpResponse::Found().insert_header(("location", REFERENCE)).finish()
}

async fn docs(_: Anybody) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(("location", "/docs/")).finish()
}

/// Where the reference page is.
pub const REFERENCE: &str = "/docs/";

/// What the reference page may load and do. Its pictures and styles are in part made by its scripts.
pub const REFERENCE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The reference page; its files are part of the program and load nothing from elsewhere. All clients share them.
async fn reference(_: Anybody, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let settings = Config::from("/openapi.json").validator_url("none").persist_authorization(false);
    let file = utoipa_swagger_ui::serve(request.match_info().get("file").unwrap_or_default(), settings.into());
    let file = file.map_err(|error| app::Error::Internal(error.to_string().into()))?.ok_or(app::Error::NotFound)?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Ok(HttpResponse::Ok().content_type(file.content_type).body(bytes))
}

/// Tells health checks that the server is about to stop.
pub fn drain(site: &Arc<Site>) {
    site.draining.store(true, Ordering::Relaxed);
}
