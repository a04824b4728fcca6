//! The sessions of a tenant, for its administrators; and one's own through the same paths.

use std::net::IpAddr;

use actix_web::web::Data;
use gatehouse_domain::{
    authz::{ReadSessions, RevokeSessions},
    id::{ApplicationId, SessionId, UserId},
    issue::{Fault, Issues},
    time::Timestamp,
};

use crate::{
    app::{
        App,
        client::Origin,
        sessions::{SessionFilter, SessionSort, Which},
    },
    http::{
        api::session::{
            SessionListItem, SessionPage, SessionResponse, SessionRevokeRequest, SessionRevokeResponse,
            SessionStatsResponse,
        },
        envelope::{ApiResponse, ApiResult, NoContent, WithEffects},
        extract::{
            access::{Access, InTenant, InTenantOrOwn, Me, OfUser, PathId},
            page::Listing,
            valid::{NoBody, RealOrDry, Valid},
        },
        input::{Flag, Opaque, query},
        once::Answered,
        operation::Operations,
        request::Asked,
    },
};

query! {
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
}

impl From<&SessionQuery> for SessionFilter {
    fn from(query: &SessionQuery) -> Self {
        let SessionQuery {
            active_only,
            device_type,
            ip_address,
            application_id,
            created_after,
            created_before,
            last_activity_before,
        } = query;
        Self {
            devices: device_type.iter().map(|device| device.0.clone()).collect(),
            ips: ip_address.clone(),
            applications: application_id.clone(),
            active_only: active_only.0,
            created_after: *created_after,
            created_before: *created_before,
            last_activity_before: *last_activity_before,
            ..Self::default()
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
    operations.get("/tenants/{tenant_id}/sessions", "tenants.sessions.list", list).says(
        "List the sessions of a tenant",
        "Newest first, unless `sort` says otherwise. Filters that are repeated mean any of their values.",
    );
    operations.get("/tenants/{tenant_id}/sessions/{session_id}", "tenants.sessions.get", get_one).says(
        "Get a session of a tenant",
        "With its user, its applications and how the user signed in. One's own need no permission.",
    );
    operations.delete("/tenants/{tenant_id}/sessions/{session_id}", "tenants.sessions.revoke", revoke).says(
        "End a session of a tenant",
        "Ending one that has ended already is no error. One's own need no permission.",
    );
}

async fn list(
    access: Access<ReadSessions, InTenant>,
    me: Me,
    listing: Listing<(WhoseQuery, SessionQuery), SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let (whose, query) = &listing.filter;
    let filter = SessionFilter { users: whose.user_id.clone(), ..query.into() };
    let page = app.list_sessions(&access, filter, listing.sort, listing.direction, &listing.request).await?;
    let (current, now) = (me.0.session.id, app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

async fn revoke_all(
    access: Access<RevokeSessions, InTenant>,
    mode: RealOrDry,
    _: NoBody,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<WithEffects<SessionRevokeResponse>>> {
    let end = async |origin: &Origin| app.end_tenant_sessions(&access, mode.0, origin).await;
    asked.once(&app, end, |(revoked, effects)| WithEffects(revoked.into(), effects)).await
}

async fn stats(access: Access<ReadSessions, InTenant>, app: Data<App>) -> ApiResult<ApiResponse<SessionStatsResponse>> {
    Ok(ApiResponse(app.session_stats(&access).await?.into()))
}

async fn list_of_user(
    access: Access<ReadSessions, OfUser>,
    me: Me,
    user: PathId<UserId>,
    listing: Listing<SessionQuery, SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let page = app
        .list_user_sessions(
            &access,
            user.0,
            (&listing.filter).into(),
            listing.sort,
            listing.direction,
            &listing.request,
        )
        .await?;
    let (current, now) = (me.0.session.id, app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

async fn revoke_of_user(
    access: Access<RevokeSessions, OfUser>,
    user: PathId<UserId>,
    which: Valid<SessionRevokeRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<ApiResponse<SessionRevokeResponse>>> {
    let which = which.0.parse()?;
    let end = async |origin: &Origin| app.end_user_sessions(&access, user.0, which, origin).await;
    asked.once(&app, end, |revoked| ApiResponse(revoked.into())).await
}

async fn get_one(
    access: Access<ReadSessions, InTenantOrOwn>,
    me: Me,
    id: PathId<SessionId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionResponse>> {
    let (view, apps) = app.session(&access, id.0).await?;
    Ok(ApiResponse(SessionResponse::new(&view, apps, me.0.session.id, app.env().now())))
}

async fn revoke(
    access: Access<RevokeSessions, InTenantOrOwn>,
    id: PathId<SessionId>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.end_session(&access, id.0, &asked.origin).await?;
    Ok(NoContent)
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
