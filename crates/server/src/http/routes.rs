//! The routes, from the same list of operations that actix dispatches by and the document describes. Adds what actix
//! does not do: 405 with `Allow` for a known path, whether an
//! operation asks for a token, which parameters it knows, and a bounded label for metrics and logs.

use std::collections::BTreeMap;

use actix_web::{dev::HttpServiceFactory, http::Method};
use matchit::Router;
use utoipa::openapi::{
    RefOr,
    path::{Operation, Parameter, ParameterIn},
};
use utoipa_actix_web::OpenApiFactory;

use crate::http::{api, mount::Mount};

/// A path with its methods.
#[derive(Debug)]
pub struct Route {
    /// The path with placeholders; a label.
    pub pattern: std::sync::Arc<str>,
    methods: Vec<(Method, Features)>,
}

/// What is to be known of an operation before it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Whether it asks for an access token.
    pub secured: bool,
    /// Whether it knows any query parameters.
    pub takes_query: bool,
    /// Whether it takes a body that is read as a whole before it is called; a file is not.
    pub takes_body: bool,
}

/// The routes by path.
#[derive(Debug)]
pub struct Routes {
    router: Router<usize>,
    routes: Vec<Route>,
}

/// A path that was found.
#[derive(Debug)]
pub struct Found<'t> {
    /// The route.
    pub route: &'t Route,
    /// The tenant in the path, by id.
    pub tenant_id: Option<String>,
    /// The tenant in the path, by slug.
    pub tenant_slug: Option<String>,
}

impl Route {
    /// The operation of a method.
    #[must_use]
    pub fn operation(&self, method: &Method) -> Option<Features> {
        self.methods.iter().find(|(known, _)| known == method).map(|(_, features)| *features)
    }

    /// The methods that there are; where there is GET, there is HEAD.
    #[must_use]
    pub fn allowed(&self) -> Vec<Method> {
        let mut methods: Vec<_> = self.methods.iter().map(|(method, _)| method.clone()).collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods
    }
}

fn features(method: &Method, operation: &Operation) -> Features {
    let is_query =
        |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.parameter_in == ParameterIn::Query);
    let takes_file = match &operation.request_body {
        Some(RefOr::T(body)) => body.content.contains_key("application/x-ndjson"),
        Some(RefOr::Ref(_)) | None => false,
    };
    Features {
        // `security(())` is how a handler says that it asks for nobody.
        secured: operation.security.is_none(),
        takes_query: operation.parameters.iter().flatten().any(is_query),
        takes_body: !method.is_safe() && *method != Method::DELETE && !takes_file,
    }
}

/// Collects the routes of the operations that are mounted.
#[derive(Default)]
struct Collector(BTreeMap<String, Vec<(Method, Features)>>);

impl Mount for Collector {
    fn mount(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        for (path, mut item) in operation.paths().paths {
            let methods = self.0.entry(format!("{}{path}", api::BASE)).or_default();
            let operations = [
                (Method::GET, item.get.take()),
                (Method::POST, item.post.take()),
                (Method::PUT, item.put.take()),
                (Method::PATCH, item.patch.take()),
                (Method::DELETE, item.delete.take()),
            ];
            methods.extend(operations.into_iter().filter_map(|(method, operation)| {
                operation.map(|o| (features(&method, &o), method)).map(|(f, m)| (m, f))
            }));
        }
        self
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// The routes of all operations.
    #[must_use]
    pub fn new() -> Self {
        let mut collector = Collector::default();
        api::mount(&mut collector);
        let (mut router, mut routes) = (Router::new(), Vec::new());
        for (path, methods) in collector.0 {
            if let Err(error) = router.insert(path.clone(), routes.len()) {
                unreachable!("two operations claim one path: {error}");
            }
            routes.push(Route { pattern: path.into(), methods });
        }
        Self { router, routes }
    }

    /// Finds the route of a path. Fixed segments win over placeholders: `/sessions/stats` is not a session.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        // No path of ours needs escapes, and two spellings of one path are one too many.
        if path.contains('%') {
            return None;
        }
        let found = self.router.at(path).ok()?;
        let parameter = |name: &str| found.params.get(name).map(str::to_owned);
        Some(Found {
            route: &self.routes[*found.value],
            tenant_id: parameter("tenant_id"),
            tenant_slug: parameter("tenant_slug"),
        })
    }
}
