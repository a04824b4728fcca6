//! Operations: one list serves actix, the OpenAPI document and the table of routes, so none of them can know an operation
//! that the others do not. What an operation takes and answers follows from the types of its handler.
//!
//! The document takes megabytes to put together. Only the command that prints it and the tests do so; a server mounts
//! the operations without it and serves the committed text, which a test holds equal.

mod about;

use std::future::Future;

use actix_web::{
    FromRequest, Handler, Resource, Responder, guard,
    http::Method,
    web::{self, ServiceConfig},
};
use utoipa::openapi::{HttpMethod, OpenApi, PathItem, extensions::Extensions, security::SecurityRequirement};

use crate::http::{
    api,
    extract::access::PATH_PARAMETERS,
    surface::{Api, Surface},
};

pub use about::{
    ANY_OTHER, About, CONFLICT, Describe, Described, FORBIDDEN, Fails, INVALID, INVALID_CREDENTIALS, INVALID_LINK,
    NOT_FOUND, PathParameter, RATE_LIMITED, REQUEST_TIMEOUT, SaysWho, UNAUTHENTICATED, UNAVAILABLE, described,
};

/// What the document calls access tokens as a means of authentication.
pub const BEARER: &str = "bearerAuth";

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

impl Features {
    /// Those of a path that is none.
    pub const NONE: Self = Self { secured: false, takes_query: true, takes_body: false };
}

/// A function that handles an operation. Its first argument says who may call it.
///
/// ```
/// # use actix_web::web::Data;
/// # use gatehouse_domain::authz::{ReadSessions, ReadUsers};
/// # use gatehouse_server::{app::App, http::{envelope::{ApiResult, NoContent}, extract::access::{Access, InTenant, OfUser}, operation::Operations}};
/// async fn users(_: Access<ReadUsers, InTenant>, _: Data<App>) -> ApiResult<NoContent> {
///     Ok(NoContent)
/// }
///
/// async fn own_sessions(_: Access<ReadSessions, OfUser>, _: Data<App>) -> ApiResult<NoContent> {
///     Ok(NoContent)
/// }
///
/// let mut operations = Operations::default();
/// operations.get("/tenants/{tenant_id}/things", "tenants.things.list", users);
/// operations.get("/tenants/{tenant_id}/things/{user_id}", "tenants.things.get", own_sessions);
/// ```
///
/// One that does not say so is none:
///
/// ```compile_fail
/// # use actix_web::web::Data;
/// # use gatehouse_server::{app::App, http::{envelope::{ApiResult, NoContent}, operation::Operations}};
/// async fn open(_: Data<App>) -> ApiResult<NoContent> {
///     Ok(NoContent)
/// }
///
/// Operations::default().get("/things", "things.list", open);
/// ```
///
/// Nor is one that opens to everybody what is theirs, unless it is about sessions:
///
/// ```compile_fail
/// # use actix_web::web::Data;
/// # use gatehouse_domain::authz::ReadUsers;
/// # use gatehouse_server::{app::App, http::{envelope::{ApiResult, NoContent}, extract::access::{Access, OfUser}, operation::Operations}};
/// async fn own(_: Access<ReadUsers, OfUser>, _: Data<App>) -> ApiResult<NoContent> {
///     Ok(NoContent)
/// }
///
/// Operations::default().get("/tenants/{tenant_id}/things/{user_id}", "tenants.things.get", own);
/// ```
pub trait Handles<Args: FromRequest>: Handler<Args, Output: Responder> {
    /// What its arguments say.
    const FEATURES: Features;
    /// What its arguments and its answer say.
    fn describe(about: &mut About);
}

/// `handles!(A B)` lets functions of arguments `A` and `B` handle operations; `A` says who may call them. It becomes
///
/// ```text
/// impl<F, Fut, A, B> Handles<(A, B)> for F where F: Fn(A, B) -> Fut, A: SaysWho, B: Describe, … {
///     const FEATURES: Features = Features { secured: A::SECURED || B::SECURED, … };
///     fn describe(about: &mut About) { A::describe(about); B::describe(about); Fut::Output::describe(about); }
/// }
/// ```
macro_rules! handles {
    ($first:ident $($argument:ident)*) => {
        impl<F, Fut, $first, $($argument),*> Handles<($first, $($argument,)*)> for F
        where
            F: Fn($first, $($argument),*) -> Fut + Clone + 'static,
            Fut: Future<Output: Describe + Responder>,
            ($first, $($argument,)*): FromRequest,
            $first: SaysWho,
            $($argument: Describe),*
        {
            const FEATURES: Features = Features {
                secured: $first::SECURED $(|| $argument::SECURED)*,
                takes_query: $first::TAKES_QUERY $(|| $argument::TAKES_QUERY)*,
                takes_body: !($first::TAKES_FILE $(|| $argument::TAKES_FILE)*),
            };

            fn describe(about: &mut About) {
                $first::describe(about);
                $($argument::describe(about);)*
                Fut::Output::describe(about);
            }
        }
    };
}

handles!(A);
handles!(A B);
handles!(A B C);
handles!(A B C D);
handles!(A B C D E);
handles!(A B C D E G);

/// An operation.
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path, with placeholders; that of an operation of the API is below [`api::BASE`].
    pub path: &'static str,
    /// What is to be known before it is called.
    pub features: Features,
    id: &'static str,
    failures: &'static [Fails],
    summary: &'static str,
    description: &'static str,
    describe: fn(&mut About),
    resource: Box<dyn FnOnce(Resource) -> Resource>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({} {})", self.method, self.path)
    }
}

impl Operation {
    /// What the document says of it: in a few words, and what else is to be known.
    pub fn says(&mut self, summary: &'static str, description: &'static str) -> &mut Self {
        (self.summary, self.description) = (summary, description);
        self
    }

    /// How it fails besides what its types say: operations that no grant opens have reasons of their own.
    pub fn fails(&mut self, failures: &'static [Fails]) {
        self.failures = failures;
    }

    /// The collection or object that it belongs to: `admin-users` for `admin.users.list`.
    fn tag(&self) -> String {
        let (of, _) = self.id.rsplit_once('.').unwrap_or_default();
        of.replace(['.', '_'], "-")
    }

    /// Adds it to a document, at a path below `base`.
    fn add_to(&self, document: &mut OpenApi, base: &str) {
        let mut about = About::default();
        let is_named = |known: &&PathParameter| self.path.contains(&format!("{{{}}}", known.name));
        let mut in_path: Vec<_> = PATH_PARAMETERS.iter().filter(is_named).collect();
        in_path.sort_by_key(|known| self.path.find(known.name));
        if !in_path.is_empty() {
            about.parameters().extend(in_path.into_iter().map(|known| known.parameter().into()));
            about.fails(&[NOT_FOUND]);
        }
        about.fails(&[INVALID, UNAVAILABLE, ANY_OTHER]);
        if self.method == Method::PATCH {
            about.fails(&[CONFLICT]);
        }
        about.fails(self.failures);
        (self.describe)(&mut about);
        let About { mut operation, schemas, permission } = about;
        operation.tags = Some(vec![self.tag()]);
        operation.operation_id = Some(self.id.to_owned());
        operation.summary = Some(self.summary.to_owned());
        let needs = permission.map(|permission| format!("\n\nNeeds the permission `{permission}`."));
        operation.description = Some(format!("{}{}", self.description, needs.unwrap_or_default()));
        operation.extensions =
            permission.map(|permission| Extensions::builder().add("x-permission", permission).build());
        let bearer = self.features.secured.then(|| SecurityRequirement::new(BEARER, [] as [&str; 0]));
        operation.security = Some(bearer.into_iter().collect());
        let method = match self.method {
            Method::POST => HttpMethod::Post,
            Method::PUT => HttpMethod::Put,
            Method::PATCH => HttpMethod::Patch,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        let item = PathItem::from_http_methods([method], operation);
        let path = format!("{base}{}", self.path);
        match document.paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => drop(document.paths.paths.insert(path, item)),
        }
        document.components.get_or_insert_default().schemas.extend(schemas);
    }
}

/// A list of operations of one surface.
#[derive(Debug)]
pub struct Operations {
    /// Whom they are for.
    pub surface: &'static dyn Surface,
    /// Below which path they are.
    pub base: &'static str,
    list: Vec<Operation>,
}

impl Default for Operations {
    fn default() -> Self {
        Self::of(&Api, api::BASE)
    }
}

impl Operations {
    /// A list without any.
    #[must_use]
    pub const fn of(surface: &'static dyn Surface, base: &'static str) -> Self {
        Self { surface, base, list: Vec::new() }
    }

    /// The operations of the API.
    #[must_use]
    pub fn all() -> Self {
        let mut all = Self::default();
        api::mount(&mut all);
        all
    }

    /// One that reads.
    pub fn get<A: FromRequest + 'static>(
        &mut self,
        path: &'static str,
        id: &'static str,
        handler: impl Handles<A>,
    ) -> &mut Operation {
        self.add(Method::GET, path, id, handler)
    }

    /// A page.
    pub fn page<A: FromRequest + 'static>(&mut self, path: &'static str, handler: impl Handles<A>) {
        self.get(path, "", handler);
    }

    /// What a form is sent to.
    pub fn form<A: FromRequest + 'static>(&mut self, path: &'static str, handler: impl Handles<A>) {
        self.post(path, "", handler);
    }

    /// What browsers ask before a page of another origin calls (Fetch, section 4.8).
    pub fn preflight<A: FromRequest + 'static>(&mut self, path: &'static str, handler: impl Handles<A>) {
        self.add(Method::OPTIONS, path, "", handler);
    }

    /// One that makes or does something.
    pub fn post<A: FromRequest + 'static>(
        &mut self,
        path: &'static str,
        id: &'static str,
        handler: impl Handles<A>,
    ) -> &mut Operation {
        self.add(Method::POST, path, id, handler)
    }

    /// One that changes parts of something.
    pub fn patch<A: FromRequest + 'static>(
        &mut self,
        path: &'static str,
        id: &'static str,
        handler: impl Handles<A>,
    ) -> &mut Operation {
        self.add(Method::PATCH, path, id, handler)
    }

    /// One that removes or ends something.
    pub fn delete<A: FromRequest + 'static>(
        &mut self,
        path: &'static str,
        id: &'static str,
        handler: impl Handles<A>,
    ) -> &mut Operation {
        self.add(Method::DELETE, path, id, handler)
    }

    fn add<H: Handles<A>, A: FromRequest + 'static>(
        &mut self,
        method: Method,
        path: &'static str,
        id: &'static str,
        handler: H,
    ) -> &mut Operation {
        let takes_body = H::FEATURES.takes_body && !method.is_safe() && method != Method::DELETE;
        let takes_query = H::FEATURES.takes_query || self.surface.ignores_unknown_query();
        self.list.push(Operation {
            method,
            path,
            features: Features { takes_body, takes_query, ..H::FEATURES },
            id,
            failures: &[],
            summary: "",
            description: "",
            describe: H::describe,
            resource: Box::new(move |resource| resource.to(handler)),
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Mounts all in actix, whose name for the rest of a path is another.
    pub fn mount(self, config: &mut ServiceConfig) {
        let mount = |config: &mut ServiceConfig| {
            for Operation { method, path, resource, .. } in self.list {
                let path = match path.split_once("{*") {
                    Some((before, rest)) => format!("{before}{{{rest}*"),
                    None => path.to_owned(),
                };
                config.service(resource(Resource::new(path).guard(guard::Method(method))));
            }
        };
        // A scope takes everything below its path, and so leaves nothing to others if that is empty.
        if self.base.is_empty() {
            mount(config);
        } else {
            config.service(web::scope(self.base).configure(mount));
        }
    }

    /// Adds all to a document.
    pub fn describe(&self, document: &mut OpenApi) {
        self.list.iter().for_each(|operation| operation.add_to(document, self.base));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.list.iter()
    }
}
