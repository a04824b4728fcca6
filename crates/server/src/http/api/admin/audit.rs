//! The audit trail across tenants.

use actix_web::{get, web::Data};
use gatehouse_domain::{authz::ReadAudit, id::AuditEventId};

use crate::{
    app::App,
    http::{
        api::audit::{AuditEventPage, AuditEventResponse, AuditPlaceQuery, AuditQuery, OneAuditEvent},
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, Directory, PathId},
            page::{ByCreation, Listing, Paged},
        },
        mount::Mount,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    routes.mount(list).mount(get_one);
}

/// List audit events across tenants
///
/// Everything that happened, or what happened below the caller's partners; newest first. A filter that names something
/// the caller may not see gives an empty list.
#[utoipa::path(tag = "admin-audit-events", operation_id = "admin.audit_events.list", params(AuditPlaceQuery, AuditQuery, Paged<ByCreation>), responses((status = 200, body = AuditEventPage)))]
#[get("/admin/audit-events")]
async fn list(
    access: Access<ReadAudit, Directory>,
    listing: Listing<(AuditPlaceQuery, AuditQuery), ByCreation>,
    app: Data<App>,
) -> ApiResult<AuditEventPage> {
    let (place, query) = &listing.filter;
    let filter = place.with(query);
    let page = app.list_audit_events(&access, &filter, listing.direction, &listing.request).await?;
    Ok(listing.respond(&app, page, AuditEventResponse::from))
}

/// Get any audit event
///
/// With what changed.
#[utoipa::path(tag = "admin-audit-events", operation_id = "admin.audit_events.get", params(("event_id" = inline(AuditEventId), Path, description = "The event.")), responses((status = 200, body = OneAuditEvent)))]
#[get("/admin/audit-events/{event_id}")]
async fn get_one(
    access: Access<ReadAudit, Directory>,
    id: PathId<AuditEventId>,
    app: Data<App>,
) -> ApiResult<ApiResponse<AuditEventResponse>> {
    Ok(ApiResponse(app.audit_event(&access, id.0).await?.into()))
}
