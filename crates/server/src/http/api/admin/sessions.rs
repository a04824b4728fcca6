//! Sessions across tenants.

use actix_web::web::Data;
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
        api::session::{AdminRevokeRequest, SessionListItem, SessionPage, SessionResponse, SessionRevokeResponse},
        envelope::{ApiResponse, ApiResult, NoContent, WithEffects},
        extract::{
            access::{Access, Directory, Me, PathId},
            page::Listing,
            valid::ValidOrDry,
        },
        input::{Flag, query},
        once::Answered,
        operation::Operations,
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

pub(super) fn mount(operations: &mut Operations) {
    operations.post("/admin/sessions/revoke-all", "admin.sessions.revoke_all", revoke_all).says(
        "End all sessions of a user or a tenant",
        "Exactly one of both is named. With `dry_run=true` nothing ends, and `meta.effects` says what would.",
    );
    operations.get("/admin/sessions", "admin.sessions.list", list).says(
        "List sessions across tenants",
        "Of all tenants, or of those of the caller's partners. A filter that names something the caller may not see \
         gives an empty list.",
    );
    operations
        .get("/admin/sessions/{session_id}", "admin.sessions.get", get_one)
        .says("Get any session", "With its user, its applications and how the user signed in.");
    operations
        .delete("/admin/sessions/{session_id}", "admin.sessions.revoke", revoke)
        .says("End any session", "Ending one that has ended already is no error.");
}

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

async fn get_one(
    access: Access<ReadSessions, Directory>,
    me: Me,
    id: PathId<SessionId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<SessionResponse>> {
    let (view, apps) = app.session(&access, id.0).await?;
    Ok(ApiResponse(SessionResponse::new(&view, apps, me.0.session.id, app.env().now())))
}

async fn revoke(
    access: Access<RevokeSessions, Directory>,
    id: PathId<SessionId>,
    asked: Asked,
    app: Data<App>,
) -> ApiResult<NoContent> {
    app.end_session(&access, id.0, &asked.origin).await?;
    Ok(NoContent)
}

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
