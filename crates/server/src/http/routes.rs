//! The routes, from the same lists of operations that actix dispatches by and the document describes. Adds what actix
//! does not do: 405 with `Allow` for a known path, whether an operation asks for a credential, which parameters it knows,
//! and a bounded label for metrics and logs.

use std::collections::BTreeMap;

use actix_web::http::Method;
use matchit::Router;

use crate::http::{
    operation::{Features, Operations},
    surface::Surface,
};

/// A path with its methods.
#[derive(Debug)]
pub struct Route {
    /// The path with placeholders; a label.
    pub pattern: std::sync::Arc<str>,
    /// Whom it is for.
    pub surface: &'static dyn Surface,
    methods: Vec<(Method, Features)>,
}

/// The routes by path.
#[derive(Debug)]
pub struct Routes {
    router: Router<usize>,
    routes: Vec<Route>,
}

/// A path that was found.
#[derive(Debug)]
pub struct RouteMatch<'t> {
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

    /// Whether pages of other origins may call it, where an application allows that (Fetch, section 3.2).
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.operation(&Method::OPTIONS).is_some()
    }

    /// The methods that there are; where there is GET, there is HEAD, unless looking would do something.
    #[must_use]
    pub fn allowed(&self) -> Vec<Method> {
        let mut methods: Vec<_> = self.methods.iter().map(|(method, _)| method.clone()).collect();
        if methods.contains(&Method::GET) && self.surface.answers_head() {
            methods.push(Method::HEAD);
        }
        methods
    }
}

impl Routes {
    /// The routes of lists of operations.
    #[must_use]
    pub fn new(lists: &[Operations]) -> Self {
        let mut paths = BTreeMap::new();
        for list in lists {
            for operation in list.iter() {
                let path = format!("{}{}", list.base, operation.path);
                let (_, methods) = paths.entry(path).or_insert_with(|| (list.surface, Vec::new()));
                methods.push((operation.method.clone(), operation.features));
            }
        }
        let (mut router, mut routes) = (Router::new(), Vec::new());
        for (path, (surface, methods)) in paths {
            if let Err(error) = router.insert(path.clone(), routes.len()) {
                unreachable!("two operations claim one path: {error}");
            }
            routes.push(Route { pattern: path.into(), surface, methods });
        }
        Self { router, routes }
    }

    /// Finds the route of a path. Fixed segments win over placeholders: `/sessions/stats` is not a session.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<RouteMatch<'_>> {
        // No path of ours needs escapes, and two spellings of one path are one too many.
        if path.contains('%') {
            return None;
        }
        let found = self.router.at(path).ok()?;
        let parameter = |name: &str| found.params.get(name).map(str::to_owned);
        Some(RouteMatch {
            route: &self.routes[*found.value],
            tenant_id: parameter("tenant_id"),
            tenant_slug: parameter("tenant_slug"),
        })
    }
}
