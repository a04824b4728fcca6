//! `Access`: the proof that the caller may, as the first argument of a handler.
//!
//! Synchronous, and first: an anonymous caller with a bad body is told 401, not what is wrong with the body.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use futures_util::future::LocalBoxFuture;
use gatehouse_domain::{
    authz::{Area, Grant, Installation, Permission, ReadSessions, RevokeSessions, TenantRef, authorize},
    id::{ApplicationId, AssignmentId, AuditEventId, JobId, PartnerId, RoleId, SessionId, TenantId, UserId},
    issue::Parse,
    text::Slug,
};
use utoipa::PartialSchema;

use crate::{
    app::{
        self, App,
        directory::{issuers::IssuerFacts, tenants::TenantFacts},
        sessions::cache::Caller,
    },
    http::{
        context::{Auth, RequestContext},
        operation::{About, Describe, FORBIDDEN, PathParameter, RATE_LIMITED, SaysWho, UNAUTHENTICATED},
        problem::Failure,
    },
    input::no_query,
};

/// Where the target of a permission is named in a request.
pub trait Locate {
    /// The target.
    type Target;
    /// Finds it.
    ///
    /// # Errors
    /// When the path names nothing.
    fn locate(request: &HttpRequest, state: &RequestContext) -> Result<Self::Target, Failure>;
}

/// A place at which permission `P` may be asked for. Sessions alone are one's own without a permission: at the places that
/// open to everybody what is theirs, no other permission may be asked for.
pub trait Opens<P> {}

impl<P> Opens<P> for Myself {}
impl<P> Opens<P> for Everything {}
impl<P> Opens<P> for Directory {}
impl<P> Opens<P> for AtPlatform {}
impl<P> Opens<P> for AtPartner {}
impl<P> Opens<P> for InTenant {}
impl Opens<ReadSessions> for OfUser {}
impl Opens<RevokeSessions> for OfUser {}
impl Opens<ReadSessions> for InTenantOrOwn {}
impl Opens<RevokeSessions> for InTenantOrOwn {}

/// A place where things of a tenant are found, be it one tenant or all that the caller administers. Handlers that are
/// the same in each take it as a parameter.
pub trait Anywhere: Locate<Target = Area> + 'static {}

impl<T: Locate<Target = Area> + 'static> Anywhere for T {}

/// `AtPlatform -> Area = |_request, _state| Ok(Area::Platform);` becomes
///
/// ```text
/// pub struct AtPlatform;
///
/// impl Locate for AtPlatform {
///     type Target = Area;
///
///     fn locate(_request: &HttpRequest, _state: &RequestContext) -> Result<Area, Failure> {
///         Ok(Area::Platform)
///     }
/// }
/// ```
macro_rules! places {
    ($($(#[$doc:meta])* $name:ident -> $target:ty = |$request:ident, $state:ident| $locate:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Locate for $name {
            type Target = $target;

            fn locate($request: &HttpRequest, $state: &RequestContext) -> Result<$target, Failure> {
                $locate
            }
        }
    )*};
}

places! {
    /// The caller itself.
    Myself -> () = |_request, _state| Ok(());
    /// The installation.
    Everything -> Installation = |_request, _state| Ok(Installation);
    /// Whatever the caller administers.
    Directory -> Area = |_request, _state| Ok(Area::Directory);
    /// The platform itself.
    AtPlatform -> Area = |_request, _state| Ok(Area::Platform);
    /// The partner in the path.
    AtPartner -> Area = |request, _state| Ok(Area::Partner(path(request)?));
    /// The tenant in the path.
    InTenant -> Area = |_request, state| Ok(Area::Tenant(tenant(state)?));
    /// The user in the path, in the tenant in the path.
    OfUser -> Area = |request, state| Ok(Area::UserOf(tenant(state)?, path(request)?));
    /// The tenant in the path, or what the caller owns in it.
    InTenantOrOwn -> Area = |_request, state| Ok(Area::TenantOrOwn(tenant(state)?));
}

fn tenant(state: &RequestContext) -> Result<TenantRef, Failure> {
    match &state.tenant {
        Some(facts) => Ok(facts.reference()),
        None => Err(app::Error::NotFound.into()),
    }
}

/// Reads an id in the path; one of the wrong form names nothing.
///
/// # Errors
/// Not found.
pub fn path<T: InPath>(request: &HttpRequest) -> Result<T, Failure> {
    let named = request.match_info().get(T::PLACEHOLDER);
    named.and_then(|text| T::parse(text).ok()).ok_or_else(|| app::Error::NotFound.into())
}

/// What paths name by a placeholder of its own.
pub trait InPath: Parse + PartialSchema {
    /// The placeholder.
    const PLACEHOLDER: &'static str;
}

impl InPath for Slug {
    const PLACEHOLDER: &'static str = "tenant_slug";
}

impl InPath for PartnerId {
    const PLACEHOLDER: &'static str = "partner_id";
}

impl InPath for TenantId {
    const PLACEHOLDER: &'static str = "tenant_id";
}

impl InPath for UserId {
    const PLACEHOLDER: &'static str = "user_id";
}

impl InPath for RoleId {
    const PLACEHOLDER: &'static str = "role_id";
}

impl InPath for ApplicationId {
    const PLACEHOLDER: &'static str = "application_id";
}

impl InPath for AssignmentId {
    const PLACEHOLDER: &'static str = "assignment_id";
}

impl InPath for SessionId {
    const PLACEHOLDER: &'static str = "session_id";
}

impl InPath for AuditEventId {
    const PLACEHOLDER: &'static str = "event_id";
}

impl InPath for JobId {
    const PLACEHOLDER: &'static str = "import_id";
}

/// The parameters that paths have.
pub const PATH_PARAMETERS: &[PathParameter] = &[
    PathParameter::of::<Slug>("The tenant."),
    PathParameter::of::<PartnerId>("The partner."),
    PathParameter::of::<TenantId>("The tenant."),
    PathParameter::of::<UserId>("The user."),
    PathParameter::of::<RoleId>("The role."),
    PathParameter::of::<ApplicationId>("The application."),
    PathParameter::of::<AssignmentId>("The assignment."),
    PathParameter::of::<SessionId>("The session."),
    PathParameter::of::<AuditEventId>("The event."),
    PathParameter::of::<JobId>("The import."),
];

/// A grant of permission `P` for what `T` finds in the request.
#[derive(Debug)]
pub struct Access<P: Permission, T> {
    grant: Grant<P>,
    place: PhantomData<T>,
}

impl<P: Permission, T> Deref for Access<P, T> {
    type Target = Grant<P>;

    fn deref(&self) -> &Grant<P> {
        &self.grant
    }
}

impl<P, T> FromRequest for Access<P, T>
where
    P: Permission,
    T: Locate<Target = P::Target> + Opens<P> + 'static,
{
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::with(request, |state| {
            let actor = state.actor()?;
            let target = T::locate(request, state)?;
            let grant = authorize(actor, &target)?;
            // Here, because it comes after the refusal and before everything that a handler does.
            if !state.takes_query {
                no_query(request.query_string())?;
            }
            Ok(Self { grant, place: PhantomData })
        }))
    }
}

impl<P: Permission, T> Describe for Access<P, T> {
    const SECURED: bool = true;

    fn describe(about: &mut About) {
        about.fails(&[UNAUTHENTICATED, RATE_LIMITED]);
        about.fails(&[FORBIDDEN]);
        // What needs none has a name of another form.
        if P::NAME.contains(':') {
            about.needs(P::NAME);
        }
    }
}

impl<P: Permission, T> SaysWho for Access<P, T> {}

/// The caller with profile and session, for answers about these.
#[derive(Debug)]
pub struct Me(pub Arc<Caller>);

impl FromRequest for Me {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::with(request, |state| state.caller().map(|caller| Self(Arc::clone(caller)))))
    }
}

impl Describe for Me {
    const SECURED: bool = true;
}

/// The session through which the caller acts. The operator of the installation has none, nor has an application.
#[derive(Debug)]
pub struct CurrentSession(pub Option<SessionId>);

impl FromRequest for CurrentSession {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RequestContext::with(request, |state| match &state.auth {
            Auth::Operator(_) | Auth::Application(_) => Ok(Self(None)),
            _ => state.caller().map(|caller| Self(Some(caller.session.id))),
        }))
    }
}

impl Describe for CurrentSession {
    const SECURED: bool = true;
}

/// The tenant that the path names, by id or slug; for what needs no grant.
#[derive(Debug)]
pub struct PathTenant(pub Arc<TenantFacts>);

impl FromRequest for PathTenant {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let tenant = RequestContext::with(request, |state| state.tenant.clone());
        ready(tenant.map(Self).ok_or_else(|| app::Error::NotFound.into()))
    }
}

impl Describe for PathTenant {}
impl SaysWho for PathTenant {}

/// The issuer that the path names: that of a tenant, else the platform's.
#[derive(Debug)]
pub struct AtIssuer(pub IssuerFacts);

impl FromRequest for AtIssuer {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if request.match_info().get(Slug::PLACEHOLDER).is_some() {
            let tenant = RequestContext::with(request, |state| state.tenant.clone());
            let found = tenant.map(|facts| Self(IssuerFacts::Tenant(facts)));
            return Box::pin(ready(found.ok_or_else(|| app::Error::NotFound.into())));
        }
        let Some(app) = request.app_data::<Data<App>>().cloned() else { unreachable!("it is part of every route") };
        Box::pin(async move { Ok(Self(app.session_states().platform().await?)) })
    }
}

impl Describe for AtIssuer {}
impl SaysWho for AtIssuer {}

/// Anybody, and no tenant in the path: pages, and the setup, before which there is nobody who could sign in.
#[derive(Debug)]
pub struct Anybody;

impl FromRequest for Anybody {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

impl Describe for Anybody {}
impl SaysWho for Anybody {}

/// An id in the path.
#[derive(Debug)]
pub struct PathId<T>(pub T);

impl<T> Describe for PathId<T> {}

impl<T: InPath> FromRequest for PathId<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(path(request).map(Self))
    }
}
