//! Sessions across tenants.

use actix_web::{delete, get, post, web::Data};
use gatehouse_domain::{
    authz::{ReadSessions, RevokeSessions},
    id::{PartnerId, SessionId, TenantId, UserId},
    issue::{Fault, Issues},
};

use crate::{
    app::{
        App,
        client::Origin,
        sessions::{Everywhere, SessionFilter, SessionSort},
    },
    http::{
        api::session::{
            AdminRevokeRequest, OneRevocation, OneSession, SessionListItem, SessionPage, SessionResponse,
            SessionRevokeResponse,
        },
        envelope::{ApiResponse, ApiResult, NoContent, WithEffects},
        extract::{
            access::{Access, Directory, Me, PathId},
            page::{Listing, Paged},
            valid::{DryRunQuery, ValidOrDry},
        },
        input::{Flag, query},
        mount::Mount,
        once::Answered,
        request::Asked,
    },
};

query! {
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

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(revoke_all).mount(list).mount(get_one).mount(revoke);
}

/// List sessions across tenants
///
/// Of all tenants, or of those of the caller's partners. A filter that names something the caller may not see gives an
/// empty list.
#[utoipa::path(tag = "admin-sessions", operation_id = "admin.sessions.list", params(AdminSessionQuery, Paged<SessionSort>), responses((status = 200, body = SessionPage)))]
#[get("/admin/sessions")]
async fn list(
    access: Access<ReadSessions, Directory>,
    me: Me,
    listing: Listing<AdminSessionQuery, SessionSort>,
    app: Data<App>,
) -> ApiResult<SessionPage> {
    let AdminSessionQuery { user_id, tenant_id, partner_id, active_only } = &listing.filter;
    let filter = SessionFilter {
        users: user_id.clone(),
        tenants: tenant_id.clone(),
        partners: partner_id.clone(),
        active_only: active_only.0,
        ..SessionFilter::default()
    };
    let page = app.list_sessions(&access, filter, listing.sort, listing.direction, &listing.request).await?;
    let (current, now) = (me.0.session.id, app.env().now());
    Ok(listing.respond(&app, page, |view| SessionListItem::new(&view, current, now)))
}

/// Get any session
///
/// With its user, its applications and how the user signed in.
#[utoipa::path(tag = "admin-sessions", operation_id = "admin.sessions.get", params(("session_id" = inline(SessionId), Path, description = "The session.")), responses((status = 200, body = OneSession)))]
#[get("/admin/sessions/{session_id}")]
async fn get_one(
    access: Access<ReadSessions, Directory>,
    me: Me,
    id: PathId<SessionId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionResponse>> {
    let (view, apps) = app.session(&access, id.0).await?;
    Ok(ApiResponse(SessionResponse::new(&view, apps, me.0.session.id, app.env().now())))
}

/// End any session
///
/// Ending one that has ended already is no error.
#[utoipa::path(tag = "admin-sessions", operation_id = "admin.sessions.revoke", params(("session_id" = inline(SessionId), Path, description = "The session.")), responses((status = 204)))]
#[delete("/admin/sessions/{session_id}")]
async fn revoke(
    access: Access<RevokeSessions, Directory>,
    id: PathId<SessionId>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.end_session(&access, id.0, &asked.origin).await?;
    Ok(NoContent)
}

/// End all sessions of a user or a tenant
///
/// Exactly one of both is named. With `dry_run=true` nothing ends, and `meta.effects` says what would.
#[utoipa::path(tag = "admin-sessions", operation_id = "admin.sessions.revoke_all", params(DryRunQuery), request_body = AdminRevokeRequest, responses((status = 200, body = OneRevocation)))]
#[post("/admin/sessions/revoke-all")]
async fn revoke_all(
    access: Access<RevokeSessions, Directory>,
    whose: ValidOrDry<AdminRevokeRequest>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<Answered<WithEffects<SessionRevokeResponse>>> {
    let mode = whose.1;
    let except_current = whose.0.except_current.0;
    let whose = whose.0.parse()?;
    let end = async |origin: &Origin| app.end_sessions_everywhere(&access, whose, except_current, mode, origin).await;
    asked.once(&app, end, |(revoked, effects)| WithEffects(revoked.into(), effects)).await
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
