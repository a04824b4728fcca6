//! HTTP: routes, extractors, answers. Handlers call use cases and convert; they decide nothing.

/// Below the path of a tenant's issuer.
macro_rules! at_issuer {
    ($($path:literal),+) => {
        concat!("/api/v1/auth/tenants/{tenant_slug}", $($path),+)
    };
}

pub mod api;
mod body;
mod caller;
pub mod conditional;
pub mod connections;
pub mod context;
mod cors;
pub mod credential;
pub mod document;
pub mod download;
pub mod edge;
pub mod envelope;
pub mod extract;
mod forwarded;
mod headers;
pub mod hosted;
pub mod idempotency;
pub mod manual;
pub mod oauth;
pub mod openapi;
pub mod operation;
pub mod ops;
pub mod page;
pub mod pages;
pub mod problem;
pub mod refusal;
pub mod request;
pub mod routes;
mod sending;
pub mod server;
pub mod surface;
mod unread;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::{
    Error,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    web::{self, Data, ServiceConfig},
};
use gatehouse_domain::application::Origin;
use ipnet::IpNet;

use crate::{
    app::{self, App},
    config::{Config, ForwardedHeader},
    env::Env,
    http::{
        document::Document, edge::Edge, oauth::published::Published, operation::Operations, problem::Failure,
        request::BaseUrls, routes::Routes,
    },
};

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the HTTP side knows besides the application.
#[derive(Debug)]
pub struct Site {
    /// Everything that is not part of the API, with or without the document.
    pages: fn(bool) -> Operations,
    /// The routes.
    pub routes: Routes,
    /// The OpenAPI document as it is served, where it is and its reference page are.
    pub docs: Option<Document>,
    /// The addresses that clients use.
    pub base_urls: BaseUrls,
    /// The pages that may call the API besides those of applications.
    pub cors_origins: Vec<Origin>,
    /// Whose word on the address of the client counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Whether the log has the addresses of clients; otherwise it has digests of them.
    pub logs_addresses: bool,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// Whether the server is about to stop.
    pub draining: AtomicBool,
    /// What it writes to find out whether the database takes it.
    pub probe: [u8; 16],
    /// What issuers say of themselves, as it was last read.
    pub published: Published,
}

/// What is below the issuers of tenants, and what belongs to it.
fn at_issuers() -> impl Iterator<Item = Operations> {
    oauth::all().into_iter().chain([pages::at_issuers()])
}

impl Site {
    /// The site of a configuration.
    #[must_use]
    pub fn new(config: &Config, env: &Env) -> Self {
        Self::with_pages(config, env, pages::all)
    }

    fn with_pages(config: &Config, env: &Env, pages: fn(bool) -> Operations) -> Self {
        Self {
            pages,
            routes: Routes::new(&at_issuers().chain([Operations::all(), pages(config.docs)]).collect::<Vec<_>>()),
            docs: config.docs.then(|| Document::new(openapi::served(config.public_url.as_ref()))),
            base_urls: BaseUrls::new(config.public_url.as_ref(), config.bind),
            cors_origins: config.cors_origins.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            forwarded_header: config.forwarded_header,
            logs_addresses: config.log_addresses,
            body_timeout: BODY_TIMEOUT,
            draining: AtomicBool::new(false),
            probe: env.random(),
            published: Published::default(),
        }
    }

    /// Mounts the operations of the API and the pages.
    fn mount(&self, config: &mut ServiceConfig) {
        // First, because the scope of the API takes everything below its path.
        at_issuers().for_each(|operations| operations.mount(config));
        Operations::all().mount(config);
        (self.pages)(self.docs.is_some()).mount(config);
    }
}

/// The whole HTTP application: what the server runs and the tests call.
pub fn service(
    app: Data<App>,
    site: Arc<Site>,
) -> actix_web::App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    actix_web::App::new()
        .app_data(Data::clone(&app))
        .app_data(Data::from(Arc::clone(&site)))
        .configure(|config| site.mount(config))
        .default_service(web::to(async || Err::<&str, _>(Failure::App(app::Error::NotFound))))
        .wrap(Edge::new(app, site))
}
