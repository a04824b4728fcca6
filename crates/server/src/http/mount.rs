//! Mounting: one list of operations serves actix, the OpenAPI document and the table of routes, so none of them can know
//! an operation that the others do not.
//!
//! The document takes megabytes to put together. Only the command that prints it and the tests do so; a server mounts
//! the operations without it and serves the committed text, which a test holds equal.

use actix_web::{dev::HttpServiceFactory, web::ServiceConfig};
use utoipa_actix_web::OpenApiFactory;

/// Something that takes operations.
pub trait Mount {
    /// Takes one.
    fn mount(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self;
}

impl Mount for ServiceConfig {
    fn mount(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        self.service(operation)
    }
}

impl Mount for utoipa_actix_web::service_config::ServiceConfig<'_> {
    fn mount(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        self.service(operation)
    }
}
