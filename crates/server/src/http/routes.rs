//! The routes as the OpenAPI document has them. The document is made from the mounted handlers, so this is the same
//! list that actix dispatches by; it adds what actix does not do: 405 with `Allow` for a known path, whether an
//! operation asks for a token, which parameters it knows, and a bounded label for metrics and logs.

use actix_web::http::Method;
use matchit::Router;
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, Parameter, ParameterIn},
};

/// A path with its methods.
#[derive(Debug)]
pub struct Route {
    /// The path with placeholders; a label.
    pub pattern: String,
    methods: Vec<(Method, Features)>,
}

/// What is to be known of an operation before it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Whether it asks for an access token.
    pub secured: bool,
    /// Whether it knows any query parameters.
    pub takes_query: bool,
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

fn features(operation: &Operation) -> Features {
    let is_query =
        |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.parameter_in == ParameterIn::Query);
    Features {
        secured: operation.security.as_ref().is_none_or(|alternatives| !alternatives.is_empty()),
        takes_query: operation.parameters.iter().flatten().any(is_query),
    }
}

impl Routes {
    /// Reads the document.
    #[must_use]
    pub fn new(document: &OpenApi) -> Self {
        let (mut router, mut routes) = (Router::new(), Vec::new());
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let methods = operations
                .into_iter()
                .filter_map(|(method, operation)| operation.as_ref().map(|o| (method, features(o))))
                .collect();
            let path = path.trim_end_matches('/').to_owned();
            if let Err(error) = router.insert(path.clone(), routes.len()) {
                unreachable!("two operations claim one path: {error}");
            }
            routes.push(Route { pattern: path, methods });
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
