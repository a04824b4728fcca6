//! The edge: what happens to every request before and after its handler, in one place.
//!
//! Before: request id, trailing slash, known path and method, who calls, which tenant the path names, the body, and then
//! once more who calls and where: what the handler acts on is never older than the last byte. After: failures become bytes,
//! headers, a log line, a measurement. A handler that panics costs its own request. All of it holds for pages as it does
//! for the API; what differs is what a surface shows and is shown (`surface.rs`).

use std::{
    cell::Cell,
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::{Arc, OnceLock},
    time::Instant,
};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{Method, Uri, header::HeaderValue},
    web::Data,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use gatehouse_domain::{
    authz::Actor,
    id::{TenantId, UserId},
    issue::Parse,
    text::Slug,
    time::Timestamp,
};

use crate::{
    app::{self, App, deadline, directory::tenants::TenantFacts},
    cli::operator::Operator,
    http::{
        Site, body,
        caller::{self, CameAsHead},
        connections::Link,
        context::{Auth, RequestContext},
        forwarded::client_ip,
        headers,
        operation::Features,
        problem::Failure,
        refusal,
        routes::RouteMatch,
        sending::in_pieces,
        surface::{self, Surface},
        unread::Hold,
    },
    input::no_query,
    measure,
    telemetry::{self, ClientAddress},
};

/// Wraps all routes.
#[derive(Debug, Clone)]
pub struct Edge {
    pub(super) app: Data<App>,
    pub(super) site: Arc<Site>,
}

impl Edge {
    /// The edge of a site.
    #[must_use]
    pub const fn new(app: Data<App>, site: Arc<Site>) -> Self {
        Self { app, site }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Edge
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = EdgeService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(EdgeService { service: Rc::new(service), edge: self.clone() }))
    }
}

/// The edge around a service.
#[derive(Debug)]
pub struct EdgeService<S> {
    service: Rc<S>,
    edge: Edge,
}

impl<S, B> Service<ServiceRequest> for EdgeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, edge) = (Rc::clone(&self.service), self.edge.clone());
        Box::pin(deadline::request(async move { edge.handle(&*service, request).await }))
    }
}

/// What is known of a request when it is over.
struct Seen {
    id: Arc<str>,
    method: Method,
    route: Option<Arc<str>>,
    surface: &'static dyn Surface,
    began: Instant,
    client: Option<ClientAddress>,
    trace: Option<String>,
    /// The origin whose pages may read the answer; `None` where none is looked for.
    shared_with: Option<Option<HeaderValue>>,
}

impl Edge {
    async fn handle<S, B>(&self, service: &S, mut request: ServiceRequest) -> Result<ServiceResponse<BoxBody>, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let id = headers::request_id(request.headers(), self.app.env());
        let surface = surface::of(request.path()).towards(request.headers());
        let (method, began) = (request.method().clone(), Instant::now());
        let (client, trace) = (self.client(&request), headers::trace_id(request.headers()));
        let mut seen =
            Seen { id: Arc::clone(&id), method, route: None, surface, began, client, trace, shared_with: None };
        let serving = request.conn_data::<Arc<Link>>().map(Link::serve);
        trim_slash(&mut request);
        let hold = Hold::take(&mut request);
        let quota = Rc::new(Cell::new(None));
        let prepared = match self.preflight(&request).await {
            Ok(Some((answer, origin))) => {
                seen.shared_with = Some(origin);
                let mut response = request.into_response(answer).map_into_boxed_body();
                self.finish(&mut response, &seen, &quota);
                return Ok(hold.until_sent(in_pieces(response, serving)));
            }
            Ok(None) => self.prepare(&mut request, &mut seen, &quota).await,
            Err(failure) => Err(failure),
        };
        let mut response = match prepared {
            Err(failure) => {
                let response = failure.response(seen.surface, &id);
                request.into_response(response)
            }
            // The request itself goes to the handler: nothing may hold on to it here.
            Ok(()) => match AssertUnwindSafe(service.call(request)).catch_unwind().await {
                Ok(response) => {
                    let response = response?;
                    refusal::record(&self.app, &response).await;
                    render(response, &seen)
                }
                Err(_) => {
                    seen.log(self.app.env().now(), 500, None, None);
                    return Err(Failure::Panic(id, seen.surface).into());
                }
            },
        };
        self.finish(&mut response, &seen, &quota);
        Ok(hold.until_sent(in_pieces(response, serving)))
    }

    /// Everything that comes before the handler.
    async fn prepare(
        &self,
        request: &mut ServiceRequest,
        seen: &mut Seen,
        quota: &Rc<Cell<Option<app::attempts::RateLimit>>>,
    ) -> Result<(), Failure> {
        let found = self.site.routes.find(request.path());
        let (features, surface) = known(request, found.as_ref(), seen)?;
        surface.admit(request.method(), request.headers(), &|| {
            self.site.base_urls.of(request.peer_addr().map(|peer| peer.ip()), request.headers())
        })?;
        // A proof counts once: for this request, which may ask twice who calls.
        let proved = OnceLock::new();
        let auth = caller::of(&self.app, &self.site, (surface, features), request, &proved).await?;
        let admitted = self.admit(&auth, quota);
        let mut state = RequestContext {
            id: Arc::clone(&seen.id),
            now: self.app.env().now(),
            clock: self.app.env().clock(),
            // Who has to wait costs no more than that; the log names them.
            tenant: if admitted.is_ok() { self.tenant(found.as_ref()).await? } else { None },
            auth,
            takes_query: features.takes_query,
            quota: Rc::clone(quota),
            subject: Rc::default(),
        };
        seen.shared_with = self.shared_with(found.as_ref(), features, &state, request.headers()).await?;
        if !features.takes_query && !features.secured {
            no_query(request.query_string())?;
        }
        // Nobody waits for the body of a request that will be refused whatever it says. One to an unknown tenant is read:
        // it answers like one to a tenant that the caller may not see.
        let is_known =
            matches!(state.auth, Auth::Caller(_) | Auth::Application(_) | Auth::Operator(_)) || !features.secured;
        let reads = admitted.is_ok() && features.takes_body && is_known;
        if reads && body::read(request, self.site.body_timeout).await {
            // What held when the head came may have ended while the body did.
            state.auth = caller::of(&self.app, &self.site, (surface, features), request, &proved).await?;
            state.tenant = self.tenant(found.as_ref()).await?;
            state.now = self.app.env().now();
        }
        request.extensions_mut().insert(state);
        admitted
    }

    /// Counts the request of somebody who is signed in, and has what is left shown in the answer.
    fn admit(&self, auth: &Auth, quota: &Cell<Option<app::attempts::RateLimit>>) -> Result<(), Failure> {
        let actor = match auth {
            Auth::Caller(caller) => &caller.actor,
            Auth::Application(actor) => actor,
            _ => return Ok(()),
        };
        let limited = self.app.admission().admit(actor, self.app.env().now());
        quota.set(limited.quota);
        Ok(limited.result?)
    }

    /// The address of the client, as the log names it.
    fn client(&self, request: &ServiceRequest) -> Option<ClientAddress> {
        let (peer, site) = (request.peer_addr().map(|peer| peer.ip()), &self.site);
        let ip = client_ip(peer, request.headers(), site.forwarded_header, &site.trusted_proxies)?;
        let digest = || ClientAddress::Digest(self.app.client_digest(ip));
        Some(if site.logs_addresses { ClientAddress::Plain(ip) } else { digest() })
    }

    async fn tenant(&self, found: Option<&RouteMatch<'_>>) -> Result<Option<Arc<TenantFacts>>, Failure> {
        let Some(found) = found else { return Ok(None) };
        let (id, slug) = (found.tenant_id.as_deref(), found.tenant_slug.as_deref());
        Ok(match (id.map(TenantId::parse), slug.map(Slug::parse)) {
            (Some(Ok(id)), _) => self.app.session_states().tenant(id).await?,
            (_, Some(Ok(slug))) => self.app.session_states().tenant_by_slug(&slug).await?,
            _ => None,
        })
    }

    /// Everything that comes after the handler.
    fn finish(
        &self,
        response: &mut ServiceResponse<BoxBody>,
        seen: &Seen,
        quota: &Cell<Option<app::attempts::RateLimit>>,
    ) {
        let status = response.status().as_u16();
        headers::add(response, &self.site, &seen.id, quota.get());
        if let Some(origin) = &seen.shared_with {
            headers::share(response.headers_mut(), origin.as_ref());
        }
        let extensions = response.request().extensions();
        if extensions.get::<Operator>().is_some() {
            // A command says itself what became of it.
            return;
        }
        let context = extensions.get::<RequestContext>();
        let user = context.and_then(|context| match &context.auth {
            Auth::Caller(caller) => match &*caller.actor {
                Actor::User(user) => Some((user.tenant_id, user.user_id)),
                Actor::Application(_) | Actor::System(_) => None,
            },
            _ => context.subject.get(),
        });
        if status == 429 {
            // A limit with something left is not the one that was reached.
            measure::throttled(quota.get().filter(|quota| quota.remaining == 0).map(|quota| quota.policy));
        }
        let tenant = context.and_then(|context| Some(context.tenant.as_ref()?.tenant.id));
        seen.log(self.app.env().now(), status, user, tenant);
    }
}

impl Seen {
    fn log(&self, at: Timestamp, status: u16, user: Option<(TenantId, UserId)>, tenant: Option<TenantId>) {
        telemetry::request(&telemetry::Request {
            at,
            id: &self.id,
            method: &self.method,
            route: self.route.as_deref().unwrap_or("-"),
            status,
            elapsed: self.began.elapsed(),
            user,
            tenant,
            client: self.client,
            trace: self.trace.as_deref(),
        });
    }
}

/// The operation that is asked for, and whom it is for. A path that is none of ours is left to actix, which has nothing
/// for it, unless it can only be of the API.
fn known(
    request: &mut ServiceRequest,
    found: Option<&RouteMatch<'_>>,
    seen: &mut Seen,
) -> Result<(Features, &'static dyn Surface), Failure> {
    let is_read =
        found.is_none_or(|found| found.route.operation(&Method::GET).is_some() && found.route.surface.answers_head());
    if request.method() == Method::HEAD && is_read {
        // The connection knows that the body is not to be sent.
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(CameAsHead);
    }
    let Some(RouteMatch { route, .. }) = found else {
        let nothing = || Err(app::Error::NotFound.into());
        return if surface::is_api(request.path()) { nothing() } else { Ok((Features::NONE, &surface::Api)) };
    };
    seen.route = Some(Arc::clone(&route.pattern));
    seen.surface = route.surface.towards(request.headers());
    match route.operation(request.method()) {
        Some(features) => Ok((features, route.surface)),
        None => Err(Failure::MethodNotAllowed(route.allowed())),
    }
}

/// Turns the failure of a handler into bytes.
fn render<B: MessageBody + 'static>(response: ServiceResponse<B>, seen: &Seen) -> ServiceResponse<BoxBody> {
    let render = |failure: &Failure| failure.response(seen.surface, &seen.id);
    let failure = response.response().error().map(|error| error.as_error::<Failure>().map(render));
    match failure {
        Some(Some(rendered)) => response.into_response(rendered),
        // Not ours: actix could not read the request.
        Some(None) if response.status().is_server_error() => {
            let error = response.response().error().map(tracing::field::display);
            tracing::error!(request_id = &*seen.id, error, "an unexpected failure");
            response.into_response(render(&Failure::Panic(Arc::clone(&seen.id), seen.surface)))
        }
        _ => response.map_into_boxed_body(),
    }
}

/// Makes `/path/` the same as `/path`, without a redirect; not where links of a page are relative to it.
fn trim_slash(request: &mut ServiceRequest) {
    let path = request.path();
    if path.len() < 2 || !path.ends_with('/') || path == "/docs/" || path.starts_with("/docs/manual/") {
        return;
    }
    let trimmed = path.trim_end_matches('/');
    // More than one slash is another path.
    if path.len() != trimmed.len() + 1 {
        return;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path_and_query) = target.parse() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            request.match_info_mut().get_mut().update(&uri);
            request.head_mut().uri = uri;
        }
    }
}
