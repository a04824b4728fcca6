//! Sessions across tenants, of a tenant, and one's own through the paths of the tenant.

use std::net::IpAddr;

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{ReadSessions, RevokeSessions},
    id::{ApplicationId, PartnerId, SessionId, TenantId, UserId},
    issue::{Fault, Issues},
    time::Timestamp,
};

use crate::{
    app::{
        App,
        request::client::RequestMeta,
        sessions::{
            list::{SessionFilter, SessionSort},
            revocation::{Everywhere, Which},
        },
    },
    http::{
        api::session::{
            AdminRevokeRequest, SessionListItem, SessionPage, SessionResponse, SessionRevokeRequest,
            SessionRevokeResponse, SessionStatsResponse,
        },
        envelope::{ApiResponse, ApiResult, NoContent, WithEffects},
        extract::{
            access::{Access, Anywhere, CurrentSession, Directory, InTenant, InTenantOrOwn, OfUser, PathId},
            page::{Listing, Narrow},
            valid::{NoBody, RealOrDry, Valid, ValidOrDry},
        },
        idempotency::Idempotent,
        operation::Operations,
        request::ChangeRequest,
    },
    input::{Flag, Opaque, input},
};

input! {
    /// Whose sessions.
    pub struct WhoseQuery {
        /// Only sessions of these users.
        user_id: Vec<UserId>,
    }

    /// Filters of the sessions of a tenant, and of a user in it.
    pub struct SessionQuery {
        /// Only sessions that can be used; false adds those that have ended, as long as they are kept.
        active_only: Flag<true>,
        /// Only sessions on these kinds of device.
        device_type: Vec<Opaque<32>>,
        /// Only sessions begun from these addresses.
        ip_address: Vec<IpAddr>,
        /// Only sessions used with these applications.
        application_id: Vec<ApplicationId>,
        /// Only sessions begun at this instant or later.
        created_after: Option<Timestamp>,
        /// Only sessions begun before this instant.
        created_before: Option<Timestamp>,
        /// Only sessions last used before this instant.
        last_activity_before: Option<Timestamp>,
    }

    /// Filters of sessions across tenants.
    pub struct AdminSessionQuery {
        /// Only sessions of these users.
        user_id: Vec<UserId>,
        /// Only sessions in these tenants.
        tenant_id: Vec<TenantId>,
        /// Only sessions in tenants of these partners.
        partner_id: Vec<PartnerId>,
        /// Only sessions that can be used; false adds those that have ended, as long as they are kept.
        active_only: Flag<true>,
    }
}

impl Narrow<SessionFilter> for SessionQuery {
    fn narrow(&self) -> SessionFilter {
        let SessionQuery {
            active_only,
            device_type,
            ip_address,
            application_id,
            created_after,
            created_before,
            last_activity_before,
        } = self;
        SessionFilter {
            devices: device_type.iter().map(|device| device.0.clone()).collect(),
            ips: ip_address.clone(),
            applications: application_id.clone(),
            active_only: active_only.0,
            created_after: *created_after,
            created_before: *created_before,
            last_activity_before: *last_activity_before,
            ..SessionFilter::default()
        }
    }
}

impl Narrow<SessionFilter> for (WhoseQuery, SessionQuery) {
    fn narrow(&self) -> SessionFilter {
        let (whose, query) = self;
        SessionFilter { users: whose.user_id.clone(), ..query.narrow() }
    }
}

impl Narrow<SessionFilter> for AdminSessionQuery {
    fn narrow(&self) -> SessionFilter {
        let Self { user_id, tenant_id, partner_id, active_only } = self;
        SessionFilter {
            users: user_id.clone(),
            tenants: tenant_id.clone(),
            partners: partner_id.clone(),
            active_only: active_only.0,
            ..SessionFilter::default()
        }
    }
}

pub(super) fn mount(operations: &mut Operations) {
    operations.get("/tenants/{tenant_id}/sessions/stats", "tenants.sessions.stats", stats).says(
        "Get figures about the sessions of a tenant",
        "Active sessions and users now, the last 24 hours, and the last 7 days by the hour.",
    );
    operations.post("/tenants/{tenant_id}/sessions/revoke-all", "tenants.sessions.revoke_all", revoke_all).says(
        "End all sessions of a tenant",
        "Everybody in the tenant is signed out, the caller included. With `dry_run=true` nothing ends, and \
         `meta.effects` says what would.",
    );
    operations
        .get("/tenants/{tenant_id}/sessions/users/{user_id}", "tenants.sessions.users.list", list_of_user)
        .says("List the sessions of a user", "As the list of the tenant. One's own need no permission.");
    operations
        .post("/tenants/{tenant_id}/sessions/users/{user_id}/revoke", "tenants.sessions.users.revoke", revoke_of_user)
        .says("End sessions of a user", "Either the named ones or all. One's own need no permission.");
    operations
        .get("/tenants/{tenant_id}/sessions", "tenants.sessions.list", list::<InTenant, (WhoseQuery, SessionQuery)>)
        .says(
            "List the sessions of a tenant",
            "Newest first, unless `sort` says otherwise. Filters that are repeated mean any of their values.",
        );
    operations
        .get("/tenants/{tenant_id}/sessions/{session_id}", "tenants.sessions.get", get_one::<InTenantOrOwn>)
        .says(
            "Get a session of a tenant",
            "With its user, its applications and how the user signed in. One's own need no permission.",
        );
    operations
        .delete("/tenants/{tenant_id}/sessions/{session_id}", "tenants.sessions.revoke", revoke::<InTenantOrOwn>)
        .says(
            "End a session of a tenant",
            "Ending one that has ended already is no error. One's own need no permission.",
        );
    operations.post("/admin/sessions/revoke-all", "admin.sessions.revoke_all", revoke_everywhere).says(
        "End all sessions of a user or a tenant",
        "Exactly one of both is named. With `dry_run=true` nothing ends, and `meta.effects` says what would.",
    );
    operations.get("/admin/sessions", "admin.sessions.list", list::<Directory, AdminSessionQuery>).says(
        "List sessions across tenants",
        "Of all tenants, or of those of the caller's partners. A filter that names something the caller may not see \
         gives an empty list.",
    );
    operations
        .get("/admin/sessions/{session_id}", "admin.sessions.get", get_one::<Directory>)
        .says("Get any session", "With its user, its applications and how the user signed in.");
    operations
        .delete("/admin/sessions/{session_id}", "admin.sessions.revoke", revoke::<Directory>)
        .says("End any session", "Ending one that has ended already is no error.");
}

async fn list<L: Anywhere, Q: Narrow<SessionFilter> + 'static>(
    access: Access<ReadSessions, L>,
    current: CurrentSession,
    listing: Listing<Q, SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let filter = listing.filter.narrow();
    let page = app.sessions().list(&access, filter, listing.sort, listing.direction, &listing.request).await?;
    let (current, now) = (current.0, app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

async fn get_one<L: Anywhere>(
    access: Access<ReadSessions, L>,
    current: CurrentSession,
    id: PathId<SessionId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionResponse>> {
    let (view, apps) = app.sessions().get(&access, id.0).await?;
    Ok(ApiResponse(SessionResponse::new(&view, apps, current.0, app.env().now())))
}

async fn revoke<L: Anywhere>(
    access: Access<RevokeSessions, L>,
    id: PathId<SessionId>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.sessions().end(&access, id.0, &call.meta).await?;
    Ok(NoContent)
}

async fn revoke_everywhere(
    access: Access<RevokeSessions, Directory>,
    whose: ValidOrDry<AdminRevokeRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<WithEffects<SessionRevokeResponse>>> {
    let mode = whose.1;
    let except_current = whose.0.except_current.0;
    let whose = whose.0.parse()?;
    let end =
        async |meta: &RequestMeta| app.sessions().end_everywhere(&access, whose, except_current, mode, meta).await;
    call.idempotent(&app, end, |(revoked, effects)| WithEffects(revoked.into(), effects)).await
}

async fn revoke_all(
    access: Access<RevokeSessions, InTenant>,
    mode: RealOrDry,
    _: NoBody,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<WithEffects<SessionRevokeResponse>>> {
    let end = async |meta: &RequestMeta| app.sessions().end_of_tenant(&access, mode.0, meta).await;
    call.idempotent(&app, end, |(revoked, effects)| WithEffects(revoked.into(), effects)).await
}

async fn stats(access: Access<ReadSessions, InTenant>, app: Data<App>) -> ApiResult<ApiResponse<SessionStatsResponse>> {
    Ok(ApiResponse(app.sessions().stats(&access).await?.into()))
}

async fn list_of_user(
    access: Access<ReadSessions, OfUser>,
    current: CurrentSession,
    user: PathId<UserId>,
    listing: Listing<SessionQuery, SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let page = app
        .sessions()
        .list_of_user(&access, user.0, listing.filter.narrow(), listing.sort, listing.direction, &listing.request)
        .await?;
    let (current, now) = (current.0, app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

async fn revoke_of_user(
    access: Access<RevokeSessions, OfUser>,
    user: PathId<UserId>,
    which: Valid<SessionRevokeRequest>,
    call: ChangeRequest,
    app: Data<App>,
) -> ApiResult<Idempotent<ApiResponse<SessionRevokeResponse>>> {
    let which = which.0.parse()?;
    let end = async |meta: &RequestMeta| app.sessions().end_of_user(&access, user.0, which, meta).await;
    call.idempotent(&app, end, |revoked| ApiResponse(revoked.into())).await
}

impl AdminRevokeRequest {
    fn parse(self) -> Result<Everywhere, Issues> {
        let fault = |kind, msg| Err(Fault::new(kind, msg).at(vec!["body".into()]).into());
        match (self.user_id, self.tenant_id) {
            (Some(user), None) => Ok(Everywhere::User(user)),
            (None, Some(tenant)) => Ok(Everywhere::Tenant(tenant)),
            (None, None) => fault("missing", "needs either user_id or tenant_id"),
            (Some(_), Some(_)) => fault("exclusive", "takes either user_id or tenant_id, not both"),
        }
    }
}

impl SessionRevokeRequest {
    /// Exactly one of a list and all.
    fn parse(self) -> Result<Which, Issues> {
        let fault = |kind, msg| Issues::from(Fault::new(kind, msg).at(vec!["body".into()]));
        match (self.session_ids, self.revoke_all.0) {
            (Some(ids), false) => Ok(Which::Named(ids.0)),
            (None, true) => Ok(Which::All { except_current: self.except_current.0 }),
            (None, false) => Err(fault("missing", "needs either session_ids or revoke_all: true")),
            (Some(_), true) => Err(fault("exclusive", "takes either session_ids or revoke_all: true, not both")),
        }
    }
}
