//! The audit trail across tenants.

use actix_web::{HttpResponse, get, web::Data};
use gatehouse_domain::{
    authz::{Area, ReadAudit},
    id::AuditEventId,
};

use crate::{
    app::{App, audit::AuditExport},
    http::{
        api::audit::{
            AuditEventPage, AuditEventResponse, AuditPlaceQuery, AuditQuery, OneAuditEvent,
            catalogue::{AuditCatalogueResponse, OneAuditCatalogue},
            export::{self, AuditEventLines, AuditEventTable},
        },
        download::FileQuery,
        envelope::{ApiResponse, ApiResult},
        extract::{
            access::{Access, Directory, PathId},
            filtered::Filtered,
            page::{ByCreation, Listing, Paged},
        },
        mount::Mount,
    },
};

pub(super) fn mount(routes: &mut impl Mount) {
    // Fixed segments before the placeholder.
    routes.mount(list).mount(download).mount(catalogue).mount(get_one);
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

/// Export audit events across tenants
///
/// Everything that the filters find up to the instant of the request, oldest first, sent while it is read. If something
/// goes wrong on the way, or the right to see it ends, the connection is closed before the body has ended.
#[utoipa::path(tag = "admin-audit-events", operation_id = "admin.audit_events.download", params(FileQuery, AuditPlaceQuery, AuditQuery), responses((status = 200, content((AuditEventLines = "application/x-ndjson"), (AuditEventTable = "text/csv")))))]
#[get("/admin/audit-events/export")]
async fn download(
    access: Access<ReadAudit, Directory>,

    asked: Filtered<(FileQuery, (AuditPlaceQuery, AuditQuery))>,
    app: Data<App>,
) -> ApiResult<HttpResponse> {
    let (how, (place, query)) = &asked.0;
    let export = AuditExport::new(&access, Area::Directory, place.with(query), app.env().now());
    export::respond(app, how, export).await
}

/// Get the words of the audit trail
///
/// Every action and every kind of thing that this release records.
#[utoipa::path(tag = "admin-audit-events-catalogue", operation_id = "admin.audit_events.catalogue.get", responses((status = 200, body = OneAuditCatalogue)))]
#[get("/admin/audit-events/catalogue")]
async fn catalogue(_access: Access<ReadAudit, Directory>) -> ApiResult<ApiResponse<AuditCatalogueResponse>> {
    Ok(ApiResponse(AuditCatalogueResponse::new()))
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
